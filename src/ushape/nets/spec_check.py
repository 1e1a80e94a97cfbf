"""Refuses descriptions that no builder could honour, such as hand-edited model files. No torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from ushape.errors import ConfigError, nearest_name
from ushape.nets.parts import (
    Add,
    AttentionMap,
    BackboneDown,
    Block,
    BlockDown,
    BottleneckBlock,
    ConvDown,
    DepthwiseBlock,
    FineHead,
    InceptionBlock,
    InceptionDown,
    LinearUp,
    LinkUp,
    NoBlock,
    PlainBlock,
    PublishedMap,
    RepeatUp,
    ResidualBlock,
    Step,
    VNetBlock,
)

if TYPE_CHECKING:
    from ushape.nets.spec import NetworkSpec
    from ushape.nets.wiring import Node
    from ushape.sizes import Size


def check(spec: NetworkSpec) -> None:
    """Check a whole description.

    Raises:
        ConfigError: What is wrong, where, and what is allowed.
    """
    _check_frame(spec)
    for number in range(len(spec.levels)):
        _check_level(spec, number)
    for node in spec.nodes:
        _check_node(spec, node)
    _check_outputs(spec)


def _check_frame(spec: NetworkSpec) -> None:
    if spec.kit.spatial_dims not in (2, 3):
        raise ConfigError(f"{spec.name}: spatial_dims is {spec.kit.spatial_dims}: give 2 or 3")
    if len(spec.levels) < 2:
        raise ConfigError(f"{spec.name}: {len(spec.levels)} level: a U needs two at least")
    if min(spec.in_channels, spec.classes) < 1:
        raise ConfigError(
            f"{spec.name}: in_channels={spec.in_channels}, classes={spec.classes}: give 1 or more"
        )
    if spec.levels[-1].encoder is None:
        raise ConfigError(f"{spec.name}: the lowest level needs an encoder block")
    if spec.takes_any_size and spec.kit.padding == "valid":
        raise ConfigError(f"{spec.name}: takes_any_size is for networks that pad")


def _check_level(spec: NetworkSpec, number: int) -> None:
    level, last = spec.levels[number], len(spec.levels) - 1
    place = f"{spec.name}, level {number}"
    if (level.step is None) != (number == 0) or (level.decoder is None) != (number == last):
        raise ConfigError(
            f"{place}: every level but the first has a step, every one but the last a decoder"
        )
    if level.encoder is None and spec.backbone is None:
        raise ConfigError(f"{place}: only a backbone may leave out an encoder block")
    if not 0 <= level.dropout < 1:
        raise ConfigError(f"{place}: dropout {level.dropout}: give 0 or more, below 1")
    if level.attention is not None:
        _check_kernel(spec, level.attention.kernel_size, f"{place}, attention")
    if level.step is not None:
        _check_axes(level.step.stride, spec.kit.spatial_dims, f"{place}: stride")
        for width in (level.step.up.width, getattr(level.step.down, "width", 1)):
            if width < 1:
                raise ConfigError(f"{place}: width of a step {width}: give 1 or more")
        if isinstance(level.step.up, LinearUp) and level.step.up.kernel_size is not None:
            _check_kernel(spec, level.step.up.kernel_size, f"{place}, up")
        if isinstance(level.step.down, ConvDown):
            _check_axes(level.step.down.kernel_size, spec.kit.spatial_dims, f"{place}, down")
        _check_down(spec, level.step, place)
    for block in (level.encoder, level.decoder):
        if block is None:
            continue
        if not block.widths or min(block.widths) < 1:
            raise ConfigError(f"{place}: widths {block.widths}: give one or more above 0")
        if not isinstance(block, PublishedMap | NoBlock):
            _check_kernel(spec, block.kernel_size, place)


def _check_down(spec: NetworkSpec, step: Step, place: str) -> None:
    if isinstance(step.down, BackboneDown) != (spec.backbone is not None):
        raise ConfigError(f"{place}: the ways down of a backbone, and only they, are its own")
    kernel = step.down.kernel_size if isinstance(step.down, ConvDown) else step.stride
    if spec.kit.padding != "valid":
        axes = zip(kernel, step.stride, strict=True)
        if any(edge % 2 == 0 and stride == 1 for edge, stride in axes):
            raise ConfigError(f"{place}: kernel {kernel} down: give odd numbers where stride is 1")
    elif isinstance(step.down, InceptionDown | BlockDown) or kernel != step.stride:
        raise ConfigError(
            f"{place}: in unpadded networks the windows of a way down must not overlap: use "
            "max-pooling, or a convolution as large as its stride"
        )


def _check_node(spec: NetworkSpec, node: Node) -> None:
    """Check what a node's block and merge ask of the channels that arrive."""
    place = f"{spec.name}, node {node.name}"
    _check_block(spec, spec.block(node), spec.channels_into(node), place)
    if node.column == 0:
        step = spec.levels[node.level].step
        block = spec.block(node)
        strides = step is not None and isinstance(step.down, BlockDown)
        if strides and not isinstance(block, PlainBlock | ResidualBlock):
            _refuse(place, f"a {block.kind} block cannot stride: use another way down")
        if step is not None and isinstance(step.down, InceptionDown):
            given = spec.width(node.source or "")
            if step.down.width != 2 * given or given % 4:
                _refuse(
                    place, f"inception makes {given} channels 2 x {given}, of a multiple of four"
                )
        return
    up = spec.step(node.level + 1).up
    below = spec.width(node.source or "")
    if isinstance(up, LinkUp):
        _check_smooth(spec.step(node.level + 1).stride, place)
    if isinstance(up, RepeatUp) and up.width != below:
        _refuse(place, f"repeating keeps {below} channels, not {up.width}")
    if isinstance(spec.merge, Add) and any(spec.width(name) != up.width for name in node.skips):
        _refuse(place, f"added maps need the {up.width} channels of the way up")
    _check_padding_of_block(spec, node, place)


