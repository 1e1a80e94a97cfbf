"""A trained network without the parts that prediction does not need."""

from __future__ import annotations

from dataclasses import replace

from ushape.errors import ConfigError
from ushape.nets.network import SegmentationNetwork
from ushape.nets.parts import Auxiliary, FineHead, NodeHead
from ushape.nets.second_pass import has_separate_statistics, separate_statistics
from ushape.nets.spec import NetworkSpec
from ushape.nets.wiring import node_name


def prune(network: SegmentationNetwork, *, columns: int | None = None) -> SegmentationNetwork:
    """Copy a network without what only training needs, or with fewer columns.

    Left out are auxiliary logits and attention maps as outputs (attention itself stays, as does
    the fine head of a fine-grained network).

    Args:
        network: Trained.
        columns: Of a U-Net++, how many decoder columns to compute, counted from the first; its
            logits are those of the head of that column (Zhou et al. 2018, section 3.2). None for
            all.

    Returns:
        A network in the same mode, with its own copies of the weights.

    Raises:
        ConfigError: The network has no such columns, or they have no heads.

    >>> from ushape.nets import build
    >>> prune(build("unet_plusplus", levels=4, width=8), columns=1).spec.lowest
    'x_1_0'
    """
    spec = pruned_spec(network.spec, columns=columns)
    result = SegmentationNetwork(spec)
    if has_separate_statistics(network):
        separate_statistics(result)
    wanted = result.state_dict().keys()
    result.load_state_dict({k: v for k, v in network.state_dict().items() if k in wanted})
    parameter = next(network.parameters())
    return result.to(parameter.device, parameter.dtype).train(network.training)


def pruned_spec(spec: NetworkSpec, *, columns: int | None = None) -> NetworkSpec:
    """Describe what `prune` makes of a network; arguments and errors are the same."""
    kept: tuple[Auxiliary, ...] = tuple(a for a in spec.auxiliary if isinstance(a, FineHead))
    if columns is None:
        return replace(spec, auxiliary=kept)
    last = len(spec.levels) - 1
    if spec.nesting != "dense":
        raise ConfigError(
            f"columns={columns}: {spec.name} has one decoder; columns are for unet_plusplus"
        )
    if not 1 <= columns <= last:
        raise ConfigError(f"columns={columns}: {spec.name} has {last}: give 1 to {last}")
    if columns == last:
        return replace(spec, auxiliary=kept)
    if NodeHead(node_name(0, columns)) not in spec.auxiliary:
        raise ConfigError(
            f"columns={columns}: {spec.name} was built without heads on inner columns: train it "
            "with deep_supervision=true"
        )
    lowest = replace(spec.levels[columns], decoder=None)
    return replace(
        spec,
        levels=(*spec.levels[:columns], lowest),
        auxiliary=kept,
        branch=None,
        frozen=(),
    )
