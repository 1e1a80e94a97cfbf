"""Attention U-Net, Oktay et al. 2018."""

from __future__ import annotations

from ushape.nets.catalog.shared import (
    ActivationOption,
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
from ushape.nets.parts import GatedConcatenate, KitSpec
from ushape.nets.spec import NetworkSpec


def unet_attention(
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
    up: UpOption = "transposed",
    norm: NormOption = "batch",
    activation: ActivationOption = "relu",
    dropout: Dropout = 0.0,
) -> NetworkSpec:
    """Attention U-Net: every skip is scaled by a gate that the coarser level steers.

    As `unet_padding`; the gate adds the map (strided) and the map from below (1x1), and makes of
    the sum, by ReLU, 1x1 convolution and sigmoid, one coefficient a place, enlarged linearly.

    Source: Oktay et al., "Attention U-Net: learning where to look for the pancreas", MIDL 2018,
    Eq. 1-3, Fig. 1 and 2.

    Use: Small structures of varying place in a large field of view.
    """
    kit = KitSpec(spatial_dims, padding="same", norm=norm, activation=activation)
    kernel = axes("kernel_size", kernel_size, spatial_dims)
    blocks = [
        make_block(block, (w,) * num_convs, kernel) for w in widths or doubling(width, levels)
    ]
    rows = symmetric(blocks, axes("stride", stride, spatial_dims), up, dropout)
    return NetworkSpec("unet_attention", in_channels, classes, kit, rows, merge=GatedConcatenate())
