"""What turns maps into outputs: heads, auxiliary outputs, and a branch from an inner node."""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_never

import torch
from torch import Tensor, nn

from ushape.nets.encoders import attention_key
from ushape.nets.kit import LayerKit, bilinear_
from ushape.nets.parts import AttentionMap, Auxiliary, FineHead, NodeHead
from ushape.nets.skips import center_crop
from ushape.nets.spec import NetworkSpec

FINE = "fine"
"""The key of the second head of fine-grained networks, beside the names of nodes."""


class Heads(nn.ModuleDict):
    """One convolution for each output that has weights of its own, by node (or `fine`)."""

    def __init__(self, kit: LayerKit, spec: NetworkSpec) -> None:
        output = spec.nodes[-1].name
        kernel = spec.head_kernel or spec.one
        wanted = [(output, output, spec.classes)]
        for auxiliary in spec.auxiliary:
            if isinstance(auxiliary, NodeHead):
                wanted.append((auxiliary.node, auxiliary.node, spec.classes))
            elif isinstance(auxiliary, FineHead):
                wanted.append((FINE, output, auxiliary.classes))
        super().__init__(
            {key: kit.conv(spec.width(node), count, kernel) for key, node, count in wanted}
        )
        self.output = output
        self.auxiliary = spec.auxiliary

    def forward(self, maps: Mapping[str, Tensor]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Map the maps by node name to the logits and the auxiliary outputs."""
        logits = self[self.output](maps[self.output])
        return logits, tuple(self._auxiliary(kind, maps) for kind in self.auxiliary)

    def _auxiliary(self, kind: Auxiliary, maps: Mapping[str, Tensor]) -> Tensor:
        if isinstance(kind, AttentionMap):
            return maps[attention_key(kind.node)]
        if isinstance(kind, NodeHead):
            key, node = kind.node, kind.node
        elif isinstance(kind, FineHead):
            key, node = FINE, self.output
        else:
            assert_never(kind)
        result: Tensor = self[key](maps[node])
        return result


class BranchPath(nn.Module):
    """1x1 convolution, enlargement to full resolution, added to the logits of some classes.

    The convolution starts at zero and the enlargement at linear interpolation, so that a network
    with a new branch computes what it did without.
    """

    def __init__(self, kit: LayerKit, spec: NetworkSpec) -> None:
        super().__init__()
        assert spec.branch is not None
        self.node = spec.branch.node
        self.classes = spec.branch.classes
        count = len(self.classes)
        stride = spec.stride(spec.node(self.node).level)
        self.conv = kit.pointwise(spec.width(self.node), count)
        self.up = (
            kit.transposed_smooth(count, count, stride, groups=count)
            if max(stride) > 1
            else nn.Identity()
        )

    def start_at_zero(self) -> None:
        """Set the weights with which the branch adds nothing."""
        for parameter in self.conv.parameters():
            nn.init.zeros_(parameter)
        if not isinstance(self.up, nn.Identity):
            bilinear_(self.up)

    def forward(self, maps: Mapping[str, Tensor], logits: Tensor) -> Tensor:
        """Map the maps and (N, classes, *size) to logits of the same shape."""
        extra = center_crop(self.up(self.conv(maps[self.node])), logits.shape[2:])
        places = {channel: place for place, channel in enumerate(self.classes)}
        channels = [
            logits[:, k : k + 1] + extra[:, places[k] : places[k] + 1]
            if k in places
            else logits[:, k : k + 1]
            for k in range(logits.shape[1])
        ]
        return torch.cat(channels, dim=1)
