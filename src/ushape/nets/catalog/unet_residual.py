"""The residual encoder U-Net, Isensee et al. 2024."""

from __future__ import annotations

from typing import Annotated

from ushape.errors import ConfigError
from ushape.nets.catalog.shared import (
    ActivationOption,
    DeepSupervision,
    Dims,
    KernelSize,
    NormOption,
    Slope,
    Stride,
    Widths,
    axes,
    supervised,
)
from ushape.nets.options import Option, Whole, Wholes
from ushape.nets.parts import (
    BlockDown,
    KitSpec,
    LevelSpec,
    PlainBlock,
    ResidualBlock,
    Step,
    TransposedUp,
)
from ushape.nets.spec import NetworkSpec
from ushape.nets.wiring import nodes

BLOCKS = (1, 3, 4, 6, 6, 6, 6, 6)
"""Residual blocks of each encoder level in the paper's presets."""


def unet_residual(
    *,
    in_channels: int,
    classes: int,
    spatial_dims: Dims = 2,
    levels: Annotated[int, Option(Whole(3, 8), "resolutions, the full one included")] = 6,
    width: Annotated[int, Option(Whole(1, 1024), "channels of level 0; every level doubles")] = 32,
    most: Annotated[
        int | None, Option(Whole(1, 65536), "channels no level exceeds; 512 in 2D, 320 in 3D")
    ] = None,
    widths: Widths = None,
    blocks: Annotated[
        tuple[int, ...] | None,
        Option(Wholes(3, 8, 1, 32), "residual blocks of every encoder level; 1, 3, 4, 6, 6, ..."),
    ] = None,
    decoder_convs: Annotated[int, Option(Whole(1, 8), "convolutions of a decoder node")] = 1,
    kernel_size: KernelSize = 3,
    stride: Stride = 2,
    norm: NormOption = "instance",
    activation: ActivationOption = "leaky_relu",
    slope: Slope = 0.01,
    deep_supervision: DeepSupervision = True,
) -> NetworkSpec:
    """Residual encoder U-Net: deep residual encoder, light decoder, deep supervision.

    A stem convolution; then a chain of residual blocks a level, the first of which strides and
    average-pools its shortcut; transposed convolutions; one convolution a decoder node. Every
    decoder level but the lowest has a head while training.

    Source: Isensee et al., "nnU-Net revisited", MICCAI 2024 (ResEnc presets); blocks after He et
    al., "Bag of tricks for image classification", CVPR 2019, Fig. 2c.

    Use: The strongest general choice where there is time to train it, 2D and 3D.
    """
    cap = most or (512 if spatial_dims == 2 else 320)
    sizes = widths or tuple(min(cap, width * 2**level) for level in range(levels))
    counts = blocks or BLOCKS[: len(sizes)]
    if len(counts) != len(sizes):
        raise ConfigError(f"blocks: {len(counts)} given for {len(sizes)} levels: give one a level")
    kit = KitSpec(spatial_dims, padding="same", norm=norm, activation=activation, slope=slope)
    kernel = axes("kernel_size", kernel_size, spatial_dims)
    step_stride = axes("stride", stride, spatial_dims)
    last = len(sizes) - 1
    rows = tuple(
        LevelSpec(
            encoder=ResidualBlock(
                (w, w), kernel, counts[i], stem=0 if i else w, shortcut="project_norm"
            ),
            decoder=PlainBlock((w,) * decoder_convs, kernel) if i < last else None,
            step=Step(step_stride, BlockDown(), TransposedUp(sizes[i - 1], "bare")) if i else None,
        )
        for i, w in enumerate(sizes)
    )
    inner = [n for n in reversed(nodes(len(rows))) if n.column > 0 and 0 < n.level < last - 1]
    return NetworkSpec(
        "unet_residual",
        in_channels,
        classes,
        kit,
        rows,
        auxiliary=supervised(inner) if deep_supervision else (),
    )
