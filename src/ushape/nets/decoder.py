"""The expanding path: one decoder that walks the wiring table, whatever the nesting."""

from __future__ import annotations

from collections import OrderedDict
from typing import assert_never

from torch import Tensor, nn

from ushape.nets.blocks import build_block
from ushape.nets.kit import LayerKit, NearestConv
from ushape.nets.skips import merge
from ushape.nets.spec import LinearUp, NearestUp, NetworkSpec, Step, TransposedUp
from ushape.nets.wiring import Node


class DecoderNode(nn.Module):
    """The way up from the level below, the merge with earlier maps, the block."""

    def __init__(self, kit: LayerKit, spec: NetworkSpec, node: Node) -> None:
        super().__init__()
        step = spec.step(node.level + 1)
        below = next(entry for entry in spec.nodes if entry.name == node.source)
        self.up = _build_up(kit, spec.block(below).widths[-1], step)
        self.merge_kind = spec.merge
        self.block = build_block(kit, spec.channels_into(node), spec.block(node))

    def forward(self, below: Tensor, skips: list[Tensor]) -> Tensor:
        """Map the level below and earlier maps of this level to this node's map."""
        x: Tensor = self.block(merge(self.merge_kind, skips, self.up(below)))
        return x


class Decoder(nn.ModuleDict):
    """All decoder nodes, by name."""

    def __init__(self, kit: LayerKit, spec: NetworkSpec) -> None:
        table = [node for node in spec.nodes if node.column > 0]
        super().__init__({node.name: DecoderNode(kit, spec, node) for node in table})
        self.table = table

    def forward(self, maps: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the encoder's maps and those of every decoder node, by name."""
        maps = dict(maps)
        for node in self.table:
            assert node.source is not None, "decoder nodes read the level below"
            skips = [maps[name] for name in node.skips]
            maps[node.name] = self[node.name](maps[node.source], skips)
        return maps


def _build_up(kit: LayerKit, in_channels: int, step: Step) -> nn.Module:
    up, stride = step.up, step.stride
    layers: dict[str, nn.Module]
    if isinstance(up, NearestUp):
        layers = {"conv": NearestConv(in_channels, up.width, stride)}
    elif isinstance(up, TransposedUp):
        layers = {"conv": kit.transposed(in_channels, up.width, stride)}
    elif isinstance(up, LinearUp):
        # The projection commutes with the interpolation and is cheaper before it.
        layers = {
            "conv": kit.pointwise(in_channels, up.width),
            "resize": kit.linear_resize(stride),
        }
    else:
        assert_never(up)
    return nn.Sequential(OrderedDict(layers, activation=nn.ReLU(inplace=True)))