def _check_block(spec: NetworkSpec, block: Block, given: int, place: str) -> None:
    if isinstance(block, PublishedMap) and spec.backbone is None:
        _refuse(place, "a published map needs a backbone")
    if isinstance(block, NoBlock) and block.widths != (given,):
        _refuse(place, f"without a block {given} channels stay, not {block.widths}")
    if isinstance(block, BottleneckBlock | InceptionBlock) and any(w % 4 for w in block.widths):
        _refuse(place, f"widths {block.widths} of a {block.kind} block: give multiples of four")
    if isinstance(block, DepthwiseBlock) and not block.pointwise and set(block.widths) != {given}:
        _refuse(
            place,
            f"a depthwise block without pointwise halves keeps its {given} channels, "
            f"widths {block.widths} are asked",
        )
    if isinstance(block, VNetBlock) and 1 < given > block.widths[-1] and block.adds == "input":
        _refuse(place, f"{given} channels cannot be added to {block.widths[-1]}")
    if isinstance(block, ResidualBlock) and (block.repeats < 1 or block.stem < 0):
        _refuse(place, f"repeats={block.repeats}, stem={block.stem}: give 1 and 0 or more")


def _check_padding_of_block(spec: NetworkSpec, node: Node, place: str) -> None:
    block = spec.block(node)
    if isinstance(block, VNetBlock) and block.adds == "enlarged":
        enlarged = spec.step(node.level + 1).up.width
        if enlarged > block.widths[-1]:
            _refuse(place, f"{enlarged} channels cannot be added to {block.widths[-1]}")


def _check_outputs(spec: NetworkSpec) -> None:
    for auxiliary in spec.auxiliary:
        if isinstance(auxiliary, FineHead):
            if auxiliary.classes < 1:
                raise ConfigError(f"{spec.name}: fine classes {auxiliary.classes}: give 1 or more")
            continue
        _check_name(spec, auxiliary.node, "an auxiliary output")
        if (
            isinstance(auxiliary, AttentionMap)
            and spec.attention(spec.node(auxiliary.node)) is None
        ):
            raise ConfigError(f"{spec.name}: node {auxiliary.node} has no attention")
    if len(set(spec.auxiliary)) != len(spec.auxiliary):
        raise ConfigError(f"{spec.name}: an auxiliary output is listed twice")
    for name in spec.frozen:
        _check_name(spec, name, "a frozen node")
    if spec.branch is not None:
        _check_name(spec, spec.branch.node, "the branch")
        wrong = [k for k in spec.branch.classes if not 0 <= k < spec.classes]
        if (
            wrong
            or not spec.branch.classes
            or len(set(spec.branch.classes)) < len(spec.branch.classes)
        ):
            raise ConfigError(
                f"{spec.name}: branch for classes {spec.branch.classes}: give different logit "
                f"channels from 0 to {spec.classes - 1}"
            )
        _check_smooth(spec.stride(spec.node(spec.branch.node).level), f"{spec.name}, branch")
    if spec.head_kernel is not None:
        _check_kernel(spec, spec.head_kernel, f"{spec.name}, head")


def _check_smooth(stride: Size, place: str) -> None:
    if any(edge % 2 and edge > 1 for edge in stride):
        raise ConfigError(f"{place}: enlarging by {stride} in one step: give even strides, or 1")


def _check_name(spec: NetworkSpec, name: str, what: str) -> None:
    known = [node.name for node in spec.nodes]
    if name not in known:
        near = nearest_name(name, known)
        hint = f": did you mean {near!r}?" if near else "."
        raise ConfigError(
            f"{spec.name}: there is no node {name!r} for {what}{hint} (nodes: {', '.join(known)})"
        )


def _check_kernel(spec: NetworkSpec, kernel_size: Size, place: str) -> None:
    _check_axes(kernel_size, spec.kit.spatial_dims, f"{place}: kernel_size")
    if any(edge % 2 == 0 for edge in kernel_size):
        raise ConfigError(f"{place}: kernel_size {kernel_size}: give odd numbers")


def _check_axes(size: Size, dims: int, what: str) -> None:
    if len(size) != dims or min(size) < 1:
        raise ConfigError(f"{what} {size}: give {dims} numbers above 0")


def _refuse(place: str, why: str) -> NoReturn:
    raise ConfigError(f"{place}: {why}")
