"""A trained model in memory: arrays in, arrays out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ushape.bundle import Bundle, load_bundle
from ushape.data.preprocess import normalise_image
from ushape.data.targets import decode_labels, likely_masks, most_likely
from ushape.device import find_device
from ushape.errors import ConfigError, ShapeError, unknown_name
from ushape.inference import predict_probabilities
from ushape.labels import LabelTable
from ushape.nets import prune

Progress = Callable[[int, int], None]


class Predictor:
    """A trained model that takes images of any size.

    Attributes:
        labels: The classes and their values.
        provenance: Where the weights come from: versions, data, steps, validation score.
        thin_classes: Names of the classes that are lines.
        thresholds: By class name: the probability from which on a class is predicted, where it
            is not the usual one (one half where classes overlap or there is but one, else the
            largest).
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
        self.path = bundle.path
        self._preprocess = bundle.header.preprocess
        self._tiling = bundle.header.tiling
        if mirror is not None:
            self._tiling = replace(self._tiling, mirror=mirror)
        self._facts = find_device(device)
        self._device = torch.device(self._facts.kind)
        self._channels_last = self._facts.has_fast_bf16
        network = prune(bundle.network, columns=columns).to(self._device)
        if self._channels_last and network.spec.kit.spatial_dims == 2:
            network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._network = network.eval()

    def predict(
        self, image: npt.NDArray[Any], *, progress: Progress | None = None
    ) -> npt.NDArray[Any]:
        """Predict a label for every pixel.

        Args:
            image: Shape (y, x) or (channel, y, x), any number type, as read from a file.
            progress: Called with (tiles done, tiles in all).

        Returns:
            Shape (y, x), in the values that the labels of the training data had, or numbers of
            objects if these had. Where classes may overlap: masks as of `predict_masks`.

        Raises:
            ShapeError: The array has another form.
            DataError: It has another number of channels than the model takes.

        >>> model = ushape.load("runs/membrane")      # doctest: +SKIP
        >>> labels = model.predict(image)             # doctest: +SKIP
        """
        if self.labels.is_overlapping:
            return self.predict_masks(image, progress=progress)
        return decode_labels(self.predict_classes(image, progress=progress), self.labels)

    def predict_masks(
        self, image: npt.NDArray[Any], *, progress: Progress | None = None
    ) -> npt.NDArray[np.bool_]:
        """Predict a mask for every foreground class, with memory for one band of tiles only.

        Args and errors as in `predict`.

        Returns:
            Shape (class, y, x), in the order of `labels.foreground`.
        """
        prepared = self._prepare(image)
        masks = np.empty((len(self.labels.foreground), *prepared.shape[1:]), dtype=np.bool_)

        def keep(first: int, band: npt.NDArray[np.float32]) -> None:
            masks[:, first : first + band.shape[1]] = likely_masks(
                band, self.labels, self.thresholds
            )

        self._run(prepared, sink=keep, progress=progress)
        return masks

    def predict_classes(
        self, image: npt.NDArray[Any], *, progress: Progress | None = None
    ) -> npt.NDArray[np.uint8]:
        """Predict a class index for every pixel, with memory for one band of tiles only.

        Args and errors as in `predict`.

        Returns:
            Shape (y, x); 0 is the background.

        Raises:
            ConfigError: Classes of this model may overlap.
        """
        if self.labels.is_overlapping:
            raise ConfigError("the classes of this model may overlap: use predict_masks")
        prepared = self._prepare(image)
        index = np.empty(prepared.shape[1:], dtype=np.uint8)

        def keep(first: int, band: npt.NDArray[np.float32]) -> None:
            index[first : first + band.shape[1]] = most_likely(band, self.labels, self.thresholds)

        self._run(prepared, sink=keep, progress=progress)
        return index

    def predict_probabilities(
        self, image: npt.NDArray[Any], *, progress: Progress | None = None
    ) -> npt.NDArray[np.float32]:
        """Predict the probability of every class at every pixel.

        Args and errors as in `predict`.

        Returns:
            Shape (1, y, x) with the foreground's probability for a binary model, (class, y, x)
            without the background where classes may overlap, else with it, first; values in
            [0, 1].
        """
        result = self._run(self._prepare(image), sink=None, progress=progress)
        assert result is not None
        return result

    def _prepare(self, image: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        dims = self._network.spec.kit.spatial_dims
        image = np.asarray(image)
        if image.ndim == dims:
            image = image[None]
        if image.ndim != dims + 1 or 0 in image.shape:
            raise ShapeError(
                f"an image of shape {image.shape} does not fit: give (y, x) or (channel, y, x); "
                "for pictures with the channel last, use numpy.moveaxis(image, -1, 0)"
            )
        return normalise_image(image, self._preprocess)

    def _run(
        self,
        image: npt.NDArray[np.float32],
        *,
        sink: Callable[[int, npt.NDArray[np.float32]], None] | None,
        progress: Progress | None,
    ) -> npt.NDArray[np.float32] | None:
        return predict_probabilities(
            self._network,
            image,
            self._tiling,
            device=self._device,
            precision=self._facts.precision,
            channels_last=self._channels_last,
            labels=self.labels,
            sink=sink,
            progress=progress,
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
