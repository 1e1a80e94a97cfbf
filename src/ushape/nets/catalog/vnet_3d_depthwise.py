"""The depthwise V-Net."""

from __future__ import annotations

from typing import Annotated, Literal

from ushape.nets.catalog.shared import (
    ActivationOption,
    AlignCorners,
    Dims3,
    KernelSize,
    Levels,
    NormOption,
    Slope,
    Width,
    axes,
    doubling,
)
from ushape.nets.options import Choice, Flag, Option
from ushape.nets.parts import (
    BareBlock,
    ConvDown,
    DepthwiseBlock,
    KitSpec,
    LevelSpec,
    LinearUp,
    Step,
)
from ushape.nets.spec import NetworkSpec
from ushape.sizes import per_axis


def vnet_3d_depthwise(
    *,
    in_channels: int,
    classes: int,
    spatial_dims: Dims3 = 3,
    levels: Levels = 5,
    width: Width = 16,
    kernel_size: KernelSize = 3,
    pointwise: Annotated[
        bool, Option(Flag(), "a 1x1x1 convolution, norm, activation after every depthwise one")
    ] = True,
    padding: Annotated[
        Literal["same", "pad-then-valid"],
        Option(
            Choice(("same", "pad-then-valid")),
            "zeros inside each convolution, or in a step of their own (equal numbers, another "
            "exported graph)",
        ),
    ] = "same",
    align_corners: AlignCorners = False,
    norm: NormOption = "batch",
    activation: ActivationOption = "leaky_relu",
    slope: Slope = 0.01,
) -> NetworkSpec:
    """Depthwise V-Net: one kernel a channel, a million weights or half of that.

    3x3x3 stem; 2x2x2 convolutions with stride 2 down; trilinear doubling and 1x1x1 convolution up;
    stages of min(level, 3) depthwise convolutions plus their input. `pointwise=False` keeps the
    depthwise halves alone.

    Source: V-Net (Milletari et al. 2016) with depthwise separable convolutions (Chollet,
    "Xception", CVPR 2017).

    Use: Volumes on small machines: a hundredth of V-Net's weights.
    """
    kit = KitSpec(spatial_dims, padding=padding, norm=norm, activation=activation, slope=slope)
    kernel = axes("kernel_size", kernel_size, spatial_dims)
    two, widths = per_axis(2, spatial_dims), doubling(width, levels)

    def stage(level: int, channels: int) -> DepthwiseBlock:
        return DepthwiseBlock((channels,) * max(1, min(level, 3)), kernel, pointwise, "input")

    rows = [
        LevelSpec(
            encoder=stage(level, w),
            decoder=stage(level + 1, 2 * w) if level < levels - 1 else None,
            step=Step(
                two,
                ConvDown(w, two, "bare"),
                LinearUp(widths[level - 1], "bare", align_corners=align_corners),
            ),
        )
        for level, w in enumerate(widths)
        if level
    ]
    top = LevelSpec(encoder=BareBlock((width,), kernel), decoder=stage(1, 2 * width))
    return NetworkSpec("vnet_3d_depthwise", in_channels, classes, kit, (top, *rows))
