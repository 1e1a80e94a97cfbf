"""Every network of the family, from one declarative form.

`make_spec` checks a catalogue name and its options and gives a `NetworkSpec` (data); everything
else reads that: `geometry_of` (sizes, margins), `describe` (the figure), `build_network` (the
torch module). Torch is imported only where a module is built.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ushape.nets.catalog import CatalogEntry, entries, make_spec
from ushape.nets.describe import Figure, describe, figure_json
from ushape.nets.diagram import diagram_svg
from ushape.nets.drawing import figure_text
from ushape.nets.geometry import Geometry, geometry_of
from ushape.nets.options import OptionInfo
from ushape.nets.spec import NetworkSpec
from ushape.nets.spec_json import spec_from_json, spec_to_json

if TYPE_CHECKING:
    from ushape.nets.network import SegmentationNetwork

__all__ = [
    "CatalogEntry",
    "Figure",
    "Geometry",
    "NetworkSpec",
    "OptionInfo",
    "build",
    "build_network",
    "describe",
    "diagram_svg",
    "entries",
    "figure_json",
    "figure_text",
    "geometry_of",
    "load_initial_weights",
    "make_spec",
    "prune",
    "spec_from_json",
    "spec_to_json",
]


def build(
    name: str, *, in_channels: int = 1, classes: int = 1, **options: Any
) -> SegmentationNetwork:
    """Build a network of the catalogue, weights freshly drawn.

    Args:
        name: A catalogue name, such as `unet_original`; `ushape models` lists them.
        in_channels: Image channels.
        classes: Logit channels: 1 for binary, else one a class, the background included.
        options: The entry's own options; `ushape models NAME` lists them.

    Returns:
        A `torch.nn.Module` whose result has the fields `logits` and `auxiliary`.

    Raises:
        ConfigError: Unknown name or option, or a value that is not allowed.

    >>> net = build("unet_padding", levels=3, width=8)
    >>> net.geometry.output_size((64, 96))
    (64, 96)
    """
    network = build_network(make_spec(name, in_channels=in_channels, classes=classes, **options))
    load_initial_weights(network)
    return network


def build_network(spec: NetworkSpec) -> SegmentationNetwork:
    """Build the torch module that a specification describes, weights freshly drawn."""
    from ushape.nets.network import SegmentationNetwork

    return SegmentationNetwork(spec)


def load_initial_weights(network: SegmentationNetwork) -> None:
    """Give a new network's backbone the weights that its description names, if it names any.

    Raises:
        ConfigError: They cannot be found, read or used; the message says what to do.
    """
    backbone = network.spec.backbone
    if backbone is not None and backbone.weights is not None:
        from ushape.nets.encoders import BackboneEncoder
        from ushape.nets.pretrained import load_pretrained

        assert isinstance(network.encoder, BackboneEncoder)
        load_pretrained(network.encoder.backbone, backbone.weights)


def prune(network: SegmentationNetwork, *, columns: int | None = None) -> SegmentationNetwork:
    """Copy a network without what only training needs, or with fewer columns of a U-Net++.

    Arguments, result and errors: `ushape.nets.pruning.prune`.
    """
    from ushape.nets.pruning import prune as prune_network

    return prune_network(network, columns=columns)
