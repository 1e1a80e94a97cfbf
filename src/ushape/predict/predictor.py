"""A trained model in memory: arrays in, arrays out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ushape.bundle import Bundle, load_bundle
from ushape.data.io import Grid, Volume
from ushape.data.placement import Placement
from ushape.data.preprocess import prepare_image
from ushape.data.restore import Restorer, restore_probabilities
from ushape.data.targets import decode_labels
from ushape.device import channels_last, find_device
from ushape.errors import ConfigError, DataError, ShapeError, unknown_name
from ushape.labels import LabelTable
from ushape.nets import prune
from ushape.nets.network import SegmentationNetwork
from ushape.serial import Passes
from ushape.sizes import format_size

Image = npt.NDArray[Any] | Volume
"""An array, shape (*size) or (channel, *size), or what `ushape.data.io.read_volume` reads."""
Progress = Callable[[int, int], None]


class Predictor:
    """A trained model that takes images of any size.

    Attributes:
        labels: The classes and their values.
        provenance: Where the weights come from: versions, data, steps, validation score.
        channel_names: Of the channels of its images, in order; empty where nobody named them.
        thin_classes: Names of the classes that are lines.
        thresholds: By class name: the probability from which on a class is predicted, where it
            is not the usual one (one half where classes overlap or there is but one, else the
            largest).
        network: In eval mode.
        passes: How it is applied to whole images.
        notes: What a person should know of the image that was predicted last.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        device: str = "auto",
        mirror: bool | None = None,
        columns: int | None = None,
        thresholds: Mapping[str, float] | None = None,
    ) -> None:
        """Put an opened model on a device.

        Args:
            bundle: From `ushape.bundle.load_bundle`.
            device: `auto`, `cpu` or `cuda`.
            mirror: Average over flips and turns; None does what the model file says.
            columns: Decoder columns of a U-Net++ to compute; None for all.
            thresholds: By class name, in place of those of the model file.

        Raises:
            ConfigError: The network has no such columns, or the model no such class.
        """
        self.labels: LabelTable = bundle.header.labels
        self.thin_classes = bundle.header.thin_classes
        self.thresholds = {**bundle.header.thresholds, **(thresholds or {})}
        _check_thresholds(thresholds or {}, self.labels)
        self.provenance = bundle.header.provenance
        self.channel_names = bundle.header.channel_names
        self.path = bundle.path
        self._preprocess = bundle.header.preprocess
        self._tiling = bundle.header.tiling
        if mirror is not None:
            self._tiling = replace(self._tiling, mirror=mirror)
        self._facts = find_device(device)
        self._device = torch.device(self._facts.kind)
        self._channels_last = self._facts.has_fast_bf16
        network = prune(bundle.network, columns=columns).to(self._device)
        if self._channels_last:
            network = network.to(  # type: ignore[call-overload]
                memory_format=channels_last(network.spec.kit.spatial_dims)
            )
        self.network: SegmentationNetwork = network.eval()
        self.notes: list[str] = []
        self.passes = Passes(
            self.labels,
            self._tiling,
            self._device,
            self._facts.precision,
            channels_last=self._channels_last,
            fine=bundle.header.fine,
        )

    @property
    def spatial_dims(self) -> int:
        """2 for a model that takes pictures, 3 for one that takes volumes."""
        return self.network.spec.kit.spatial_dims

    @property
    def num_channels(self) -> int:
        """Channels of the images that the model takes."""
        return self._preprocess.channels

    def predict(
        self,
        image: Image,
        *,
        spacing_mm: Sequence[float] | None = None,
        progress: Progress | None = None,
    ) -> npt.NDArray[Any]:
        """Predict a label for every pixel.

        Args:
            image: Shape (y, x) or (channel, y, x), of a model for volumes (z, y, x) or
                (channel, z, y, x); any number type, as read from a file. Or a volume that knows
                where it lies: the result then has the order of its axes, whatever that is.
            spacing_mm: Voxel edges of an array, in its order of axes; needed where the model
                resamples its images.
            progress: Called with (tiles done, tiles in all).

        Returns:
            Shape (*size), in the values that the labels of the training data had, or numbers of
            objects if these had. Where classes may overlap: masks as of `predict_masks`.

        Raises:
            ShapeError: The array has another form, or the spacing does not fit it.
            DataError: It has another number of channels or axes than the model takes, or its
                spacing is not known.

        >>> model = ushape.load("runs/membrane")      # doctest: +SKIP
        >>> labels = model.predict(image)             # doctest: +SKIP
        """
        if self.labels.is_overlapping:
            return self.predict_masks(image, spacing_mm=spacing_mm, progress=progress)
        index = self.predict_classes(image, spacing_mm=spacing_mm, progress=progress)
        return decode_labels(index, self.labels)

    def predict_masks(
        self,
        image: Image,
        *,
        spacing_mm: Sequence[float] | None = None,
        progress: Progress | None = None,
    ) -> npt.NDArray[np.bool_]:
        """Predict a mask for every foreground class, with memory for one band of tiles only.

        Args and errors as in `predict`.

        Returns:
            Shape (class, *size), in the order of `labels.foreground`.
        """
        return self._restored(image, spacing_mm, progress).masks()

    def predict_classes(
        self,
        image: Image,
        *,
        spacing_mm: Sequence[float] | None = None,
        progress: Progress | None = None,
    ) -> npt.NDArray[np.uint8]:
        """Predict a class index for every pixel, with memory for one band of tiles only.

        Args and errors as in `predict`.

        Returns:
            Shape (*size); 0 is the background.

        Raises:
            ConfigError: Classes of this model may overlap.
        """
        if self.labels.is_overlapping:
            raise ConfigError("the classes of this model may overlap: use predict_masks")
        return self._restored(image, spacing_mm, progress).classes()

    def predict_probabilities(
        self,
        image: Image,
        *,
        spacing_mm: Sequence[float] | None = None,
        progress: Progress | None = None,
    ) -> npt.NDArray[np.float32]:
        """Predict the probability of every class at every pixel.

        Args and errors as in `predict`.

        Returns:
            Shape (1, *size) with the foreground's probability for a binary model, (class, *size)
            without the background where classes may overlap, else with it, first; values in
            [0, 1].
        """
        prepared, placement = self._prepare(image, spacing_mm)
        result = self._run(prepared, sink=None, progress=progress)
        assert result is not None
        if placement.is_identity:
            return result
        return restore_probabilities(result, placement, self.labels)

    def _restored(
        self, image: Image, spacing_mm: Sequence[float] | None, progress: Progress | None
    ) -> Restorer:
        """Predict band by band, each brought back onto the grid of the image at once."""
        prepared, placement = self._prepare(image, spacing_mm)
        restorer = Restorer(placement, self.labels, self.thresholds)
        self._run(prepared, sink=restorer.put, progress=progress)
        return restorer

    def _prepare(
        self, image: Image, spacing_mm: Sequence[float] | None
    ) -> tuple[npt.NDArray[np.float32], Placement]:
        volume = image if isinstance(image, Volume) else self._placed(image, spacing_mm)
        given, dims = volume.grid.spatial_dims, self.spatial_dims
        if given != dims:
            size = format_size(volume.grid.size)
            raise DataError(
                f"{volume.name}: it is a volume of {size}, this model takes pictures: train a 3D "
                "network on volumes (ushape models lists them), or predict the slices as pictures"
                if given == 3
                else f"{volume.name}: it is a picture of {size}, this model takes volumes: give "
                "a volume, or all slices of a stack in one folder"
            )
        wanted = self._preprocess.spacing_mm
        if wanted is not None and volume.grid.spacing_mm is None:
            edges = " x ".join(f"{edge:g}" for edge in wanted)
            raise DataError(
                f"{volume.name}: the spacing of its voxels is not known, and this model resamples "
                f"images to {edges} mm: say it with spacing_mm, or --spacing on the command line"
            )
        return prepare_image(volume, self._preprocess)

    def _placed(self, image: npt.NDArray[Any], spacing_mm: Sequence[float] | None) -> Volume:
        """Take an array for an image."""
        dims, array = self.spatial_dims, np.asarray(image)
        if array.ndim == dims:
            array = array[None]
        if array.ndim != dims + 1 or 0 in array.shape:
            space = ", ".join("zyx"[-dims:])
            advice = "for pictures with the channel last, use numpy.moveaxis(image, -1, 0)"
            raise ShapeError(
                f"an image of shape {np.shape(image)} does not fit: give ({space}) or (channel, "
                f"{space}); {advice if dims == 2 else 'of a single slice, add an axis in front'}"
            )
        return Volume(array, Grid.of(array.shape[1:], spacing_mm), Path("the array"))

    def _run(
        self,
        image: npt.NDArray[np.float32],
        *,
        sink: Callable[[int, npt.NDArray[np.float32]], None] | None,
        progress: Progress | None,
    ) -> npt.NDArray[np.float32] | None:
        self.notes.clear()
        return self.passes.probabilities(
            self.network, image, sink=sink, progress=progress, note=self.notes.append
        )


