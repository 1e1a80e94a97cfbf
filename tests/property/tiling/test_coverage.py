"""For any image, tile, margin and overlap: all pixels are covered, each from the right place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ushape.tiling import plan_tiles, run_tiled
from ushape.tiling.windows import cut_tile

QUICK = settings(deadline=None, max_examples=60)
border = st.tuples(st.integers(0, 5), st.integers(0, 5))


@dataclass(frozen=True)
class Axis:
    length: int
    tile: int
    margin: tuple[int, int]
    edge_effect: tuple[int, int]
    stride: int


@st.composite
def exact_axis(draw) -> Axis:
    margin, edge_effect, stride = draw(border), draw(border), draw(st.integers(1, 6))
    tile = sum(margin) + sum(edge_effect) + stride + draw(st.integers(0, 9))
    return Axis(draw(st.integers(1, 25)), tile, margin, edge_effect, stride)


@st.composite
def blended_axis(draw) -> tuple[int, int, int]:
    stride = draw(st.integers(1, 5))
    return (
        draw(st.integers(1, 30)),
        stride * draw(st.integers(2, 5)) + draw(st.integers(0, 3)),
        stride,
    )


def exact_plan(axes: list[Axis]):
    return plan_tiles(
        [axis.length for axis in axes],
        tile_size=[axis.tile for axis in axes],
        margin=[axis.margin for axis in axes],
        edge_effect=[axis.edge_effect for axis in axes],
        stride=[axis.stride for axis in axes],
    )


def blend_plan(axes: list[tuple[int, int, int]], overlap_fraction: float):
    none = [(0, 0)] * len(axes)
    size, tile_size, stride = zip(*axes, strict=True)
    return plan_tiles(
        size,
        tile_size=tile_size,
        margin=none,
        edge_effect=none,
        stride=stride,
        overlap_fraction=overlap_fraction,
        blend=True,
    )


def random_image(size, seed):
    return np.random.default_rng(seed).normal(size=(2, *size)).astype(np.float32)


@QUICK
@given(st.lists(exact_axis(), min_size=1, max_size=3), st.integers(1, 4), st.integers(0, 99))
def test_exact_tiles_return_the_image_and_use_no_spoilt_pixel(axes, batch_size, seed):
    plan = exact_plan(axes)
    image = random_image(plan.size, seed)

    def lose_the_margin_and_spoil_the_edges(tiles):
        clean = torch.full((len(tiles), 2, *plan.out_tile_size), torch.nan)
        source, target = [slice(None)] * 2, [slice(None)] * 2
        for axis, out in zip(axes, plan.out_tile_size, strict=True):
            good = slice(axis.edge_effect[0], out - axis.edge_effect[1])
            target.append(good)
            source.append(slice(good.start + axis.margin[0], good.stop + axis.margin[0]))
        clean[tuple(target)] = tiles[tuple(source)]
        return clean

    result = run_tiled(lose_the_margin_and_spoil_the_edges, image, plan, batch_size=batch_size)
    np.testing.assert_array_equal(result, image)


@QUICK
@given(st.lists(exact_axis(), min_size=1, max_size=3))
def test_exact_tiles_fill_every_pixel_once_on_one_grid(axes):
    plan = exact_plan(axes)
    filled = np.zeros(plan.size, int)
    for pieces in plan.tiles():
        filled[tuple(slice(piece.first, piece.first + piece.count) for piece in pieces)] += 1
    assert (filled == 1).all()
    for axis, pieces in zip(axes, plan.axes, strict=True):
        first_start = -axis.margin[0] - axis.edge_effect[0]
        assert pieces[0].start == first_start
        assert all((piece.start - first_start) % axis.stride == 0 for piece in pieces)
        # One tile fewer, however placed on the grid, would leave pixels uncovered.
        usable = axis.tile - sum(axis.margin) - sum(axis.edge_effect)
        fewer = len(pieces) - 1
        assert (
            fewer == 0 or (fewer - 1) * (usable // axis.stride * axis.stride) + usable < axis.length
        )


@QUICK
@given(
    st.lists(blended_axis(), min_size=1, max_size=3),
    st.floats(0, 0.5),
    st.integers(1, 4),
    st.integers(0, 99),
)
def test_blended_tiles_return_the_image(axes, overlap_fraction, batch_size, seed):
    plan = blend_plan(axes, overlap_fraction)
    image = random_image(plan.size, seed)
    result = run_tiled(lambda tiles: tiles, image, plan, batch_size=batch_size)
    np.testing.assert_allclose(result, image, rtol=0, atol=1e-6)


@QUICK
@given(blended_axis(), st.floats(0, 0.5))
def test_blended_tiles_overlap_enough_and_are_few(axis, overlap_fraction):
    length, tile, stride = axis
    starts = [piece.start for piece in blend_plan([axis], overlap_fraction).axes[0]]
    assert starts[0] == 0
    assert starts[-1] < length <= starts[-1] + tile
    assert all(start % stride == 0 for start in starts)
    gaps = np.diff(starts)
    assert ((tile - gaps) / tile >= overlap_fraction - 1e-6).all()
    assert (gaps > 0).all()
    widest = int(tile * (1 - overlap_fraction) / stride + 1e-9) * stride
    fewer = len(starts) - 1
    assert fewer == 0 or (fewer - 1) * widest + tile < length


@QUICK
@given(
    st.lists(
        st.tuples(st.integers(1, 6), st.integers(0, 20), st.integers(0, 20)), min_size=1, max_size=3
    )
)
def test_cutting_equals_padding_the_whole_image(axes):
    # NumPy's own mirror is the oracle. Every start that a plan can give lies at or before the end.
    size = [length for length, _, _ in axes]
    image = random_image(size, 0)
    padded = np.pad(
        image, [(0, 0), *((before, after) for _, before, after in axes)], mode="reflect"
    )
    tile = cut_tile(image, [-before for _, before, _ in axes], padded.shape[1:])
    np.testing.assert_array_equal(tile, padded)
