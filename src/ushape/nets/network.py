"""The network: encoder, decoder and heads, built from a specification."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ushape.errors import ShapeError
from ushape.nets.decoder import Decoder
from ushape.nets.encoders import BackboneEncoder, Encoder
from ushape.nets.geometry import Geometry, geometry_of
from ushape.nets.heads import BranchPath, Heads
from ushape.nets.kit import LayerKit, initialise
from ushape.nets.parts import FineHead
from ushape.nets.skips import center_crop
from ushape.nets.spec import NetworkSpec
from ushape.sizes import format_size


class Output(NamedTuple):
    """What every network of the family returns.

    Attributes:
        logits: (N, classes, *output_size), never probabilities.
        auxiliary: What `spec.auxiliary` lists, in its order: logits of inner nodes (N, classes,
            *node_size), attention maps before their sigmoid (N, 1, *node_size), or the logits of
            the second head (N, fine classes, *output_size). Empty for most networks.
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
        self.encoder = Encoder(kit, spec) if spec.backbone is None else BackboneEncoder(spec)
        self.decoder = Decoder(kit, spec)
        self.heads = Heads(kit, spec)
        self.branch = BranchPath(kit, spec) if spec.branch else None
        initialise(self.decoder)
        initialise(self.heads)
        if isinstance(self.encoder, Encoder):  # a library's encoder draws its own weights
            initialise(self.encoder)
        if self.branch is not None:
            initialise(self.branch)
            self.branch.start_at_zero()
        self._kept = {
            spec.nodes[-1].name,
            *(a.node for a in spec.auxiliary if not isinstance(a, FineHead)),
        }
        if spec.branch is not None:
            self._kept.add(spec.branch.node)
        self._frozen_modules = self._freeze()

    def forward(self, image: Tensor) -> Output:
        """Compute logits.

        Args:
            image: (N, in_channels, *size), of a size that `geometry` allows.

        Returns:
            Logits of size `geometry.output_size(size)`, and the auxiliary outputs.

        Raises:
            ShapeError: The image does not fit; the message names the sizes that do.
        """
        # A compiler reads the sizes as symbols: there the exported program's own guards apply.
        if not torch.compiler.is_compiling():
            self._check(image)
        size = image.shape[2:]
        if self.geometry.is_trimming:
            used, _ = self.geometry.nearest_sizes(size)
            assert used is not None, "smaller images were refused"
            image = center_crop(image, used)
        if self.spec.takes_any_size:
            image = _pad_to(image, self.geometry)
        maps = self.decoder(self.encoder(image), kept=self._kept)
        logits, auxiliary = self.heads(maps)
        if self.branch is not None:
            logits = self.branch(maps, logits)
        if self.spec.takes_any_size:
            logits = _front(logits, size)
            auxiliary = tuple(
                _front(result, size) if isinstance(kind, FineHead) else result
                for kind, result in zip(self.spec.auxiliary, auxiliary, strict=True)
            )
        return Output(logits, auxiliary)

    def train(self, mode: bool = True) -> Self:
        """Switch between training and prediction; frozen parts stay as in prediction."""
        super().train(mode)
        if mode:
            for module in self._frozen_modules:
                module.train(False)
        return self

    def _freeze(self) -> tuple[nn.Module, ...]:
        """Exclude frozen nodes from training; return the modules that keep their statistics."""
        names = set(self.spec.frozen)
        frozen = [node for name, node in self.decoder.items() if name in names]
        if isinstance(self.encoder, Encoder):
            frozen += [node for name, node in self.encoder.items() if name in names]
        for node in frozen:
            node.requires_grad_(False)
        if isinstance(self.encoder, Encoder):
            return tuple(frozen)
        if count := sum(name in names for name in self.encoder.names):
            dependence = self.encoder.backbone.parameters_of(count)
            for parameter in dependence.parameters:
                parameter.requires_grad_(False)
            return (*frozen, *dependence.modules)
        return tuple(frozen)

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
        lowest = self.geometry.node_size(spec.lowest, size)
        # Batch statistics of a single value do not exist.
        if self.training and spec.kit.norm == "batch" and len(image) * math.prod(lowest) == 1:
            fitting, steps = self.geometry.nearest_sizes(size)[1], self.geometry.total_stride
            enough = [edge + step for edge, step in zip(fitting, steps, strict=True)]
            raise ShapeError(
                f"one image of size {format_size(size)} leaves one value a channel on the lowest "
                f"level of {spec.name}, too few to train batch norm: give a larger batch or a "
                f"size of {format_size(enough)} or more"
            )


def _pad_to(image: Tensor, geometry: Geometry) -> Tensor:
    """Repeat the last pixels of (N, C, *size) at the end of each axis up to a size that fits."""
    pads: list[int] = []
    axes = zip(image.shape[2:], geometry.smallest, geometry.total_stride, strict=True)
    for length, smallest, stride in reversed(list(axes)):
        fitting = -(-length // stride) * stride
        if smallest > stride:
            fitting = torch.sym_max(fitting, smallest)  # type: ignore[no-untyped-call]
        pads += [0, fitting - length]
    # Compiled, this is a program for any size, which must not ask whether one fits.
    is_needed = torch.compiler.is_compiling() or any(pads)
    return F.pad(image, pads, mode="replicate") if is_needed else image


def _front(logits: Tensor, size: Sequence[int]) -> Tensor:
    """Cut what `_pad_to` added; by index where compiled, as a cut asks whether anything goes."""
    for axis, length in enumerate(size, start=2):
        if torch.compiler.is_compiling():
            places = torch.arange(length, device=logits.device)
            logits = logits.index_select(axis, places)
        else:
            logits = logits.narrow(axis, 0, length)
    return logits
