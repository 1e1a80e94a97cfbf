"""How a decoder node joins earlier maps of its level with the map from below."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

import torch
from torch import Tensor, nn

from ushape.nets.kit import LayerKit
from ushape.nets.parts import Add, Concatenate, GatedConcatenate, Merge
from ushape.nets.spec import NetworkSpec
from ushape.nets.wiring import Node
from ushape.sizes import Size


def center_crop(x: Tensor, size: Sequence[int]) -> Tensor:
    """Return the middle of (N, C, *space) as a view of spatial size `size`.

    The surplus is even on every axis, see `geometry`.
    """
    for axis, wanted in enumerate(size, start=2):
        surplus = x.shape[axis] - wanted
        if surplus != 0:
            x = x.narrow(axis, surplus // 2, wanted)
    return x


def merge(kind: Merge, skips: Sequence[Tensor], enlarged: Tensor) -> Tensor:
    """Join skips and the enlarged map to one.

    Args:
        kind: How.
        skips: (N, C_k, *size_k), size_k at least the enlarged size; gated already where gates are.
        enlarged: (N, C, *size).

    Returns:
        (N, sum of C_k + C, *size), or (N, C, *size) where maps are added.
    """
    cropped = [center_crop(skip, enlarged.shape[2:]) for skip in skips]
    if isinstance(kind, Concatenate | GatedConcatenate):
        return torch.cat([*cropped, enlarged], dim=1)
    if isinstance(kind, Add):
        for skip in cropped:
            enlarged = enlarged + skip
        return enlarged
    assert_never(kind)


class Gates(nn.ModuleDict):
    """One attention gate for each skip of a node, by the skip's name."""

    def __init__(self, kit: LayerKit, spec: NetworkSpec, node: Node) -> None:
        assert node.source is not None, "decoder nodes read the level below"
        below, stride = spec.width(node.source), spec.step(node.level + 1).stride
        super().__init__(
            {name: AttentionGate(kit, spec.width(name), below, stride) for name in node.skips}
        )

    def forward(self, skips: Sequence[Tensor], below: Tensor) -> list[Tensor]:
        """Map (N, C_k, *size_k) and (N, C, *coarse) to (N, C_k, *coarse * stride)."""
        return [gate(skip, below) for gate, skip in zip(self.values(), skips, strict=True)]


class AttentionGate(nn.Module):
    """Scales a map x by coefficients from x and a coarser gating signal g.

    alpha = sigmoid(psi(ReLU(W_x x + W_g g))), computed at g's resolution (W_x has the stride),
    enlarged linearly, one coefficient for all channels; then a 1x1 convolution and norm.

    Source: Oktay et al., "Attention U-Net", MIDL 2018, Eq. 1-3 and Fig. 2; the inner width is
    that of x and the closing 1x1 convolution is there as in the authors' released code.
    """

    def __init__(self, kit: LayerKit, channels: int, gating_channels: int, stride: Size) -> None:
        super().__init__()
        self.stride = stride
        self.of_map = kit.conv(channels, channels, stride, stride=stride, bias=False)
        self.of_gate = kit.pointwise(gating_channels, channels)
        self.activation = nn.ReLU(inplace=True)
        self.psi = kit.pointwise(channels, 1)
        self.resize = kit.linear_resize(stride)
        self.project = nn.Sequential(
            kit.pointwise(channels, channels), *kit.norms(channels).values()
        )

    def forward(self, x: Tensor, g: Tensor) -> Tensor:
        """Map (N, C, *size) and (N, C_g, *coarse) to (N, C, *(coarse * stride))."""
        x = center_crop(x, [n * step for n, step in zip(g.shape[2:], self.stride, strict=True)])
        seen = self.psi(self.activation(self.of_map(x) + self.of_gate(g)))
        result: Tensor = self.project(x * self.resize(torch.sigmoid(seen)))
        return result
