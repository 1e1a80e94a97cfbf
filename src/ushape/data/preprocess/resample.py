"""Sample arrays on another number of voxels: planes go in one by one and come out one by one.

Only as many planes are held as one plane of the result is mixed from, so that memory is bounded
by the arrays themselves. Every axis has weights of its own (`AxisWeights`): of a cubic or a linear
kernel, with the outer faces of the array in place.

An image is enlarged by interpolation. Where it is shrunk `s` times, the interpolated function is
averaged over a box of `sqrt(s^2 - 1)` voxels around each new centre: what is finer than the new
voxels does not fold into them, and linear ramps still are kept exactly, which stretched kernels do
not do.

Source of the cubic kernel: Keys 1981, Cubic convolution interpolation, Eq. 15 (a = -1/2).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

import numpy as np
import numpy.typing as npt
from scipy import sparse

from ushape.data.io.volume import Values
from ushape.sizes import Size

Kernel = Literal["cubic", "linear"]
Plane = TypeVar("Plane")
Floats = npt.NDArray[np.float32]

ANISOTROPIC = 3.0
"""An axis with edges this many times the finest is thick: nothing but lines is drawn across it."""

# Coefficients of the kernels for 0 <= t < 1 and 1 <= t < 2, lowest power first.
_PIECES: dict[Kernel, tuple[tuple[float, ...], ...]] = {
    "linear": ((1.0, -1.0),),
    "cubic": ((1.0, 0.0, -2.5, 1.5), (2.0, -4.0, 2.5, -0.5)),
}


@dataclass(frozen=True)
class AxisWeights:
    """How the voxels of one axis become others.

    Attributes:
        old: How many there were.
        new: How many there are then.
        matrix: Shape (new, old), float32; None where nothing changes.
    """

    old: int
    new: int
    matrix: sparse.csr_array | None

    def along(self, values: Floats, axis: int) -> Floats:
        """Apply the weights along one axis."""
        if self.matrix is None:
            return values
        front = np.moveaxis(values, axis, 0)
        mixed = self.matrix @ front.reshape(self.old, -1)
        return np.moveaxis(mixed.reshape(self.new, *front.shape[1:]), 0, axis)


def axis_weights(old: int, new: int, kernel: Kernel) -> AxisWeights:
    """Weigh old voxels for new ones, the outer faces of both being the same.

    Beyond the border the outermost voxel goes on.
    """
    if old == new:
        return AxisWeights(old, new, None)
    step = old / new
    box = math.sqrt(step**2 - 1) if step > 1 else 0.0
    centres = (np.arange(new) + 0.5) * step - 0.5
    reach = len(_PIECES[kernel]) + box / 2
    taps = np.arange(2 * math.ceil(reach) + 2) - math.ceil(reach)
    indices = np.floor(centres)[:, None] + taps
    distances = indices - centres[:, None]
    if box:
        ends = (_integral(distances + side * box / 2, kernel) for side in (1, -1))
        weights = np.subtract(*ends) / box
    else:
        weights = _value(distances, kernel)
    weights[np.abs(weights) < 1e-9] = 0
    rows = np.broadcast_to(np.arange(new)[:, None], weights.shape)
    columns = indices.clip(0, old - 1).astype(np.int32)
    matrix = sparse.csr_array((weights.ravel(), (rows.ravel(), columns.ravel())), shape=(new, old))
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    return AxisWeights(old, new, matrix.astype(np.float32))


def choose_kernels(edges: Sequence[Sequence[float]]) -> tuple[Kernel, ...]:
    """Choose cubic kernels, but a linear one across thick slices.

    Args:
        edges: Edges of the voxels before and after, on any scale.

    Returns:
        A kernel an axis. An axis is thick if it is more than `ANISOTROPIC` times as coarse as the
        finest, before or after, and is the only one.
    """
    for each in edges:
        thick = [edge > ANISOTROPIC * min(each) for edge in each]
        if sum(thick) == 1:
            return tuple("linear" if is_thick else "cubic" for is_thick in thick)
    return ("cubic",) * len(edges[0])


class PlaneWindow(Generic[Plane]):
    """Takes planes in order; says what each plane of the result is mixed from once it is there."""

    def __init__(self, weights: AxisWeights) -> None:
        self._matrix = weights.matrix
        self._held: dict[int, Plane] = {}
        self._num_in = 0
        self._num_out = 0

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
            for gone in [held for held in self._held if held < places.min()]:
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


def _value(distances: npt.NDArray[np.float64], kernel: Kernel) -> npt.NDArray[np.float64]:
    t = np.abs(distances)
    result = np.zeros(t.shape)
    for start, piece in enumerate(_PIECES[kernel]):
        inside = (t >= start) & (t < start + 1)
        result[inside] = np.polynomial.polynomial.polyval(t[inside], piece)
    return result


def _integral(distances: npt.NDArray[np.float64], kernel: Kernel) -> npt.NDArray[np.float64]:
    """Integrate the kernel from 0, which makes an odd function."""
    t = np.abs(distances)
    result = np.zeros(t.shape)
    for start, piece in enumerate(_PIECES[kernel]):
        whole = np.polynomial.polynomial.polyint(piece, lbnd=start)
        ends = t.clip(start, start + 1)
        result += np.polynomial.polynomial.polyval(ends, whole)
    return np.sign(distances) * result
