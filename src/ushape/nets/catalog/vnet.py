"""V-Net, Milletari et al. 2016, with 2D and 3D kernels."""

from __future__ import annotations

from typing import Annotated, Literal

from ushape.nets.catalog.shared import (
    ActivationOption,
    AlignCorners,
    BlockName,
    Dims2,
    Dims3,
    KernelSize,
    Levels,
    NormOption,
    Slope,
    Width,
    Widths,
    axes,
    doubling,
    make_block,
)
from ushape.nets.options import Choice, Option
from ushape.nets.parts import (
    ConvDown,
    ConvolvingBlock,
    Ending,
    KitSpec,
    LevelSpec,
    LinearUp,
    Step,
    TransposedUp,
    VNetBlock,
)
from ushape.nets.spec import NetworkSpec
from ushape.sizes import Size, per_axis

VNetUp = Annotated[
    Literal["transposed", "linear"],
    Option(
        Choice(("transposed", "linear")),
        "how maps are enlarged: transposed 2x2 convolution, or linear interpolation and 1x1",
    ),
]
VNetBlockOption = Annotated[
    Literal["vnet"] | BlockName,
    Option(
        Choice(("vnet", "plain", "residual", "bottleneck", "depthwise", "inception")),
        "what computes a node's features; vnet adds the input without weights",
    ),
]


def vnet_2d(
    *,
    in_channels: int,
    classes: int,
    spatial_dims: Dims2 = 2,
    levels: Levels = 5,
    width: Width = 16,
    widths: Widths = None,
    kernel_size: KernelSize = 5,
    block: VNetBlockOption = "vnet",
    up: VNetUp = "transposed",
    align_corners: AlignCorners = False,
    norm: NormOption = "batch",
    activation: ActivationOption = "prelu",
    slope: Slope = 0.01,
) -> NetworkSpec:
    """V-Net in 2D: 5x5 residual stages, strided convolutions down and up with norm and PReLU.

    Stage s has 16 * 2^(s-1) channels and min(s, 3) convolutions; its input is added to its
    output. On the way up, stages have twice the skip's channels and the enlarged map is added.

    Source: Milletari, Navab, Ahmadi, "V-Net: fully convolutional neural networks for volumetric
    medical image segmentation", 3DV 2016, Fig. 2, with 2D kernels.

    Use: Large kernels and residual stages for structures with smooth, wide context.
    """
    kit = KitSpec(spatial_dims, padding="same", norm=norm, activation=activation, slope=slope)
    kernel = axes("kernel_size", kernel_size, spatial_dims)
    rows = _stages(
        widths or doubling(width, levels), kernel, block, up, "normed", align_corners=align_corners
    )
    return NetworkSpec("vnet_2d", in_channels, classes, kit, rows)


def vnet_3d(
    *,
    in_channels: int,
    classes: int,
    spatial_dims: Dims3 = 3,
    levels: Levels = 5,
    width: Width = 16,
    widths: Widths = None,
    kernel_size: KernelSize = 5,
    block: VNetBlockOption = "vnet",
    up: VNetUp = "transposed",
    align_corners: AlignCorners = False,
    norm: NormOption = "batch",
    activation: ActivationOption = "leaky_relu",
    slope: Slope = 0.01,
) -> NetworkSpec:
    """V-Net: 5x5x5 residual stages on volumes, bare strided convolutions down and up.

    As `vnet_2d`; `kernel_size=3, up="linear"` is the light variant with a quarter of the weights.

    Source: Milletari, Navab, Ahmadi, "V-Net: fully convolutional neural networks for volumetric
    medical image segmentation", 3DV 2016, Fig. 2; norm and LeakyReLU as in later releases.

    Use: Volumes with isotropic voxels and one or a few compact organs.
    """
    kit = KitSpec(spatial_dims, padding="same", norm=norm, activation=activation, slope=slope)
    kernel = axes("kernel_size", kernel_size, spatial_dims)
    rows = _stages(
        widths or doubling(width, levels), kernel, block, up, "bare", align_corners=align_corners
    )
    return NetworkSpec("vnet_3d", in_channels, classes, kit, rows)


def _stages(
    widths: Size,
    kernel: Size,
    block: Literal["vnet"] | BlockName,
    up: Literal["transposed", "linear"],
    ending: Ending,
    *,
    align_corners: bool,
) -> tuple[LevelSpec, ...]:
    two = per_axis(2, len(kernel))
    last = len(widths) - 1

    def stage(level: int, width: int, adds: Literal["input", "enlarged"]) -> ConvolvingBlock:
        counted = (width,) * min(level + 1, 3)
        if block == "vnet":
            return VNetBlock(counted, kernel, adds)
        return make_block(block, counted, kernel)

    def way_up(width: int) -> TransposedUp | LinearUp:
        if up == "linear":
            return LinearUp(width, ending, align_corners=align_corners)
        return TransposedUp(width, ending)

    return tuple(
        LevelSpec(
            encoder=stage(level, width, "input"),
            decoder=stage(level, 2 * width, "enlarged") if level < last else None,
            step=Step(two, ConvDown(width, two, ending), way_up(widths[level - 1]))
            if level
            else None,
        )
        for level, width in enumerate(widths)
    )
