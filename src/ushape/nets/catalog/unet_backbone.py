"""U-Net over a pretrained encoder."""

from __future__ import annotations

from typing import Annotated, Literal

from ushape.errors import ConfigError
from ushape.nets.catalog.shared import BlockOption, Dims2, KernelSize, NormOption, axes, make_block
from ushape.nets.options import Choice, Option, Text, Whole, Wholes
from ushape.nets.parts import (
    Add,
    Backbone,
    BackboneDown,
    Block,
    Concatenate,
    Down,
    KitSpec,
    LevelSpec,
    LinkUp,
    MaxPool,
    NoBlock,
    PublishedMap,
    RepeatUp,
    Step,
    Up,
)
from ushape.nets.spec import NetworkSpec
from ushape.nets.wiring import node_name
from ushape.sizes import Size, per_axis

PLAIN = "unet"
"""The encoder that is ours: the contracting path of `unet_padding`."""

PLAIN_WIDTHS = (64, 128, 256, 512, 1024)


def unet_backbone(
    *,
    in_channels: int,
    classes: int,
    spatial_dims: Dims2 = 2,
    encoder: Annotated[
        str,
        Option(Text("a timm model name, such as resnet34, or unet"), "what reads the image"),
    ] = "resnet34",
    weights: Annotated[
        str | None,
        Option(
            Text("a timm pretrained tag, a .safetensors or a .pth file"),
            "weights that the encoder starts from; drawn at random without",
        ),
    ] = None,
    freeze: Annotated[
        int, Option(Whole(0, 8), "encoder levels, from the image, that are not trained")
    ] = 0,
    decoder: Annotated[
        Literal["concat", "add"],
        Option(Choice(("concat", "add")), "join skips as U-Net does, or add them as LinkNet does"),
    ] = "concat",
    decoder_widths: Annotated[
        tuple[int, ...],
        Option(Wholes(1, 8, 1, 65536), "channels of the decoder, lowest level first"),
    ] = (256, 128, 64, 32, 16),
    kernel_size: KernelSize = 3,
    block: BlockOption = "plain",
    norm: NormOption = "batch",
) -> NetworkSpec:
    """U-Net whose encoder is any pyramid of the timm library, pretrained or not.

    `concat` repeats pixels, concatenates the skip, convolves twice; `add` enlarges by 1x1,
    transposed 4x4, 1x1 convolutions to the skip's channels and adds. Levels above the encoder's
    first map have no skip. Any image size is taken.

    Source: Ronneberger et al. 2015 with encoders of Wightman, "PyTorch image models" (timm);
    `add`: Chaurasia, Culurciello, "LinkNet", VCIP 2017, Fig. 1 and 3.

    Use: Few annotated natural-looking images, where pretrained features help.
    """
    kit = KitSpec(spatial_dims, padding="same", norm=norm)
    kernel = axes("kernel_size", kernel_size, spatial_dims)
    published = _published(encoder)
    if encoder == PLAIN and weights is not None:
        raise ConfigError(f"weights={weights!r} is for timm encoders, not for encoder={PLAIN!r}")
    last = len(published) - 1
    if len(decoder_widths) < last:
        raise ConfigError(
            f"decoder_widths: {len(decoder_widths)} given, {encoder} needs {last}, lowest first"
        )
    with_maps = [level for level, width in enumerate(published) if width]
    if freeze > len(with_maps):
        raise ConfigError(f"freeze={freeze}: {encoder} has {len(with_maps)} levels to freeze")
    down: Down = MaxPool() if encoder == PLAIN else BackboneDown()
    rows: list[LevelSpec] = []
    below = published[last]
    for level in range(last, -1, -1):
        width = published[level]
        asked = decoder_widths[last - 1 - level] if level < last else 0
        if decoder == "add":
            asked = width or asked
        features: Block | None = None
        if width:
            features = (
                make_block(block, (width, width), kernel)
                if encoder == PLAIN
                else PublishedMap((width,))
            )
        joined: Block | None = None
        if level < last:
            joined = (
                NoBlock((asked,)) if decoder == "add" else make_block(block, (asked, asked), kernel)
            )
            up: Up = LinkUp(asked) if decoder == "add" else RepeatUp(below)
            stride = per_axis(2, spatial_dims)
            lower = rows[-1]
            rows[-1] = LevelSpec(lower.encoder, lower.decoder, Step(stride, down, up))
            below = asked
        rows.append(LevelSpec(features, joined))
    return NetworkSpec(
        "unet_backbone",
        in_channels,
        classes,
        kit,
        tuple(reversed(rows)),
        merge=Add() if decoder == "add" else Concatenate(),
        takes_any_size=True,
        backbone=None if encoder == PLAIN else Backbone(encoder, weights),
        frozen=tuple(node_name(level, 0) for level in with_maps[:freeze]),
    )


def _published(encoder: str) -> Size:
    """Return the channels of the map of every level, 0 where there is none."""
    if encoder == PLAIN:
        return PLAIN_WIDTHS
    from ushape.nets.timm_encoder import published

    found = published(encoder)
    by_stride = dict(zip(found.strides, found.channels, strict=True))
    strides = [2**level for level in range(max(by_stride).bit_length())]
    if set(by_stride) - set(strides) or min(by_stride) != strides[-len(by_stride)]:
        raise ConfigError(
            f"encoder={encoder!r} publishes maps at strides {found.strides}: a U needs each to be "
            "twice the one before"
        )
    return tuple(by_stride.get(stride, 0) for stride in strides)
