"""The contracting path: from the image to one map a level."""

from __future__ import annotations

from collections import OrderedDict
from typing import assert_never

import torch
from torch import Tensor, nn

from ushape.nets.blocks import AttentionModule, build_block, conv_unit
from ushape.nets.kit import LayerKit
from ushape.nets.parts import (
    BackboneDown,
    BlockDown,
    ConvDown,
    InceptionDown,
    LevelSpec,
    MaxPool,
    Step,
    StridePadding,
)
from ushape.nets.spec import NetworkSpec
from ushape.nets.wiring import Node
from ushape.sizes import Size


def attention_key(node: str) -> str:
    """Name the attention map of a node among the maps.

    >>> attention_key("x_4_0")
    'x_4_0 attention'
    """
    return f"{node} attention"


class EncoderNode(nn.Module):
    """One level: the way down to it, its block, dropout."""

    def __init__(self, kit: LayerKit, spec: NetworkSpec, node: Node) -> None:
        super().__init__()
        level = spec.levels[node.level]
        self.down = _build_down(kit, spec, node, level.step) if level.step else None
        channels = spec.channels_into(node)
        attention = spec.attention(node)
        self.attention = (
            AttentionModule(kit, channels, attention.kernel_size) if attention else None
        )
        assert level.encoder is not None, "the wiring table has no node where there is no block"
        self.block = build_block(kit, channels, level.encoder, stride=_stride_of_block(level))
        self.dropout = nn.Dropout(level.dropout) if level.dropout else None

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Map the level above (or the image) to this level's map and its attention, if any."""
        seen = None
        if self.down is not None:
            x = self.down(x)
        if self.attention is not None:
            x, seen = self.attention(x)
        x = self.block(x)
        return (x if self.dropout is None else self.dropout(x)), seen


class Encoder(nn.ModuleDict):
    """All levels, by node name."""

    def __init__(self, kit: LayerKit, spec: NetworkSpec) -> None:
        super().__init__({n.name: EncoderNode(kit, spec, n) for n in spec.nodes if n.column == 0})

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Map (N, in_channels, *size) to every level's map, by node name."""
        maps: dict[str, Tensor] = {}
        x = image
        for name, node in self.items():
            x, seen = node(x)
            maps[name] = x
            if seen is not None:
                maps[attention_key(name)] = seen
        return maps


class BackboneEncoder(nn.Module):
    """A library's encoder; its maps get the names of the levels that have their resolution."""

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        from ushape.nets.timm_encoder import TimmEncoder

        assert spec.backbone is not None
        self.names = [node.name for node in spec.nodes if node.column == 0]
        self.backbone = TimmEncoder(spec.backbone.model, in_channels=spec.in_channels)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Map (N, in_channels, *size) to every published map, by node name."""
        return dict(zip(self.names, self.backbone(image), strict=True))


class InceptionReduction(nn.Module):
    """Max-pooling, one convolution and three, all with the step's stride, concatenated."""

    def __init__(self, kit: LayerKit, channels: int, stride: Size, padding: StridePadding) -> None:
        super().__init__()
        kernel = tuple(3 if edge > 1 else 1 for edge in stride)
        three, one = (3,) * len(stride), (1,) * len(stride)

        def strided(given: int) -> nn.Sequential:
            conv = kit.conv(given, channels // 2, kernel, stride=stride, padding=padding)
            layers = {"conv": conv} | kit.ending("normed", channels // 2)
            return nn.Sequential(OrderedDict(layers))

        self.pool = kit.max_pool(stride, kernel_size=kernel, padding=padding)
        self.single = strided(channels)
        self.triple = nn.Sequential(
            conv_unit(kit, channels, channels // 4, one),
            conv_unit(kit, channels // 4, channels // 4, three),
            strided(channels // 4),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, *size) to (N, 2 C, *(size / stride))."""
        return torch.cat([self.pool(x), self.single(x), self.triple(x)], dim=1)


def _build_down(kit: LayerKit, spec: NetworkSpec, node: Node, step: Step) -> nn.Module | None:
    down = step.down
    if isinstance(down, MaxPool):
        return kit.max_pool(step.stride)
    if isinstance(down, BlockDown):
        return None
    assert node.source is not None, "a step leads from a level above"
    given = spec.width(node.source)
    if isinstance(down, ConvDown):
        conv = kit.conv(
            given, down.width, down.kernel_size, stride=step.stride, padding=down.padding
        )
        return nn.Sequential(OrderedDict({"conv": conv} | kit.ending(down.ending, down.width)))
    if isinstance(down, InceptionDown):
        return InceptionReduction(kit, given, step.stride, down.padding)
    if isinstance(down, BackboneDown):
        raise AssertionError("a backbone goes down by itself")
    assert_never(down)


def _stride_of_block(level: LevelSpec) -> Size | None:
    if level.step is not None and isinstance(level.step.down, BlockDown):
        return level.step.stride
    return None
