"""How many parameters every part of a network has, by arithmetic on its specification.

No torch (but for a library's encoder, which has to be built). The counterpart of `blocks`,
`encoders`, `decoder`, `skips` and `heads` for counting, as `axis_layers` is for sizes; a test
compares both for every entry.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
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
    FineHead,
    GatedConcatenate,
    InceptionBlock,
    InceptionDown,
    KitSpec,
    LinearUp,
    LinkUp,
    MaxPool,
    NearestUp,
    NoBlock,
    NodeHead,
    PlainBlock,
    PublishedMap,
    RepeatUp,
    ResidualBlock,
    Step,
    TransposedUp,
    VNetBlock,
)
from ushape.nets.spec import NetworkSpec
from ushape.nets.wiring import Node
from ushape.sizes import Size

BACKBONE, HEAD, BRANCH, FINE_HEAD = "backbone", "head", "branch", "head fine"


def head_part(node: str) -> str:
    """Name the auxiliary head of a node.

    >>> head_part("x_0_1")
    'head x_0_1'
    """
    return f"head {node}"


@dataclass(frozen=True)
class ParameterCounts:
    """Parameters by part, and sums.

    Attributes:
        by_part: Of every node (the way up or down to it, gates and attention included) and of
            `head`, `head NODE`, `head fine`, `branch` and `backbone`, where there are such.
        trainable: Weights and biases that training changes.
        frozen: Weights and biases that it does not.
        running: Running means and variances of batch norm.
    """

    by_part: Mapping[str, int]
    trainable: int
    frozen: int
    running: int

    @property
    def all(self) -> int:
        """Trainable and frozen parameters, and running statistics."""
        return self.trainable + self.frozen + self.running


def count_parameters(spec: NetworkSpec) -> ParameterCounts:
    """Count a network's parameters.

    >>> from ushape.nets import make_spec
    >>> count_parameters(make_spec("unet_original")).trainable
    31030593
    """
    by_part: dict[str, int] = {}
    running = frozen = 0
    if spec.backbone is not None:
        by_part[BACKBONE], frozen, running = _backbone(spec)
    for node in spec.nodes:
        if spec.backbone is not None and node.column == 0:
            by_part[node.name] = 0
            continue
        tally = _node(spec, node)
        by_part[node.name] = tally.parameters
        running += tally.running
        frozen += tally.parameters if node.name in spec.frozen else 0
    by_part |= _outputs(spec)
    trainable = sum(by_part.values()) - frozen
    return ParameterCounts(by_part, trainable, frozen, running)


@dataclass
class _Tally:
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


def _node(spec: NetworkSpec, node: Node) -> _Tally:
    tally = _Tally(spec.kit)
    given = spec.channels_into(node)
    if node.column == 0:
        if node.source is not None:
            _down(tally, spec.width(node.source), spec.step(node.level))
    else:
        assert node.source is not None, "decoder nodes read the level below"
        below, step = spec.width(node.source), spec.step(node.level + 1)
        _up(tally, below, step)
        if isinstance(spec.merge, GatedConcatenate):
            for name in node.skips:
                _gate(tally, spec.width(name), below, step.stride)
    attention = spec.attention(node)
    if attention is not None:
        inner = max(1, given // 2)
        tally.conv(given, inner, attention.kernel_size)
        tally.conv(inner, 1, attention.kernel_size)
    _block(tally, given, spec.block(node))
    return tally


def _block(tally: _Tally, given: int, block: Block) -> None:
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


def _residual(tally: _Tally, given: int, block: ResidualBlock) -> None:
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


def _inception(tally: _Tally, given: int, width: int, kernel: Size) -> None:
    quarter = width // 4
    for _ in range(3):
        tally.unit(given, quarter, ())
    tally.unit(quarter, width // 2, kernel)
    tally.unit(quarter, quarter, kernel)
    tally.unit(quarter, quarter, kernel)


def _down(tally: _Tally, given: int, step: Step) -> None:
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


def _up(tally: _Tally, given: int, step: Step) -> None:
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


def _gate(tally: _Tally, channels: int, below: int, stride: Size) -> None:
    tally.conv(channels, channels, stride, bias=False)
    tally.pointwise(below, channels)
    tally.pointwise(channels, 1)
    tally.pointwise(channels, channels)
    tally.norm(channels)


def _outputs(spec: NetworkSpec) -> dict[str, int]:
    """Count the heads and the branch."""
    output, kernel = spec.nodes[-1].name, spec.head_kernel or ()
    wanted = {HEAD: (output, spec.classes)}
    for auxiliary in spec.auxiliary:
        if isinstance(auxiliary, NodeHead):
            wanted[head_part(auxiliary.node)] = (auxiliary.node, spec.classes)
        elif isinstance(auxiliary, FineHead):
            wanted[FINE_HEAD] = (output, auxiliary.classes)
    found = {}
    for part, (node, classes) in wanted.items():
        tally = _Tally(spec.kit)
        tally.conv(spec.width(node), classes, kernel)
        found[part] = tally.parameters
    if spec.branch is not None:
        found[BRANCH] = _branch(spec)
    return found


def _branch(spec: NetworkSpec) -> int:
    assert spec.branch is not None
    count = len(spec.branch.classes)
    tally = _Tally(spec.kit)
    tally.pointwise(spec.width(spec.branch.node), count)
    stride = spec.stride(spec.node(spec.branch.node).level)
    if max(stride) > 1:
        enlarge = _Tally(spec.kit)
        enlarge.smooth(1, stride)  # one kernel a class; a bias only where there is one class
        tally.parameters += enlarge.parameters if count == 1 else count * (enlarge.parameters - 1)
    return tally.parameters


def _backbone(spec: NetworkSpec) -> tuple[int, int, int]:
    """Build a library's encoder without data: its parameters, the frozen ones, running values."""
    import torch

    from ushape.nets.network import SegmentationNetwork

    with torch.device("meta"):
        network = SegmentationNetwork(spec)
    parameters = list(network.encoder.parameters())
    frozen = sum(p.numel() for p in parameters if not p.requires_grad)
    running = sum(
        buffer.numel() for name, buffer in network.encoder.named_buffers() if "running_" in name
    )
    return sum(p.numel() for p in parameters), frozen, running
