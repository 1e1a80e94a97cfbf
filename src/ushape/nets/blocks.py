"""What a node computes from what it reads: one builder for each kind of block."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import assert_never

import torch
from torch import Tensor, nn

from ushape.nets.kit import LayerKit, fit_channels
from ushape.nets.parts import (
    BareBlock,
    Block,
    BottleneckBlock,
    DepthwiseBlock,
    InceptionBlock,
    NoBlock,
    PlainBlock,
    PublishedMap,
    ResidualBlock,
    VNetBlock,
)
from ushape.nets.skips import center_crop
from ushape.sizes import Size


def build_block(
    kit: LayerKit,
    in_channels: int,
    block: Block,
    *,
    stride: Size | None = None,
    enlarged: int = 0,
) -> nn.Module:
    """Build the module (N, in_channels, *size) -> (N, widths[-1], *size / stride) of a block.

    Args:
        stride: Of the first convolution of plain and residual blocks; None for 1.
        enlarged: How many of the input's last channels came from the level below.
    """
    if isinstance(block, PlainBlock):
        return _plain(kit, in_channels, block.widths, block.kernel_size, stride=stride)
    if isinstance(block, ResidualBlock):
        return _residual(kit, in_channels, block, stride)
    assert stride is None, "checked when the specification was made"
    if isinstance(block, BareBlock):
        pairs = zip((in_channels, *block.widths), block.widths, strict=False)
        return nn.Sequential(*(kit.conv(a, b, block.kernel_size) for a, b in pairs))
    if isinstance(block, VNetBlock):
        added = in_channels if block.adds == "input" else enlarged
        body = _plain(kit, in_channels, block.widths, block.kernel_size)
        return WeightlessResidual(body, added, block.widths[-1])
    if isinstance(block, DepthwiseBlock):
        return _depthwise(kit, in_channels, block)
    if isinstance(block, BottleneckBlock):
        pairs = zip((in_channels, *block.widths), block.widths, strict=False)
        return nn.Sequential(*(Bottleneck(kit, a, b, block.kernel_size) for a, b in pairs))
    if isinstance(block, InceptionBlock):
        pairs = zip((in_channels, *block.widths), block.widths, strict=False)
        return nn.Sequential(*(Inception(kit, a, b, block.kernel_size) for a, b in pairs))
    if isinstance(block, NoBlock):
        return nn.Identity()
    if isinstance(block, PublishedMap):
        raise AssertionError("the backbone computes its maps itself")
    assert_never(block)


def conv_unit(
    kit: LayerKit,
    in_channels: int,
    width: int,
    kernel_size: Size,
    *,
    stride: Size | None = None,
    groups: int = 1,
    ends_active: bool = True,
) -> nn.Sequential:
    """Make convolution, norm, activation."""
    conv = kit.conv(in_channels, width, kernel_size, stride=stride, groups=groups)
    layers = {"conv": conv} | kit.norms(width)
    if ends_active:
        layers["activation"] = kit.activation(width)
    return nn.Sequential(OrderedDict(layers))


def _plain(
    kit: LayerKit,
    in_channels: int,
    widths: Sequence[int],
    kernel_size: Size,
    *,
    stride: Size | None = None,
    ends_active: bool = True,
) -> nn.Sequential:
    """Chain units, one a width; `ends_active=False` leaves out the last activation."""
    units = []
    for place, width in enumerate(widths):
        is_active = ends_active or place < len(widths) - 1
        units.append(
            conv_unit(kit, in_channels, width, kernel_size, stride=stride, ends_active=is_active)
        )
        in_channels, stride = width, None
    return nn.Sequential(*units)


def _residual(
    kit: LayerKit, in_channels: int, block: ResidualBlock, stride: Size | None
) -> nn.Module:
    if block.repeats == 1 and not block.stem:
        return Residual(kit, in_channels, block, stride)
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    if block.stem:
        parts["stem"] = conv_unit(kit, in_channels, block.stem, block.kernel_size, stride=stride)
        in_channels, stride = block.stem, None
    for place in range(block.repeats):
        parts[str(place)] = Residual(kit, in_channels, block, stride)
        in_channels, stride = block.widths[-1], None
    return nn.Sequential(parts)


class Residual(nn.Module):
    """A plain block plus its input, then activation (He et al. 2016, Fig. 2)."""

    def __init__(
        self, kit: LayerKit, in_channels: int, block: ResidualBlock, stride: Size | None
    ) -> None:
        super().__init__()
        width = block.widths[-1]
        self.body = _plain(
            kit, in_channels, block.widths, block.kernel_size, stride=stride, ends_active=False
        )
        shortcut: list[nn.Module] = []
        if stride is not None and max(stride) > 1:
            shortcut.append(kit.average_pool(stride))
        if in_channels != width:
            has_norm = block.shortcut == "project_norm"
            shortcut.append(kit.pointwise(in_channels, width, bias=not has_norm))
            shortcut.extend(kit.norms(width).values() if has_norm else ())
        if len(shortcut) == 1:
            self.shortcut = shortcut[0]
        else:
            self.shortcut = nn.Sequential(*shortcut) if shortcut else nn.Identity()
        self.activation = kit.activation(width)
        self.loses_border = kit.spec.padding == "valid"

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in, *size) to (N, out, *size / stride), smaller where nothing is padded."""
        y = self.body(x)
        shortcut = self.shortcut(x)
        if self.loses_border:  # asked of the padding: sizes are symbols where this is exported
            shortcut = center_crop(shortcut, y.shape[2:])
        result: Tensor = self.activation(y + shortcut)
        return result