def _check_thresholds(given: Mapping[str, float], labels: LabelTable) -> None:
    for name, value in given.items():
        if name not in labels.names[1:]:
            raise ConfigError("threshold: " + unknown_name("class", name, labels.names[1:]))
        if not 0 < value < 1:
            raise ConfigError(f"threshold {name}={value}: give a probability between 0 and 1")


def load(
    model: str | Path,
    *,
    device: str = "auto",
    mirror: bool | None = None,
    columns: int | None = None,
    thresholds: Mapping[str, float] | None = None,
) -> Predictor:
    """Open a trained model.

    Args:
        model: A run folder or a model file (`best.safetensors`).
        device: `auto`, `cpu` or `cuda`.
        mirror: Average over flips and turns of the image; None does what the model file says.
        columns: How many decoder columns of a U-Net++ to compute, counted from the first: fewer
            are faster. None for all.
        thresholds: By class name: the probability from which on the class is predicted, in place
            of what the model file says.

    Returns:
        A predictor for arrays of any size.

    Raises:
        BundleError: There is no model, or it is damaged.
        ConfigError: The network has no such columns, or the model no such class.
    """
    return Predictor(
        load_bundle(model),
        device=device,
        mirror=mirror,
        columns=columns,
        thresholds=thresholds,
    )
