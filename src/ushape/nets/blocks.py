"""What a node computes from what it reads: one builder for each kind of block."""

from __future__ import annotations

from collections import OrderedDict
from typing import assert_never

import torch.nn.functional as F
from torch import Tensor, nn

from ushape.nets.kit import LayerKit
from ushape.nets.skips import center_crop
from ushape.nets.spec import Block, PlainBlock, ResidualBlock
from ushape.sizes import Size


def build_block(kit: LayerKit, in_channels: int, block: Block) -> nn.Module:
    """Build the module (N, in_channels, *size) -> (N, widths[-1], *size) of a block."""
    if isinstance(block, PlainBlock):
        return _plain(kit, in_channels, block.widths, block.kernel_size)
    if isinstance(block, ResidualBlock):
        return Residual(kit, in_channels, block.widths, block.kernel_size)
    assert_never(block)


def _plain(
    kit: LayerKit,
    in_channels: int,
    widths: tuple[int, ...],
    kernel_size: Size,
    *,
    ends_active: bool = True,
) -> nn.Sequential:
    """Chain convolution, norm, ReLU, once a width; `ends_active=False` leaves out the last ReLU."""
    units = []
    for place, width in enumerate(widths):
        layers = {"conv": kit.conv(in_channels, width, kernel_size)} | kit.norms(width)
        if ends_active or place < len(widths) - 1:
            layers["activation"] = nn.ReLU(inplace=True)
        units.append(nn.Sequential(OrderedDict(layers)))
        in_channels = width
    return nn.Sequential(*units)


class Residual(nn.Module):
    """A plain block plus its input, then ReLU (He et al. 2016, Fig. 2)."""

    def __init__(
        self, kit: LayerKit, in_channels: int, widths: tuple[int, ...], kernel_size: Size
    ) -> None:
        super().__init__()
        self.body = _plain(kit, in_channels, widths, kernel_size, ends_active=False)
        is_projected = in_channels != widths[-1]
        self.shortcut = kit.pointwise(in_channels, widths[-1]) if is_projected else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in, *size) to (N, out, *size), smaller where convolutions are unpadded."""
        y = self.body(x)
        return F.relu(y + self.shortcut(center_crop(x, y.shape[2:])))
