"""The arithmetic of tile plans, by numbers that can be checked on paper."""

from __future__ import annotations

import pytest

from ushape.errors import ConfigError, ShapeError
from ushape.tiling import Piece, plan_tiles

NONE = (0, 0)


def exact(length: int, tile: int, margin=NONE, edge_effect=NONE, stride: int = 1):
    plan = plan_tiles(
        (length,), tile_size=(tile,), margin=[margin], edge_effect=[edge_effect], stride=(stride,)
    )
    return plan.axes[0]


def blended(length: int, tile: int, stride: int, overlap_fraction: float):
    plan = plan_tiles(
        (length,),
        tile_size=(tile,),
        margin=[NONE],
        edge_effect=[NONE],
        stride=(stride,),
        overlap_fraction=overlap_fraction,
        blend=True,
    )
    return plan.axes[0]


def test_the_papers_tile_on_the_papers_image():
    # 388 of 572 pixels come back; 15 are touched by padding, and 373 floors to 368 = 23 * 16.
    assert exact(512, 572, (92, 92), (0, 15), 16) == (
        Piece(start=-92, first=0, count=368, offset=0),
        Piece(start=276, first=368, count=144, offset=0),
    )


def test_pixels_cut_before_shift_the_first_tile():
    assert exact(10, 12, (1, 2), (3, 1), 2) == (
        Piece(start=-4, first=0, count=4, offset=3),
        Piece(start=0, first=4, count=4, offset=3),
        Piece(start=4, first=8, count=2, offset=3),
    )


def test_the_last_tile_keeps_what_does_not_fill_a_stride():
    # 7 usable pixels, steps of 4: one tile is enough for 7 pixels, two for 11, three for 12.
    assert [len(exact(length, 7, stride=4)) for length in (1, 7, 8, 11, 12)] == [1, 1, 2, 2, 3]
    assert exact(11, 7, stride=4)[-1] == Piece(start=4, first=4, count=7, offset=0)


def test_blended_starts_spread_evenly_on_the_grid():
    # The last start is ceil((100 - 32) / 8) * 8 = 72; half a tile of 32 allows gaps of 16.
    assert [piece.start for piece in blended(100, 32, 8, 0.5)] == [0, 8, 24, 40, 56, 72]
    assert blended(100, 32, 8, 0.5)[-1] == Piece(start=72, first=72, count=28, offset=0)


def test_blended_overlap_survives_floating_point():
    # 100 * (1 - 0.9) is 9.999999999999998: gaps of 10 must still be allowed.
    assert [piece.start for piece in blended(120, 100, 10, 0.9)] == [0, 10, 20]


def test_one_blended_tile_when_it_covers_all():
    assert blended(20, 32, 16, 0.5) == (Piece(start=0, first=0, count=20, offset=0),)
    # Then there is no neighbour to overlap with, even where the stride allows no overlap.
    assert blended(9, 16, 16, 0.5) == (Piece(start=0, first=0, count=9, offset=0),)


def test_tiles_are_the_product_with_the_first_axis_slowest():
    plan = plan_tiles(
        (4, 5), tile_size=(3, 3), margin=[NONE] * 2, edge_effect=[NONE] * 2, stride=(1, 1)
    )
    firsts = [tuple(piece.first for piece in pieces) for pieces in plan.tiles()]
    assert firsts == [(0, 0), (0, 3), (3, 0), (3, 3)]
    assert plan.num_tiles == 4


def test_out_tile_size_loses_the_margin_but_not_the_edge_effect():
    plan = plan_tiles((9,), tile_size=(20,), margin=[(3, 4)], edge_effect=[(1, 2)], stride=(2,))
    assert plan.out_tile_size == (13,)


def test_a_tile_too_small_names_the_least_size():
    with pytest.raises(ShapeError, match=r"tile size 214 along axis 0 keeps 15 .* use 215 or more"):
        exact(512, 214, (92, 92), (0, 15), 16)
    assert len(exact(16, 215, (92, 92), (0, 15), 16)) == 1


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"margin": [(1, 1)], "blend": True}, ConfigError, "use blend=False"),
        ({"overlap_fraction": 0.5}, ConfigError, "use blend=True"),
        ({"overlap_fraction": 1.0, "blend": True}, ConfigError, "1.0 is not between 0 and 1"),
        ({"overlap_fraction": -0.1, "blend": True}, ConfigError, "-0.1 is not between"),
        ({"stride": (4, 4)}, ShapeError, "one entry an axis, given: size 1, .* stride 2"),
        ({"tile_size": (0,)}, ShapeError, "tile_size 0 has an edge below 1"),
        ({"edge_effect": [(-1, 0)]}, ShapeError, "edge_effect .* has a negative border"),
    ],
)
def test_impossible_settings_are_refused(changed, error, message):
    settings = {"tile_size": (16,), "margin": [NONE], "edge_effect": [NONE], "stride": (4,)}
    with pytest.raises(error, match=message):
        plan_tiles((30,), **(settings | changed))


def test_an_impossible_overlap_names_the_most_and_the_least_tile():
    with pytest.raises(ConfigError, match=r"use 0\.333 or less, or tiles of 32 or more"):
        blended(100, 24, 16, 0.5)
    assert blended(100, 24, 16, 0.333)
    assert blended(100, 32, 16, 0.5)
