"""The shapes that drawing programs share, from their points to pixels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from ushape.data.convert.shapes import (
    Patch,
    Points,
    box_corners,
    draw_line,
    fill_ellipse,
    fill_polygon,
)
from ushape.data.convert.source import ConvertWish
from ushape.errors import DataError
from ushape.sizes import Size

Draw = Callable[[Size], Sequence[Patch | None]]


def polygon(points: Points) -> Draw:
    """Fill a polygon of three corners or more."""
    return partial(_polygon, points)


def box(points: Points, angle: float = 0) -> Draw:
    """Fill a box between two opposite corners, turned by some degrees.

    Raises:
        DataError: It has other than two corners.
    """
    if len(points) != 2:
        raise DataError(f"a box has two corners, not {len(points)}")
    (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
    return polygon(box_corners(left, top, right, bottom, angle))


def circle(points: Points) -> Draw:
    """Fill a circle, given its centre and a point on its rim.

    Raises:
        DataError: It has other than two points.
    """
    if len(points) != 2:
        raise DataError(f"a circle has a centre and a point on its rim, not {len(points)} points")
    radius = float(np.hypot(*(points[1] - points[0])))
    return ellipse(points[0], (radius, radius))


def ellipse(centre: Sequence[float] | Points, radii: Sequence[float], angle: float = 0) -> Draw:
    """Fill an ellipse with radii along x and y."""
    return partial(_ellipse, np.asarray(centre, np.float64), tuple(radii), angle)


def line(points: Points, wish: ConvertWish) -> Draw:
    """Draw a line as wide as a person says.

    Raises:
        DataError: Nobody says how wide.
    """
    if wish.line_width is None:
        raise DataError("a line has no width: say one with --line-width PIXELS, or outline it")
    return partial(_line, points, wish.line_width)


def dots(points: Points, wish: ConvertWish) -> Draw:
    """Draw points as discs as large as a person says.

    Raises:
        DataError: Nobody says how large.
    """
    radius = wish.point_radius
    if radius is None:
        raise DataError("a point has no size: say one with --point-radius PIXELS, or outline it")
    return partial(_dots, points, radius)


def _polygon(points: Points, size: Size) -> list[Patch | None]:
    return [fill_polygon(points, size)]


def _ellipse(
    centre: Points, radii: tuple[float, ...], angle: float, size: Size
) -> list[Patch | None]:
    return [fill_ellipse(centre, radii, size, angle)]


def _line(points: Points, width: float, size: Size) -> list[Patch | None]:
    return [draw_line(points, width, size)]


def _dots(points: Points, radius: float, size: Size) -> list[Patch | None]:
    return [fill_ellipse(point, (radius, radius), size) for point in points]
