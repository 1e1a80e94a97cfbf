"""The layers that networks are made of: the only code that knows 2D from 3D.

Kernels, strides and sizes are one number an axis, so `(1, 3, 3)` is a convolution in the plane.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ushape.nets.spec import KitSpec
from ushape.sizes import Size

_Makers = dict[int, Callable[..., nn.Module]]

_CONVOLUTIONS: _Makers = {2: nn.Conv2d, 3: nn.Conv3d}
_TRANSPOSED: _Makers = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
_POOLS: _Makers = {2: nn.MaxPool2d, 3: nn.MaxPool3d}
_BATCH_NORMS: _Makers = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
_INSTANCE_NORMS: _Makers = {2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d}
_LINEAR_MODES = {2: "bilinear", 3: "trilinear"}


@dataclass(frozen=True)
class LayerKit:
    """Makes layers that fit a network's dimensions, padding and norm."""

    spec: KitSpec

    def conv(self, in_channels: int, out_channels: int, kernel_size: Size) -> nn.Module:
        """Make a convolution with bias, padded as the network is."""
        is_padded = self.spec.padding == "same"
        return _CONVOLUTIONS[self.spec.spatial_dims](
            in_channels,
            out_channels,
            kernel_size,
            padding=tuple((edge - 1) // 2 if is_padded else 0 for edge in kernel_size),
        )

    def pointwise(self, in_channels: int, out_channels: int) -> nn.Module:
        """Make a 1x1 convolution with bias."""
        return self.conv(in_channels, out_channels, (1,) * self.spec.spatial_dims)

    def transposed(self, in_channels: int, out_channels: int, stride: Size) -> nn.Module:
        """Make a transposed convolution whose kernel is its stride: windows do not overlap."""
        cls = _TRANSPOSED[self.spec.spatial_dims]
        return cls(in_channels, out_channels, stride, stride=stride)

    def max_pool(self, stride: Size) -> nn.Module:
        """Make a max-pooling whose window is its stride."""
        return _POOLS[self.spec.spatial_dims](stride)

    def linear_resize(self, stride: Size) -> nn.Module:
        """Make a linear enlargement by `stride`, half-pixel centres."""
        factors = tuple(float(edge) for edge in stride)
        return nn.Upsample(scale_factor=factors, mode=_LINEAR_MODES[self.spec.spatial_dims])

    def norms(self, channels: int) -> dict[str, nn.Module]:
        """Make the norm that follows a convolution, under the name `norm`; none gives none."""
        dims = self.spec.spatial_dims
        if self.spec.norm == "batch":
            return {"norm": _BATCH_NORMS[dims](channels)}
        if self.spec.norm == "instance":
            return {"norm": _INSTANCE_NORMS[dims](channels, affine=True)}
        return {}


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


def initialise(network: nn.Module) -> None:
    """Draw every convolution's weights as He et al. 2015 do; biases are zero.

    The standard deviation is sqrt(2 / N), N the number of values that one output element sums,
    as Ronneberger et al. 2015, section 3, ask. (`torch.nn.init` counts the outputs of a
    transposed convolution instead.)
    """
    for layer in network.modules():
        if isinstance(layer, nn.ConvTranspose2d | nn.ConvTranspose3d):
            incoming = layer.in_channels
        elif isinstance(layer, nn.Conv2d | nn.Conv3d | NearestConv):
            incoming = math.prod(layer.weight.shape[1:])
        else:
            continue
        nn.init.normal_(layer.weight, std=math.sqrt(2 / incoming))
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
