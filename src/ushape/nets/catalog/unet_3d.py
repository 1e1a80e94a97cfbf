"""3D U-Net, Cicek et al. 2016."""

from __future__ import annotations

from typing import Annotated, Literal

from ushape.nets.catalog.shared import (
    ActivationOption,
    AlignCorners,
    BlockOption,
    Dims3,
    KernelSize,
    Levels,
    NormOption,
    Stride,
    UpName,
    Width,
    axes,
    make_block,
    make_up,
)
from ushape.nets.options import Choice, Flag, Option
from ushape.nets.parts import KitSpec, LevelSpec, MaxPool, Step, TransposedUp, Up
from ushape.nets.spec import NetworkSpec


def unet_3d(
    *,
    in_channels: int,
    classes: int,
    spatial_dims: Dims3 = 3,
    levels: Levels = 4,
    width: Width = 32,
    kernel_size: KernelSize = 3,
    stride: Stride = 2,
    padding: Annotated[
        Literal["valid", "same"],
        Option(Choice(("valid", "same")), "the paper's, which loses the border, or padded"),
    ] = "same",
    block: BlockOption = "plain",
    up: Annotated[
        UpName,
        Option(Choice(("nearest", "transposed", "linear")), "how maps are enlarged"),
    ] = "transposed",
    up_bias: Annotated[bool, Option(Flag(), "transposed convolutions have a bias")] = True,
    align_corners: AlignCorners = False,
    norm: NormOption = "batch",
    activation: ActivationOption = "relu",
) -> NetworkSpec:
    """3D U-Net: channels double before each pooling, transposed convolutions keep them.

    At level i the first convolution has 32 * 2^i channels and the second twice that.
    `padding="valid", norm="none", up_bias=False` has the paper's 19,069,955 weights.

    Source: Cicek, Abdulkadir, Lienkamp, Brox, Ronneberger, "3D U-Net: learning dense volumetric
    segmentation from sparse annotation", MICCAI 2016, Fig. 2.

    Use: The reference for volumes, also from a few annotated slices.
    """
    kit = KitSpec(spatial_dims, padding=padding, norm=norm, activation=activation)
    kernel = axes("kernel_size", kernel_size, spatial_dims)
    steps = axes("stride", stride, spatial_dims)
    ends = [2 * width * 2**level for level in range(levels)]

    def way_up(below: int) -> Up:
        if up == "transposed":
            return TransposedUp(below, "bare", up_bias)
        return make_up(up, below, align_corners=align_corners)

    rows = tuple(
        LevelSpec(
            encoder=make_block(block, (end // 2, end), kernel),
            decoder=make_block(block, (end, end), kernel) if level < levels - 1 else None,
            step=Step(steps, MaxPool(), way_up(end)) if level else None,
        )
        for level, end in enumerate(ends)
    )
    return NetworkSpec("unet_3d", in_channels, classes, kit, rows)
