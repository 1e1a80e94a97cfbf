"""Whole images through a network in one pass, or in the two of a fine-grained one.

Training validates with this and prediction writes files with it, as with `inference`, which makes
each pass: the first on the whole image, the second on every region that the first found.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import numpy as np
import torch

from ushape.config.schema import FineConfig, TilingConfig
from ushape.data.fine import coarse_table, fine_table, join_passes, looked_into
from ushape.errors import ConfigError, ShapeError
from ushape.inference import Image, Progress, predict_probabilities
from ushape.labels import LabelTable
from ushape.nets import Geometry
from ushape.nets.network import SegmentationNetwork
from ushape.nets.second_pass import FineView
from ushape.sizes import Size, format_size
from ushape.tiling.components import Mask
from ushape.tiling.roi import Region, find_region, find_regions
from ushape.tiling.serial import SerialResult, predict_regions, serial_predict

Sink = Callable[[int, Image], None]


@dataclass(frozen=True)
class Passes:
    """How whole images are predicted: everything but the network and the image.

    Attributes:
        labels: All classes.
        tiling: How images are tiled, cuts too.
        device: Where to compute.
        precision: `32-true` or `bf16-mixed`.
        channels_last: Order of the memory.
        fine: The second pass; None where a network makes but one.
    """

    labels: LabelTable
    tiling: TilingConfig
    device: torch.device
    precision: str = "32-true"
    channels_last: bool = False
    fine: FineConfig | None = None

    def probabilities(
        self,
        network: SegmentationNetwork,
        image: Image,
        *,
        sink: Sink | None = None,
        progress: Progress | None = None,
        note: Callable[[str], None] | None = None,
    ) -> Image | None:
        """Predict the probabilities of all classes.

        Args:
            network: In eval mode, on the device.
            image: Normalised, shape (channel, *size).
            sink: Receives bands (first row, probabilities) in order, and nothing is returned; in
                two passes it is called once, as regions lie anywhere.
            progress: Called with (tiles done, tiles in all) of the first pass.
            note: Is told where the first pass found nothing to look into.

        Returns:
            Shape (class channels, *size), or None when a sink takes them.
        """
        if self.fine is None:
            return self._one_pass(network, image, self.labels, sink=sink, progress=progress)
        result = self.both(network, image, progress=progress)
        if note and not result.regions:
            small = ", ".join(self.fine.classes)
            note(f"no {self.fine.within} was found, so no {small} was looked for")
        joined = join_passes(
            np.asarray(result.coarse, np.float32),
            np.asarray(result.fine, np.float32),
            self.labels,
            self.fine,
        )
        if sink is None:
            return joined
        sink(0, joined)
        return None

    def both(
        self, network: SegmentationNetwork, image: Image, *, progress: Progress | None = None
    ) -> SerialResult:
        """Make both passes; arguments as of `probabilities`."""
        fine = self._fine
        coarse = coarse_table(self.labels, fine)
        size = cut_size(fine)
        return serial_predict(
            lambda whole: self._whole(network, whole, coarse, progress=progress),
            self._second(network),
            image,
            to_mask=lambda found: looked_into(found, coarse, fine),
            find=partial(regions_of, fine=fine),
            size=size,
            fill=(0.0,) * len(fine.classes),
        )

    def within(self, network: SegmentationNetwork, image: Image, mask: Mask) -> Image:
        """Make the second pass alone, in the regions of a given mask, such as the true one.

        Args:
            network: In eval mode, on the device.
            image: Normalised, shape (channel, *size).
            mask: Of the class that is looked into, shape (*size).

        Returns:
            Probabilities of the small classes, shape (small class, *size).
        """
        fine = self._fine
        found = predict_regions(
            self._second(network),
            image,
            regions_of(mask, fine=fine),
            size=cut_size(fine),
            fill=(0.0,) * len(fine.classes),
        )
        return np.asarray(found, np.float32)

    @property
    def _fine(self) -> FineConfig:
        if self.fine is None:
            raise ConfigError("this model makes one pass only: it has no small classes")
        return self.fine

    def _second(self, network: SegmentationNetwork) -> Callable[[Any], Any]:
        """Wrap a network as the callable that sees cuts."""
        # As a network with one head, for which tiling and mirrored views are written.
        view = cast("SegmentationNetwork", FineView(network))
        table = fine_table(self.labels, self._fine)
        return lambda part: self._whole(view, part, table)

    def _whole(
        self,
        network: SegmentationNetwork,
        image: Image,
        labels: LabelTable,
        *,
        progress: Progress | None = None,
    ) -> Image:
        found = self._one_pass(network, image, labels, progress=progress)
        assert found is not None, "without a sink it is returned"
        return found

    def _one_pass(
        self,
        network: SegmentationNetwork,
        image: Image,
        labels: LabelTable,
        *,
        sink: Sink | None = None,
        progress: Progress | None = None,
    ) -> Image | None:
        return predict_probabilities(
            network,
            image,
            self.tiling,
            device=self.device,
            precision=self.precision,
            channels_last=self.channels_last,
            labels=labels,
            sink=sink,
            progress=progress,
        )


def regions_of(mask: Mask, *, fine: FineConfig) -> tuple[Region, ...]:
    """Find where the second pass looks.

    Args:
        mask: Of the class that is looked into, shape (*size).
        fine: How regions are cut.
    """
    size = cut_size(fine)
    options: dict[str, Any] = {
        "kind": fine.kind,
        "margin_fraction": fine.margin_fraction,
        "proportions": size,
    }
    if fine.regions == "each":
        return find_regions(mask, **options, most=fine.most_regions)
    region = find_region(mask, **options)
    return () if region is None else (region,)


def cut_size(fine: FineConfig) -> Size:
    """Give the size of cuts; the planner has chosen it before anything is cut."""
    if fine.cut_size is None:
        raise ConfigError("fine.cut_size is not set: give the size that regions are resized to")
    return tuple(fine.cut_size)


def input_size(geometry: Geometry, size: Sequence[int]) -> Size:
    """Give the size of the network's input that has cuts of a size as its output.

    Args:
        geometry: The network's; where it does not pad, cuts are mirrored at their border.
        size: Of cuts.

    Raises:
        ConfigError: No input gives this size; the nearest that are given are named.
    """
    wanted = tuple(
        edge + before + after for edge, (before, after) in zip(size, geometry.margin, strict=True)
    )
    with suppress(ShapeError):
        if geometry.output_size(wanted) == tuple(size):
            return wanted
    below, above = geometry.nearest_sizes(wanted)
    outputs = [format_size(geometry.output_size(s)) for s in (below, above) if s is not None]
    raise ConfigError(
        f"fine.cut_size = {format_size(size)}: the network gives no cuts of this size; the nearest "
        f"are {' and '.join(outputs)}"
    )
