"""The layers that networks are made of: the only code that knows 2D from 3D.

Kernels, strides and sizes are one number an axis, so `(1, 3, 3)` is a convolution in the plane.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import assert_never

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ushape.nets.parts import Ending, KitSpec, StridePadding
from ushape.sizes import Size

_Makers = dict[int, Callable[..., nn.Module]]

_TRANSPOSED: _Makers = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
_MAX_POOLS: _Makers = {2: nn.MaxPool2d, 3: nn.MaxPool3d}
_AVG_POOLS: _Makers = {2: nn.AvgPool2d, 3: nn.AvgPool3d}
_BATCH_NORMS: _Makers = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
_INSTANCE_NORMS: _Makers = {2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d}
_LINEAR_MODES = {2: "bilinear", 3: "trilinear"}


@dataclass(frozen=True)
class LayerKit:
    """Makes layers that fit a network's dimensions, padding, norm and activation."""

    spec: KitSpec

    def conv(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        *,
        stride: Size | None = None,
        padding: StridePadding = "centred",
        groups: int = 1,
        bias: bool = True,
    ) -> nn.Module:
        """Make a convolution, padded as the network is; a strided one then divides sizes exactly.

        Args:
            stride: None for 1.
            padding: Where a padded convolution with a stride has its zeros.
        """
        stride = stride or (1,) * self.spec.spatial_dims
        pads = _pads(kernel_size, stride, padding, is_padded=self.spec.padding != "valid")
        is_explicit = self.spec.padding == "pad-then-valid" or any(b != a for b, a in pads)
        if is_explicit and any(b or a for b, a in pads):
            maker = _PADDED_CONVOLUTIONS[self.spec.spatial_dims]
            layer = maker(
                in_channels, out_channels, kernel_size, stride=stride, groups=groups, bias=bias
            )
            layer.pads = _torch_order(pads)
            return layer
        return _CONVOLUTIONS[self.spec.spatial_dims](
            in_channels,
            out_channels,
            kernel_size,
            stride=stride,
            padding=tuple(before for before, _ in pads),
            groups=groups,
            bias=bias,
        )

    def pointwise(self, in_channels: int, out_channels: int, *, bias: bool = True) -> nn.Module:
        """Make a 1x1 convolution."""
        return self.conv(in_channels, out_channels, (1,) * self.spec.spatial_dims, bias=bias)

    def transposed(
        self, in_channels: int, out_channels: int, stride: Size, *, bias: bool = True
    ) -> nn.Module:
        """Make a transposed convolution whose kernel is its stride: windows do not overlap."""
        cls = _TRANSPOSED[self.spec.spatial_dims]
        return cls(in_channels, out_channels, stride, stride=stride, bias=bias)

    def transposed_smooth(
        self, in_channels: int, out_channels: int, stride: Size, *, groups: int = 1
    ) -> nn.Module:
        """Make a transposed convolution of twice the stride's size, without bias in groups.

        Axes with stride 1 have a kernel of 1; other strides must be even.
        """
        kernel = tuple(2 * edge if edge > 1 else 1 for edge in stride)
        padding = tuple(edge // 2 if edge > 1 else 0 for edge in stride)
        cls = _TRANSPOSED[self.spec.spatial_dims]
        return cls(
            in_channels,
            out_channels,
            kernel,
            stride=stride,
            padding=padding,
            groups=groups,
            bias=groups == 1,
        )

    def max_pool(
        self, stride: Size, *, kernel_size: Size | None = None, padding: StridePadding = "centred"
    ) -> nn.Module:
        """Make a max-pooling; None takes windows as large as the stride, side by side."""
        maker = _MAX_POOLS[self.spec.spatial_dims]
        if kernel_size is None:
            return maker(stride)
        pads = _pads(kernel_size, stride, padding, is_padded=True)
        if all(before == after for before, after in pads):
            return maker(kernel_size, stride, tuple(before for before, _ in pads))
        return nn.Sequential(LowestPad(_torch_order(pads)), maker(kernel_size, stride))

    def average_pool(self, stride: Size) -> nn.Module:
        """Make an average-pooling whose window is its stride."""
        return _AVG_POOLS[self.spec.spatial_dims](stride)

    def linear_resize(self, stride: Size, *, align_corners: bool = False) -> nn.Module:
        """Make a linear enlargement by `stride`."""
        factors = tuple(float(edge) for edge in stride)
        mode = _LINEAR_MODES[self.spec.spatial_dims]
        return nn.Upsample(scale_factor=factors, mode=mode, align_corners=align_corners)

    def nearest_resize(self, stride: Size) -> nn.Module:
        """Make a nearest-neighbour enlargement by `stride`."""
        return nn.Upsample(scale_factor=tuple(float(edge) for edge in stride), mode="nearest")

    def norms(self, channels: int) -> dict[str, nn.Module]:
        """Make the norm that follows a convolution, under the name `norm`; none gives none."""
        dims = self.spec.spatial_dims
        if self.spec.norm == "batch":
            return {"norm": _BATCH_NORMS[dims](channels)}
        if self.spec.norm == "instance":
            return {"norm": _INSTANCE_NORMS[dims](channels, affine=True)}
        return {}

    def activation(self, channels: int) -> nn.Module:
        """Make the activation that follows a norm."""
        kind = self.spec.activation
        if kind == "relu":
            return nn.ReLU(inplace=True)
        if kind == "leaky_relu":
            return nn.LeakyReLU(self.spec.slope, inplace=True)
        if kind == "prelu":
            return nn.PReLU(channels)
        if kind == "elu":
            return nn.ELU(inplace=True)
        if kind == "silu":
            return nn.SiLU(inplace=True)
        if kind == "gelu":
            return nn.GELU()
        assert_never(kind)

    def ending(self, ending: Ending, channels: int) -> dict[str, nn.Module]:
        """Make what follows the convolution of a way up or down."""
        layers = self.norms(channels) if ending == "normed" else {}
        return layers if ending == "bare" else layers | {"activation": self.activation(channels)}


def _pads(
    kernel_size: Size, stride: Size, padding: StridePadding, *, is_padded: bool
) -> list[tuple[int, int]]:
    """Return the zeros before and after each axis with which n pixels become n / stride."""
    if not is_padded:
        return [(0, 0)] * len(kernel_size)
    pads = []
    for kernel, step in zip(kernel_size, stride, strict=True):
        if step == 1 or padding == "centred":
            pads.append(((kernel - 1) // 2, (kernel - 1) // 2))
        else:
            surplus = max(0, kernel - step)
            pads.append((surplus // 2, surplus - surplus // 2))
    return pads


def _torch_order(pads: Sequence[tuple[int, int]]) -> tuple[int, ...]:
    """Write (before, after) an axis as `F.pad` wants them: the last axis first."""
    return tuple(edge for pair in reversed(pads) for edge in pair)


class _PadsFirst:
    """Puts zeros around the input in a step of its own, then convolves without padding."""

    pads: tuple[int, ...]

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in, *size) to (N, out, *(size / stride))."""
        y: Tensor = super().forward(F.pad(x, self.pads))  # type: ignore[misc]
        return y


class PadsFirstConv2d(_PadsFirst, nn.Conv2d):
    """`nn.Conv2d` behind a padding of any shape."""


class PadsFirstConv3d(_PadsFirst, nn.Conv3d):
    """`nn.Conv3d` behind a padding of any shape."""


class ShallowConv3d(nn.Conv3d):
    """`nn.Conv3d` that is right for bfloat16 on CPUs too where its kernel is deeper than the map.

    There (with a map of more than one plane) oneDNN 3.12, as in torch 2.13, writes beyond its
    buffers when it computes the gradient of the kernel, which becomes nan or anything else. It does
    not where the zeros along the first axis are put in a step of their own.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in, *size) to (N, out, *(size / stride))."""
        is_rounded = torch.is_autocast_enabled("cpu") or x.dtype == torch.bfloat16
        if not (is_rounded and x.device.type == "cpu" and x.shape[2] < self.kernel_size[0]):
            return super().forward(x)
        first, *rest = (int(edge) for edge in self.padding)
        padded = F.pad(x, (0, 0, 0, 0, first, first))
        return F.conv3d(
            padded, self.weight, self.bias, self.stride, (0, *rest), self.dilation, self.groups
        )


_CONVOLUTIONS: _Makers = {2: nn.Conv2d, 3: ShallowConv3d}
_PADDED_CONVOLUTIONS: dict[int, Callable[..., PadsFirstConv2d | PadsFirstConv3d]] = {
    2: PadsFirstConv2d,
    3: PadsFirstConv3d,
}


class LowestPad(nn.Module):
    """Pads with minus infinity, which no maximum takes."""

    def __init__(self, pads: tuple[int, ...]) -> None:
        super().__init__()
        self.pads = pads

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, *size) to a larger map."""
        return F.pad(x, self.pads, value=-math.inf)


class NearestConv(nn.Module):
    """Nearest-neighbour enlargement by `stride`, then a convolution with a kernel of that size.

    The convolution keeps the enlarged size: its input is padded with `stride` - 1 zeros after the
    last pixel of each axis. Weights have a convolution's shape (out, in, *stride).

    Neither the enlarged nor the padded map is made. Repeating is a transposed convolution with a
    kernel of ones, so the two steps together are one transposed convolution, whose kernel is the
    flipped weight summed over windows of `stride`: for 2x2, 9 products for each input pixel
    instead of 16.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: Size) -> None:
        super().__init__()
        self.stride = stride
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, *stride))
        self.bias = nn.Parameter(torch.zeros(out_channels))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in, *size) to (N, out, *(size * stride))."""
        transposed = F.conv_transpose2d if len(self.stride) == 2 else F.conv_transpose3d
        rest = [edge - 1 for edge in self.stride]
        kernel = self._kernel()
        return transposed(x, kernel, self.bias, self.stride, padding=rest, output_padding=rest)

    def _kernel(self) -> Tensor:
        """Correlate the flipped weight with ones, axis by axis: (in, out, *(2 * stride - 1))."""
        dims = len(self.stride)
        kernel = self.weight.flip(tuple(range(2, dims + 2))).transpose(0, 1)
        for axis, edge in enumerate(reversed(self.stride)):  # F.pad counts axes from the last
            inner = (0, 0) * axis
            shifted = [F.pad(kernel, (*inner, place, edge - 1 - place)) for place in range(edge)]
            kernel = shifted[0]
            for other in shifted[1:]:
                kernel = kernel + other
        return kernel


def fit_channels(x: Tensor, channels: int) -> Tensor:
    """Bring (N, C, *size) to `channels` without weights.

    A single channel is repeated (Milletari et al. 2016, Fig. 2); else missing channels are zero
    and surplus ones are cut.
    """
    missing = channels - x.shape[1]
    if missing == 0:
        return x
    if x.shape[1] == 1:
        return x.expand(-1, channels, *x.shape[2:])
    return F.pad(x, (0, 0) * (x.ndim - 2) + (0, missing))


def initialise(network: nn.Module) -> None:
    """Draw every convolution's weights as He et al. 2015 do; biases are zero.

    The standard deviation is sqrt(2 / N), N the number of values that one output element sums,
    as Ronneberger et al. 2015, section 3, ask. (`torch.nn.init` counts the outputs of a
    transposed convolution instead.)
    """
    for layer in network.modules():
        if isinstance(layer, nn.ConvTranspose2d | nn.ConvTranspose3d):
            overlap = math.prod(layer.kernel_size) / math.prod(layer.stride)
            incoming = layer.in_channels / layer.groups * overlap
        elif isinstance(layer, nn.Conv2d | nn.Conv3d | NearestConv):
            incoming = math.prod(layer.weight.shape[1:])
        else:
            continue
        nn.init.normal_(layer.weight, std=math.sqrt(2 / incoming))
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


def bilinear_(layer: nn.Module) -> None:
    """Set a transposed convolution in groups to linear interpolation, channel by channel.

    Source: Long, Shelhamer, Darrell, "Fully convolutional networks", CVPR 2015, section 3.3.
    """
    assert isinstance(layer, nn.ConvTranspose2d | nn.ConvTranspose3d)
    kernel = torch.ones(())
    for edge in layer.kernel_size:
        middle = (edge - 1) / 2
        steps = (torch.arange(edge) - middle).abs()
        tent = (1 - steps / max(1, edge // 2)).clamp(min=0)
        kernel = kernel[..., None] * (tent if edge > 1 else torch.ones(1))
    with torch.no_grad():
        layer.weight.copy_(kernel.expand_as(layer.weight))
