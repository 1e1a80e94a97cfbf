"""What the parts of a network are called in figures: a few words for every kind. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from ushape.nets.parts import (
    Attention,
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

ACTIVATION_NAMES = {
    "relu": "ReLU",
    "leaky_relu": "LeakyReLU",
    "prelu": "PReLU",
    "elu": "ELU",
    "silu": "SiLU",
    "gelu": "GELU",
}


def times(size: Sequence[int]) -> str:
    """Write a kernel or a stride.

    >>> times((1, 3, 3))
    '1x3x3'
    """
    return "x".join(map(str, size))


def ones(kit: KitSpec) -> str:
    """Write the kernel of a pointwise convolution."""
    return times((1,) * kit.spatial_dims)


def activation_name(kit: KitSpec) -> str:
    """Name the activation behind norms."""
    return ACTIVATION_NAMES[kit.activation]


def followed(kit: KitSpec, layers: str, ending: Ending = "normed") -> str:
    """Say what follows some layers.

    >>> followed(KitSpec(2, "same", "batch"), "conv 3x3")
    'conv 3x3, batch norm, ReLU'
    """
    words = [layers]
    if ending == "normed" and kit.norm != "none":
        words.append(f"{kit.norm} norm")
    if ending != "bare":
        words.append(activation_name(kit))
    return ", ".join(words)


def unit_text(kit: KitSpec, block: Block) -> str:
    """Describe what a block does once a width (or, residual blocks, once a repeat)."""
    if isinstance(block, NoBlock):
        return "no layers"
    if isinstance(block, PublishedMap):
        return "the backbone's map"
    kernel = times(block.kernel_size)
    if isinstance(block, PlainBlock | VNetBlock):
        return followed(kit, f"conv {kernel}")
    if isinstance(block, BareBlock):
        return f"conv {kernel}"
    if isinstance(block, DepthwiseBlock):
        text = followed(kit, f"depthwise conv {kernel}")
        return f"{text}, {followed(kit, f'conv {ones(kit)}')}" if block.pointwise else text
    if isinstance(block, ResidualBlock):
        body = _repeated(len(block.widths), followed(kit, f"conv {kernel}"))
        return f"{_grouped(body)} + input"
    if isinstance(block, BottleneckBlock):
        return f"bottleneck {kernel}"
    if isinstance(block, InceptionBlock):
        return f"inception {kernel}"
    assert_never(block)


def block_text(kit: KitSpec, block: Block) -> str:
    """Describe a whole block, its channels where they change inside.

    >>> block_text(KitSpec(3, "same", "none"), PlainBlock((32, 64), (3, 3, 3)))
    '2 x (conv 3x3x3, ReLU) to 32, 64'
    """
    unit = unit_text(kit, block)
    if isinstance(block, NoBlock | PublishedMap):
        return unit
    if isinstance(block, ResidualBlock):
        text = f"{block.repeats} x [{unit}]" if block.repeats > 1 else unit
        if block.stem:
            text = f"{followed(kit, f'conv {times(block.kernel_size)}')}; {text}"
    else:
        text = _repeated(len(block.widths), unit)
    if len(set(block.widths)) > 1:
        text += f" to {', '.join(map(str, block.widths))}"
    if isinstance(block, VNetBlock):
        return f"{_grouped(text)} + {'input' if block.adds == 'input' else 'enlarged map'}"
    if isinstance(block, DepthwiseBlock) and block.adds == "input":
        return f"{_grouped(text)} + input"
    return text


def down_text(kit: KitSpec, step: Step) -> str:
    """Describe a way down."""
    down, stride = step.down, times(step.stride)
    if isinstance(down, MaxPool):
        return f"max-pool {stride}"
    if isinstance(down, ConvDown):
        kernel = times(down.kernel_size)
        text = f"conv {kernel}" if kernel == stride else f"conv {kernel} by"
        return followed(kit, f"{text} stride {stride}", down.ending)
    if isinstance(down, InceptionDown):
        return f"inception reduction {stride}"
    if isinstance(down, BlockDown):
        return f"stride {stride} in the block"
    if isinstance(down, BackboneDown):
        return "inside the backbone"
    assert_never(down)


def up_text(kit: KitSpec, step: Step) -> str:
    """Describe a way up."""
    up, stride = step.up, times(step.stride)
    if isinstance(up, NearestUp):
        return followed(kit, f"nearest, conv {stride}", up.ending)
    if isinstance(up, TransposedUp):
        return followed(kit, f"transposed conv {stride}", up.ending)
    if isinstance(up, LinearUp):
        if up.kernel_size is None:
            return followed(kit, f"conv {ones(kit)}, linear {stride}", up.ending)
        return followed(kit, f"linear {stride}, conv {times(up.kernel_size)}", up.ending)
    if isinstance(up, RepeatUp):
        return f"nearest {stride}"
    if isinstance(up, LinkUp):
        kernel = times([2 * edge if edge > 1 else 1 for edge in step.stride])
        return f"conv {ones(kit)}, transposed conv {kernel}, conv {ones(kit)}"
    assert_never(up)


def attention_text(attention: Attention) -> str:
    """Describe the attention before a block."""
    return f"attention {times(attention.kernel_size)}"


def _repeated(count: int, unit: str) -> str:
    return f"{count} x ({unit})" if count > 1 else unit


def _grouped(text: str) -> str:
    return text if text[0].isdigit() or ", " not in text else f"({text})"
