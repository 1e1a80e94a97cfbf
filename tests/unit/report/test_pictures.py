"""Pictures: outlines enclose exactly their mask, error maps and PNGs hold the right pixels."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from ushape.report.pictures import (
    CONFUSED,
    CORRECT,
    ERROR_COLORS,
    FALSE_ALARM,
    MISSED,
    class_color,
    compare,
    errors_png,
    image_png,
    outline_path,
    shown_size,
    shrink_labels,
)


def decode(uri: str) -> Image.Image:
    head, _, body = uri.partition(",")
    assert head == "data:image/png;base64"
    return Image.open(io.BytesIO(base64.b64decode(body)))


def polygons(path: str) -> list[np.ndarray]:
    """Read an SVG path back: closed polygons of (x, y) vertices in half pixels."""
    found = []
    for part in re.findall(r"M([^z]+)z", path):
        start, _, moves = part.partition("l")
        steps = [[int(n) for n in re.findall(r"-?\d+", text)] for text in (start, moves)]
        flat = np.array(steps[0] + steps[1]).reshape(-1, 2)
        found.append(np.cumsum(flat, axis=0))
    return found


def fill(path: str, size: tuple[int, int]) -> np.ndarray:
    """Fill a path at the pixel centres by the even-odd rule, as a browser does."""
    inside = np.zeros(size, bool)
    y, x = np.mgrid[: size[0], : size[1]] * 2 + 1  # centres, in half pixels
    # Outlines may touch the middle of a pixel's edge but never its centre: a ray a little below
    # the centre meets no vertex, so that counting crossings is safe.
    ray = y + 0.25
    for vertices in polygons(path):
        following = np.roll(vertices, -1, axis=0)
        for (x0, y0), (x1, y1) in zip(vertices, following, strict=True):
            if y0 != y1:
                crosses = (ray > min(y0, y1)) & (ray < max(y0, y1))
                inside ^= crosses & (x < x0 + (ray - y0) * (x1 - x0) / (y1 - y0))
    return inside


masks = arrays.arrays(np.bool_, st.tuples(st.integers(1, 7), st.integers(1, 7)))


@given(mask=masks)
@settings(deadline=None, max_examples=60)
def test_an_outline_filled_again_is_the_mask(mask: np.ndarray) -> None:
    assert np.array_equal(fill(outline_path(mask), mask.shape), mask)


def test_an_outline_closes_at_the_border_and_merges_straight_runs() -> None:
    (vertices,) = polygons(outline_path(np.ones((40, 60), bool)))
    assert len(vertices) == 8  # four sides and four cut corners, not one vertex a pixel
    assert vertices.min(axis=0).tolist() == [0, 0]
    assert vertices.max(axis=0).tolist() == [120, 80]


def test_an_empty_mask_has_no_outline() -> None:
    assert outline_path(np.zeros((3, 3), bool)) == ""


def test_compare_names_all_five_outcomes() -> None:
    truth, prediction = np.array([[0, 0, 1, 1, 2]]), np.array([[0, 2, 0, 1, 1]])
    expected = [[0, FALSE_ALARM, MISSED, CORRECT, CONFUSED]]
    assert compare(truth, prediction).tolist() == expected


def test_the_error_map_paints_outcomes_and_leaves_background_clear() -> None:
    outcome = np.array([[0, CORRECT, FALSE_ALARM], [MISSED, CONFUSED, 0]])
    pixels = np.array(decode(errors_png(outcome)).convert("RGBA"))
    for code, color in ERROR_COLORS.items():
        assert pixels[outcome == code].tolist() == [[*bytes.fromhex(color[1:]), 255]]
    assert pixels[outcome == 0][:, 3].tolist() == [0, 0]


def test_eight_bit_pictures_are_shown_as_they_are() -> None:
    rng = np.random.default_rng(0)
    grey = rng.integers(0, 256, (1, 5, 7), np.uint8)
    color = rng.integers(0, 256, (3, 5, 7), np.uint8)
    assert np.array_equal(np.array(decode(image_png(grey))), grey[0])
    assert np.array_equal(np.array(decode(image_png(color))), np.moveaxis(color, 0, -1))


def test_of_other_channel_numbers_the_first_is_shown() -> None:
    image = np.stack([np.full((4, 4), value, np.uint8) for value in (10, 20)])
    assert np.array(decode(image_png(image))).tolist() == [[10] * 4] * 4


@pytest.mark.parametrize("dtype", [np.uint16, np.float32, np.int32])
def test_other_ranges_are_stretched_to_black_and_white(dtype: type) -> None:
    image = np.arange(400, dtype=dtype).reshape(1, 20, 20) * dtype(50)
    pixels = np.array(decode(image_png(image))).astype(int)
    assert (pixels.min(), pixels.max()) == (0, 255)
    assert (np.diff(pixels.ravel()) >= 0).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, 3.5])
def test_strange_images_make_a_picture_without_warnings(value: float) -> None:
    image = np.full((1, 4, 4), value, np.float32)
    assert decode(image_png(image)).size == (4, 4)
    image[0, 0] = [1, 2, 3, 4]
    assert decode(image_png(image)).size == (4, 4)


def test_large_pictures_shrink_and_keep_their_shape() -> None:
    assert shown_size((3000, 1500)) == (720, 360)
    assert shown_size((1, 20_000)) == (1, 720)
    assert decode(image_png(np.zeros((1, 1440, 720), np.uint8))).size == (360, 720)
    label_map = np.zeros((1440, 1440), np.uint8)
    label_map[720:, 360:] = 3
    small = shrink_labels(label_map)
    assert small.shape == (720, 720)
    expected = np.zeros((720, 720), np.uint8)
    expected[360:, 180:] = 3
    assert np.array_equal(small, expected)


def test_the_background_takes_no_colour_from_the_classes() -> None:
    assert len({class_color(index) for index in range(1, 8)}) == 7
    assert class_color(8) == class_color(1)
