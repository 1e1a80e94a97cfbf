"""The contracting path: from the image to one map a level."""

from __future__ import annotations

from typing import assert_never

from torch import Tensor, nn

from ushape.nets.blocks import build_block
from ushape.nets.kit import LayerKit
from ushape.nets.spec import Down, MaxPool, NetworkSpec
from ushape.nets.wiring import Node
from ushape.sizes import Size


class EncoderNode(nn.Module):
    """One level: the way down to it, its block, dropout."""

    def __init__(self, kit: LayerKit, spec: NetworkSpec, node: Node) -> None:
        super().__init__()
        level = spec.levels[node.level]
        self.down = _build_down(kit, level.step.down, level.step.stride) if level.step else None
        self.block = build_block(kit, spec.channels_into(node), level.encoder)
        self.dropout = nn.Dropout(level.dropout) if level.dropout else None

    def forward(self, x: Tensor) -> Tensor:
        """Map the level above (or the image) to this level's map."""
        if self.down is not None:
            x = self.down(x)
        x = self.block(x)
        return x if self.dropout is None else self.dropout(x)


class Encoder(nn.ModuleDict):
    """All levels, by node name."""

    def __init__(self, kit: LayerKit, spec: NetworkSpec) -> None:
        super().__init__({n.name: EncoderNode(kit, spec, n) for n in spec.nodes if n.column == 0})

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Map (N, in_channels, *size) to every level's map, by node name."""
        maps: dict[str, Tensor] = {}
        x = image
        for name, node in self.items():
            x = maps[name] = node(x)
        return maps


def _build_down(kit: LayerKit, down: Down, stride: Size) -> nn.Module:
    if isinstance(down, MaxPool):
        return kit.max_pool(stride)
    assert_never(down)
