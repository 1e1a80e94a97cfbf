"""Cut enlarged regions for the second pass of fine-grained training, without worker processes.

The objects to look into are listed once, from the true targets; what is cut at a step is a pure
function of (seed, step, rank), as `patches` cuts windows. Only the pixels of the boxes are read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch

from ushape.config.schema import FineConfig
from ushape.data.fine import small_sets, within_mask
from ushape.data.patches import Windows
from ushape.data.sample import Sample
from ushape.labels import LabelTable
from ushape.sizes import Size
from ushape.tiling.components import MaskObject, find_objects, object_mask
from ushape.tiling.roi import Region, box_region, cut, cut_labels, jitter

REGION_STREAM = 4
"""Keeps the draws of regions apart from those of patches, augmentation and dropout."""

Image = npt.NDArray[np.float32]


@dataclass(frozen=True)
class TrueObject:
    """One object that is looked into, in a training case.

    Attributes:
        case: Number of the case.
        found: Its box, one of its pixels, how many it has.
        small_pixels: Pixels of each small class in its box.
    """

    case: int
    found: MaskObject
    small_pixels: tuple[int, ...]


def list_objects(
    samples: Sequence[Sample], table: LabelTable, fine: FineConfig
) -> tuple[TrueObject, ...]:
    """List the objects of all cases, as prediction would find them in a perfect first pass.

    Args:
        samples: Labelled cases.
        table: All classes.
        fine: What is looked into.
    """
    listed = []
    for case, sample in enumerate(samples):
        assert sample.target is not None
        objects = find_objects(within_mask(sample.target, table, fine))
        for found in objects[: 1 if fine.regions == "largest" else fine.most_regions]:
            sets = small_sets(sample.target[found.box], table, fine)
            pixels = [int(np.count_nonzero(sets >> bit & 1)) for bit in _bits(fine)]
            listed.append(TrueObject(case, found, tuple(pixels)))
    return tuple(listed)


def small_fractions(objects: Sequence[TrueObject], fine: FineConfig) -> tuple[float, ...]:
    """Give the share of each small class in the pixels of the boxes, with their margins."""
    enlarged = (1 + 2 * fine.margin_fraction) ** len(objects[0].found.box) if objects else 1.0
    total = sum(np.prod([side.stop - side.start for side in o.found.box]) for o in objects)
    return tuple(
        sum(o.small_pixels[number] for o in objects) / max(float(total * enlarged), 1.0)
        for number in range(len(fine.classes))
    )


def cut_regions(
    samples: Sequence[Sample],
    objects: Sequence[TrueObject],
    table: LabelTable,
    fine: FineConfig,
    *,
    cut_size: Size,
    window_size: Size,
    seed: int,
    step: int,
    rank: int = 0,
) -> Windows | None:
    """Cut the regions of one training step.

    Boxes are those that prediction puts around true objects, jittered. The cut lies in the middle
    of the window, at the scale that makes the box as large as `cut_size`.

    Args:
        samples: Labelled cases.
        objects: From `list_objects`.
        table: All classes.
        fine: How regions are cut, and how many.
        cut_size: Size of a cut.
        window_size: Size of a cut with what augmentation needs around it.
        rank: Number of the process in a group, so that each cuts its own.

    Returns:
        Images, and sets of the small classes; void beyond the image, and where kind `mask` blanks
        the image; pixel weights if the cases have any. None where there are no objects.
    """
    if not objects:
        return None
    generator = np.random.default_rng([seed, step, rank, REGION_STREAM])
    images, targets, weights = [], [], []
    for index in _draw(generator, objects, fine):
        entry = objects[index]
        sample = samples[entry.case]
        box = box_region(
            entry.found.box,
            sample.size,
            margin_fraction=fine.margin_fraction,
            proportions=cut_size,
        )
        region = jitter(box, generator, fine.jitter)
        image, target, weight = cut_window(
            sample, entry.found, region, table, fine, cut_size=cut_size, window_size=window_size
        )
        images.append(image)
        targets.append(target)
        if weight is not None:
            weights.append(weight)
    stacked = np.stack(targets)
    if stacked.dtype != np.uint8:  # torch computes with no wider unsigned numbers
        stacked = stacked.astype(np.int64)
    return Windows(
        torch.from_numpy(np.stack(images)),
        torch.from_numpy(stacked),
        torch.from_numpy(np.stack(weights)) if weights else None,
    )


def cut_window(
    sample: Sample,
    found: MaskObject,
    region: Region,
    table: LabelTable,
    fine: FineConfig,
    *,
    cut_size: Size,
    window_size: Size,
) -> tuple[Image, npt.NDArray[np.unsignedinteger], Image | None]:
    """Cut the window around a region: image, target and pixel weights alike.

    Args:
        sample: The case.
        found: The object that the region was put around.
        region: Where to cut, of kind `square`.
        table: All classes.
        fine: What is cut.
        cut_size: What the region is resized to.
        window_size: Size of the result, at that scale, around the region's middle.

    Returns:
        Image, shape (channel, *window_size); sets of the small classes, shape (*window_size); the
        case's pixel weights, resized as the image, shape (*window_size), or None without any.
    """
    assert sample.target is not None
    wide = _widened(region, cut_size, window_size)
    inside = wide.inside
    start = tuple(side.start for side in inside)
    part = replace(
        wide,
        start=tuple(place - first for place, first in zip(wide.start, start, strict=True)),
        image_size=tuple(side.stop - side.start for side in inside),
    )
    target = np.asarray(sample.target[inside])
    weight = None
    if sample.weight is not None:  # what kind `mask` blanks is void, so no weight need be 0
        weight = cut(np.asarray(sample.weight[inside])[None], part, window_size)[0]
    if fine.kind == "mask":
        part = replace(part, weights=_weights(sample, found, start, part, table, fine))
    image = cut(np.asarray(sample.image[(slice(None), *inside)]), part, window_size)
    sets = small_sets(target, table, fine)
    return image, cut_labels(sets, part, window_size, beyond=1, outside=1), weight


def _bits(fine: FineConfig) -> range:
    return range(1, len(fine.classes) + 1)


def _draw(
    generator: np.random.Generator, objects: Sequence[TrueObject], fine: FineConfig
) -> npt.NDArray[np.intp]:
    """Draw objects: some that hold a small class, if any does, the others from all."""
    holding = [number for number, entry in enumerate(objects) if any(entry.small_pixels)]
    wanted = int(fine.present_fraction * fine.cuts + 0.5) if holding else 0
    first = generator.choice(np.array(holding or [0]), size=wanted)
    rest = generator.integers(len(objects), size=fine.cuts - wanted)
    return np.concatenate([first, rest]).astype(np.intp)


def _widened(region: Region, cut_size: Size, window_size: Size) -> Region:
    """Enlarge a region around its middle as the window is larger than the cut."""
    edges = [
        max(1, round(edge * window / size))
        for edge, size, window in zip(region.size, cut_size, window_size, strict=True)
    ]
    # Kept even beside the region, so that both have the same middle to the pixel.
    edges = [
        edge + (edge - before) % 2 if window > size else before
        for edge, before, size, window in zip(
            edges, region.size, cut_size, window_size, strict=True
        )
    ]
    starts = tuple(
        start - (edge - before) // 2
        for start, edge, before in zip(region.start, edges, region.size, strict=True)
    )
    return replace(region, start=starts, size=tuple(edges))


def _weights(
    sample: Sample,
    found: MaskObject,
    start: Size,
    part: Region,
    table: LabelTable,
    fine: FineConfig,
) -> npt.NDArray[np.float32]:
    """Place the object's mask in what a window holds of the image."""
    assert sample.target is not None
    mask = object_mask(within_mask(np.asarray(sample.target[found.box]), table, fine), found)
    weights = np.zeros(part.image_size, np.float32)
    here, there = [], []
    for side, first, length in zip(found.box, start, part.image_size, strict=True):
        low, high = max(side.start, first), min(side.stop, first + length)
        here.append(slice(low - first, max(low, high) - first))
        there.append(slice(low - side.start, max(low, high) - side.start))
    weights[tuple(here)] = mask[tuple(there)]
    return weights
