"""What one pass through a network costs: multiply-adds, and the memory of its maps.

Measured on the meta device: the real modules run on tensors that have a size but no data, so
nothing is computed and nothing large is allocated. Torch is imported by this module.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from ushape.nets.network import SegmentationNetwork
from ushape.nets.spec import NetworkSpec
from ushape.sizes import Size

_MEASURED = 2
"""Images in the batch that is measured: batch norm cannot be trained on one value a channel."""


@dataclass(frozen=True)
class Memory:
    """Bytes of maps, by how they are computed.

    Attributes:
        float32: Everything in float32.
        bf16: Under autocast to bfloat16, an estimate: maps take half; the places that max-pooling
            remembers are whole numbers of eight bytes and stay. What autocast computes in float32
            comes on top: on CPUs the maps that 3D max-pooling reads, about a tenth.
    """

    float32: int
    bf16: int


@dataclass(frozen=True)
class Costs:
    """What a batch costs. Weights, gradients of weights and optimiser state are not in here.

    Attributes:
        batch: Images in the batch.
        multiply_adds: Of convolutions and matrix products, for one image, as this network
            computes them; FLOPs are twice as many. Norms, activations and enlargements without
            weights are left out.
        training: What the forward pass keeps for the backward pass.
        prediction: The most that is alive at one moment of a forward pass without gradients, the
            image included; scratch space inside a single operation is not.
    """

    batch: int
    multiply_adds: int
    training: Memory
    prediction: Memory


def costs_of(spec: NetworkSpec, size: Sequence[int], *, batch: int = 1) -> Costs:
    """Measure what a batch of images costs.

    Args:
        spec: The network.
        size: Spatial size, which must pass.
        batch: Images in the batch.

    Raises:
        ShapeError: The size cannot pass.
    """
    per_image = _per_image(spec, tuple(size))
    return Costs(
        batch,
        per_image.multiply_adds,
        _times(per_image.training, batch),
        _times(per_image.prediction, batch),
    )


@lru_cache(maxsize=32)
def _per_image(spec: NetworkSpec, size: Size) -> Costs:
    with torch.device("meta"):
        network = SegmentationNetwork(spec)
        images = torch.empty((_MEASURED, spec.in_channels, *size))
    training = _kept_for_backward(network.train(), images)
    with FlopCounterMode(display=False) as counter:
        prediction = _alive_at_once(network.eval(), images)
    return Costs(
        batch=1,
        multiply_adds=counter.get_total_flops() // 2 // _MEASURED,
        training=_times(training, 1 / _MEASURED),
        prediction=_times(prediction, 1 / _MEASURED),
    )


def _kept_for_backward(network: nn.Module, images: Tensor) -> Memory:
    """Sum the maps that a forward pass saves, each piece of memory once."""
    kept: dict[int, Tensor] = {}
    tracker = _MapTracker(images)

    def keep(tensor: Tensor) -> Tensor:
        if _place(tensor) in tracker.alive:
            kept[_place(tensor)] = tensor
        return tensor

    with tracker, torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        result = network(images)
    del result
    return _memory(_bytes(tensor) for tensor in kept.values())


def _alive_at_once(network: nn.Module, images: Tensor) -> Memory:
    """Return the highest sum of living maps during a forward pass."""
    with torch.no_grad(), _MapTracker(images) as tracker:
        network(images)
    return Memory(tracker.most, tracker.most_bf16)


class _MapTracker(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Follows every piece of memory that was computed from the image, until it is freed.

    Attributes:
        alive: (bytes, bytes under autocast) of every living piece.
        most: The most bytes alive at one moment.
        most_bf16: The same under autocast.
    """

    def __init__(self, images: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.alive: dict[int, tuple[int, int]] = {}
        self.most = self.most_bf16 = 0
        self._enter(images)

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        if any(_place(tensor) in self.alive for tensor in given):
            for leaf in tree_leaves(result):
                if isinstance(leaf, Tensor):
                    self._enter(leaf)
        return result

    def _enter(self, tensor: Tensor) -> None:
        place = _place(tensor)
        if place in self.alive:  # a view, or changed in place
            return
        self.alive[place] = _bytes(tensor)
        weakref.finalize(tensor.untyped_storage(), self.alive.pop, place, None)
        self.most = max(self.most, sum(full for full, _ in self.alive.values()))
        self.most_bf16 = max(self.most_bf16, sum(half for _, half in self.alive.values()))


def _place(tensor: Tensor) -> int:
    """Return the identity of a tensor's memory; on the meta device there is no address."""
    place: int = tensor.untyped_storage()._cdata
    return place


def _bytes(tensor: Tensor) -> tuple[int, int]:
    full = tensor.untyped_storage().nbytes()
    return full, full // 2 if tensor.is_floating_point() else full


def _memory(pieces: Iterable[tuple[int, int]]) -> Memory:
    full, half = zip((0, 0), *pieces, strict=True)
    return Memory(sum(full), sum(half))


def _times(memory: Memory, factor: float) -> Memory:
    return Memory(round(memory.float32 * factor), round(memory.bf16 * factor))
