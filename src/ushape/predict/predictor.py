"""A trained model in memory: arrays in, arrays out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ushape.bundle import Bundle, load_bundle
from ushape.data.preprocess import normalise_image
from ushape.data.targets import decode_labels, most_likely
from ushape.device import find_device
from ushape.errors import ShapeError
from ushape.inference import predict_probabilities
from ushape.labels import LabelTable
from ushape.nets import prune

Progress = Callable[[int, int], None]


class Predictor:
    """A trained model that takes images of any size.

    Attributes:
        labels: The classes and their values.
        provenance: Where the weights come from: versions, data, steps, validation score.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        device: str = "auto",
        mirror: bool | None = None,
        columns: int | None = None,
    ) -> None:
        """Put an opened model on a device.

        Args:
            bundle: From `ushape.bundle.load_bundle`.
            device: `auto`, `cpu` or `cuda`.
            mirror: Average over flips and turns; None does what the model file says.
            columns: Decoder columns of a U-Net++ to compute; None for all.

        Raises:
            ConfigError: The network has no such columns.
        """
        self.labels: LabelTable = bundle.header.labels
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
            Shape (y, x), in the values that the labels of the training data had.

        Raises:
            ShapeError: The array has another form.
            DataError: It has another number of channels than the model takes.

        >>> model = ushape.load("runs/membrane")      # doctest: +SKIP
        >>> labels = model.predict(image)             # doctest: +SKIP
        """
        return decode_labels(self.predict_classes(image, progress=progress), self.labels)

    def predict_classes(
        self, image: npt.NDArray[Any], *, progress: Progress | None = None
    ) -> npt.NDArray[np.uint8]:
        """Predict a class index for every pixel, with memory for one band of tiles only.

        Args and errors as in `predict`.

        Returns:
            Shape (y, x); 0 is the background.
        """
        prepared = self._prepare(image)
        index = np.empty(prepared.shape[1:], dtype=np.uint8)

        def keep(first: int, band: npt.NDArray[np.float32]) -> None:
            index[first : first + band.shape[1]] = most_likely(band)

        self._run(prepared, sink=keep, progress=progress)
        return index

    def predict_probabilities(
        self, image: npt.NDArray[Any], *, progress: Progress | None = None
    ) -> npt.NDArray[np.float32]:
        """Predict the probability of every class at every pixel.

        Args and errors as in `predict`.

        Returns:
            Shape (1, y, x) with the foreground's probability for a binary model, else
            (class, y, x), background first; values in [0, 1].
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
            sink=sink,
            progress=progress,
        )


def load(
    model: str | Path,
    *,
    device: str = "auto",
    mirror: bool | None = None,
    columns: int | None = None,
) -> Predictor:
    """Open a trained model.

    Args:
        model: A run folder or a model file (`best.safetensors`).
        device: `auto`, `cpu` or `cuda`.
        mirror: Average over flips and turns of the image; None does what the model file says.
        columns: How many decoder columns of a U-Net++ to compute, counted from the first: fewer
            are faster. None for all.

    Returns:
        A predictor for arrays of any size.

    Raises:
        BundleError: There is no model, or it is damaged.
        ConfigError: The network has no such columns.
    """
    return Predictor(load_bundle(model), device=device, mirror=mirror, columns=columns)
