"""Turn outlines into pixels.

Coordinates are x, y in pixels from the upper left corner of the picture, so the centre of the
first pixel lies at (0.5, 0.5), as COCO, CVAT and LabelMe mean it. A pixel belongs to a shape when
its centre lies inside. A centre on the outline belongs to the shape to its right or below it:
shapes that share an edge share no pixel and leave none between them. Libraries draw otherwise:
Pillow adds the pixels that the outline touches, scikit-image gives centres on a common edge to both
shapes and takes time by pixels times corners.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ushape.errors import DataError

Mask = NDArray[np.bool_]
Points = NDArray[np.float64]

FARTHEST = 1e7
"""Coordinates beyond this are damage, not a shape that sticks out."""


class Patch(NamedTuple):
    """The pixels of a shape: a window of the picture (rows, columns), and a mask of its size."""

    window: tuple[slice, slice]
    mask: Mask


def as_points(values: Any) -> Points:
    """Read coordinates: x, y, x, y, ... or pairs.

    Raises:
        DataError: They are no finite pairs of numbers within reach, or there are none.
    """
    try:
        numbers = np.asarray(values, np.float64).ravel()
    except (TypeError, ValueError) as error:
        raise DataError("its coordinates are no numbers") from error
    if numbers.size % 2:
        raise DataError(f"it has {numbers.size} numbers, which are no pairs x, y")
    if not np.all(np.abs(numbers) <= FARTHEST):  # false for nan too
        raise DataError("a coordinate is nan, infinite or beyond reach")
    if not numbers.size:
        raise DataError("it has no points")
    return numbers.reshape(-1, 2)


def fill_polygon(points: Points, size: Sequence[int]) -> Patch | None:
    """Fill a polygon; where it crosses itself, every second part is a hole (even-odd rule).

    Args:
        points: Corners (n, 2), x and y.
        size: Of the picture, (y, x); what sticks out is cut off.

    Returns:
        Its pixels; None where it lies outside of the picture.
    """
    window = _window(points.min(axis=0), points.max(axis=0), size)
    if window is None:
        return None
    rows, columns = window
    height, width = rows.stop - rows.start, columns.stop - columns.start
    x, y = points.T - 0.5  # now pixel centres are whole numbers
    ends = np.stack([y, x, np.roll(y, -1), np.roll(x, -1)])
    downwards = ends[0] <= ends[2]  # one direction, so that a common edge rounds to one place
    y0, x0, y1, x1 = np.where(downwards, ends, ends[[2, 3, 0, 1]])
    first = np.ceil(y0).clip(rows.start, rows.stop).astype(int)
    counts = np.ceil(y1).clip(rows.start, rows.stop).astype(int) - first
    edge = np.repeat(np.arange(len(points)), counts)
    row = np.arange(len(edge)) - np.repeat(np.cumsum(counts) - counts, counts) + first[edge]
    crossing = x0[edge] + (row - y0[edge]) / (y1 - y0)[edge] * (x1 - x0)[edge]
    column = np.ceil(crossing).clip(columns.start, columns.stop).astype(int) - columns.start
    row -= rows.start
    turns = np.bincount(row * (width + 1) + column, minlength=height * (width + 1)) & 1
    bits = turns.astype(np.uint8).reshape(height, width + 1)
    inside = np.bitwise_xor.accumulate(bits, axis=1)[:, :width]
    return Patch(window, inside.astype(np.bool_))


def box_corners(left: float, top: float, right: float, bottom: float, angle: float = 0) -> Points:
    """Return the corners of a box, turned by some degrees about its centre, clockwise as seen."""
    corners = np.array([(left, top), (right, top), (right, bottom), (left, bottom)], np.float64)
    turn = np.deg2rad(angle)
    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    middle = corners.mean(axis=0)
    return np.asarray((corners - middle) @ matrix.T + middle) if angle else corners


def fill_ellipse(
    centre: Sequence[float] | Points, radii: Sequence[float], size: Sequence[int], angle: float = 0
) -> Patch | None:
    """Fill an ellipse with radii along x and y, turned by some degrees."""
    middle, reach = np.asarray(centre, np.float64), float(max(radii))
    window = _window(middle - reach, middle + reach, size)
    if window is None or min(radii) <= 0:
        return None
    x, y = _centres(window, middle)
    turn = np.deg2rad(angle)
    along, across = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    return Patch(window, (along / radii[0]) ** 2 + (across / radii[1]) ** 2 <= 1)


def draw_line(points: Points, width: float, size: Sequence[int]) -> Patch | None:
    """Draw a line of some width through points, with round ends."""
    reach = width / 2
    window = _window(points.min(axis=0) - reach, points.max(axis=0) + reach, size)
    if window is None:
        return None
    rows, columns = window
    mask = np.zeros((rows.stop - rows.start, columns.stop - columns.start), np.bool_)
    for start, end in zip(points, points[1:] if len(points) > 1 else points, strict=False):
        part = _window(np.minimum(start, end) - reach, np.maximum(start, end) + reach, size)
        if part is None:
            continue
        x, y = _centres(part, start)
        step = end - start
        share = np.clip((x * step[0] + y * step[1]) / max(float(step @ step), 1e-12), 0, 1)
        away = (x - share * step[0]) ** 2 + (y - share * step[1]) ** 2
        at = tuple(
            slice(s.start - w.start, s.stop - w.start) for s, w in zip(part, window, strict=True)
        )
        mask[at] |= away <= reach**2
    return Patch(window, mask)


def whole_patch(mask: Mask, row: int = 0, column: int = 0) -> Patch:
    """Take a mask whose first pixel lies at a row and column of the picture."""
    height, width = mask.shape
    return Patch((slice(row, row + height), slice(column, column + width)), mask)


def clip_patch(patch: Patch, size: Sequence[int]) -> Patch | None:
    """Cut off what lies outside of the picture; None where all does."""
    (rows, columns), mask = patch
    top, left = max(rows.start, 0), max(columns.start, 0)
    bottom, right = min(rows.stop, size[0]), min(columns.stop, size[1])
    if bottom <= top or right <= left:
        return None
    kept = mask[
        top - rows.start : bottom - rows.start, left - columns.start : right - columns.start
    ]
    return Patch((slice(top, bottom), slice(left, right)), kept)


def _centres(window: tuple[slice, slice], origin: Points) -> tuple[Points, Points]:
    """Return x and y of the pixel centres of a window, seen from a point, ready to broadcast."""
    rows, columns = window
    x = np.arange(columns.start, columns.stop) + 0.5 - origin[0]
    y = np.arange(rows.start, rows.stop) + 0.5 - origin[1]
    return x[np.newaxis, :], y[:, np.newaxis]


def _window(low: Points, high: Points, size: Sequence[int]) -> tuple[slice, slice] | None:
    """Return the rows and columns between two corners, inside the picture."""
    left, top = np.floor(low).clip(0, size[::-1]).astype(int).tolist()
    right, bottom = np.ceil(high).clip(0, size[::-1]).astype(int).tolist()
    if right <= left or bottom <= top:
        return None
    return slice(top, bottom), slice(left, right)
