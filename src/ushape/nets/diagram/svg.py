"""A small drawing surface that writes SVG: boxes, arrows, text. Standard library only."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

Point = tuple[float, float]

FONT = "Helvetica, Arial, 'Liberation Sans', sans-serif"


def text_width(text: str, size: float) -> float:
    """Estimate how wide a line is, rather too wide than too narrow."""
    return 0.58 * size * len(text)


class Canvas:
    """Collects shapes and knows how far they reach; y points down."""

    def __init__(self) -> None:
        self._shapes: list[str] = []
        self._corners: list[Point] = []

    @property
    def right(self) -> float:
        """The rightmost place that is drawn on."""
        return max(x for x, _ in self._corners)

    @property
    def bottom(self) -> float:
        """The lowest place that is drawn on."""
        return max(y for _, y in self._corners)

    def polygon(
        self, points: Sequence[Point], *, fill: str, stroke: str, is_dashed: bool = False
    ) -> None:
        """Fill an outline."""
        self._corners += points
        dash = ' stroke-dasharray="4 3"' if is_dashed else ""
        self._shapes.append(
            f'<polygon points="{_path_points(points)}" fill="{fill}" stroke="{stroke}"{dash}/>'
        )

    def box(
        self,
        corner: Point,
        size: Point,
        *,
        fill: str,
        stroke: str,
        is_dashed: bool = False,
        depth: float = 0,
    ) -> None:
        """Draw a rectangle; with a depth a block, seen from the upper right."""
        (x, y), (w, h) = corner, size
        if depth:
            roof = [(x, y), (x + depth, y - depth), (x + w + depth, y - depth), (x + w, y)]
            side = [roof[2], (x + w + depth, y + h - depth), (x + w, y + h), roof[3]]
            for face in (roof, side):
                self.polygon(face, fill=fill, stroke=stroke, is_dashed=is_dashed)
        front = [(x, y), (x + w, y), (x + w, y + h), (x, y + h)]
        self.polygon(front, fill=fill, stroke=stroke, is_dashed=is_dashed)

    def circle(self, center: Point, radius: float, *, fill: str, stroke: str) -> None:
        """Draw a disc."""
        (x, y) = center
        self._corners += [(x - radius, y - radius), (x + radius, y + radius)]
        self._shapes.append(
            f'<circle cx="{_number(x)}" cy="{_number(y)}" r="{_number(radius)}" fill="{fill}" '
            f'stroke="{stroke}"/>'
        )

    def arrow(
        self,
        points: Sequence[Point],
        color: str,
        *,
        width: float = 2,
        is_dashed: bool = False,
        has_head: bool = True,
    ) -> None:
        """Draw a way from point to point, with a head at its end."""
        *way, (x, y) = points
        before_x, before_y = way[-1]
        length = math.hypot(x - before_x, y - before_y) or 1.0
        dx, dy = (x - before_x) / length, (y - before_y) / length
        reach = 7 if has_head else 0
        line = [*way, (x - reach * dx * 0.8, y - reach * dy * 0.8)]
        self._stroke(f"M{' L'.join(map(_pair, line))}", points, color, width, is_dashed)
        if has_head:
            self._head((x, y), (dx, dy), color)

    def arc(
        self, start: Point, control: Point, end: Point, color: str, *, is_dashed: bool = False
    ) -> None:
        """Draw a bow that leaves towards `control` and arrives from it, with a head."""
        (x, y), (cx, cy) = end, control
        length = math.hypot(x - cx, y - cy) or 1.0
        peak = ((start[0] + x) / 4 + cx / 2, (start[1] + y) / 4 + cy / 2)
        path = f"M{_pair(start)} Q{_pair(control)} {_pair(end)}"
        self._stroke(path, [start, peak, end], color, 1.4, is_dashed)
        self._head(end, ((x - cx) / length, (y - cy) / length), color, size=5.5)

    def text(
        self,
        place: Point,
        text: str,
        *,
        size: float = 14,
        anchor: str = "middle",
        color: str = "#1b1b1b",
        is_bold: bool = False,
    ) -> None:
        """Write a line; `place` is on its base line, at its `anchor` (start, middle or end)."""
        x, y = place
        width = text_width(text, size)
        left = x - {"start": 0.0, "middle": width / 2, "end": width}[anchor]
        self._corners += [(left, y - size), (left + width, y + 0.3 * size)]
        weight = ' font-weight="bold"' if is_bold else ""
        self._shapes.append(
            f'<text x="{_number(x)}" y="{_number(y)}" font-size="{size:g}" fill="{color}" '
            f'text-anchor="{anchor}"{weight}>{escape(text)}</text>'
        )

    def to_svg(self, title: str, *, border: float = 16) -> str:
        """Return the picture as a file's text, on a white ground that fits all shapes."""
        left = math.floor(min(x for x, _ in self._corners) - border)
        top = math.floor(min(y for _, y in self._corners) - border)
        width = math.ceil(self.right + border) - left
        height = math.ceil(self.bottom + border) - top
        shapes = "\n".join(self._shapes)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="{left} {top} {width} {height}" role="img" font-family="{FONT}" '
            'stroke-linejoin="round">\n'
            f"<title>{escape(title)}</title>\n"
            f'<rect x="{left}" y="{top}" width="{width}" height="{height}" fill="#ffffff"/>\n'
            f"{shapes}\n</svg>\n"
        )

    def _stroke(
        self, path: str, points: Sequence[Point], color: str, width: float, is_dashed: bool
    ) -> None:
        self._corners += points
        dash = ' stroke-dasharray="5 4"' if is_dashed else ""
        self._shapes.append(
            f'<path d="{path}" fill="none" stroke="{color}" stroke-width="{width:g}"{dash}/>'
        )

    def _head(self, tip: Point, direction: Point, color: str, size: float = 7) -> None:
        (x, y), (dx, dy) = tip, direction
        back = (x - size * dx, y - size * dy)
        wing = 0.55 * size
        points = [tip, (back[0] - wing * dy, back[1] + wing * dx)]
        points.append((back[0] + wing * dy, back[1] - wing * dx))
        self._shapes.append(f'<polygon points="{_path_points(points)}" fill="{color}"/>')


def _number(value: float) -> str:
    return f"{round(value, 1):g}"


def _pair(point: Point) -> str:
    return f"{_number(point[0])} {_number(point[1])}"


def _path_points(points: Sequence[Point]) -> str:
    return " ".join(f"{_number(x)},{_number(y)}" for x, y in points)
