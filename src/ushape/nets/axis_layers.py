"""Which layers stand between a map and the maps that it reads, along one axis. No torch.

The counterpart of `blocks`, `encoders`, `decoder` and `heads` for `geometry`: a new kind of part
gets its builder there and its arithmetic here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_never

from ushape.errors import ConfigError
from ushape.nets.axis import AxisLayer, Convolve, Crop, Extent, Interpolate, Repeat, pool
from ushape.nets.parts import (
    BackboneDown,
    BareBlock,
    Block,
    BlockDown,
    BottleneckBlock,
    ConvDown,
    DepthwiseBlock,
    GatedConcatenate,
    InceptionBlock,
    InceptionDown,
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
    StridePadding,
    TransposedUp,
    VNetBlock,
)
from ushape.nets.spec import NetworkSpec
from ushape.nets.wiring import Node

Layers = tuple[AxisLayer, ...]
Way = tuple[str, Layers]
"""Where a map is read, and the layers from there."""


def node_layers(
    spec: NetworkSpec, node: Node, axis: int, extents: Mapping[str, Extent]
) -> tuple[Way, ...]:
    """List every way into a node: the map that it starts from (`input` is the image), the layers.

    Args:
        extents: Of the maps before the node.
    """
    if node.column == 0:
        source = node.source or "input"
        return tuple((source, layers) for layers in _encoder_ways(spec, node, axis))
    return _decoder_ways(spec, node, axis, extents)


def head_layers(spec: NetworkSpec, axis: int) -> Layers:
    """List the layers of the head."""
    return (_convolution(spec, spec.head_kernel[axis]),) if spec.head_kernel else ()


def branch_layers(spec: NetworkSpec, axis: int, extents: Mapping[str, Extent]) -> Layers:
    """List the layers of the branch from its node to the logits."""
    assert spec.branch is not None
    stride = spec.stride(spec.node(spec.branch.node).level)[axis]
    surplus = extents["logits"].loss - extents[spec.branch.node].loss
    enlarge: Layers = (Interpolate(stride),) if stride > 1 else ()
    return (*enlarge, Crop(surplus // 2))


def _encoder_ways(spec: NetworkSpec, node: Node, axis: int) -> tuple[Layers, ...]:
    if node.source is None and spec.backbone is None:
        return ((*_attention(spec, node, axis), *_block(spec, spec.block(node), axis)),)
    if spec.backbone is not None:
        # Not looked into: the resolution alone.
        shrink = spec.stride(node.level)[axis]
        above = spec.stride(spec.node(node.source).level)[axis] if node.source else 1
        return ((pool(shrink // above),),)
    step, block = spec.step(node.level), spec.block(node)
    attention = _attention(spec, node, axis)
    if isinstance(step.down, BlockDown):
        # Attention comes first: it stands before the block, which strides.
        strided = _strided_block(spec, block, axis, step.stride[axis])
        return tuple((*attention, *layers) for layers in strided)
    return ((*_down(spec, step, axis), *attention, *_block(spec, block, axis)),)


def _decoder_ways(
    spec: NetworkSpec, node: Node, axis: int, extents: Mapping[str, Extent]
) -> tuple[Way, ...]:
    assert node.source is not None, "decoder nodes read the level below"
    step = spec.step(node.level + 1)
    stride = step.stride[axis]
    block = (*_attention(spec, node, axis), *_block(spec, spec.block(node), axis))
    up = _up(spec, step, axis)
    whole = Interpolate(stride).extent(extents[node.source])  # as the gates see it
    enlarged = extents[node.source]
    for layer in up:
        enlarged = layer.extent(enlarged)

    def crop(given: Extent, wanted: Extent) -> Crop:
        surplus = (wanted.loss - given.loss) // wanted.stride
        if surplus < 0:
            raise ConfigError(
                f"{spec.name}, node {node.name}: unpadded blocks leave a skip smaller than the "
                "enlarged map: use smaller kernels on its level, or pad"
            )
        return Crop(surplus // 2)

    ways: list[Way] = [(node.source, (*up, *block))]
    is_gated = isinstance(spec.merge, GatedConcatenate)
    if is_gated:  # the coefficients: down to the gate's resolution and linearly back
        back: Layers = (Interpolate(stride), crop(whole, enlarged), *block)
        down = _strided(spec, stride, stride, "centred")
        ways.append((node.source, back))
        ways += [(name, (crop(extents[name], whole), down, *back)) for name in node.skips]
    ways += [(name, (crop(extents[name], enlarged), *block)) for name in node.skips]
    return tuple(ways)


def _convolution(spec: NetworkSpec, kernel: int) -> Convolve:
    return _strided(spec, kernel, 1, "centred")


def _attention(spec: NetworkSpec, node: Node, axis: int) -> Layers:
    attention = spec.attention(node)
    return (_convolution(spec, attention.kernel_size[axis]),) * 2 if attention else ()


def _block(spec: NetworkSpec, block: Block, axis: int) -> Layers:
    """List the layers of a block's longest way; the shorter ones see less."""
    if isinstance(block, NoBlock | PublishedMap):
        return ()
    one = _convolution(spec, block.kernel_size[axis])
    if isinstance(block, PlainBlock | BareBlock | VNetBlock | DepthwiseBlock | BottleneckBlock):
        return (one,) * len(block.widths)
    if isinstance(block, InceptionBlock):
        return (one,) * (2 * len(block.widths))
    if isinstance(block, ResidualBlock):
        return (one,) * (len(block.widths) * block.repeats + (1 if block.stem else 0))
    assert_never(block)


