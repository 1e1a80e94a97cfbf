"""What each voxel of an axis weighs in the voxels that take its place.

The outer faces of the axis stay in place. An axis is refined by interpolation, with a cubic or a
linear kernel. Where it is coarsened `s` times, the interpolated function is averaged over a box of
`sqrt(s^2 - 1)` voxels around each new centre: what is finer than the new voxels does not fold into
them, and linear ramps still are kept exactly, which stretched kernels do not do.

Source of the cubic kernel: Keys 1981, Cubic convolution interpolation, Eq. 15 (a = -1/2).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import sparse

Kernel = Literal["cubic", "linear"]
Floats = npt.NDArray[np.float32]

ANISOTROPIC = 3.0
"""An axis with edges this many times the finest is thick: nothing but lines is drawn across it."""

ROUNDING = 1e-4
"""Formats round spacings to 24 bits or to decimals: no choice may hang on that."""

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
    limit = ANISOTROPIC * (1 + ROUNDING)
    kernels: list[Kernel] = ["cubic"] * len(edges[0])
    for each in edges:
        thick = [axis for axis, edge in enumerate(each) if edge > limit * min(each)]
        if len(thick) == 1:
            kernels[thick[0]] = "linear"
            break
    return tuple(kernels)


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
