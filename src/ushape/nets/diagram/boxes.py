"""Which boxes each node of a network's diagram consists of. `layout` places them. No torch.

A node is a group of boxes side by side: the map that arrives, then one for each unit of its block,
as in Ronneberger et al. 2015, Fig. 1. A box is as high as its resolution (to the power 0.55) and
as wide as the logarithm of its channels. Nested networks have one box a node, as in Zhou et al.
2018, Fig. 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from ushape.nets.geometry import Geometry
from ushape.nets.parts import (
    Add,
    Block,
    BlockDown,
    BottleneckBlock,
    DepthwiseBlock,
    NoBlock,
    PublishedMap,
    ResidualBlock,
    VNetBlock,
)
from ushape.nets.spec import NetworkSpec
from ushape.nets.wiring import Node
from ushape.sizes import Size

TALLEST, SHORTEST = 132.0, 18.0
GAP, WIDE_GAP = 24.0, 42.0
MOST_UNITS = 3
"""Longer chains are drawn as one arrow that says how many units it stands for."""

BoxKind = Literal["image", "map", "copy"]


@dataclass(frozen=True)
class Box:
    """One map.

    Attributes:
        kind: `copy` for a skip's part of a merged map.
        gap: Space to the box before; 0 joins the two to one map.
        units: How many units of the block lead here from the box before; 0 for none.
        label: Channels, written above; empty where a joined box carries the sum.
    """

    kind: BoxKind
    width: float
    height: float
    label: str
    gap: float = 0.0
    units: int = 0
    is_attended: bool = False
    x: float = 0.0

    @property
    def middle(self) -> float:
        """The horizontal centre."""
        return self.x + self.width / 2

    @property
    def right(self) -> float:
        """The right edge."""
        return self.x + self.width


@dataclass(frozen=True)
class Group:
    """The boxes of a node.

    Attributes:
        boxes: From left to right, placed.
        shortcuts: (from, to) box numbers of inputs that a block adds.
        entry: The box where the way from another level arrives.
    """

    node: Node
    boxes: tuple[Box, ...]
    shortcuts: tuple[tuple[int, int], ...]
    entry: int

    @property
    def left(self) -> float:
        """The left edge."""
        return self.boxes[0].x

    @property
    def right(self) -> float:
        """The right edge."""
        return self.boxes[-1].right

    @property
    def joints(self) -> list[tuple[Box, Box]]:
        """Neighbouring boxes between which units of the block stand."""
        return [(a, b) for a, b in pairwise(self.boxes) if b.units]

    @property
    def result(self) -> Box:
        """The box of the node's own map."""
        return self.boxes[-1]


def compose(spec: NetworkSpec, geometry: Geometry, size: Size) -> dict[str, Group]:
    """Make the groups of all nodes at an input size; not placed yet."""
    return {
        node.name: _group(spec, node, _height(geometry.node_size(node.name, size), size))
        for node in spec.nodes
    }


def image_box(spec: NetworkSpec) -> Box:
    """Make the box of the image."""
    return Box("image", width_of(spec.in_channels), TALLEST, str(spec.in_channels))


def width_of(channels: int) -> float:
    """Return how wide a map of so many channels is drawn."""
    return 6.0 + 2.2 * math.log2(channels)


def _height(size: Sequence[int], image: Sequence[int]) -> float:
    share = math.prod(size[-2:]) / math.prod(image[-2:])
    return max(SHORTEST, TALLEST * math.pow(share, 0.275))


def _group(spec: NetworkSpec, node: Node, height: float) -> Group:
    block = spec.block(node)
    if spec.nesting == "dense" or isinstance(block, PublishedMap):
        only = Box("map", width_of(block.widths[-1]), height, str(block.widths[-1]))
        return Group(node, (only,), (), 0)
    boxes = _arriving(spec, node, height)
    entry = max(0, len(boxes) - 1)
    chain = _chain(block, is_strided=not boxes)
    is_attended = spec.attention(node) is not None
    for number, (width, units) in enumerate(chain):
        is_first = is_attended and number == 0
        gap = WIDE_GAP if is_first or units > 1 else GAP
        boxes.append(Box("map", width_of(width), height, str(width), gap, units, is_first))
    return Group(
        node, tuple(boxes), _shortcuts(block, len(boxes) - len(chain) - 1, len(chain)), entry
    )


def _arriving(spec: NetworkSpec, node: Node, height: float) -> list[Box]:
    """Make the boxes of the map that a block reads; none where the block itself strides."""
    if node.source is None:
        return [image_box(spec)]
    given = spec.channels_into(node)
    if node.column == 0:
        strides = isinstance(spec.step(node.level).down, BlockDown)
        return [] if strides else [Box("map", width_of(given), height, str(given))]
    if isinstance(spec.merge, Add):
        return [Box("map", width_of(given), height, str(given))]
    enlarged = spec.step(node.level + 1).up.width
    skips = [Box("copy", width_of(spec.width(name)), height, "") for name in node.skips]
    return [*skips, Box("map", width_of(enlarged), height, str(given))]


def _chain(block: Block, *, is_strided: bool) -> list[tuple[int, int]]:
    """List (channels, units) of the boxes that follow the arriving map."""
    if isinstance(block, NoBlock):
        return []
    widths = list(block.widths)
    if isinstance(block, ResidualBlock) and (block.repeats > 1 or block.stem):
        widths = ([block.stem] if block.stem else []) + [block.widths[-1]] * block.repeats
    if len(widths) <= MOST_UNITS:
        return [(width, 1) for width in widths]
    if is_strided:  # the way down leads to the first
        return [(widths[0], 1), (widths[-1], len(widths) - 1)]
    return [(widths[-1], len(widths))]


def _shortcuts(block: Block, start: int, count: int) -> tuple[tuple[int, int], ...]:
    """Say which boxes a block adds to which; `start` is the arriving map, -1 for none here."""
    single = isinstance(block, BottleneckBlock)
    if isinstance(block, ResidualBlock):
        single = block.repeats > 1 or block.stem > 0
        start, count = (start + 1, count - 1) if block.stem else (start, count)
    elif not (
        isinstance(block, VNetBlock | BottleneckBlock)
        or (isinstance(block, DepthwiseBlock) and block.adds == "input")
    ):
        return ()
    ends = range(start + 1, start + count + 1) if single else [start + count]
    pairs = [(end - 1 if single else start, end) for end in ends]
    return tuple(pair for pair in pairs if pair[0] >= 0)
