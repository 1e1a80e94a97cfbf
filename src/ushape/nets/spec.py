"""The declarative form of every network of the family: frozen descriptions, no torch.

What varies between papers is a tagged union (`Block`, `Down`, `Up`, `Merge`, `Norm`): a new kind
is a new member with its own fields, not a flag. The `kind` of a member is its name in stored
model files (`spec_json`) and must not change. Sizes are per axis, `(y, x)` or `(z, y, x)`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from ushape.errors import ConfigError
from ushape.nets.wiring import Nesting, Node, nodes
from ushape.sizes import Size

Padding = Literal["same", "valid"]
"""`same` keeps sizes with zeros at the border; `valid` pads nothing and loses the border."""

Norm = Literal["batch", "instance", "none"]
"""What stands between a convolution and its activation."""


@dataclass(frozen=True)
class KitSpec:
    """What holds for every layer of a network."""

    spatial_dims: int
    padding: Padding
    norm: Norm


@dataclass(frozen=True)
class PlainBlock:
    """One convolution a width, each followed by norm and ReLU."""

    kind: ClassVar[str] = "plain"
    widths: tuple[int, ...]
    kernel_size: Size


@dataclass(frozen=True)
class ResidualBlock:
    """A plain block whose input is added before its last ReLU (He et al. 2016, Fig. 2).

    Where the channels differ, a 1x1 convolution projects the input.
    """

    kind: ClassVar[str] = "residual"
    widths: tuple[int, ...]
    kernel_size: Size


Block = PlainBlock | ResidualBlock


@dataclass(frozen=True)
class MaxPool:
    """Max-pooling; window and stride are the step's stride."""

    kind: ClassVar[str] = "max_pool"


Down = MaxPool


@dataclass(frozen=True)
class NearestUp:
    """Nearest-neighbour enlargement, a convolution of the stride's size, ReLU.

    The convolution keeps the enlarged size: zeros stand after the last pixel of each axis.
    """

    kind: ClassVar[str] = "nearest"
    width: int


@dataclass(frozen=True)
class TransposedUp:
    """A transposed convolution whose kernel is its stride, ReLU."""

    kind: ClassVar[str] = "transposed"
    width: int


@dataclass(frozen=True)
class LinearUp:
    """A 1x1 convolution, linear enlargement (half-pixel centres), ReLU."""

    kind: ClassVar[str] = "linear"
    width: int


Up = NearestUp | TransposedUp | LinearUp


@dataclass(frozen=True)
class Concatenate:
    """Earlier maps of the level, centre-cropped, then the enlarged map, channel after channel."""

    kind: ClassVar[str] = "concatenate"


Merge = Concatenate


@dataclass(frozen=True)
class Step:
    """How a level hangs on the level above it: the way down to it and the way up from it."""

    stride: Size
    down: Down
    up: Up


@dataclass(frozen=True)
class LevelSpec:
    """One resolution.

    Attributes:
        encoder: Block of node (level, 0).
        decoder: Block of the level's other nodes; None on the lowest level, which has none.
        step: Step from the level above; None on level 0, which reads the image.
        dropout: Probability that an element of the encoder's map is zeroed in training.
    """

    encoder: Block
    decoder: Block | None = None
    step: Step | None = None
    dropout: float = 0.0


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
    """

    name: str
    in_channels: int
    classes: int
    kit: KitSpec
    levels: tuple[LevelSpec, ...]
    merge: Merge = field(default_factory=Concatenate)
    nesting: Nesting = "none"

    def __post_init__(self) -> None:
        _check(self)

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The wiring table, in the order of computation; the last node carries the head."""
        return nodes(len(self.levels), self.nesting)

    def block(self, node: Node) -> Block:
        """Return the block of a node."""
        level = self.levels[node.level]
        block = level.encoder if node.column == 0 else level.decoder
        assert block is not None, "checked when the specification was made"
        return block

    def step(self, level: int) -> Step:
        """Return the step between `level - 1` and `level`."""
        step = self.levels[level].step
        assert step is not None, "checked when the specification was made"
        return step

    def channels_into(self, node: Node) -> int:
        """Count the channels that a node's block reads, after the merge."""
        if node.source is None:
            return self.in_channels
        if node.column == 0:
            return self.levels[node.level - 1].encoder.widths[-1]
        table = {entry.name: entry for entry in self.nodes}
        skipped = sum(self.block(table[name]).widths[-1] for name in node.skips)
        return skipped + self.step(node.level + 1).up.width


def _check(spec: NetworkSpec) -> None:
    """Refuse descriptions that no builder could honour, such as hand-edited model files."""
    dims = spec.kit.spatial_dims
    if dims not in (2, 3):
        raise ConfigError(f"{spec.name}: spatial_dims is {dims}: give 2 or 3")
    if len(spec.levels) < 2:
        raise ConfigError(f"{spec.name}: {len(spec.levels)} level: a U needs two at least")
    if min(spec.in_channels, spec.classes) < 1:
        raise ConfigError(
            f"{spec.name}: in_channels={spec.in_channels}, classes={spec.classes}: give 1 or more"
        )
    last = len(spec.levels) - 1
    for number, level in enumerate(spec.levels):
        place = f"{spec.name}, level {number}"
        if (level.step is None) != (number == 0) or (level.decoder is None) != (number == last):
            raise ConfigError(
                f"{place}: every level but the first has a step, every one but the last a decoder"
            )
        if not 0 <= level.dropout < 1:
            raise ConfigError(f"{place}: dropout {level.dropout}: give 0 or more, below 1")
        if level.step is not None:
            _check_axes(level.step.stride, dims, f"{place}: stride")
            if level.step.up.width < 1:
                raise ConfigError(f"{place}: up width {level.step.up.width}: give 1 or more")
        for block in (level.encoder, level.decoder):
            if block is None:
                continue
            if not block.widths or min(block.widths) < 1:
                raise ConfigError(f"{place}: widths {block.widths}: give one or more above 0")
            _check_axes(block.kernel_size, dims, f"{place}: kernel_size")
            if any(edge % 2 == 0 for edge in block.kernel_size):
                raise ConfigError(f"{place}: kernel_size {block.kernel_size}: give odd numbers")


def _check_axes(size: Size, dims: int, what: str) -> None:
    if len(size) != dims or min(size) < 1:
        raise ConfigError(f"{what} {size}: give {dims} numbers above 0")
