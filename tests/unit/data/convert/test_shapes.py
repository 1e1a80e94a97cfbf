"""Outlines become the pixels whose centres lie inside, each in exactly one of two neighbours."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.draw import polygon as skimage_polygon

from ushape.data.convert.shapes import (
    as_points,
    box_corners,
    clip_patch,
    draw_line,
    fill_ellipse,
    fill_polygon,
    whole_patch,
)
from ushape.errors import DataError

SIZE = (19, 23)


def spread(patch, size=SIZE):
    """Lay a patch into a picture of its own."""
    picture = np.zeros(size, bool)
    if patch is not None:
        picture[patch.window] = patch.mask
    return picture


def brute_force(points, size=SIZE):
    """Count, pixel by pixel, the edges that a ray from the centre to the right crosses."""
    inside = np.zeros(size, bool)
    for row in range(size[0]):
        for column in range(size[1]):
            x, y, crossed = column + 0.5, row + 0.5, 0
            for (x0, y0), (x1, y1) in zip(points, np.roll(points, -1, axis=0), strict=True):
                if (y0 <= y) != (y1 <= y):
                    crossed += x0 + (y - y0) * (x1 - x0) / (y1 - y0) > x
            inside[row, column] = crossed % 2 == 1
    return inside


coordinate = st.floats(-8, 30, allow_nan=False, width=32)
polygons = st.lists(st.tuples(coordinate, coordinate), min_size=3, max_size=9)


@settings(deadline=None, max_examples=80)
@given(polygons)
def test_polygons_equal_the_count_of_crossed_edges(corners):
    points = np.array(corners, float)
    # Where a centre lies on an edge within rounding, either answer is right.
    difference = spread(fill_polygon(points, SIZE)) ^ brute_force(points)
    for row, column in np.argwhere(difference):
        assert edge_distance(points, (column + 0.5, row + 0.5)) < 1e-6


def edge_distance(points, place):
    best = np.inf
    for start, end in zip(points, np.roll(points, -1, axis=0), strict=True):
        step = end - start
        share = np.clip((place - start) @ step / max(step @ step, 1e-300), 0, 1)
        best = min(best, np.hypot(*(start + share * step - place)))
    return best


def test_polygons_equal_skimage_shifted_by_half_a_pixel():
    rng = np.random.default_rng(0)
    for _ in range(20):
        points = rng.uniform(-10, 60, (rng.integers(3, 40), 2))
        expected = np.zeros((50, 40), bool)
        expected[skimage_polygon(points[:, 1] - 0.5, points[:, 0] - 0.5, expected.shape)] = True
        np.testing.assert_array_equal(spread(fill_polygon(points, (50, 40)), (50, 40)), expected)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 12), min_size=4, max_size=4), st.integers(0, 2), st.integers(1, 9))
def test_neighbours_with_a_common_edge_share_no_pixel_and_leave_none(ends, shift, parts):
    """A strip cut by any line, through pixel centres too, and with other windows on each side."""
    (a, b, c, d), half = ends, 0.5 * shift
    top, bottom = (a + half, b / parts), (c + half, d / parts + 12)
    left = np.array([(-3, b / parts), top, bottom, (-3, d / parts + 12)])
    right = np.array([top, (31, b / parts), (31, d / parts + 12), bottom])
    one, two = (spread(fill_polygon(part, SIZE)).astype(int) for part in (left, right))
    both = spread(
        fill_polygon(
            np.array(
                [(-3, b / parts), (31, b / parts), (31, d / parts + 12), (-3, d / parts + 12)]
            ),
            SIZE,
        )
    )
    np.testing.assert_array_equal(one + two, both)


def test_a_box_covers_the_pixels_that_it_spans_exactly():
    filled = spread(fill_polygon(box_corners(3, 2, 8, 6), SIZE))
    expected = np.zeros(SIZE, bool)
    expected[2:6, 3:8] = True
    np.testing.assert_array_equal(filled, expected)


def test_a_turned_box_turns_clockwise_about_its_centre():
    corners = box_corners(0, 0, 10, 4, angle=90)
    np.testing.assert_allclose(corners.min(axis=0), (3, -3), atol=1e-9)
    np.testing.assert_allclose(corners[0], (7, -3), atol=1e-9)  # upper left goes to upper right


def test_what_lies_outside_has_no_pixels():
    assert fill_polygon(np.array([(-9.0, -9), (-2, -9), (-2, -1)]), SIZE) is None
    assert fill_polygon(np.array([(40.0, 2), (50, 2), (50, 9)]), SIZE) is None
    assert fill_ellipse((-20, 5), (3, 3), SIZE) is None
    assert draw_line(np.array([(100.0, 5), (110, 5)]), 4, SIZE) is None


def test_huge_polygons_cost_no_more_than_the_picture():
    filled = fill_polygon(np.array([(-1e7, -1e7), (1e7, -1e7), (1e7, 1e7), (-1e7, 1e7)]), SIZE)
    assert filled.mask.all()
    assert filled.mask.shape == SIZE


@pytest.mark.parametrize("angle", [0, 30, 135])
def test_ellipses_and_lines_equal_their_definition(angle):
    y, x = np.mgrid[: SIZE[0], : SIZE[1]] + 0.5
    turn = np.deg2rad(angle)
    along = (x - 9) * np.cos(turn) + (y - 8) * np.sin(turn)
    across = (y - 8) * np.cos(turn) - (x - 9) * np.sin(turn)
    ellipse = spread(fill_ellipse((9, 8), (6, 2.5), SIZE, angle))
    np.testing.assert_array_equal(ellipse, (along / 6) ** 2 + (across / 2.5) ** 2 <= 1)
    end = (9 + 5 * np.cos(turn), 8 + 5 * np.sin(turn))
    line = spread(draw_line(np.array([(9, 8), end]), 3, SIZE))
    beyond = np.maximum(np.maximum(-along, along - 5), 0)
    np.testing.assert_array_equal(line, np.hypot(beyond, across) <= 1.5)


def test_a_line_of_one_point_is_a_dot():
    dot = spread(draw_line(np.array([(5.5, 4.5)]), 3, SIZE))
    np.testing.assert_array_equal(dot, spread(fill_ellipse((5.5, 4.5), (1.5, 1.5), SIZE)))


def test_masks_are_cut_off_at_the_rim():
    patch = whole_patch(np.arange(12).reshape(3, 4) % 2 == 0, -1, 21)
    cut = clip_patch(patch, SIZE)
    assert cut.window == (slice(0, 2), slice(21, 23))
    np.testing.assert_array_equal(cut.mask, patch.mask[1:, :2])
    assert clip_patch(whole_patch(patch.mask, 40, 0), SIZE) is None


@pytest.mark.parametrize(
    ("values", "pattern"),
    [
        ([1, 2, 3], "no pairs"),
        ([[1, 2], [3]], "no numbers"),
        (["a", 2], "no numbers"),
        ([None, 2], "nan"),
        ([float("nan"), 2], "nan"),
        ([1e9, 2], "beyond reach"),
        ([], "no points"),
        ({"x": 1}, "no numbers"),
    ],
)
def test_wrong_coordinates_are_refused(values, pattern):
    with pytest.raises(DataError, match=pattern):
        as_points(values)
