"""How many parameters the parts of a network have, layer by layer. No torch.

The counterpart of `kit`, `blocks`, `encoders` and `decoder` for `parameters`.
"""

# ruff: noqa: D102 (each method counts the layer that the method of `LayerKit` makes)

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import assert_never

from ushape.nets.parts import (
    BackboneDown,
    BareBlock,
    Block,
    BlockDown,
    BottleneckBlock,
    ConvDown,
    DepthwiseBlock,
    Ending,
    InceptionBlock,
    InceptionDown,
    KitSpec,
    LinearUp,
    LinkUp,
    MaxPool,
    NearestUp,
    NoBlock,
    PlainBlock,
    PublishedMap,
    RepeatUp,
    ResidualBlock,
    Step,
    TransposedUp,
    VNetBlock,
)
from ushape.sizes import Size


@dataclass
class Tally:
    """Adds up layers as `kit.LayerKit` makes them."""

    kit: KitSpec
    parameters: int = field(default=0, init=False)
    running: int = field(default=0, init=False)

    def conv(self, given: int, width: int, kernel: Size, *, bias: bool = True) -> None:
        self.parameters += given * width * math.prod(kernel) + (width if bias else 0)

    def pointwise(self, given: int, width: int, *, bias: bool = True) -> None:
        self.conv(given, width, (), bias=bias)

    def norm(self, channels: int) -> None:
        self.parameters += 0 if self.kit.norm == "none" else 2 * channels
        self.running += 2 * channels if self.kit.norm == "batch" else 0

    def activation(self, channels: int) -> None:
        self.parameters += channels if self.kit.activation == "prelu" else 0

    def unit(self, given: int, width: int, kernel: Size, *, ends_active: bool = True) -> None:
        self.conv(given, width, kernel)
        self.norm(width)
        if ends_active:
            self.activation(width)

    def ending(self, ending: Ending, channels: int) -> None:
        if ending == "normed":
            self.norm(channels)
        if ending != "bare":
            self.activation(channels)

    def smooth(self, channels: int, stride: Size) -> None:
        kernel = tuple(2 * edge if edge > 1 else 1 for edge in stride)
        self.conv(channels, channels, kernel)


def count_block(tally: Tally, given: int, block: Block) -> None:
    """Count a block that reads `given` channels."""
    if isinstance(block, NoBlock | PublishedMap):
        return
    if isinstance(block, ResidualBlock):
        _residual(tally, given, block)
        return
    kernel = block.kernel_size
    for width in block.widths:
        if isinstance(block, PlainBlock | VNetBlock):
            tally.unit(given, width, kernel)
        elif isinstance(block, BareBlock):
            tally.conv(given, width, kernel)
        elif isinstance(block, DepthwiseBlock):
            tally.unit(1, given, kernel)
            if block.pointwise:
                tally.unit(given, width, ())
        elif isinstance(block, BottleneckBlock):
            tally.unit(given, width // 4, ())
            tally.unit(width // 4, width // 4, kernel)
            tally.unit(width // 4, width, (), ends_active=False)
            if given != width:
                tally.unit(given, width, (), ends_active=False)
            tally.activation(width)
        elif isinstance(block, InceptionBlock):
            _inception(tally, given, width, kernel)
        else:
            assert_never(block)
        given = width


def _residual(tally: Tally, given: int, block: ResidualBlock) -> None:
    kernel, end = block.kernel_size, block.widths[-1]
    if block.stem:
        tally.unit(given, block.stem, kernel)
        given = block.stem
    for _ in range(block.repeats):
        inner = given
        for place, width in enumerate(block.widths):
            tally.unit(inner, width, kernel, ends_active=place < len(block.widths) - 1)
            inner = width
        if given != end:
            has_norm = block.shortcut == "project_norm"
            tally.pointwise(given, end, bias=not has_norm)
            if has_norm:
                tally.norm(end)
        tally.activation(end)
        given = end


def _inception(tally: Tally, given: int, width: int, kernel: Size) -> None:
    quarter = width // 4
    for _ in range(3):
        tally.unit(given, quarter, ())
    tally.unit(quarter, width // 2, kernel)
    tally.unit(quarter, quarter, kernel)
    tally.unit(quarter, quarter, kernel)


def count_down(tally: Tally, given: int, step: Step) -> None:
    """Count a way down from `given` channels."""
    down = step.down
    if isinstance(down, MaxPool | BlockDown | BackboneDown):
        return
    if isinstance(down, ConvDown):
        tally.conv(given, down.width, down.kernel_size)
        tally.ending(down.ending, down.width)
    elif isinstance(down, InceptionDown):
        kernel = tuple(3 if edge > 1 else 1 for edge in step.stride)
        tally.unit(given, given // 2, kernel)
        tally.unit(given, given // 4, ())
        tally.unit(given // 4, given // 4, (3,) * len(kernel))
        tally.unit(given // 4, given // 2, kernel)
    else:
        assert_never(down)


def count_up(tally: Tally, given: int, step: Step) -> None:
    """Count a way up from `given` channels."""
    up = step.up
    if isinstance(up, RepeatUp):
        return
    if isinstance(up, LinkUp):
        inner = max(1, given // 4)
        tally.unit(given, inner, ())
        tally.smooth(inner, step.stride)
        tally.ending("normed", inner)
        tally.unit(inner, up.width, ())
        return
    if isinstance(up, NearestUp):
        tally.conv(given, up.width, step.stride)
    elif isinstance(up, TransposedUp):
        tally.conv(given, up.width, step.stride, bias=up.bias)
    elif isinstance(up, LinearUp):
        tally.conv(given, up.width, up.kernel_size or ())
    else:
        assert_never(up)
    tally.ending(up.ending, up.width)


def count_gate(tally: Tally, channels: int, below: int, stride: Size) -> None:
    """Count the attention gate of a skip, steered by `below` channels."""
    tally.conv(channels, channels, stride, bias=False)
    tally.pointwise(below, channels)
    tally.pointwise(channels, 1)
    tally.pointwise(channels, channels)
    tally.norm(channels)
