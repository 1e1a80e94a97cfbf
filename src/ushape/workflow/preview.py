"""`ushape data preview`: training patches as the network sees them, varied and not."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import numpy.typing as npt
import torch

from ushape.config.schema import AugmentConfig, RunConfig
from ushape.data.augment import augment_preset, draw_augmentation, window_size
from ushape.data.layouts import CaseFiles
from ushape.data.patches import cut_windows
from ushape.data.preprocess import prepare_cases
from ushape.data.sample import Sample
from ushape.labels import LabelTable
from ushape.report.sheet import Sheet, stack_views, write_sheet
from ushape.report.thumbnails import Pixels, draw_thumbnail
from ushape.sizes import format_size
from ushape.training.batch import AUGMENT_STREAM, Batch, patch_spacing, stream_seed, vary_windows
from ushape.workflow.case_slice import slice_axis
from ushape.workflow.prepare import Prepared, plan
from ushape.workflow.wishes import Asks

CELL_EDGE = 160
"""Pixels of the longer edge of a patch on the sheet."""

Progress = Callable[[int, int], None]


def preview(
    data: str | Path,
    out: str | Path,
    *,
    preset: str | None = None,
    patches: int = 4,
    draws: int = 5,
    config: str | Path | None = None,
    progress: Progress | None = None,
    **asks: Unpack[Asks],
) -> Prepared:
    """Write a sheet of training patches: each as it was prepared, and as several draws vary it.

    Args:
        data: As of `ushape.train`.
        out: The sheet, .png.
        preset: `light`, `default`, `strong` or `nnunet`, in place of the plan's augmentation;
            settings of `augment` in `asks` win over it.
        patches: Rows of the sheet.
        draws: Columns beside the unvaried patch.
        config: As of `ushape.train`.
        progress: Called with (cases read, cases in all).
        **asks: As of `ushape.train`.

    Returns:
        The plan, with the augmentation that was drawn.

    Raises:
        ConfigError: The preset is not known, or the sheet's name does not end in .png.
        StorageError: The sheet cannot be written.
    """
    prepared = plan(data, config=config, progress=progress, **asks)
    settings = _with_preset(prepared, preset, asks.get("settings") or {})
    prepared = replace(prepared, plan=replace(prepared.plan, config=settings))
    labels = prepared.plan.fingerprint.labels
    files = _spread(prepared.cases(prepared.plan.split.train), patches)
    with tempfile.TemporaryDirectory(prefix="ushape-preview-") as folder:
        cases = prepare_cases(
            files,
            labels,
            settings.preprocess,
            Path(folder),
            sampling=settings.sampling,
            align=settings.data.align,
        )
        samples = [case.open() for case in cases]
        notes = _notes(settings, patch_spacing(samples, settings), preset)
        rows = draw_rows(samples, settings, labels, patches, draws)
    names = ("as prepared", *(f"draw {number}" for number in range(1, draws + 1)))
    title = f"{prepared.plan.fingerprint.name}: training patches"
    write_sheet(out, Sheet(title, notes, names, rows, labels.names))
    return prepared


def draw_rows(
    samples: Sequence[Sample],
    config: RunConfig,
    labels: LabelTable,
    patches: int,
    draws: int,
) -> tuple[tuple[str, tuple[Pixels, ...]], ...]:
    """Cut patches as the first step of training does, and vary all of them several times.

    Returns:
        For each patch its name, and its pictures: unvaried, then one a draw.
    """
    size = tuple(config.patch.size)
    spacing = patch_spacing(samples, config)
    windows = cut_windows(
        samples,
        patch_size=size,
        window_size=window_size(size, config.augment, spacing=spacing),
        batch_size=patches,
        seed=config.train.seed,
        step=0,
        sampling=config.sampling,
    )
    batches = []
    for draw in range(draws + 1):
        generator = torch.Generator()
        generator.manual_seed(stream_seed(config.train.seed, draw, 0, AUGMENT_STREAM))
        augmentation = draw_augmentation(
            generator,
            config.augment if draw else unvaried(),
            batch=patches,
            channels=config.model.in_channels,
            patch_size=size,
            spacing=spacing,
        )
        batches.append(vary_windows(windows, augmentation, labels, size, torch.device("cpu")))
    return tuple(
        (f"patch {number + 1}", _pictures(batches, number, labels, spacing))
        for number in range(patches)
    )


def unvaried() -> AugmentConfig:
    """Return settings with which no patch is changed."""
    off: dict[str, Any] = {
        each.name: 0.0 for each in fields(AugmentConfig) if each.name.endswith("_probability")
    }
    return AugmentConfig(flip=False, right_angles=False, **off)


def _with_preset(prepared: Prepared, preset: str | None, settings: Mapping[str, Any]) -> RunConfig:
    """Put a preset in the place of the planned augmentation, under what a person set by key."""
    config = prepared.plan.config
    if preset is None:
        return config
    edges = config.preprocess.spacing_mm or prepared.plan.fingerprint.edges
    chosen = augment_preset(
        preset,
        spatial_dims=len(config.patch.size),
        anisotropy=max(edges) / min(edges) if len(config.patch.size) == 3 else 1.0,
    )
    by_hand = {
        key.removeprefix("augment."): getattr(config.augment, key.removeprefix("augment."))
        for key in settings
        if key.startswith("augment.")
    }
    return replace(config, augment=replace(chosen, **by_hand))


def _spread(cases: Sequence[CaseFiles], number: int) -> list[CaseFiles]:
    """Take some cases, evenly over all of them."""
    count = min(number, len(cases))
    return [cases[place * len(cases) // count] for place in range(count)]


def _pictures(
    batches: Sequence[Batch],
    number: int,
    labels: LabelTable,
    spacing: Sequence[float] | None,
) -> tuple[Pixels, ...]:
    plain = batches[0].images[number].numpy()
    low, high = np.percentile(plain, [0.5, 99.5])
    window = (float(low), float(high))
    pictures = []
    for batch in batches:
        image, masks = batch.images[number].numpy(), batch.target[number].numpy() > 0.5
        if len(masks) == len(labels.classes):  # softmax: the background has a channel of its own
            masks = masks[1:]
        pictures.append(_views(image, masks, spacing, window))
    return tuple(pictures)


def _views(
    image: npt.NDArray[Any],
    masks: npt.NDArray[np.bool_],
    spacing: Sequence[float] | None,
    window: tuple[float, float],
) -> Pixels:
    """Draw a patch: a picture as it is; of a volume two planes, below each other."""
    if image.ndim == 3:
        return draw_thumbnail(image, masks, longest=CELL_EDGE, window=window)
    edges = tuple(spacing or (1.0, 1.0, 1.0))
    across = slice_axis(edges)
    down, right = (axis for axis in range(3) if axis != across)
    lengths = [number * edge for number, edge in zip(image.shape[1:], edges, strict=True)]
    scale = CELL_EDGE / max(lengths)  # one scale, so that both views have the same width
    views = []
    for cut, rows in ((across, down), (down, across)):
        turn = (0, 1, 2) if rows < right else (0, 2, 1)
        plane, inside = (
            np.take(array, array.shape[1 + cut] // 2, axis=1 + cut).transpose(turn)
            for array in (image, masks)
        )
        longest = round(scale * max(lengths[rows], lengths[right]))
        pixel = (edges[rows], edges[right])
        views.append(draw_thumbnail(plane, inside, longest=longest, edges=pixel, window=window))
    return stack_views(views)


def _notes(
    config: RunConfig, spacing: Sequence[float] | None, preset: str | None
) -> tuple[str, ...]:
    patch = f"patches of {format_size(config.patch.size)}"
    if config.preprocess.spacing_mm is not None:
        edges = " x ".join(f"{edge:.3g}" for edge in config.preprocess.spacing_mm)
        patch += f", voxels of {edges} mm"
    varied = f"augmentation: {preset or 'as planned'}"
    notes = [f"{patch}, normalised ({config.preprocess.normalise}); {varied}"]
    if len(config.patch.size) == 3:
        across = slice_axis(spacing or (1.0, 1.0, 1.0))
        below = next(axis for axis in range(3) if axis != across)
        notes.append(
            f"of each patch the middle plane across {'zyx'[across]}, and below it the one across "
            f"{'zyx'[below]}"
        )
    return tuple(notes)
