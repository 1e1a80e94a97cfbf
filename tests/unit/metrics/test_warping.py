"""The warping error on shapes whose topology is plain to see."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from ushape.errors import ShapeError
from ushape.metrics import betti_numbers, warp, warping_error
from ushape.metrics.warping import _simple_pixels


def picture(text):
    return np.array([[letter == "#" for letter in row] for row in text.split()])


TWO_CELLS = picture("""
    .........
    .###.###.
    .###.###.
    .###.###.
    .........
""")


def counts(prediction, reference, **options):
    found = warping_error(prediction, reference, **options)
    return found.num_pixels, found.num_regions_gained, found.num_regions_lost


def test_moved_and_thickened_borders_cost_nothing():
    moved = np.roll(TWO_CELLS, 1, axis=0)
    assert counts(moved, TWO_CELLS) == (0, 0, 0)
    shrunk = TWO_CELLS & np.roll(TWO_CELLS, 1, axis=1)
    assert counts(shrunk, TWO_CELLS) == (0, 0, 0)


def test_a_bridge_is_one_error_and_so_is_a_cut():
    bridge = TWO_CELLS.copy()
    bridge[2, 4] = True
    assert counts(bridge, TWO_CELLS) == (1, 1, 0)
    # A wider bridge is the same error: three pixels of the line between the cells stay.
    wide = TWO_CELLS.copy()
    wide[1:4, 4] = True
    assert counts(wide, TWO_CELLS) == (3, 1, 0)
    assert counts(TWO_CELLS, bridge) == (1, 0, 1)
    assert warping_error(bridge, TWO_CELLS).fraction == pytest.approx(1 / 45)


def test_a_lost_or_invented_cell_is_one_pixel():
    one = TWO_CELLS.copy()
    one[:, 5:] = False
    assert counts(one, TWO_CELLS) == (1, 0, 1)
    # The truth has nothing there that could grow, so all of an invented cell stays.
    assert counts(TWO_CELLS, one) == (9, 1, 0)


def test_regions_touch_by_faces_and_borders_by_corners():
    corner = picture("""
        ....
        .#..
        ..#.
        ....
    """)
    joined = corner.copy()
    joined[1, 2] = True
    # Two regions become one: only as regions of the foreground.
    assert counts(joined, corner)[0] == 1
    assert counts(~joined, ~corner, regions="background")[0] == 1
    # As the border between regions of the background the corner was closed already.
    assert counts(joined, corner, regions="background")[0] == 0


def test_slices_add_up_and_ignored_pixels_do_not_count():
    bridge = TWO_CELLS.copy()
    bridge[2, 4] = True
    stack, truth = np.stack([bridge, TWO_CELLS, bridge]), np.stack([TWO_CELLS] * 3)
    assert counts(stack, truth) == (2, 2, 0)
    ignore = np.zeros_like(TWO_CELLS)
    ignore[2, 4] = True
    found = warping_error(bridge, TWO_CELLS, ignore=ignore)
    assert (found.num_pixels, found.fraction) == (0, 0)
    assert np.isnan(warping_error(bridge, TWO_CELLS, ignore=np.ones_like(ignore)).fraction)
    with pytest.raises(ShapeError, match="give 2 axes or more"):
        warping_error(np.ones(3, bool), np.ones(3, bool))


def test_simple_is_what_changes_no_count_of_pieces_and_holes():
    """A pixel is simple if flipping it leaves pieces and holes of its 3 x 3 neighbourhood alone.

    Checked in a larger picture with the neighbourhood inside, where counting is exact: the
    pieces of mask and of background near the centre must stay as they are.
    """
    ring = ((0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0))
    everywhere = np.ones((3, 3), bool)
    for code, is_simple in enumerate(_simple_pixels()):
        block = np.zeros((3, 3), bool)
        for place, spot in enumerate(ring):
            block[spot] = code >> (7 - place) & 1
        # Without the centre, the set pixels at its faces hang together (over faces), and so do
        # the unset ones around it (over corners): removing or adding it joins and parts nothing.
        labels = ndimage.label(block)[0]
        pieces = {int(labels[spot]) for spot in ring[1::2]} - {0}
        rest = ~block
        rest[1, 1] = False
        others = ndimage.label(rest, everywhere)[1]
        assert is_simple == (len(pieces) == 1 and others == 1)


def test_warping_keeps_topology_and_goes_as_far_as_it_can():
    generator = np.random.default_rng(0)
    everywhere = np.ones((3, 3), bool)
    for _ in range(25):
        noise = ndimage.gaussian_filter(generator.normal(size=(2, 18, 18)), (0, 1.5, 1.5))
        mask, target = noise > 0
        warped = warp(mask, target)
        assert betti_numbers(warped) == betti_numbers(mask)
        assert (warped ^ target).sum() <= (mask ^ target).sum()
        assert not (warped ^ target)[mask == target].any()
        # No single flip of what is left would keep pieces and holes and stay local.
        for y, x in np.argwhere(warped ^ target):
            around = np.pad(warped, 1)[y : y + 3, x : x + 3].copy()
            around[1, 1] = False
            labels = ndimage.label(around)[0]
            faces = {int(labels[spot]) for spot in ((0, 1), (1, 0), (1, 2), (2, 1))} - {0}
            rest = ~around
            rest[1, 1] = False
            assert (len(faces), ndimage.label(rest, everywhere)[1]) != (1, 1)
