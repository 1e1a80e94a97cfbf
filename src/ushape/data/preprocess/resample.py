"""Sample arrays on another number of voxels: planes go in one by one and come out one by one.

Only as many planes are held as one plane of the result is mixed from, so that memory is bounded
by the arrays themselves. Every axis has weights of its own (`ushape.data.preprocess.weights`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from ushape.data.io.volume import Values
from ushape.data.preprocess.weights import AxisWeights, Floats, Kernel, axis_weights
from ushape.sizes import Size

Plane = TypeVar("Plane")


class PlaneWindow(Generic[Plane]):
    """Takes planes in order; says what each plane of the result is mixed from once it is there."""

    def __init__(self, weights: AxisWeights) -> None:
        self._matrix = weights.matrix
        self._held: dict[int, Plane] = {}
        self._num_in = 0
        self._num_out = 0
        if weights.matrix is not None:
            # The first plane that this or a later plane of the result needs: one that lies on an
            # old plane needs that alone, the next one may need those before it.
            firsts = np.minimum.reduceat(weights.matrix.indices, weights.matrix.indptr[:-1])
            self._needed = np.minimum.accumulate(firsts[::-1])[::-1]

    def push(self, plane: Plane) -> Iterator[tuple[int, list[tuple[float, Plane]]]]:
        """Take the next plane; yield the index and the weighted parts of every finished one."""
        index, self._num_in = self._num_in, self._num_in + 1
        if self._matrix is None:
            yield index, [(1.0, plane)]
            return
        self._held[index] = plane
        while self._num_out < self._matrix.shape[0]:
            start, end = self._matrix.indptr[self._num_out : self._num_out + 2]
            places = self._matrix.indices[start:end]
            for gone in [held for held in self._held if held < self._needed[self._num_out]]:
                del self._held[gone]
            if places.max() > index:
                return
            weights = self._matrix.data[start:end]
            parts = [
                (float(weight), self._held[int(place)])
                for weight, place in zip(weights, places, strict=True)
            ]
            yield self._num_out, parts
            self._num_out += 1


def mix(parts: Sequence[tuple[float, Floats]]) -> Floats:
    """Add weighted planes."""
    if len(parts) == 1 and parts[0][0] == 1:
        return parts[0][1]
    total = parts[0][1] * np.float32(parts[0][0])
    for weight, plane in parts[1:]:
        total += plane * np.float32(weight)
    return total


def resample_image(
    values: Values,
    size: Size,
    kernels: Sequence[Kernel],
    scale: Callable[[Values], Floats],
    out: Floats,
) -> None:
    """Sample one channel on another number of voxels.

    Args:
        values: Shape (*old size), any type.
        size: The new size.
        kernels: One an axis.
        scale: Makes intensities of a part of the values, before they are mixed.
        out: Shape (*size); gets the result.
    """
    weights = [axis_weights(*numbers) for numbers in zip(values.shape, size, kernels, strict=True)]
    window: PlaneWindow[Floats] = PlaneWindow(weights[0])
    for plane in values:
        for index, parts in window.push(within_plane(scale(plane), weights)):
            out[index] = mix(parts)


def within_plane(plane: Floats, weights: Sequence[AxisWeights]) -> Floats:
    """Sample a plane, shape (..., *size without the first axis), along its own axes."""
    count = len(weights) - 1
    for axis, each in zip(range(plane.ndim - count, plane.ndim), weights[1:], strict=True):
        plane = each.along(plane, axis)
    return np.ascontiguousarray(plane)


def resample_classes(target: npt.NDArray[Any], size: Size) -> npt.NDArray[Any]:
    """Sample whole numbers that stand for classes: the one with the largest part of a voxel wins.

    Each number is weighed linearly by itself. No number appears that was not there; of equal
    parts the smallest wins.

    Args:
        target: Shape (*old size), unsigned.
        size: The new size.
    """
    weights = [
        axis_weights(old, new, "linear") for old, new in zip(target.shape, size, strict=True)
    ]
    window: PlaneWindow[dict[int, Floats]] = PlaneWindow(weights[0])
    result = np.zeros(size, target.dtype)
    for plane in target:
        parts_of = {
            int(value): within_plane((plane == value).astype(np.float32), weights)
            for value in np.unique(plane)
        }
        for index, parts in window.push(parts_of):
            _largest_part(parts, result[index])
    return result


def _largest_part(parts: Sequence[tuple[float, dict[int, Floats]]], out: npt.NDArray[Any]) -> None:
    best = np.full(out.shape, -1, np.float32)
    for value in sorted({value for _, planes in parts for value in planes}):
        share = mix([(weight, planes[value]) for weight, planes in parts if value in planes])
        wins = share > best + np.float32(1e-6)  # so that rounding decides nothing
        out[wins] = value
        best[wins] = share[wins]


def resample_sets(target: npt.NDArray[Any], size: Size) -> npt.NDArray[Any]:
    """Sample sets of classes: a class is where more than half of a voxel is of it.

    Args:
        target: Shape (*old size), unsigned; bit k for class k.
        size: The new size.
    """
    result = np.zeros(size, target.dtype)
    for bit in range(int(target.max(initial=0)).bit_length()):
        one = target.dtype.type(1 << bit)
        weights = [
            axis_weights(old, new, "linear") for old, new in zip(target.shape, size, strict=True)
        ]
        window: PlaneWindow[Floats] = PlaneWindow(weights[0])
        for plane in target:
            mask = (plane & one != 0).astype(np.float32)
            for index, parts in window.push(within_plane(mask, weights)):
                result[index][mix(parts) > np.float32(0.5 + 1e-6)] |= one
    return result


def resample_nearest(values: Values, size: Size) -> Values:
    """Sample numbers of objects: each new voxel has that of the old voxel its centre lies in."""
    centres = [
        np.floor((np.arange(new) + 0.5) * old / new).astype(np.intp)
        for old, new in zip(values.shape, size, strict=True)
    ]
    return np.ascontiguousarray(values[np.ix_(*centres)])
