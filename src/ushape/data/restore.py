"""Bring predictions back onto the grid of the file, plane by plane: the inverse of preparation.

Probabilities are sampled on the file's voxels (linear, as no class may gain by overshooting) and
decided there, not before: a border between classes then lies where the probabilities cross, and
not on the edges of prepared voxels. Outside the cropped box everything is background.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ushape.data.io.volume import Values
from ushape.data.masks import Masks
from ushape.data.placement import Placement
from ushape.data.preprocess.resample import PlaneWindow, mix, within_plane
from ushape.data.preprocess.weights import axis_weights
from ushape.data.targets import class_masks, likely_masks, most_likely
from ushape.labels import LabelTable

Probabilities = npt.NDArray[np.float32]


class Restorer:
    """Takes probabilities of the prepared grid in bands; gives classes on the grid of the file.

    Held are the result, one number a voxel (one bool a class where classes overlap), and as many
    planes of probabilities as one plane is mixed from.
    """

    def __init__(
        self,
        placement: Placement,
        labels: LabelTable,
        thresholds: Mapping[str, float] | None = None,
    ) -> None:
        """Get ready for the bands of one image.

        Args:
            placement: How the image was prepared.
            labels: The classes.
            thresholds: As `most_likely` and `likely_masks` take them.
        """
        self._labels = labels
        lead = (len(labels.foreground),) if labels.is_overlapping else ()
        kind: type[Any] = np.bool_ if labels.is_overlapping else np.uint8
        self._result = np.zeros((*lead, *placement.grid.size), kind)
        # With the first axis in front, of classes or not.
        axis = len(lead)
        box = np.moveaxis(placement.box(self._result), axis, 0)

        def decide(first: int, band: Probabilities) -> None:
            chosen: Values
            if labels.is_overlapping:
                chosen = likely_masks(band, labels, thresholds)
            else:
                chosen = most_likely(band, labels, thresholds)
            box[first : first + band.shape[1]] = np.moveaxis(chosen, axis, 0)

        self._back = _Back(placement, decide)

    def put(self, first: int, band: Probabilities) -> None:
        """Take the next band, as the sink of `ushape.inference.predict_probabilities`.

        Args:
            first: Its first plane (row) on the prepared grid.
            band: Shape (channel, planes, *rest).

        Raises:
            ValueError: It is not the next one.
        """
        self._back.put(first, band)

    def classes(self) -> npt.NDArray[np.uint8]:
        """Give the class index of every voxel of the file.

        Raises:
            ValueError: Bands are missing, or classes overlap: there are masks only.
        """
        self._back.check_whole()
        if self._labels.is_overlapping:
            raise ValueError("classes that overlap have masks, no one class a voxel")
        return self._result

    def masks(self) -> Masks:
        """Give the mask of every foreground class, shape (class, *file size).

        Raises:
            ValueError: Bands are missing.
        """
        self._back.check_whole()
        if self._labels.is_overlapping:
            return self._result
        return class_masks(self._result, self._labels)


def restore_probabilities(
    probabilities: Probabilities, placement: Placement, labels: LabelTable
) -> Probabilities:
    """Bring probabilities onto the grid of the file.

    Args:
        probabilities: Shape (channel, *prepared size).
        placement: How the image was prepared.
        labels: The classes, which say whether channel 0 is the background.

    Returns:
        Shape (channel, *file size). Outside the cropped box the background has 1 and every class 0.
    """
    result = np.zeros((len(probabilities), *placement.grid.size), np.float32)
    if labels.target == "multiclass":
        result[0] = 1
    box = placement.box(result)

    def keep(first: int, band: Probabilities) -> None:
        box[:, first : first + band.shape[1]] = band

    back = _Back(placement, keep)
    back.put(0, probabilities)
    back.check_whole()
    return result


class _Back:
    """Samples bands of the prepared grid on the voxels of the cropped box, in order."""

    def __init__(self, placement: Placement, sink: Callable[[int, Probabilities], None]) -> None:
        self._size = placement.size
        self._weights = [
            axis_weights(new, old, "linear")
            for new, old in zip(placement.size, placement.cropped, strict=True)
        ]
        self._window: PlaneWindow[Probabilities] = PlaneWindow(self._weights[0])
        self._is_resampled = placement.is_resampled
        self._sink = sink
        self._next = 0

    def put(self, first: int, band: Probabilities) -> None:
        """Take the next band."""
        if first != self._next or band.shape[2:] != self._size[1:]:
            raise ValueError(
                f"a band from {first} of size {band.shape[2:]} does not go on at {self._next} of "
                f"{self._size}"
            )
        self._next += band.shape[1]
        if not self._is_resampled:
            self._sink(first, band)
            return
        for plane in np.moveaxis(band, 1, 0):
            for index, parts in self._window.push(within_plane(plane, self._weights)):
                self._sink(index, mix(parts)[:, np.newaxis])

    def check_whole(self) -> None:
        """Refuse to give a result before all is there."""
        if self._next != self._size[0]:
            raise ValueError(f"{self._next} of {self._size[0]} planes were put")
