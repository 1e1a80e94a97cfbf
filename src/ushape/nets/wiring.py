"""Which feature maps a network has and what each of them reads, as data. No torch.

A node is named by its place in the published figures: `x_level_column`, level 0 = full
resolution, column 0 = encoder.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Nesting = Literal["none", "dense"]
"""`none`: one decoder node a level (U-Net); `dense`: the whole triangle (U-Net++)."""


@dataclass(frozen=True)
class Node:
    """One feature map.

    Attributes:
        level: Resolution, 0 = full.
        column: 0 = encoder.
        source: Name of the node of another level that it reads: the one above for an encoder
            node, the one below for a decoder node; None where the image is read.
        skips: Names of the earlier nodes of its own level that it merges, in column order.
    """

    level: int
    column: int
    source: str | None
    skips: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The figure's name, such as `x_3_1`."""
        return node_name(self.level, self.column)


def node_name(level: int, column: int) -> str:
    """Name a place.

    >>> node_name(3, 1)
    'x_3_1'
    """
    return f"x_{level}_{column}"


def nodes(depth: int, nesting: Nesting = "none", first: int = 0) -> tuple[Node, ...]:
    """List the nodes in an order in which they can be computed; the last one is the output.

    Args:
        depth: Number of levels.
        nesting: `none` gives the diagonal (i, L-i), each with the skip (i, 0), as Ronneberger
            et al. 2015, Fig. 1; `dense` the triangle j <= L-i, each with the skips (i, 0) to
            (i, j-1), as Zhou et al. 2018, Fig. 1a. L is `depth` - 1.
        first: The first level with an encoder map, which reads the image; levels above it (of a
            backbone whose first map is smaller than the image) have no skip.

    >>> [node.name for node in nodes(3)]
    ['x_0_0', 'x_1_0', 'x_2_0', 'x_1_1', 'x_0_2']
    """
    last = depth - 1
    encoder = [Node(i, 0, node_name(i - 1, 0) if i > first else None) for i in range(first, depth)]
    if nesting == "none":
        places = [(last - j, j) for j in range(1, depth)]
    else:
        places = [(i, j) for j in range(1, depth) for i in range(last - j, -1, -1)]
    decoder = [
        Node(
            level=i,
            column=j,
            source=node_name(i + 1, j - 1),
            skips=tuple(
                node_name(i, k)
                for k in range(j if nesting == "dense" else 1)
                if k > 0 or i >= first
            ),
        )
        for i, j in places
    ]
    return tuple(encoder + decoder)
