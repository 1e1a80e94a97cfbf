"""The second pass of a fine-grained network: its fine head, and normalisation of its own.

Both passes share all weights. Whole images and enlarged regions of them have activations of
different mean and spread, however: batch norm that keeps one running estimate for both suits
neither when it predicts. So each pass keeps its own.

Source: domain-specific statistics as in Chang et al., "Domain-Specific Batch Normalization for
Unsupervised Domain Adaptation", CVPR 2019, section 3.2; scales and offsets stay shared here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ushape.errors import ConfigError
from ushape.nets.geometry import Geometry
from ushape.nets.network import Output, SegmentationNetwork
from ushape.nets.parts import FineHead
from ushape.nets.spec import NetworkSpec

_STATISTICS = ("running_mean", "running_var")
_PREFIX = "second_"


def fine_head(spec: NetworkSpec) -> int | None:
    """Say which auxiliary output is the fine head; None where a network has none."""
    places = (n for n, kind in enumerate(spec.auxiliary) if isinstance(kind, FineHead))
    return next(places, None)


def separate_statistics(network: nn.Module) -> None:
    """Give every batch norm a second set of running statistics, equal to the first.

    They are part of the state dict, so they are averaged, saved and loaded as the first ones are.
    A network that has them already is left as it is.
    """
    for module in _norms(network):
        for name in _STATISTICS:
            if not hasattr(module, _PREFIX + name):
                first: Tensor = getattr(module, name)
                module.register_buffer(_PREFIX + name, first.detach().clone())


def has_separate_statistics(network: nn.Module) -> bool:
    """Say whether a network has a second set of statistics."""
    return any(hasattr(module, _PREFIX + _STATISTICS[0]) for module in _norms(network))


def is_second(key: str) -> bool:
    """Say whether an entry of a state dict is one of the second statistics."""
    return key.rpartition(".")[2].startswith(_PREFIX)


@contextmanager
def second_pass(network: nn.Module) -> Iterator[None]:
    """Within `with`, batch norm uses, and in training updates, its second set of statistics."""
    _exchange(network)
    try:
        yield
    finally:
        _exchange(network)


class FineView(nn.Module):
    """A fine-grained network as its second pass sees it: the fine head's logits are the logits.

    One thread at a time: while it computes, the network itself has the second statistics.

    Attributes:
        network: The network itself.
        spec: Its description.
        geometry: Its sizes, which are those of both passes.
    """

    def __init__(self, network: SegmentationNetwork) -> None:
        super().__init__()
        place = fine_head(network.spec)
        if place is None:
            raise ConfigError(f"{network.spec.name} has no fine head: build unet_fine_grained")
        self.network, self._place = network, place
        self.spec: NetworkSpec = network.spec
        self.geometry: Geometry = network.geometry

    def forward(self, image: Tensor) -> Output:
        """Compute the logits of the fine head; arguments and errors as those of the network."""
        with second_pass(self.network):
            output: Output = self.network(image)
        return Output(output.auxiliary[self._place], ())


def _norms(network: nn.Module) -> Iterator[nn.Module]:
    for module in network.modules():
        if isinstance(module, _BatchNorm) and module.track_running_stats:
            yield module


def _exchange(network: nn.Module) -> None:
    for module in _norms(network):
        for name in _STATISTICS:
            if hasattr(module, _PREFIX + name):
                first, second = getattr(module, name), getattr(module, _PREFIX + name)
                setattr(module, name, second)
                setattr(module, _PREFIX + name, first)
