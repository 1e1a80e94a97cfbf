"""Sentences on what the rows of a figure do not show; each is true of the network. No torch."""

from __future__ import annotations

from collections.abc import Iterator

from ushape.nets.parts import (
    Add,
    Attention,
    AttentionMap,
    BottleneckBlock,
    Concatenate,
    ConvDown,
    DepthwiseBlock,
    FineHead,
    GatedConcatenate,
    InceptionBlock,
    InceptionDown,
    LinearUp,
    LinkUp,
    NearestUp,
    NodeHead,
    ResidualBlock,
    TransposedUp,
    VNetBlock,
)
from ushape.nets.phrases import activation_name, ones
from ushape.nets.spec import NetworkSpec

_SENTENCES = {
    VNetBlock: "A block's input (or the enlarged map) is added without weights: one channel is "
    "repeated, missing ones are zero.",
    DepthwiseBlock: "A depthwise convolution has one kernel a channel.",
}


def notes_on(spec: NetworkSpec) -> list[str]:
    """Say what holds for all rows, or cannot be seen in them."""
    return [
        *_layers(spec),
        *_blocks(spec),
        *_merges(spec),
        *_outputs(spec),
        *_size(spec),
    ]


def _layers(spec: NetworkSpec) -> Iterator[str]:
    ours = "Convolutions outside the backbone" if spec.backbone else "Convolutions"
    yield {
        "same": f"{ours} are padded with zeros: sizes change by strides alone.",
        "pad-then-valid": f"{ours} are padded with zeros, in a step of their own: sizes change by "
        "strides alone.",
        "valid": f"{ours} of blocks are not padded.",
    }[spec.kit.padding]
    steps = [level.step for level in spec.levels if level.step]
    if any(isinstance(step.up, NearestUp) for step in steps):
        yield (
            "The convolution of a way up has its zeros behind the last pixel; it is computed "
            "together with the enlargement, as one transposed convolution."
        )
    if any(
        isinstance(step.down, ConvDown | InceptionDown) and step.down.padding == "after"
        for step in steps
    ):
        yield "Strided windows start on the first pixel, their zeros stand behind the last one."
    if any(isinstance(step.up, TransposedUp) and not step.up.bias for step in steps):
        yield "Transposed convolutions have no bias."
    if any(isinstance(step.up, LinkUp) for step in steps):
        yield f"Each convolution of a way up is followed by {_norm_and_activation(spec)}."
    if any(isinstance(step.down, InceptionDown) for step in steps):
        yield (
            "An inception reduction concatenates max-pooling, one convolution of kernel 3, and a "
            "chain of three (pointwise, kernel 3, kernel 3), the last layer of each with the "
            "stride; every convolution is followed by "
            f"{_norm_and_activation(spec)}."
        )
    if spec.kit.activation == "leaky_relu":
        yield f"LeakyReLU has slope {spec.kit.slope:g} below zero."
    if spec.kit.activation == "prelu":
        yield "PReLU has one slope a channel."


def _blocks(spec: NetworkSpec) -> Iterator[str]:
    blocks = [block for level in spec.levels for block in (level.encoder, level.decoder) if block]
    for kind, sentence in _SENTENCES.items():
        if any(isinstance(block, kind) for block in blocks):
            yield sentence
    yield from _units(spec, {type(block) for block in blocks})
    shortcuts = {block.shortcut for block in blocks if isinstance(block, ResidualBlock)}
    for shortcut in sorted(shortcuts):
        bias = " without bias" if shortcut == "project_norm" else ""
        norm = "" if not bias or spec.kit.norm == "none" else f" and {spec.kit.norm} norm"
        yield (
            f"The input of a residual block is added before its last {activation_name(spec.kit)}: "
            f"by a {ones(spec.kit)} convolution{bias}{norm} where channels differ"
            f"{', behind average-pooling where the block strides' if _strides(spec) else ''}."
        )
    if any(
        isinstance(block, DepthwiseBlock) and block.adds == "input" and block.pointwise
        for block in blocks
    ):
        yield "Added inputs are zero-padded or cut where channels differ."
    if any(isinstance(level.attention, Attention) for level in spec.levels):
        yield (
            "Attention computes one map a = sigmoid(conv(ReLU(conv(x)))) and gives x * a + x; it "
            "stands before the block."
        )


