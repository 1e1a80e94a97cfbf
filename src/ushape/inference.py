"""Whole images through a network: image array in, probabilities out.

Training validates with this and prediction writes files with it, so that the number in the report
is the number of the files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ushape.config.schema import TilingConfig
from ushape.device import channels_last as memory_order
from ushape.labels import LabelTable
from ushape.nets import Geometry
from ushape.nets.network import SegmentationNetwork
from ushape.sizes import Size
from ushape.tiling import TilePlan, plan_tiles, run_tiled

Image = npt.NDArray[np.float32]
Progress = Callable[[int, int], None]


def plan_image(geometry: Geometry, size: Size, tiling: TilingConfig) -> TilePlan:
    """Lay the tiles for one image.

    Networks that pad blend overlapping tiles; those that do not mirror the border and tile
    exactly. A tile never is larger than the image needs.

    Args:
        geometry: The network's, which decides how tiles must lie.
        size: Spatial size of the image.
        tiling: Tile size and overlap.
    """
    if _is_padded(geometry):
        tile = tuple(
            min(tile, -(-length // stride) * stride)
            for tile, length, stride in zip(
                tiling.tile_size, size, geometry.total_stride, strict=True
            )
        )
        return plan_tiles(
            size,
            tile_size=tile,
            margin=geometry.margin,
            edge_effect=((0, 0),) * len(size),
            stride=geometry.total_stride,
            overlap_fraction=tiling.overlap_fraction,
            blend=True,
        )
    return plan_tiles(
        size,
        tile_size=geometry.used_size(tiling.tile_size),
        margin=geometry.margin,
        edge_effect=geometry.edge_effect,
        stride=geometry.total_stride,
        blend=False,
    )


def _is_padded(geometry: Geometry) -> bool:
    return not any(before + after for before, after in geometry.margin)


def tile_function(
    network: SegmentationNetwork,
    *,
    device: torch.device,
    precision: str,
    channels_last: bool,
    labels: LabelTable | None = None,
) -> Callable[[Tensor], Tensor]:
    """Wrap a network as the callable that tiling runs: tiles in, probabilities out, float32."""
    activate = _activation(labels)

    def predict(batch: Tensor) -> Tensor:
        batch = batch.to(device)
        if channels_last:
            batch = batch.contiguous(memory_format=memory_order(batch.ndim - 2))
        cast = (
            torch.autocast(device.type, torch.bfloat16)
            if precision == "bf16-mixed"
            else nullcontext()
        )
        with torch.inference_mode(), cast:
            logits = network(batch).logits
        return activate(logits.float()).cpu()

    return predict


def _activation(labels: LabelTable | None) -> Callable[[Tensor], Tensor]:
    """Choose how logits become the probabilities of classes."""

    def activate(logits: Tensor) -> Tensor:
        is_exclusive = logits.shape[1] > 1
        if labels is not None:  # what stands behind the classes only helped to learn them
            logits = logits[:, : labels.num_logits]
            is_exclusive = labels.target == "multiclass"
        return torch.softmax(logits, dim=1) if is_exclusive else torch.sigmoid(logits)

    return activate


def predict_probabilities(
    network: SegmentationNetwork,
    image: Image,
    tiling: TilingConfig,
    *,
    device: torch.device,
    precision: str = "32-true",
    channels_last: bool = False,
    labels: LabelTable | None = None,
    sink: Callable[[int, Image], None] | None = None,
    progress: Progress | None = None,
) -> Image | None:
    """Predict every pixel of an image of any size.

    Args:
        network: In eval mode, on `device`.
        image: Normalised, shape (channel, *size).
        tiling: Tile size, overlap, tiles at once, and whether to average over mirrored images.
        device: Where to compute.
        precision: `32-true` or `bf16-mixed`.
        channels_last: Order of the memory; faster for bfloat16 on CPUs.
        labels: Which logits tell classes, and whether these exclude each other. By default all
            do, and several exclude each other.
        sink: Receives finished bands (first row, probabilities) in order, so that memory stays
            bounded however large the image; then nothing is returned. With `tiling.mirror` the
            whole result is held before the sink is called once, but for volumes and networks that
            pad: there every tile is mirrored by itself.
        progress: Called with (tiles done, tiles in all).

    Returns:
        Probabilities, shape (class channels, *size), or None when a sink takes them.
    """
    predict = tile_function(
        network, device=device, precision=precision, channels_last=channels_last, labels=labels
    )
    views = list(_views(image.ndim - 1)) if tiling.mirror else [()]
    if tiling.mirror and image.ndim == 4 and _is_padded(network.geometry):
        predict, views = _over_flips(predict, views), [()]
    if len(views) == 1:
        plan = plan_image(network.geometry, tuple(image.shape[1:]), tiling)
        return run_tiled(
            predict, image, plan, batch_size=tiling.batch, sink=sink, progress=progress
        )
    total: Image | None = None
    for number, view in enumerate(views):
        turned = _turn(image, view)
        plan = plan_image(network.geometry, tuple(turned.shape[1:]), tiling)
        step = _part(progress, number, len(views)) if progress else None
        part = run_tiled(predict, turned, plan, batch_size=tiling.batch, progress=step)
        assert part is not None
        share = _turn_back(part, view) / np.float32(len(views))
        total = share if total is None else total + share
    assert total is not None
    if sink is None:
        return np.ascontiguousarray(total)
    sink(0, np.ascontiguousarray(total))
    return None


View = tuple[int, ...]
"""How an image is turned: in 2D (quarter turns, flip), in 3D the flipped axes."""


def _views(dims: int) -> Iterator[View]:
    if dims == 2:
        yield from ((turns, flip) for flip in (0, 1) for turns in range(4))
    else:
        for number in range(2**dims):
            yield tuple(axis for axis in range(dims) if number >> axis & 1)


def _over_flips(
    predict: Callable[[Tensor], Tensor], views: Sequence[View]
) -> Callable[[Tensor], Tensor]:
    """Average over the flips of every tile, as nnU-Net does (Isensee et al. 2021)."""

    def average(batch: Tensor) -> Tensor:
        total: Tensor | None = None
        for view in views:
            axes = [axis + 2 for axis in view]
            part = predict(batch.flip(axes)).flip(axes)
            total = part if total is None else total + part
        assert total is not None
        return total / len(views)

    return average


def _turn(array: Image, view: View) -> Image:
    if array.ndim != 3:
        return np.flip(array, tuple(axis + 1 for axis in view))
    turned = np.rot90(array, view[0], (1, 2))
    return np.flip(turned, 2) if view[1] else turned


def _turn_back(array: Image, view: View) -> Image:
    if array.ndim != 3:
        return np.flip(array, tuple(axis + 1 for axis in view))
    flipped = np.flip(array, 2) if view[1] else array
    return np.rot90(flipped, -view[0], (1, 2))


def _part(progress: Progress, number: int, count: int) -> Progress:
    return lambda done, total: progress(number * total + done, count * total)
