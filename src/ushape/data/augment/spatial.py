"""All spatial transforms at once: every pixel of image and target is looked up once."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from ushape.data.augment.coordinates import (
    Warp,
    block_coordinates,
    build_warp,
    find_outside,
    mirror,
)
from ushape.data.augment.draw import Augmentation, which
from ushape.data.augment.labels import TargetReader
from ushape.data.augment.lattice import (
    Lattice,
    find_lattice,
    follow_lattice,
    outside_lattice,
    reverse,
)
from ushape.data.augment.resample import Sampler, is_tall, prepare
from ushape.errors import ShapeError
from ushape.sizes import Size

Outside = Literal["mirror", "ignore"]


def apply_spatial(
    images: Tensor,
    targets: Tensor,
    augmentation: Augmentation,
    *,
    patch_size: Size,
    num_classes: int,
    ignore_index: int | None = None,
    outside: Outside = "mirror",
    overwrite: bool = False,
) -> tuple[Tensor, Tensor]:
    """Resample windows to patches; arguments as in `apply_augmentation`.

    Returns:
        Images and targets. Patches that drew nothing, flips, right angles or whole shifts only,
        hold the windows' values bit for bit.
    """
    patch_size = tuple(patch_size)
    window = tuple(images.shape[2:])
    _check(images, targets, augmentation, patch_size, ignore_index, outside)
    overwrite = overwrite and window == patch_size and images.is_contiguous()
    if overwrite:
        patches, kept = images, targets
    else:
        patches = images.new_empty((*images.shape[:2], *patch_size))
        kept = targets.new_empty((*targets.shape[: targets.ndim - len(window)], *patch_size))
    fill = ignore_index if outside == "ignore" else None
    bent, slid = (which(values) for values in (augmentation.displacement, augmentation.slice_shift))
    matrices, shifts = augmentation.matrix.tolist(), augmentation.shift.tolist()
    for i in range(len(images)):
        lattice = None
        if not (bent[i] or slid[i]):
            lattice = find_lattice(matrices[i], shifts[i], patch_size, window)
        flipped = lattice.reversed_axes(window) if overwrite and lattice is not None else None
        if flipped == ():
            continue
        image, target = images[i], targets[i]
        if flipped is not None:
            reverse(image, flipped)
            reverse(_with_channels(target, window), flipped)
            continue
        if overwrite:
            # What is not copied on the way would be written while it is read.
            copied = lattice is None and is_tall(window, image.device)
            image, target = image if copied else image.clone(), target.clone()
        if lattice is not None:
            follow_lattice(image, lattice, out=patches[i])
            _follow_target(target, lattice, kept[i], window, fill)
            continue
        warp = build_warp(augmentation, i, patch_size, window, images.device)
        reader = TargetReader(
            target, len(window), num_classes=num_classes, ignore_index=ignore_index
        )
        _resample(image, reader, warp, patches[i], kept[i], fill)
    return patches, kept


def _follow_target(
    target: Tensor, lattice: Lattice, kept: Tensor, window: Size, fill: int | None
) -> None:
    out = _with_channels(kept, window)
    follow_lattice(_with_channels(target, window), lattice, out=out)
    if fill is not None:
        beyond = outside_lattice(lattice, tuple(out.shape[1:]), window)
        for axis, pixels in enumerate(beyond, start=1):
            if bool(pixels.any()):
                out.index_fill_(axis, pixels.nonzero()[:, 0].to(out.device), fill)


def _with_channels(target: Tensor, window: Size) -> Tensor:
    """Give an index map its one channel; a view."""
    return target if target.ndim > len(window) else target.unsqueeze(0)


def _resample(
    image: Tensor,
    reader: TargetReader,
    warp: Warp,
    patch: Tensor,
    kept: Tensor,
    fill: int | None,
) -> None:
    """Write one patch and its target, a block that fits the cache at a time."""
    channels = [prepare(channel) for channel in image]
    for block in warp.blocks(image.device):
        coordinates = block_coordinates(warp, block)
        beyond = find_outside(coordinates, warp.window) if fill is not None else None
        if warp.leaves_window:
            mirror(coordinates, warp)
        sampler = Sampler(coordinates, warp.window, keep_nearest=reader.is_nearest)
        for channel, ready in enumerate(channels):
            sampler.read(ready, out=patch[channel][block])
        place = kept[(slice(None), *block)] if kept.ndim == patch.ndim else kept[block]
        reader.read(sampler, place)
        if beyond is not None and fill is not None:
            place.masked_fill_(beyond, fill)


def _check(
    images: Tensor,
    targets: Tensor,
    augmentation: Augmentation,
    patch_size: Size,
    ignore_index: int | None,
    outside: str,
) -> None:
    window = images.shape[2:]
    if len(patch_size) != len(window) or len(window) not in (2, 3):
        raise ShapeError(
            f"images of shape {tuple(images.shape)} cannot be cut to patches of {patch_size}: give "
            "(batch, channel, *window) with two or three spatial axes, as many as the patch has"
        )
    fits = targets.ndim in (images.ndim - 1, images.ndim)
    if not fits or targets.shape[-len(window) :] != window or len(targets) != len(images):
        raise ShapeError(
            f"targets of shape {tuple(targets.shape)} do not fit images of {tuple(images.shape)}: "
            f"give (batch, *{tuple(window)}) or (batch, channel, *{tuple(window)})"
        )
    if len(augmentation) != len(images):
        raise ShapeError(
            f"parameters for {len(augmentation)} patches do not fit a batch of {len(images)}: "
            "draw them with batch=" + str(len(images))
        )
    is_map = targets.ndim == images.ndim - 1
    if is_map and targets.is_floating_point():
        raise ShapeError(
            f"an index map of type {targets.dtype} is no map of classes: give integers, or graded "
            "targets with a channel axis"
        )
    if outside == "ignore" and (ignore_index is None or not is_map):
        raise ShapeError(
            "outside='ignore' marks pixels of index maps: give such targets, and ignore_index"
        )
