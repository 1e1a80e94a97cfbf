"""How many parameters every part of a network has, by arithmetic on its specification.

No torch (but for a library's encoder, which has to be built). With `tally` the counterpart of the
modules for counting, as `axis_layers` is for sizes; a test compares both for every entry.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ushape.nets.parts import FineHead, GatedConcatenate, NodeHead
from ushape.nets.spec import NetworkSpec
from ushape.nets.tally import Tally, count_block, count_down, count_gate, count_up
from ushape.nets.wiring import Node

BACKBONE, HEAD, BRANCH, FINE_HEAD = "backbone", "head", "branch", "head fine"


def head_part(node: str) -> str:
    """Name the auxiliary head of a node.

    >>> head_part("x_0_1")
    'head x_0_1'
    """
    return f"head {node}"


@dataclass(frozen=True)
class ParameterCounts:
    """Parameters by part, and sums.

    Attributes:
        by_part: Of every node (the way up or down to it, gates and attention included) and of
            `head`, `head NODE`, `head fine`, `branch` and `backbone`, where there are such.
        trainable: Weights and biases that training changes.
        frozen: Weights and biases that it does not.
        running: Running means and variances of batch norm.
    """

    by_part: Mapping[str, int]
    trainable: int
    frozen: int
    running: int

    @property
    def all(self) -> int:
        """Trainable and frozen parameters, and running statistics."""
        return self.trainable + self.frozen + self.running


def count_parameters(spec: NetworkSpec) -> ParameterCounts:
    """Count a network's parameters.

    >>> from ushape.nets import make_spec
    >>> count_parameters(make_spec("unet_original")).trainable
    31030593
    """
    by_part: dict[str, int] = {}
    running = frozen = 0
    if spec.backbone is not None:
        by_part[BACKBONE], frozen, running = _backbone(spec)
    for node in spec.nodes:
        if spec.backbone is not None and node.column == 0:
            by_part[node.name] = 0
            continue
        tally = _node(spec, node)
        by_part[node.name] = tally.parameters
        running += tally.running
        frozen += tally.parameters if node.name in spec.frozen else 0
    by_part |= _outputs(spec)
    trainable = sum(by_part.values()) - frozen
    return ParameterCounts(by_part, trainable, frozen, running)


def _node(spec: NetworkSpec, node: Node) -> Tally:
    tally = Tally(spec.kit)
    given = spec.channels_into(node)
    if node.column == 0:
        if node.source is not None:
            count_down(tally, spec.width(node.source), spec.step(node.level))
    else:
        assert node.source is not None, "decoder nodes read the level below"
        below, step = spec.width(node.source), spec.step(node.level + 1)
        count_up(tally, below, step)
        if isinstance(spec.merge, GatedConcatenate):
            for name in node.skips:
                count_gate(tally, spec.width(name), below, step.stride)
    attention = spec.attention(node)
    if attention is not None:
        inner = max(1, given // 2)
        tally.conv(given, inner, attention.kernel_size)
        tally.conv(inner, 1, attention.kernel_size)
    count_block(tally, given, spec.block(node))
    return tally


def _outputs(spec: NetworkSpec) -> dict[str, int]:
    """Count the heads and the branch."""
    output, kernel = spec.nodes[-1].name, spec.head_kernel or ()
    wanted = {HEAD: (output, spec.classes)}
    for auxiliary in spec.auxiliary:
        if isinstance(auxiliary, NodeHead):
            wanted[head_part(auxiliary.node)] = (auxiliary.node, spec.classes)
        elif isinstance(auxiliary, FineHead):
            wanted[FINE_HEAD] = (output, auxiliary.classes)
    found = {}
    for part, (node, classes) in wanted.items():
        tally = Tally(spec.kit)
        tally.conv(spec.width(node), classes, kernel)
        found[part] = tally.parameters
    if spec.branch is not None:
        found[BRANCH] = _branch(spec)
    return found


def _branch(spec: NetworkSpec) -> int:
    assert spec.branch is not None
    count = len(spec.branch.classes)
    tally = Tally(spec.kit)
    tally.pointwise(spec.width(spec.branch.node), count)
    stride = spec.stride(spec.node(spec.branch.node).level)
    if max(stride) > 1:
        enlarge = Tally(spec.kit)
        enlarge.smooth(1, stride)  # one kernel a class; a bias only where there is one class
        tally.parameters += enlarge.parameters if count == 1 else count * (enlarge.parameters - 1)
    return tally.parameters


def _backbone(spec: NetworkSpec) -> tuple[int, int, int]:
    """Build a library's encoder without data: its parameters, the frozen ones, running values."""
    import torch

    from ushape.nets.network import SegmentationNetwork

    with torch.device("meta"):
        network = SegmentationNetwork(spec)
    parameters = list(network.encoder.parameters())
    frozen = sum(p.numel() for p in parameters if not p.requires_grad)
    running = sum(
        buffer.numel() for name, buffer in network.encoder.named_buffers() if "running_" in name
    )
    return sum(p.numel() for p in parameters), frozen, running
