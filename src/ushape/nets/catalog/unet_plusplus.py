"""U-Net++, Zhou et al. 2018."""

from __future__ import annotations

from ushape.nets.catalog.shared import (
    ActivationOption,
    AlignCorners,
    BlockOption,
    DeepSupervision,
    Dims,
    Dropout,
    KernelSize,
    Levels,
    NormOption,
    NumConvs,
    Stride,
    UpOption,
    Width,
    Widths,
    axes,
    doubling,
    make_block,
    supervised,
    symmetric,
)
from ushape.nets.parts import KitSpec
from ushape.nets.spec import NetworkSpec
from ushape.nets.wiring import nodes


def unet_plusplus(
    *,
    in_channels: int,
    classes: int,
    spatial_dims: Dims = 2,
    levels: Levels = 5,
    width: Width = 32,
    widths: Widths = None,
    num_convs: NumConvs = 2,
    kernel_size: KernelSize = 3,
    stride: Stride = 2,
    block: BlockOption = "plain",
    up: UpOption = "transposed",
    align_corners: AlignCorners = False,
    norm: NormOption = "none",
    activation: ActivationOption = "relu",
    dropout: Dropout = 0.0,
    deep_supervision: DeepSupervision = True,
) -> NetworkSpec:
    """U-Net++: nested decoders, each a U-Net of its own depth; prediction may stop at any.

    Node (i, j) reads all earlier nodes of its level and the enlarged node (i+1, j-1). Each node
    of the top row has a head (`deep_supervision`), so that prediction can use the first columns
    alone (`columns`, see `prune`).

    Source: Zhou, Siddiquee, Tajbakhsh, Liang, "UNet++: a nested U-Net architecture for medical
    image segmentation", DLMIA 2018, Fig. 1 and section 3.

    Use: When the right depth is not known, or prediction must be able to trade accuracy for time.
    """
    kit = KitSpec(spatial_dims, padding="same", norm=norm, activation=activation)
    kernel = axes("kernel_size", kernel_size, spatial_dims)
    blocks = [
        make_block(block, (w,) * num_convs, kernel) for w in widths or doubling(width, levels)
    ]
    stride = axes("stride", stride, spatial_dims)
    rows = symmetric(blocks, stride, up, dropout, align_corners=align_corners)
    top = [n for n in nodes(len(rows), "dense")[:-1] if n.level == 0 and n.column > 0]
    return NetworkSpec(
        "unet_plusplus",
        in_channels,
        classes,
        kit,
        rows,
        nesting="dense",
        auxiliary=supervised(top) if deep_supervision else (),
    )