def _units(spec: NetworkSpec, kinds: set[type]) -> Iterator[str]:
    one, norm = ones(spec.kit), "" if spec.kit.norm == "none" else f" with {spec.kit.norm} norm"
    if BottleneckBlock in kinds:
        yield (
            f"A bottleneck unit is {one} to a quarter of the channels, the kernel, {one} to all, "
            f"each{norm}; its input (by {one}{norm} where channels differ) is added before the "
            f"last {activation_name(spec.kit)}."
        )
    if InceptionBlock in kinds:
        yield (
            f"An inception module concatenates three arms: {one}; {one} and the kernel; {one} and "
            f"the kernel twice; every convolution is followed by {_norm_and_activation(spec)}."
        )


def _norm_and_activation(spec: NetworkSpec) -> str:
    norm = "" if spec.kit.norm == "none" else f"{spec.kit.norm} norm and "
    return norm + activation_name(spec.kit)


def _strides(spec: NetworkSpec) -> bool:
    return any(level.step is not None and level.step.down.kind == "block" for level in spec.levels)


def _merges(spec: NetworkSpec) -> Iterator[str]:
    if isinstance(spec.merge, Add):
        yield "Merged maps are added."
    elif isinstance(spec.merge, Concatenate | GatedConcatenate):
        yield "Merged maps are concatenated: those of the level first, then the one from below."
    if isinstance(spec.merge, GatedConcatenate):
        yield (
            "Each map of the level is scaled by a gate, sigmoid(psi(ReLU(W x + V g))), which reads "
            "the map (strided convolution W) and the map g from below; a "
            f"{ones(spec.kit)} convolution"
            f"{'' if spec.kit.norm == 'none' else f' and {spec.kit.norm} norm'} follows it."
        )


def _outputs(spec: NetworkSpec) -> Iterator[str]:
    kinds = {type(auxiliary) for auxiliary in spec.auxiliary}
    if NodeHead in kinds:
        yield "Heads of inner nodes give auxiliary logits of the same classes, for training."
    if AttentionMap in kinds:
        yield "Attention maps, before their sigmoid, are auxiliary outputs."
    if FineHead in kinds:
        yield (
            "The fine head reads the same map as the head; it is meant for a second pass, over the "
            "enlarged region of interest."
        )
    if spec.branch is not None:
        yield (
            f"The branch's {ones(spec.kit)} convolution starts at zero and its enlargement at "
            "linear interpolation, so that before training it adds nothing."
        )
    if spec.frozen:
        yield f"Not trained: {', '.join(spec.frozen)}."


def _size(spec: NetworkSpec) -> Iterator[str]:
    if spec.takes_any_size:
        yield (
            "Images of other sizes are padded at their ends by repeating the last pixels, and the "
            "logits cropped; maps are listed at the padded size."
        )
    if spec.backbone is not None:
        yield (
            "The backbone is not looked into: receptive field and edge effect are those of the "
            "other layers alone, the true ones are larger."
        )
    if spec.kit.norm == "instance":
        yield (
            "Instance norm reads whole maps: tiles never equal the whole image exactly, and the "
            "receptive field is that of the convolutions alone."
        )
    ups = [level.step.up for level in spec.levels if level.step]
    if any(isinstance(up, LinearUp) and up.align_corners for up in ups):
        yield (
            "Enlargement maps corner pixels on corner pixels: a pixel's place depends on the size "
            "of the image, so tiles never equal the whole image exactly."
        )
