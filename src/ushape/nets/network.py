"""The network: encoder, decoder and heads, built from a specification."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ushape.errors import ShapeError
from ushape.nets.decoder import Decoder
from ushape.nets.encoders import Encoder
from ushape.nets.geometry import Geometry, geometry_of, lowest_node
from ushape.nets.kit import LayerKit, initialise
from ushape.nets.skips import center_crop
from ushape.nets.spec import NetworkSpec
from ushape.sizes import format_size


class Output(NamedTuple):
    """What every network of the family returns.

    Attributes:
        logits: (N, classes, *output_size), never probabilities.
        auxiliary: Further logits of inner nodes; empty for networks without such heads.
    """

    logits: Tensor
    auxiliary: tuple[Tensor, ...]


class SegmentationNetwork(nn.Module):
    """A network of the family.

    Attributes:
        spec: Its description.
        geometry: Its sizes, margins and receptive field.
    """

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        self.spec: NetworkSpec = spec
        self.geometry: Geometry = geometry_of(spec)
        kit = LayerKit(spec.kit)
        self._output = spec.nodes[-1]
        width = spec.block(self._output).widths[-1]
        self.encoder = Encoder(kit, spec)
        self.decoder = Decoder(kit, spec)
        self.heads = nn.ModuleDict({self._output.name: kit.pointwise(width, spec.classes)})
        initialise(self)

    def forward(self, image: Tensor) -> Output:
        """Compute logits.

        Args:
            image: (N, in_channels, *size), of a size that `geometry` allows.

        Returns:
            Logits of size `geometry.output_size(size)`, and no auxiliary ones.

        Raises:
            ShapeError: The image does not fit; the message names the sizes that do.
        """
        # A compiler reads the sizes as symbols: there the exported program's own guards apply.
        if not torch.compiler.is_compiling():
            self._check(image)
        if self.geometry.is_trimming:
            used, _ = self.geometry.nearest_sizes(image.shape[2:])
            assert used is not None, "smaller images were refused"
            image = center_crop(image, used)
        maps = self.decoder(self.encoder(image))
        name = self._output.name
        return Output(self.heads[name](maps[name]), ())

    def _check(self, image: Tensor) -> None:
        spec = self.spec
        axes = "y, x" if spec.kit.spatial_dims == 2 else "z, y, x"
        if image.ndim != spec.kit.spatial_dims + 2 or image.shape[1] != spec.in_channels:
            raise ShapeError(
                f"shape {format_size(image.shape)} does not fit {spec.name}: give "
                f"(batch, {spec.in_channels}, {axes}), or build it with other in_channels"
            )
        size = tuple(image.shape[2:])
        self.geometry.output_size(size)
        lowest = self.geometry.node_size(lowest_node(spec), size)
        # Batch statistics of a single value do not exist.
        if self.training and spec.kit.norm == "batch" and len(image) * math.prod(lowest) == 1:
            raise ShapeError(
                f"one image of size {format_size(size)} leaves one value a channel on the lowest "
                f"level of {spec.name}, too few to train batch norm: give a larger batch or a "
                f"size of {format_size([2 * edge for edge in size])} or more"
            )
