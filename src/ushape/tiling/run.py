"""Cut, predict, stitch: the loop over the tiles of one image."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import overload

import numpy as np
import torch

from ushape.errors import ConfigError, ShapeError
from ushape.sizes import Size, format_size
from ushape.tiling.plan import Piece, TilePlan
from ushape.tiling.stitch import BandStitcher, Sink
from ushape.tiling.windows import Array, cut_tile

Predict = Callable[[torch.Tensor], torch.Tensor]
"""Takes tiles, shape (n, C, *tile_size), on the CPU; gives shape (n, K, *out_tile_size)."""

Progress = Callable[[int, int], None]
"""Takes the number of tiles done and the number in all."""


@overload
def run_tiled(
    predict: Predict,
    image: Array,
    plan: TilePlan,
    *,
    batch_size: int = 1,
    sink: None = None,
    progress: Progress | None = None,
) -> Array: ...
@overload
def run_tiled(
    predict: Predict,
    image: Array,
    plan: TilePlan,
    *,
    batch_size: int = 1,
    sink: Sink,
    progress: Progress | None = None,
) -> None: ...
def run_tiled(
    predict: Predict,
    image: Array,
    plan: TilePlan,
    *,
    batch_size: int = 1,
    sink: Sink | None = None,
    progress: Progress | None = None,
) -> Array | None:
    """Predict an image tile by tile.

    Memory beyond the result: one batch of tiles, one band of rows as high as a tile's result, and
    the block that is being handed on. Values that are not finite stay where they are.

    Args:
        predict: Called without gradients. It decides about devices and precision.
        image: Shape (C, *plan.size), in memory or memory-mapped. float64 tiles stay float64, all
            other types become float32.
        plan: From `plan_tiles`.
        batch_size: Most tiles in one call; the result does not depend on it.
        sink: Receives finished blocks (first row, array of shape (K, rows, *rest)), in order,
            each row once. With a sink nothing is returned, and the whole result is never in memory.
        progress: Called after each batch.

    Returns:
        Shape (K, *plan.size), or None with a sink. float64 if `predict` gives that, else float32.

    Raises:
        ShapeError: The image does not have the plan's size, or `predict` gives another shape
            than the plan expects.
        ConfigError: `batch_size` is below 1.

    >>> from ushape.tiling import plan_tiles
    >>> plan = plan_tiles((5,), tile_size=(4,), margin=[(1, 1)], edge_effect=[(0, 0)], stride=(1,))
    >>> run_tiled(lambda tiles: tiles[..., 1:-1], np.array([[1.0, 2, 3, 4, 5]]), plan)
    array([[1., 2., 3., 4., 5.]])
    """
    if batch_size < 1:
        raise ConfigError(f"batch_size {batch_size} is below 1: give 1 or more")
    if image.shape[1:] != plan.size:
        raise ShapeError(
            f"image of shape {format_size(image.shape)} does not fit the tile plan: "
            f"expected channels x {format_size(plan.size)}; plan with the image's size"
        )
    whole = _Whole(plan)
    stitcher = BandStitcher(plan, sink or whole.put)
    done = 0
    for batch in _batches(plan.tiles(), batch_size):
        for pieces, result in zip(batch, _predict_batch(predict, image, plan, batch), strict=True):
            stitcher.add(pieces, result)
        done += len(batch)
        if progress is not None:
            progress(done, plan.num_tiles)
    return whole.array


class _Whole:
    """The sink for callers who want the whole result; the first block tells its channels."""

    def __init__(self, plan: TilePlan) -> None:
        self._size = plan.size
        self.array: Array | None = None

    def put(self, start: int, block: Array) -> None:
        if self.array is None:
            self.array = np.empty((len(block), *self._size), block.dtype)
        self.array[:, start : start + block.shape[1]] = block


def _batches(
    tiles: Iterator[tuple[Piece, ...]], batch_size: int
) -> Iterator[tuple[tuple[Piece, ...], ...]]:
    while batch := tuple(itertools.islice(tiles, batch_size)):
        yield batch


def _predict_batch(
    predict: Predict, image: Array, plan: TilePlan, batch: Sequence[tuple[Piece, ...]]
) -> Array:
    dtype = np.float64 if image.dtype.newbyteorder("=") == np.float64 else np.float32
    tiles = np.empty((len(batch), image.shape[0], *plan.tile_size), dtype)
    for tile, pieces in zip(tiles, batch, strict=True):
        tile[...] = cut_tile(image, [piece.start for piece in pieces], plan.tile_size)
    with torch.no_grad():
        result = predict(torch.from_numpy(tiles))
    _check_result(result, tiles.shape, plan.out_tile_size)
    kept = torch.float64 if result.dtype == torch.float64 else torch.float32
    return result.detach().to("cpu", kept).numpy()


def _check_result(result: object, given: Size, out_tile_size: Size) -> None:
    expected = f"expected a tensor of {given[0]} x classes x {format_size(out_tile_size)}"
    if not isinstance(result, torch.Tensor):
        raise ShapeError(f"the callable gave a {type(result).__name__}; {expected}")
    came = tuple(result.shape)
    if len(came) != len(given) or came[0] != given[0] or came[2:] != out_tile_size or came[1] < 1:
        raise ShapeError(
            f"the callable gave shape {format_size(came)} for tiles of shape "
            f"{format_size(given)}; {expected}. Check tile size and margin of the plan"
        )
