"""Where the tiles of an image lie, and which part of each tile's result is kept. Pure arithmetic.

Two ways to cover an image:

* Exact, for networks whose output depends on nothing outside the tile (unpadded ones, and padded
  ones once the border they touched is cut off): the overlap-tile strategy of Ronneberger, Fischer,
  Brox 2015, Fig. 2. Kept parts abut, the image's border is mirrored, and the result does not depend
  on the tile size.
* Blended, for padded networks: overlapping tiles, averaged with weights that fade to the border.

Positions count from the first pixel of the image; a start is negative where a tile begins in the
mirrored border.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ushape.errors import ConfigError, ShapeError
from ushape.sizes import Size, format_size

Border = Sequence[tuple[int, int]]
"""Pixels before and after, for every axis."""


@dataclass(frozen=True)
class Piece:
    """One tile along one axis.

    Attributes:
        start: First pixel of the tile, negative in the mirrored border.
        first: First pixel of the image that is filled from this tile's result.
        count: How many pixels are filled.
        offset: Where the first of them lies in the tile's result.
    """

    start: int
    first: int
    count: int
    offset: int


@dataclass(frozen=True)
class TilePlan:
    """All tiles of an image: the product of the pieces along each axis.

    Attributes:
        size: The image, without channels.
        tile_size: What the callable is given.
        out_tile_size: What the callable gives back.
        axes: The pieces along each axis, in ascending order.
        blend: Results overlap and are averaged with weights; else each pixel is filled once.
    """

    size: Size
    tile_size: Size
    out_tile_size: Size
    axes: tuple[tuple[Piece, ...], ...]
    blend: bool

    @property
    def num_tiles(self) -> int:
        """Tiles in all."""
        return math.prod(len(pieces) for pieces in self.axes)

    def tiles(self) -> Iterator[tuple[Piece, ...]]:
        """Give every tile, one piece an axis; the first axis is the slowest."""
        return itertools.product(*self.axes)


def plan_tiles(
    size: Sequence[int],
    *,
    tile_size: Sequence[int],
    margin: Border,
    edge_effect: Border,
    stride: Sequence[int],
    overlap_fraction: float = 0.0,
    blend: bool = False,
) -> TilePlan:
    """Cover an image with the fewest tiles.

    Every start lies a whole number of strides after the first one, so pooling groups the same
    pixels in every tile. In exact mode the first start does not depend on the tile size either:
    any tile size gives the numbers that one tile as large as the whole mirrored image would give.

    Args:
        size: The image, any number of axes, without channels.
        tile_size: What the callable takes.
        margin: Input pixels lost by unpadded convolutions; the result of a tile is smaller by
            their sum. Zero when blending.
        edge_effect: Result pixels at each border that padding inside the network has touched.
            Exact mode cuts them off. Blending does not: there the weights fade them.
        stride: Product of the network's pooling steps.
        overlap_fraction: When blending, the least fraction of a tile that its neighbour shares.
            Exact mode decides its own overlap and takes only 0.
        blend: Overlap and average instead of abutting exactly.

    Returns:
        The plan, for `run_tiled`.

    Raises:
        ShapeError: The numbers of axes differ, or the tile is too small to keep one stride of it.
        ConfigError: The overlap does not fit the tile or the mode.

    Source: Ronneberger, Fischer, Brox 2015, Fig. 2.

    >>> plan = plan_tiles((512,), tile_size=(572,), margin=[(92, 92)], edge_effect=[(0, 15)],
    ...                   stride=(16,))
    >>> [(piece.start, piece.first, piece.count) for piece in plan.axes[0]]
    [(-92, 0, 368), (276, 368, 144)]
    """
    _check_axes(size, tile_size, margin, edge_effect, stride)
    if blend and any(sum(lost) for lost in margin):
        raise ConfigError(
            f"blending needs a network that keeps sizes, this one loses a margin of "
            f"{list(margin)}: use blend=False"
        )
    if not blend and overlap_fraction != 0:
        raise ConfigError(
            f"overlap_fraction {overlap_fraction} has no meaning for exact tiles: "
            "leave it at 0, or use blend=True"
        )
    if not 0 <= overlap_fraction < 1:
        raise ConfigError(
            f"overlap_fraction {overlap_fraction} is not between 0 and 1 (1 excluded)"
        )
    axes = tuple(
        _blended_axis(length, tile, step, overlap_fraction)
        if blend
        else _exact_axis(axis, length, tile, margin[axis], edge_effect[axis], step)
        for axis, (length, tile, step) in enumerate(zip(size, tile_size, stride, strict=True))
    )
    out = tuple(tile - sum(lost) for tile, lost in zip(tile_size, margin, strict=True))
    return TilePlan(tuple(size), tuple(tile_size), out, axes, blend)


def _exact_axis(
    axis: int,
    length: int,
    tile: int,
    margin: tuple[int, int],
    edge_effect: tuple[int, int],
    stride: int,
) -> tuple[Piece, ...]:
    lost = sum(margin) + sum(edge_effect)
    usable = tile - lost
    if usable < stride:
        raise ShapeError(
            f"tile size {tile} along axis {axis} keeps {max(usable, 0)} pixels after the network's "
            f"margin {margin} and edge effect {edge_effect}, and it must keep {stride} at least: "
            f"use {lost + stride} or more, of a size that the network takes"
        )
    step = usable // stride * stride
    # The last tile keeps all that is usable: nothing after it has to lie on the grid.
    num_tiles = 1 + max(0, math.ceil((length - usable) / step))
    offset = edge_effect[0]
    pieces = []
    for first in range(0, num_tiles * step, step):
        keep = usable if first == (num_tiles - 1) * step else step
        pieces.append(Piece(first - margin[0] - offset, first, min(keep, length - first), offset))
    return tuple(pieces)


def _blended_axis(
    length: int, tile: int, stride: int, overlap_fraction: float
) -> tuple[Piece, ...]:
    if length <= tile:
        return (Piece(0, 0, length, 0),)
    # Counted in strides. The epsilon forgives 1 - 0.9 = 0.0999...98.
    widest_gap = math.floor(tile * (1 - overlap_fraction) / stride + 1e-9)
    if widest_gap < 1:
        most = math.floor(1000 * max(0.0, 1 - stride / tile)) / 1000
        raise ConfigError(
            f"overlap_fraction {overlap_fraction} of a tile of {tile} leaves steps shorter than "
            f"the network's stride {stride}: use {most} or less, "
            f"or tiles of {math.ceil(stride / (1 - overlap_fraction))} or more"
        )
    last = math.ceil((length - tile) / stride)
    gaps = math.ceil(last / widest_gap)
    # Spread evenly; rounding down keeps every gap at ceil(last / gaps), which the widest allows.
    starts = [i * last // gaps * stride for i in range(gaps)] + [last * stride]
    return tuple(Piece(start, start, min(tile, length - start), 0) for start in starts)


def _check_axes(
    size: Sequence[int],
    tile_size: Sequence[int],
    margin: Border,
    edge_effect: Border,
    stride: Sequence[int],
) -> None:
    given = {
        "size": size,
        "tile_size": tile_size,
        "margin": margin,
        "edge_effect": edge_effect,
        "stride": stride,
    }
    if not size or any(len(value) != len(size) for value in given.values()):
        counts = ", ".join(f"{name} {len(value)}" for name, value in given.items())
        raise ShapeError(f"every setting of a tile plan needs one entry an axis, given: {counts}")
    for name, lengths in (("size", size), ("tile_size", tile_size), ("stride", stride)):
        if min(lengths) < 1:
            raise ShapeError(f"{name} {format_size(lengths)} has an edge below 1: give 1 or more")
    for name, borders in (("margin", margin), ("edge_effect", edge_effect)):
        if any(min(pair) < 0 for pair in borders):
            raise ShapeError(f"{name} {list(borders)} has a negative border: give 0 or more")
