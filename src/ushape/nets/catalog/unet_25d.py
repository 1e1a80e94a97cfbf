"""The 2.5D attention U-Net, Wang et al. 2019."""

from __future__ import annotations

from typing import Annotated

from ushape.nets.catalog.shared import (
    ActivationOption,
    AlignCorners,
    BlockOption,
    Dims3,
    NormOption,
    Slope,
    Width,
    doubling,
    make_block,
)
from ushape.nets.options import Flag, Option, Whole
from ushape.nets.parts import (
    Attention,
    AttentionMap,
    KitSpec,
    LevelSpec,
    LinearUp,
    MaxPool,
    Step,
)
from ushape.nets.spec import NetworkSpec
from ushape.nets.wiring import nodes


def unet_25d(
    *,
    in_channels: int,
    classes: int,
    spatial_dims: Dims3 = 3,
    width: Width = 16,
    levels: Annotated[int, Option(Whole(3, 6), "resolutions, the full one included")] = 5,
    flat_levels: Annotated[
        int, Option(Whole(1, 5), "levels that convolve and pool in the plane only")
    ] = 2,
    block: BlockOption = "plain",
    attention: Annotated[bool, Option(Flag(), "attention before the bottom and decoders")] = True,
    align_corners: AlignCorners = False,
    norm: NormOption = "batch",
    activation: ActivationOption = "relu",
    slope: Slope = 0.01,
) -> NetworkSpec:
    """2.5D U-Net with attention: flat kernels where slices are far apart, full ones below.

    Levels 0 and 1 use 1x3x3 kernels (z, y, x) and 1x2x2 pooling, deeper levels 3x3x3 and 2x2x2.
    Spatial attention stands before the bottom and every decoder level; its maps are auxiliary
    outputs and can be supervised. Any number of slices is taken.

    Source: Wang et al., "Automatic segmentation of vestibular schwannoma from T2-weighted MRI by
    deep spatial attention with hardness-weighted loss", MICCAI 2019, Fig. 2.

    Use: Stacks whose slices are several times thicker than their pixels.
    """
    kit = KitSpec(spatial_dims, padding="same", norm=norm, activation=activation, slope=slope)
    flat, full = (1, 3, 3), (3, 3, 3)
    widths = doubling(width, levels)
    kernels = [flat if level < flat_levels else full for level in range(levels)]
    rows = []
    for level, (channels, kernel) in enumerate(zip(widths, kernels, strict=True)):
        features = make_block(block, (channels, channels), kernel)
        step = None
        if level:
            stride = (1, 2, 2) if level <= flat_levels else (2, 2, 2)
            way_up = LinearUp(widths[level - 1], "bare", kernels[level - 1], align_corners)
            step = Step(stride, MaxPool(), way_up)
        rows.append(
            LevelSpec(
                encoder=features,
                decoder=features if level < levels - 1 else None,
                step=step,
                attention=Attention(kernel) if attention else None,
            )
        )
    attending = [n.name for n in nodes(levels) if n.column or n.level == levels - 1]
    return NetworkSpec(
        "unet_25d",
        in_channels,
        classes,
        kit,
        tuple(rows),
        auxiliary=tuple(AttentionMap(name) for name in attending) if attention else (),
        head_kernel=flat,
        takes_any_size=True,
    )
