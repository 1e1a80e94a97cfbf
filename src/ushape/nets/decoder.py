"""The expanding path: one decoder that walks the wiring table, whatever the nesting."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection
from typing import assert_never

from torch import Tensor, nn

from ushape.nets.blocks import AttentionModule, build_block, conv_unit
from ushape.nets.encoders import attention_key
from ushape.nets.kit import LayerKit, NearestConv
from ushape.nets.parts import (
    GatedConcatenate,
    LinearUp,
    LinkUp,
    NearestUp,
    RepeatUp,
    Step,
    TransposedUp,
)
from ushape.nets.skips import Gates, merge
from ushape.nets.spec import NetworkSpec
from ushape.nets.wiring import Node


class DecoderNode(nn.Module):
    """The way up from the level below, the merge with earlier maps, the block."""

    def __init__(self, kit: LayerKit, spec: NetworkSpec, node: Node) -> None:
        super().__init__()
        step = spec.step(node.level + 1)
        assert node.source is not None, "decoder nodes read the level below"
        channels = spec.channels_into(node)
        attention = spec.attention(node)
        self.up = _build_up(kit, spec.width(node.source), step)
        self.gates = Gates(kit, spec, node) if isinstance(spec.merge, GatedConcatenate) else None
        self.merge_kind = spec.merge
        self.attention = (
            AttentionModule(kit, channels, attention.kernel_size) if attention else None
        )
        self.block = build_block(kit, channels, spec.block(node), enlarged=step.up.width)

    def forward(self, below: Tensor, skips: list[Tensor]) -> tuple[Tensor, Tensor | None]:
        """Map the level below and earlier maps of this level to this node's map and attention."""
        seen = None
        if self.gates is not None:
            skips = self.gates(skips, below)
        x = merge(self.merge_kind, skips, self.up(below))
        if self.attention is not None:
            x, seen = self.attention(x)
        return self.block(x), seen


class Decoder(nn.ModuleDict):
    """All decoder nodes, by name."""

    def __init__(self, kit: LayerKit, spec: NetworkSpec) -> None:
        table = [node for node in spec.nodes if node.column > 0]
        super().__init__({node.name: DecoderNode(kit, spec, node) for node in table})
        self.table = table
        self.last_reader = {
            name: node.name for node in table for name in (node.source, *node.skips)
        }

    def forward(
        self, maps: dict[str, Tensor], *, kept: Collection[str] | None = None
    ) -> dict[str, Tensor]:
        """Compute every decoder node.

        Args:
            maps: The encoder's, by node name.
            kept: Names that are needed afterwards; others are let go after their last use, which
                frees their memory in prediction. None keeps all.

        Returns:
            The maps of encoder and decoder, by name.
        """
        maps = dict(maps)
        for node in self.table:
            assert node.source is not None, "decoder nodes read the level below"
            skips = [maps[name] for name in node.skips]
            maps[node.name], seen = self[node.name](maps[node.source], skips)
            if seen is not None:
                maps[attention_key(node.name)] = seen
            for name in (node.source, *node.skips):
                if kept is not None and name not in kept and self.last_reader[name] == node.name:
                    del maps[name]
        return maps


def _build_up(kit: LayerKit, in_channels: int, step: Step) -> nn.Module:
    up, stride = step.up, step.stride
    layers: dict[str, nn.Module]
    if isinstance(up, NearestUp):
        layers = {"conv": NearestConv(in_channels, up.width, stride)}
    elif isinstance(up, TransposedUp):
        layers = {"conv": kit.transposed(in_channels, up.width, stride, bias=up.bias)}
    elif isinstance(up, LinearUp):
        resize = kit.linear_resize(stride, align_corners=up.align_corners)
        if up.kernel_size is None:
            # A 1x1 convolution commutes with the interpolation and is cheaper before it.
            layers = {"conv": kit.pointwise(in_channels, up.width), "resize": resize}
        else:
            layers = {"resize": resize, "conv": kit.conv(in_channels, up.width, up.kernel_size)}
    elif isinstance(up, RepeatUp):
        return kit.nearest_resize(stride)
    elif isinstance(up, LinkUp):
        return _link(kit, in_channels, up, step)
    else:
        assert_never(up)
    return nn.Sequential(OrderedDict(layers | kit.ending(up.ending, up.width)))


def _link(kit: LayerKit, in_channels: int, up: LinkUp, step: Step) -> nn.Module:
    inner, one = max(1, in_channels // 4), (1,) * len(step.stride)
    enlarge = {"conv": kit.transposed_smooth(inner, inner, step.stride)}
    return nn.Sequential(
        conv_unit(kit, in_channels, inner, one),
        nn.Sequential(OrderedDict(enlarge | kit.ending("normed", inner))),
        conv_unit(kit, inner, up.width, one),
    )