def _strided_block(spec: NetworkSpec, block: Block, axis: int, stride: int) -> tuple[Layers, ...]:
    """List the ways through a block whose first convolution strides, none within another."""
    assert isinstance(block, PlainBlock | ResidualBlock), "checked with the specification"
    first = _strided(spec, block.kernel_size[axis], stride, "centred")
    layers = _block(spec, block, axis)
    longest = (first, *layers[1:])
    if isinstance(block, PlainBlock) or block.stem:
        return (longest,)
    # The pooled shortcut reads whole windows; a kernel smaller than the stride does not.
    return (longest, (pool(stride), *layers[len(block.widths) :]))


def _down(spec: NetworkSpec, step: Step, axis: int) -> Layers:
    down, stride = step.down, step.stride[axis]
    if isinstance(down, MaxPool):
        return (pool(stride),)
    if isinstance(down, ConvDown):
        return (_strided(spec, down.kernel_size[axis], stride, down.padding),)
    if isinstance(down, InceptionDown):
        kernel = 3 if stride > 1 else 1
        return (_convolution(spec, 3), _strided(spec, kernel, stride, down.padding))
    if isinstance(down, BlockDown | BackboneDown):
        return ()
    assert_never(down)


def _strided(spec: NetworkSpec, kernel: int, stride: int, padding: StridePadding) -> Convolve:
    if spec.kit.padding == "valid":
        return Convolve(kernel, 0, 0, stride)
    if stride == 1 or padding == "centred":
        return Convolve(kernel, (kernel - 1) // 2, (kernel - 1) // 2, stride)
    surplus = max(0, kernel - stride)
    return Convolve(kernel, surplus // 2, surplus - surplus // 2, stride)


def _up(spec: NetworkSpec, step: Step, axis: int) -> Layers:
    up, stride = step.up, step.stride[axis]
    if isinstance(up, NearestUp):
        return (Repeat(stride), Convolve(stride, 0, stride - 1))
    if isinstance(up, TransposedUp | RepeatUp):
        return (Repeat(stride),)
    if isinstance(up, LinkUp):
        return (Interpolate(stride),) if stride > 1 else ()
    if isinstance(up, LinearUp):
        kernel = up.kernel_size[axis] if up.kernel_size else 1
        return (Interpolate(stride), _convolution(spec, kernel))
    assert_never(up)
