"""The padded U-Net."""

from __future__ import annotations

from typing import Annotated

from ushape.nets.catalog.shared import (
    ActivationOption,
    AlignCorners,
    BlockOption,
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
    symmetric,
)
from ushape.nets.options import Flag, Option
from ushape.nets.parts import KitSpec
from ushape.nets.spec import NetworkSpec


def unet_padding(
    *,
    in_channels: int,
    classes: int,
    spatial_dims: Dims = 2,
    levels: Levels = 5,
    width: Width = 64,
    widths: Widths = None,
    num_convs: NumConvs = 2,
    kernel_size: KernelSize = 3,
    stride: Stride = 2,
    block: BlockOption = "plain",
    up: UpOption = "nearest",
    align_corners: AlignCorners = False,
    norm: NormOption = "batch",
    activation: ActivationOption = "relu",
    dropout: Dropout = 0.0,
    residual: Annotated[
        bool, Option(Flag(), "short for block=residual", replaces=("block",))
    ] = False,
) -> NetworkSpec:
    """U-Net with padding that keeps sizes and batch norm, in 2D and 3D.

    As `unet_original`, but padded; order convolution, norm, ReLU. `residual` adds a block's
    input, projected by a 1x1 convolution where channels differ, before the block's last ReLU.

    Source: Ronneberger, Fischer, Brox 2015, padded; residual after He, Zhang, Ren, Sun, "Deep
    residual learning for image recognition", CVPR 2016, Fig. 2.

    Use: The everyday network: output as large as the input, quick to train at small widths.
    """
    kit = KitSpec(spatial_dims, padding="same", norm=norm, activation=activation)
    kernel = axes("kernel_size", kernel_size, spatial_dims)
    kind = "residual" if residual else block
    blocks = [make_block(kind, (w,) * num_convs, kernel) for w in widths or doubling(width, levels)]
    stride = axes("stride", stride, spatial_dims)
    rows = symmetric(blocks, stride, up, dropout, align_corners=align_corners)
    return NetworkSpec("unet_padding", in_channels, classes, kit, rows)
