"""The declarative form of every network of the family: a frozen description, no torch.

Its parts are in `parts`; which nodes exist is in `wiring`; `spec_check` refuses descriptions that
no builder could honour.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ushape.nets.parts import (
    Add,
    Attention,
    Auxiliary,
    Backbone,
    Block,
    Branch,
    Concatenate,
    ConvDown,
    InceptionDown,
    KitSpec,
    LevelSpec,
    Merge,
    Step,
)
from ushape.nets.spec_check import check
from ushape.nets.wiring import Nesting, Node, node_name, nodes
from ushape.sizes import Size


@dataclass(frozen=True)
class NetworkSpec:
    """A whole network.

    Attributes:
        name: The catalogue entry it came from; used in messages.
        in_channels: Image channels.
        classes: Logit channels.
        kit: What holds for every layer.
        levels: Level 0 is full resolution.
        merge: How a decoder node joins what it reads.
        nesting: Which nodes exist, see `wiring.nodes`.
        auxiliary: Further outputs, in the order of `Output.auxiliary`.
        head_kernel: Kernel of every head; None for 1x1.
        takes_any_size: Images that do not fit are padded at their ends, and logits cropped.
        backbone: The library's encoder that publishes the encoder's maps; None for our own.
        branch: An extra way to some logits.
        frozen: Encoder and decoder nodes that are not trained.
    """

    name: str
    in_channels: int
    classes: int
    kit: KitSpec
    levels: tuple[LevelSpec, ...]
    merge: Merge = field(default_factory=Concatenate)
    nesting: Nesting = "none"
    auxiliary: tuple[Auxiliary, ...] = ()
    head_kernel: Size | None = None
    takes_any_size: bool = False
    backbone: Backbone | None = None
    branch: Branch | None = None
    frozen: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check(self)

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The wiring table, in the order of computation; the last node carries the head."""
        first = next(i for i, level in enumerate(self.levels) if level.encoder is not None)
        return nodes(len(self.levels), self.nesting, first)

    @property
    def lowest(self) -> str:
        """The name of the encoder's last node."""
        return node_name(len(self.levels) - 1, 0)

    @property
    def one(self) -> Size:
        """The kernel of a 1x1 convolution."""
        return (1,) * self.kit.spatial_dims

    def node(self, name: str) -> Node:
        """Return the node of a name."""
        return next(node for node in self.nodes if node.name == name)

    def block(self, node: Node) -> Block:
        """Return the block of a node."""
        level = self.levels[node.level]
        block = level.encoder if node.column == 0 else level.decoder
        assert block is not None, "checked when the specification was made"
        return block

    def attention(self, node: Node) -> Attention | None:
        """Return what stands before a node's block."""
        attends = node.column > 0 or node.name == self.lowest
        return self.levels[node.level].attention if attends else None

    def step(self, level: int) -> Step:
        """Return the step between `level - 1` and `level`."""
        step = self.levels[level].step
        assert step is not None, "checked when the specification was made"
        return step

    def stride(self, level: int) -> Size:
        """Return how much smaller a level is than the image, per axis."""
        total = self.one
        for below in range(1, level + 1):
            stride = self.step(below).stride
            total = tuple(a * b for a, b in zip(total, stride, strict=True))
        return total

    def width(self, name: str) -> int:
        """Count the channels of a node's map."""
        return self.block(self.node(name)).widths[-1]

    def channels_into(self, node: Node) -> int:
        """Count the channels that a node's block reads, after the way down or the merge."""
        if node.source is None:
            return self.in_channels
        if node.column == 0:
            down = self.step(node.level).down
            if isinstance(down, ConvDown | InceptionDown):
                return down.width
            return self.width(node.source)
        enlarged = self.step(node.level + 1).up.width
        if isinstance(self.merge, Add):
            return enlarged
        return sum(self.width(name) for name in node.skips) + enlarged
