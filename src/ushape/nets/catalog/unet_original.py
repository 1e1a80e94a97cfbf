"""U-Net, Ronneberger et al. 2015."""

from __future__ import annotations

from ushape.nets.catalog.shared import (
    AlignCorners,
    BlockOption,
    Dims2,
    Dropout,
    KernelSize,
    Levels,
    NumConvs,
    UpOption,
    Width,
    Widths,
    axes,
    doubling,
    make_block,
    symmetric,
)
from ushape.nets.parts import KitSpec
from ushape.nets.spec import NetworkSpec
from ushape.sizes import per_axis


def unet_original(
    *,
    in_channels: int,
    classes: int,
    spatial_dims: Dims2 = 2,
    levels: Levels = 5,
    width: Width = 64,
    widths: Widths = None,
    num_convs: NumConvs = 2,
    kernel_size: KernelSize = 3,
    block: BlockOption = "plain",
    up: UpOption = "nearest",
    align_corners: AlignCorners = False,
    dropout: Dropout = 0.5,
) -> NetworkSpec:
    """U-Net as published: unpadded convolutions, no norm, the border is lost.

    Two unpadded 3x3 convolutions a level, each with ReLU; 2x2 max-pooling; nearest-neighbour
    doubling and a 2x2 convolution that halves the channels; skips centre-cropped and
    concatenated; dropout at the end of the contracting path, on the two levels where the
    released network has it.

    Source: Ronneberger, Fischer, Brox, "U-Net: convolutional networks for biomedical image
    segmentation", MICCAI 2015, Fig. 1 and section 3.

    Use: When every output pixel must have seen real image around it and tiles must match exactly;
    the baseline of the field.
    """
    kit = KitSpec(spatial_dims, padding="valid", norm="none")
    kernel = axes("kernel_size", kernel_size, spatial_dims)
    blocks = [
        make_block(block, (w,) * num_convs, kernel) for w in widths or doubling(width, levels)
    ]
    rows = symmetric(blocks, per_axis(2, spatial_dims), up, dropout, align_corners=align_corners)
    return NetworkSpec("unet_original", in_channels, classes, kit, rows)
