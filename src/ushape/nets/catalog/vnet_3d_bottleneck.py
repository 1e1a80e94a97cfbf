"""The bottleneck V-Net with inception reductions."""

from __future__ import annotations

from typing import Annotated

from ushape.nets.catalog.shared import (
    ActivationOption,
    AlignCorners,
    Dims3,
    KernelSize,
    NormOption,
    axes,
)
from ushape.nets.options import Choice, Option, Whole
from ushape.nets.parts import (
    BottleneckBlock,
    ConvDown,
    InceptionDown,
    KitSpec,
    LevelSpec,
    LinearUp,
    Step,
    StridePadding,
)
from ushape.nets.spec import NetworkSpec
from ushape.sizes import per_axis

ENCODER_UNITS = (1, 3, 4, 6)
DECODER_UNITS = (1, 2, 3, 3)
BOTTOM_UNITS = 3


def vnet_3d_bottleneck(
    *,
    in_channels: int,
    classes: int,
    spatial_dims: Dims3 = 3,
    levels: Annotated[int, Option(Choice((4, 5)), "resolutions, the full one included")] = 4,
    width: Annotated[
        int | None,
        Option(Whole(4, 1024), "channels of level 0, a multiple of 4; 32 of 4 levels, 16 of 5"),
    ] = None,
    kernel_size: KernelSize = 3,
    reduction_padding: Annotated[
        StridePadding,
        Option(
            Choice(("centred", "after")),
            "zeros of the 3x3x3 reductions: centred, or after the image as Keras has them",
        ),
    ] = "centred",
    align_corners: AlignCorners = False,
    norm: NormOption = "batch",
    activation: ActivationOption = "relu",
) -> NetworkSpec:
    """Bottleneck V-Net: residual 1-3-1 units, inception reductions, deep but light.

    Units per level 1, 3, 4 (and 6), three at the bottom; decoder 3, (3,) 2, 1. The first
    reduction is a 3x3x3 convolution with stride 2, later ones have three arms.

    Source: V-Net (Milletari et al. 2016) with bottleneck units (He et al. 2016, Fig. 5) and
    reductions after Szegedy et al., "Inception-v4", AAAI 2017, Fig. 7.

    Use: Volumes with fine texture where depth helps and memory is short.
    """
    kit = KitSpec(spatial_dims, padding="same", norm=norm, activation=activation)
    kernel = axes("kernel_size", kernel_size, spatial_dims)
    two, three = per_axis(2, spatial_dims), per_axis(3, spatial_dims)
    first, last = width or (32 if levels == 4 else 16), levels - 1

    def units(count: int, channels: int) -> BottleneckBlock:
        return BottleneckBlock((channels,) * count, kernel)

    rows = []
    for level in range(levels):
        channels = first * 2**level
        reduction = (
            ConvDown(channels, three, "normed", reduction_padding)
            if level == 1
            else InceptionDown(channels, reduction_padding)
        )
        way_up = LinearUp(channels // 2, "bare", align_corners=align_corners)
        rows.append(
            LevelSpec(
                encoder=units(BOTTOM_UNITS if level == last else ENCODER_UNITS[level], channels),
                decoder=units(DECODER_UNITS[level], channels) if level < last else None,
                step=Step(two, reduction, way_up) if level else None,
            )
        )
    return NetworkSpec("vnet_3d_bottleneck", in_channels, classes, kit, tuple(rows))