class WeightlessResidual(nn.Module):
    """A body plus the last `added` channels of its input, brought to the body's width."""

    def __init__(self, body: nn.Module, added: int, width: int) -> None:
        super().__init__()
        self.body = body
        self.added = added
        self.width = width

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in, *size) to (N, width, *size), smaller where nothing is padded."""
        y = self.body(x)
        shortcut = x.narrow(1, x.shape[1] - self.added, self.added)
        result: Tensor = y + fit_channels(center_crop(shortcut, y.shape[2:]), self.width)
        return result


def _depthwise(kit: LayerKit, in_channels: int, block: DepthwiseBlock) -> nn.Module:
    units, given = [], in_channels
    for width in block.widths:
        halves: OrderedDict[str, nn.Module] = OrderedDict()
        halves["depthwise"] = conv_unit(kit, given, given, block.kernel_size, groups=given)
        if block.pointwise:
            halves["pointwise"] = conv_unit(kit, given, width, (1,) * len(block.kernel_size))
        units.append(nn.Sequential(halves))
        given = width
    body = nn.Sequential(*units)
    if block.adds == "nothing":
        return body
    return WeightlessResidual(body, in_channels, block.widths[-1])


class Bottleneck(nn.Module):
    """1x1 to n/4, kernel at n/4, 1x1 to n, plus the input, activation (He et al. 2016, Fig. 5)."""

    def __init__(self, kit: LayerKit, in_channels: int, width: int, kernel_size: Size) -> None:
        super().__init__()
        one, inner = (1,) * len(kernel_size), width // 4
        self.body = nn.Sequential(
            conv_unit(kit, in_channels, inner, one),
            conv_unit(kit, inner, inner, kernel_size),
            conv_unit(kit, inner, width, one, ends_active=False),
        )
        is_projected = in_channels != width
        self.shortcut = (
            conv_unit(kit, in_channels, width, one, ends_active=False)
            if is_projected
            else nn.Identity()
        )
        self.activation = kit.activation(width)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in, *size) to (N, width, *size), smaller where nothing is padded."""
        y = self.body(x)
        result: Tensor = self.activation(y + self.shortcut(center_crop(x, y.shape[2:])))
        return result


class Inception(nn.Module):
    """Arms that see 1, one kernel and two kernels wide, concatenated (Szegedy et al. 2016)."""

    def __init__(self, kit: LayerKit, in_channels: int, width: int, kernel_size: Size) -> None:
        super().__init__()
        one, quarter, half = (1,) * len(kernel_size), width // 4, width // 2
        self.arms = nn.ModuleDict(
            {
                "point": conv_unit(kit, in_channels, quarter, one),
                "narrow": nn.Sequential(
                    conv_unit(kit, in_channels, quarter, one),
                    conv_unit(kit, quarter, half, kernel_size),
                ),
                "wide": nn.Sequential(
                    conv_unit(kit, in_channels, quarter, one),
                    conv_unit(kit, quarter, quarter, kernel_size),
                    conv_unit(kit, quarter, quarter, kernel_size),
                ),
            }
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in, *size) to (N, width, *size), smaller where nothing is padded."""
        maps = [arm(x) for arm in self.arms.values()]
        size = maps[-1].shape[2:]  # the arm with two kernels is the smallest
        return torch.cat([center_crop(y, size) for y in maps], dim=1)


class AttentionModule(nn.Module):
    """Spatial attention: x * a + x with one map a for all channels (Wang et al. 2019, Fig. 2)."""

    def __init__(self, kit: LayerKit, channels: int, kernel_size: Size) -> None:
        super().__init__()
        inner = max(1, channels // 2)
        self.inner = kit.conv(channels, inner, kernel_size)
        self.activation = nn.ReLU(inplace=True)
        self.outer = kit.conv(inner, 1, kernel_size)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map (N, C, *size) to itself, attended, and the logits of the map a, (N, 1, *size).

        Both are smaller where nothing is padded.
        """
        seen = self.outer(self.activation(self.inner(x)))
        x = center_crop(x, seen.shape[2:])
        return x * torch.sigmoid(seen) + x, seen
