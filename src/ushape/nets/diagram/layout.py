"""Where the boxes of a network's diagram stand. `maps` and its neighbours draw them. No torch."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ushape.nets.diagram.boxes import GAP, TALLEST, WIDE_GAP, Box, Group, compose, image_box
from ushape.nets.geometry import Geometry
from ushape.nets.spec import NetworkSpec
from ushape.sizes import Size

LABEL, SIZE_LABEL, BETWEEN = 20.0, 24.0, 30.0
HALF_STEP = 74.0
FRAME_LEFT, FRAME_RIGHT = 44.0, 14.0
"""How far the frame of a backbone reaches beyond its boxes; the sizes stand on the left."""

UNDER_BOWS = 13.0
"""How much lower sizes stand where a block's inputs are added, by bows below the boxes."""


@dataclass(frozen=True)
class Layout:
    """A placed network.

    Attributes:
        groups: By node name.
        rows: The vertical centre of every level.
        lanes: Below every level, where a branch may run.
    """

    groups: dict[str, Group]
    rows: tuple[float, ...]
    lanes: tuple[float, ...]
    image: Box


def lay_out(spec: NetworkSpec, geometry: Geometry, size: Size) -> Layout:
    """Place every box of a network at an input size."""
    groups = compose(spec, geometry, size)
    image = image_box(spec)
    if spec.nesting == "dense":
        placed, image = _place_triangle(groups), replace(image, x=-image.width - 1.6 * GAP)
    else:
        placed, image = _place_u(spec, groups, image)
    rows, lanes = _rows(spec, placed)
    return Layout(placed, rows, lanes, image)


def _placed(group: Group, x: float) -> Group:
    """Place a group whose first box starts at x."""
    boxes = []
    for number, box in enumerate(group.boxes):
        x += box.gap if number else 0
        boxes.append(replace(box, x=x))
        x += box.width
    return replace(group, boxes=tuple(boxes))


def _place_u(
    spec: NetworkSpec, groups: dict[str, Group], image: Box
) -> tuple[dict[str, Group], Box]:
    """Place the U: each group starts below, or above, the end of the one before."""
    placed: dict[str, Group] = {}
    previous: Group | None = None
    for node in spec.nodes:
        group = _placed(groups[node.name], 0)
        if previous is None:
            start = 0.0 if spec.backbone is None else image.right + FRAME_LEFT + WIDE_GAP / 2
        elif spec.backbone is not None and previous.node.name == spec.lowest:
            start = previous.right + FRAME_RIGHT + GAP
        else:
            meets = previous.result.middle
            if len(previous.boxes) == previous.entry + 1:  # nothing leads to the right
                meets += previous.result.width / 2 + GAP
            start = meets - group.boxes[group.entry].middle
        previous = placed[node.name] = _placed(group, start)
    first = placed[spec.nodes[0].name]
    return placed, image if spec.backbone is not None else first.boxes[0]


def _place_triangle(groups: dict[str, Group]) -> dict[str, Group]:
    return {
        name: _placed(group, HALF_STEP * (group.node.level + 2 * group.node.column))
        for name, group in groups.items()
    }


def _rows(
    spec: NetworkSpec, groups: dict[str, Group]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    rows, lanes, y = [], [], 0.0
    branch_level = spec.node(spec.branch.node).level if spec.branch else None
    depth = len(spec.levels)
    for level in range(depth):
        here = [group for group in groups.values() if group.node.level == level]
        heights = [box.height for group in here for box in group.boxes]
        tall = max(heights) if level else TALLEST
        y += LABEL + _bows_above(spec, level) + tall / 2
        rows.append(y)
        y += tall / 2 + SIZE_LABEL
        y += UNDER_BOWS if any(group.shortcuts for group in here) else 0.0
        lanes.append(y + 4)
        y += BETWEEN if level != branch_level else BETWEEN + 10
    return tuple(rows), tuple(lanes)


def _bows_above(spec: NetworkSpec, level: int) -> float:
    """Return the height of the bows of far skips above a level of a nested network."""
    farthest = len(spec.levels) - 1 - level
    if spec.nesting != "dense" or farthest < 2:
        return 0.0
    return bow_height(farthest)


def bow_height(columns: int) -> float:
    """Return how far above the boxes a skip over so many columns passes."""
    return 22.0 + 13.0 * (columns - 2)
