"""Which layers stand between a map and the maps that it reads, along one axis. No torch.

The counterpart of `blocks`, `encoders`, `decoder` and `heads` for `geometry`: a new kind of part
gets its builder there and its arithmetic here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_never

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


def node_layers(
    spec: NetworkSpec, node: Node, axis: int, extents: Mapping[str, Extent]
) -> tuple[tuple[str, Layers], ...]:
    """List every way into a node: the map that it starts from (`input` is the image), the layers.

    Args:
        extents: Of the maps before the node.
    """
    if node.column == 0:
        return ((node.source or "input", _encoder_layers(spec, node, axis)),)
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


def _encoder_layers(spec: NetworkSpec, node: Node, axis: int) -> Layers:
    level = spec.levels[node.level]
    if node.source is None and level.step is None:
        return (*_attention(spec, node, axis), *_block(spec, spec.block(node), axis))
    if spec.backbone is not None:
        # Not looked into: the resolution alone.
        shrink = spec.stride(node.level)[axis]
        above = spec.stride(spec.node(node.source).level)[axis] if node.source else 1
        return (pool(shrink // above),)
    step = spec.step(node.level)
    stride = step.stride[axis]
    down = _down(step, axis)
    if isinstance(step.down, BlockDown):
        return _block(spec, spec.block(node), axis, stride=stride)
    return (*down, *_attention(spec, node, axis), *_block(spec, spec.block(node), axis))


def _decoder_ways(
    spec: NetworkSpec, node: Node, axis: int, extents: Mapping[str, Extent]
) -> tuple[tuple[str, Layers], ...]:
    assert node.source is not None, "decoder nodes read the level below"
    step = spec.step(node.level + 1)
    stride = step.stride[axis]
    block = (*_attention(spec, node, axis), *_block(spec, spec.block(node), axis))
    up = _up(spec, step, axis)
    enlarged = extents[node.source]
    for layer in up:
        enlarged = layer.extent(enlarged)
    ways: list[tuple[str, Layers]] = [(node.source, (*up, *block))]
    is_gated = isinstance(spec.merge, GatedConcatenate)
    for name in node.skips:
        crop = Crop((enlarged.loss - extents[name].loss) // enlarged.stride // 2)
        ways.append((name, (crop, *block)))
        if is_gated:  # the coefficients: down to the gate's resolution and linearly back
            ways.append((name, (crop, pool(stride), Interpolate(stride), *block)))
    if is_gated:
        ways.append((node.source, (Interpolate(stride), *block)))
    return tuple(ways)


def _convolution(spec: NetworkSpec, kernel: int) -> Convolve:
    pad = (kernel - 1) // 2 if spec.kit.padding != "valid" else 0
    return Convolve(kernel, pad, pad)


def _attention(spec: NetworkSpec, node: Node, axis: int) -> Layers:
    attention = spec.attention(node)
    return (_convolution(spec, attention.kernel_size[axis]),) * 2 if attention else ()


def _block(spec: NetworkSpec, block: Block, axis: int, *, stride: int = 1) -> Layers:
    """List the layers of a block's longest way; the shorter ones see less."""
    if isinstance(block, NoBlock | PublishedMap):
        return ()
    one = _convolution(spec, block.kernel_size[axis])
    if isinstance(block, PlainBlock | BareBlock | VNetBlock | DepthwiseBlock | BottleneckBlock):
        count = len(block.widths)
    elif isinstance(block, InceptionBlock):
        count = 2 * len(block.widths)
    elif isinstance(block, ResidualBlock):
        count = len(block.widths) * block.repeats + (1 if block.stem else 0)
    else:
        assert_never(block)
    if stride == 1:
        return (one,) * count
    return (Convolve(one.kernel, one.before, one.after, stride), *(one,) * (count - 1))


def _down(step: Step, axis: int) -> Layers:
    down, stride = step.down, step.stride[axis]
    if isinstance(down, MaxPool):
        return (pool(stride),)
    if isinstance(down, ConvDown):
        return (_strided(down.kernel_size[axis], stride, down.padding),)
    if isinstance(down, InceptionDown):
        return (Convolve(3, 1, 1), _strided(3 if stride > 1 else 1, stride, down.padding))
    if isinstance(down, BlockDown | BackboneDown):
        return ()
    assert_never(down)


def _strided(kernel: int, stride: int, padding: StridePadding) -> Convolve:
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
