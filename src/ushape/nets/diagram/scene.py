"""What all drawing of one diagram shares: the layout, the canvas, and the look of a map."""

from __future__ import annotations

from dataclasses import dataclass, field

from ushape.nets.diagram.boxes import Box, Group
from ushape.nets.diagram.layout import Layout
from ushape.nets.diagram.legend import FROZEN_FILL, GATE, STROKE
from ushape.nets.diagram.svg import Canvas, Point
from ushape.nets.geometry import Geometry
from ushape.nets.spec import NetworkSpec
from ushape.sizes import Size

FILLS = {"map": "#a9c4e6", "image": "#e9edf2", "copy": "#ffffff", "logits": "#9fd8cb"}
LABEL_ROOM = 18.0
"""Height of the channels above a box."""

_LIFT = 4.0
_POWERS = {2: "²", 3: "³"}


def short_size(size: Size) -> str:
    """Write a size in few letters.

    >>> short_size((572, 572)), short_size((28, 44, 44))
    ('572²', '28×44×44')
    """
    if len(set(size)) == 1:
        return f"{size[0]}{_POWERS[len(size)]}"
    return "×".join(map(str, size))


@dataclass(frozen=True)
class Scene:
    """One diagram while it is drawn."""

    spec: NetworkSpec
    geometry: Geometry
    size: Size
    layout: Layout
    canvas: Canvas = field(default_factory=Canvas)

    @property
    def depth(self) -> float:
        """How far blocks reach back: maps of volumes are drawn as blocks."""
        return 5.0 if self.spec.kit.spatial_dims == 3 else 0.0

    @property
    def is_dense(self) -> bool:
        """Whether nodes stand in the triangle of nested networks."""
        return self.spec.nesting == "dense"

    @property
    def left(self) -> float:
        """The left edge of the drawing."""
        groups = self.layout.groups.values()
        return min(self.layout.image.x, *(group.left for group in groups))

    def row(self, group: Group) -> float:
        """Return the vertical centre of a group."""
        return self.layout.rows[group.node.level]

    def top(self, group: Group, box: Box) -> float:
        """Return the place above a box's channels, where ways up start and ways down end."""
        return self.row(group) - box.height / 2 - LABEL_ROOM - self.depth

    def box(self, box: Box, level: int, *, fill: str, left: float | None = None) -> None:
        """Draw a box; its label is centred from `left`, where it stands for joined boxes."""
        top = self.layout.rows[level] - box.height / 2
        self.slab((box.x, top), (box.width, box.height), fill=fill)
        if box.label:
            start = box.x if left is None else left
            self.label((start + box.right) / 2, top, box.label)

    def slab(self, corner: Point, size: Point, *, fill: str) -> None:
        """Draw a map's body."""
        is_dashed = fill == FROZEN_FILL
        self.canvas.box(
            corner, size, fill=fill, stroke=STROKE, is_dashed=is_dashed, depth=self.depth
        )

    def label(self, middle: float, top: float, text: str) -> None:
        """Write channels above a body."""
        self.canvas.text((middle + self.depth / 2, top - _LIFT - self.depth), text)

    def mark(self, center: Point, letter: str) -> None:
        """Draw a circled letter."""
        self.canvas.circle(center, 7.5, fill="#ffffff", stroke=GATE)
        self.canvas.text((center[0], center[1] + 4), letter, size=12, color=GATE, is_bold=True)
