"""Resize arrays linearly, with averages where they shrink. NumPy and SciPy only."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from ushape.errors import ShapeError
from ushape.sizes import format_size
from ushape.tiling.windows import Array

_POINTWISE = 1e-6
"""Below this width an average is a sample; dividing by less loses all digits."""


def resize(array: Array, size: Sequence[int]) -> Array:
    """Resize every channel, axis by axis.

    Half-pixel: pixel i covers [i, i + 1), the outer borders stay where they are, and a linear
    ramp stays the same ramp at any size (but for the half pixel at its ends, where the outermost
    value is repeated). Enlarging interpolates linearly. Shrinking by a factor s averages the
    interpolated values over sqrt(s^2 - 1) pixels: no pixel is left out, nothing aliases, all
    count nearly alike, and the change from one to the other at s = 1 is smooth.

    Args:
        array: Shape (C, *any size).
        size: Of the result.

    Returns:
        Shape (C, *size), float32; float64 stays float64.

    Raises:
        ShapeError: `size` has another number of axes, or an edge is below 1.

    >>> resize(np.array([[0.0, 1.0, 2.0, 3.0]]), (2,))
    array([[0.53..., 2.46...]])
    """
    if len(size) != array.ndim - 1 or min(size) < 1:
        raise ShapeError(
            f"an array of shape {format_size(array.shape)} cannot be resized to "
            f"{format_size(size)}: give {array.ndim - 1} edges of 1 or more"
        )
    dtype = np.float64 if array.dtype == np.float64 else np.float32
    result = np.asarray(array, dtype=dtype)
    for axis, wanted in enumerate(size, start=1):
        length = result.shape[axis]
        if wanted != length:
            moved = np.moveaxis(result, axis, 0)
            matrix: Any = _matrix(length, int(wanted)).astype(dtype)
            flat = matrix @ moved.reshape(length, -1)
            result = np.moveaxis(flat.reshape(wanted, *moved.shape[1:]), 0, axis)
    return np.ascontiguousarray(result) if result is not array else result.copy()


@lru_cache(maxsize=64)
def _matrix(length: int, wanted: int) -> sparse.csr_array:
    """Give the weight of every old pixel in every new one, shape (wanted, length)."""
    scale = length / wanted
    centre = (np.arange(wanted) + 0.5) * scale - 0.5
    half = math.sqrt(max(0.0, scale**2 - 1)) / 2
    first = np.floor(centre - half).astype(np.intp)
    places = first[:, None] + np.arange(int(np.ceil(2 * half)) + 2)
    offset = centre[:, None] - places
    if 2 * half < _POINTWISE:
        weights = np.maximum(0, 1 - np.abs(offset))
    else:
        weights = (_area(offset + half) - _area(offset - half)) / (2 * half)
    weights /= weights.sum(axis=1, keepdims=True)
    rows = np.broadcast_to(np.arange(wanted)[:, None], places.shape)
    columns = np.clip(places, 0, length - 1)
    entries = (weights.ravel(), (rows.ravel(), columns.ravel()))
    return sparse.csr_array(sparse.coo_array(entries, shape=(wanted, length)))


def _area(end: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Integrate the triangle 1 - |t| from -1 to `end`."""
    t = np.clip(end, -1, 1)
    return np.where(t < 0, (1 + t) ** 2 / 2, 1 - (1 - t) ** 2 / 2)
