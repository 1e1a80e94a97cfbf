"""Planes of volumes to look at."""

import numpy as np
import pytest

from ushape.report.cuts import Cut, choose_cuts


def test_the_plane_with_most_of_it_on_the_coarsest_axis_and_one_across():
    marked = np.zeros((6, 8, 10), bool)
    marked[2, 3:6, 4:9] = True  # z = 2 has most
    marked[:, 5, 1] = True  # y = 5: six and five, the most
    first, across = choose_cuts(marked, (3.0, 1.0, 1.0))
    assert (first.axis, first.index, first.text) == (0, 2, "slice z = 3 of 6")
    assert (across.axis, across.index) == (1, 5)
    side, across = choose_cuts(marked, (1.0, 1.0, 2.0))
    assert (side.axis, across.axis) == (2, 0)
    assert side.index == 1, "six of the column; the others have three"


def test_equal_edges_are_cut_along_z_and_an_empty_volume_in_its_middle():
    cuts = choose_cuts(np.zeros((6, 8, 10), bool), (1.0, 1.0, 1.0))
    assert [(cut.axis, cut.index) for cut in cuts] == [(0, 3), (1, 4)]
    assert len(choose_cuts(np.zeros((1, 8, 10), bool), (5.0, 1.0, 1.0))) == 1


@pytest.mark.parametrize(("axis", "size"), [(0, (8, 20)), (1, (12, 10)), (2, (24, 8))])
def test_pixels_become_square(axis, size):
    """Edges 4, 1, 2: the finer axis of a plane keeps its pixels, the other repeats its own."""
    values = np.arange(2 * 6 * 8 * 10).reshape(2, 6, 8, 10)
    plane = Cut(axis, 4, values.shape[axis + 1]).take(values, (4.0, 1.0, 2.0))
    assert plane.shape == (2, *size)
    flat = np.take(values, 4, axis + 1)
    steps = [new // old for new, old in zip(size, flat.shape[1:], strict=True)]
    np.testing.assert_array_equal(plane, flat.repeat(steps[0], 1).repeat(steps[1], 2))
