"""What a network is trained on at one step: cut, augmented, and turned into targets of the loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ushape.config.schema import LinesConfig, RunConfig
from ushape.data.augment import apply_spatial, draw_augmentation, window_size
from ushape.data.augment.draw import Augmentation
from ushape.data.augment.intensity import change_intensity
from ushape.data.fine import coarse_table, recode
from ushape.data.line_targets import blurred_lines, distance_lines, replace_by_graded
from ushape.data.patches import Windows, clip_window, cut_windows
from ushape.data.sample import Sample
from ushape.data.targets import VOID, one_hot
from ushape.device import channels_last
from ushape.labels import LabelTable
from ushape.nets import Geometry
from ushape.sizes import Size

AUGMENT_STREAM, NETWORK_STREAM = 2, 3
"""Keep the draws of augmentation and of dropout apart from each other and from those of patches."""


def stream_seed(seed: int, step: int, rank: int, stream: int) -> int:
    """Derive the seed of one stream of chance at one step."""
    state = np.random.SeedSequence([seed, step, rank, stream]).generate_state(1, np.uint64)
    return int(state[0] >> np.uint64(1))


@dataclass(frozen=True)
class Batch:
    """What a network is trained on at one step.

    Attributes:
        images: (batch, channel, *patch size).
        target: (batch, class channel, *output size), from 0 to 1.
        graded: (batch, further channel, *output size): blurred lines, or None.
        mask: (batch, 1, *output size), bool, False where void; None without void pixels.
        weight: (batch, 1, *output size), pixel weights, or None.
    """

    images: Tensor
    target: Tensor
    graded: Tensor | None = None
    mask: Tensor | None = None
    weight: Tensor | None = None


def make_batch(
    samples: Sequence[Sample],
    config: RunConfig,
    geometry: Geometry,
    *,
    labels: LabelTable,
    step: int,
    rank: int,
    device: torch.device,
) -> Batch:
    """Cut and augment the patches of one step; a pure function of (seed, step, rank)."""
    patch = tuple(config.patch.size)
    spacing = patch_spacing(samples, config)
    windows = cut_windows(
        samples,
        patch_size=patch,
        window_size=clip_window(
            window_size(patch, config.augment, spacing=spacing), patch, samples
        ),
        batch_size=config.patch.batch,
        seed=config.train.seed,
        step=step,
        rank=rank,
        sampling=config.sampling,
    )
    if config.fine.classes:  # small classes are the second pass's
        windows = replace(windows, targets=recode(windows.targets, labels, config.fine))
        labels = coarse_table(labels, config.fine)
    generator = torch.Generator(device=device)
    generator.manual_seed(stream_seed(config.train.seed, step, rank, AUGMENT_STREAM))
    augmentation = draw_augmentation(
        generator,
        config.augment,
        batch=config.patch.batch,
        channels=config.model.in_channels,
        patch_size=patch,
        spacing=spacing,
    )
    varied = vary_windows(windows, augmentation, labels, patch, device)
    images = varied.images
    if config.train.channels_last:
        images = images.contiguous(memory_format=channels_last(images.ndim - 2))
    target, graded = grade_lines(varied.target, labels, config.lines, spacing=spacing)

    def crop(values: Tensor | None) -> Tensor | None:
        return None if values is None else crop_to_output(values, geometry, patch)

    return Batch(
        images,
        crop_to_output(target, geometry, patch),
        crop(graded),
        crop(varied.mask),
        crop(varied.weight),
    )


def patch_spacing(samples: Sequence[Sample], config: RunConfig) -> tuple[float, ...] | None:
    """Find the voxel edges that augmentation reckons with.

    Returns:
        Those that all volumes were resampled to; else the median of the samples that know theirs,
        axis by axis; None where nobody knows any.
    """
    if config.preprocess.spacing_mm is not None:
        return config.preprocess.spacing_mm
    known = [sample.spacing_mm for sample in samples if sample.spacing_mm is not None]
    return tuple(np.median(known, axis=0).tolist()) if known else None


def crop_to_output(values: Tensor, geometry: Geometry, patch: tuple[int, ...]) -> Tensor:
    """Keep the part of a patch's last axes that an unpadded network's output covers."""
    kept = zip(
        patch, geometry.used_size(patch), geometry.margin, geometry.output_size(patch), strict=True
    )
    first = values.ndim - len(patch)
    for axis, (given, used, (before, _), length) in enumerate(kept, start=first):
        values = values.narrow(axis, (given - used) // 2 + before, length)
    return values


def grade_lines(
    target: Tensor,
    labels: LabelTable,
    lines: LinesConfig,
    *,
    spacing: tuple[float, ...] | None = None,
) -> tuple[Tensor, Tensor | None]:
    """Grade the targets of thin classes.

    Args:
        target: (batch, class channel, *size), 0 or 1.
        labels: The classes.
        lines: Which of them are thin, and how they are graded.
        spacing: Edge of a voxel along each axis, where it is known.

    Returns:
        The target, and the targets of further channels if there are any.
    """
    if not lines.classes:
        return target, None
    channels = [labels.logit_names.index(name) for name in lines.classes]
    thin = target[:, channels]
    if lines.mode == "blurred":
        return target, blurred_lines(thin, lines.sigma, spacing=spacing)
    graded = distance_lines(thin, lines.sigma[0], spacing=spacing)
    if labels.target == "multiclass":
        return replace_by_graded(target, graded, channels), None
    target = target.clone()
    target[:, channels] = graded
    return target, None


def vary_windows(
    windows: Windows,
    augmentation: Augmentation,
    labels: LabelTable,
    patch: Size,
    device: torch.device,
) -> Batch:
    """Augment windows: images with their weights, targets as indices or as masks."""
    images = windows.images.to(device, non_blocking=True)
    targets = windows.targets.to(device, non_blocking=True)
    channels = images.shape[1]
    if windows.weights is not None:  # weights are warped as intensities are
        weights = windows.weights.to(device, non_blocking=True)
        images = torch.cat([images, weights.unsqueeze(1)], 1)
    if labels.is_overlapping:
        targets = unpack_sets(targets, len(labels.classes))
    with torch.no_grad(), torch.autocast(device.type, enabled=False):
        moved, targets = apply_spatial(
            images,
            targets,
            augmentation,
            patch_size=patch,
            num_classes=len(labels.classes),
            ignore_index=None if labels.ignore is None or labels.is_overlapping else VOID,
        )
        varied = moved[:, :channels].contiguous()
        change_intensity(varied, augmentation)
    weight = None if windows.weights is None else moved[:, channels:]
    mask = None
    if labels.is_overlapping:
        if labels.ignore is not None:
            mask = ~targets[:, :1]
        return Batch(varied, targets[:, 1:].float(), None, mask, weight)
    if labels.ignore is not None:
        mask = (targets != VOID).unsqueeze(1)
    return Batch(varied, one_hot(targets, labels.num_logits), None, mask, weight)


def unpack_sets(sets: Tensor, num_bits: int) -> Tensor:
    """Turn sets of classes into masks.

    Args:
        sets: (batch, *size), integer: bit 0 is void, bit k class k.
        num_bits: Classes with the background.

    Returns:
        (batch, num_bits, *size), bool: void first.
    """
    bits = torch.arange(num_bits, device=sets.device, dtype=sets.dtype)
    return (sets.unsqueeze(1) >> bits.view(1, -1, *(1,) * (sets.ndim - 1))) & 1 == 1
