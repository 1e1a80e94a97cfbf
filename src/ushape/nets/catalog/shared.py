"""Options that several entries share, and the shapes of U that papers share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from ushape.errors import ConfigError
from ushape.nets.options import Choice, Edge, Flag, Fraction, Option, Whole, Wholes
from ushape.nets.parts import (
    Activation,
    Block,
    BottleneckBlock,
    ConvolvingBlock,
    DepthwiseBlock,
    InceptionBlock,
    LevelSpec,
    LinearUp,
    MaxPool,
    NearestUp,
    NodeHead,
    Norm,
    PlainBlock,
    ResidualBlock,
    Step,
    TransposedUp,
)
from ushape.nets.wiring import Node
from ushape.sizes import Size, per_axis

UpName = Literal["nearest", "transposed", "linear"]
BlockName = Literal["plain", "residual", "bottleneck", "depthwise", "inception"]

_UPS = {cls.kind: cls for cls in (NearestUp, TransposedUp, LinearUp)}
_BLOCKS: dict[str, type[ConvolvingBlock]] = {
    cls.kind: cls
    for cls in (PlainBlock, ResidualBlock, BottleneckBlock, DepthwiseBlock, InceptionBlock)
}
ACTIVATIONS = ("relu", "leaky_relu", "prelu", "elu", "silu", "gelu")

Dims2 = Annotated[int, Option(Choice((2,)), "axes of an image")]
Dims3 = Annotated[int, Option(Choice((3,)), "axes of an image")]
Dims = Annotated[int, Option(Choice((2, 3)), "axes of an image")]
Levels = Annotated[int, Option(Whole(3, 6), "resolutions, the full one included")]
Width = Annotated[int, Option(Whole(1, 1024), "channels of level 0; every level doubles them")]
Widths = Annotated[
    tuple[int, ...] | None,
    Option(Wholes(3, 8, 1, 65536), "channels of every level", replaces=("levels", "width")),
]
NumConvs = Annotated[int, Option(Whole(1, 8), "convolutions a block")]
KernelSize = Annotated[int | Size, Option(Edge((1, 3, 5, 7)), "kernel of the convolutions")]
Stride = Annotated[int | Size, Option(Edge((1, 2)), "how much smaller each level is")]
UpOption = Annotated[
    UpName,
    Option(
        Choice(tuple(_UPS)),
        "how maps are enlarged: nearest-neighbour and 2x2 convolution, transposed 2x2 "
        "convolution (same parameters, faster), or 1x1 convolution and linear interpolation",
    ),
]
AlignCorners = Annotated[
    bool,
    Option(
        Flag(),
        "linear interpolation maps corner pixels on corner pixels, as the Keras originals did; "
        "tiles then no longer equal the whole image",
    ),
]
Dropout = Annotated[float, Option(Fraction(), "dropout at the end of the two lowest levels")]
NormOption = Annotated[
    Norm, Option(Choice(("batch", "instance", "none")), "norm after every convolution")
]
ActivationOption = Annotated[Activation, Option(Choice(ACTIVATIONS), "activation after every norm")]
Slope = Annotated[float, Option(Fraction(), "slope of leaky_relu below zero (Keras: 0.3)")]
BlockOption = Annotated[
    BlockName,
    Option(Choice(tuple(_BLOCKS)), "what computes a node's features, one unit a convolution"),
]
DeepSupervision = Annotated[
    bool, Option(Flag(), "further logits from inner decoder nodes, for training")
]


def axes(option: str, value: int | Size, spatial_dims: int) -> Size:
    """Bring an option that is one number, or one an axis, to one an axis."""
    try:
        return per_axis(value, spatial_dims)
    except ConfigError as error:
        raise ConfigError(f"{option}: {error}") from error


def doubling(width: int, levels: int) -> Size:
    """Return the channels of every level: each has twice those above."""
    return tuple(width * 2**level for level in range(levels))


def make_block(kind: BlockName, widths: Sequence[int], kernel_size: Size) -> ConvolvingBlock:
    """Make a block with one unit a width."""
    return _BLOCKS[kind](tuple(widths), kernel_size)


def make_up(
    name: UpName, width: int, *, align_corners: bool = False
) -> NearestUp | TransposedUp | LinearUp:
    """Make a way up."""
    if align_corners:
        if name != "linear":
            raise ConfigError(f"align_corners is for up=linear, not up={name}")
        return LinearUp(width, align_corners=True)
    return _UPS[name](width)


def symmetric(
    blocks: Sequence[Block],
    stride: Size,
    up: UpName,
    dropout: float,
    *,
    align_corners: bool = False,
) -> tuple[LevelSpec, ...]:
    """Make levels with the same block on both paths; the way up has the width of its level."""
    last = len(blocks) - 1
    return tuple(
        LevelSpec(
            encoder=block,
            decoder=block if level < last else None,
            step=Step(
                stride,
                MaxPool(),
                make_up(up, blocks[level - 1].widths[-1], align_corners=align_corners),
            )
            if level
            else None,
            dropout=dropout if level >= last - 1 else 0.0,
        )
        for level, block in enumerate(blocks)
    )


def supervised(nodes: Sequence[Node]) -> tuple[NodeHead, ...]:
    """Make auxiliary logits of the given nodes."""
    return tuple(NodeHead(node.name) for node in nodes)
