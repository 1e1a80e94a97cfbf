"""Where the voxels of a synthetic volume lie, and noise that is round in millimetres.

Volumes are drawn in units of the finest voxel edge, so structures keep their shape whatever the
spacing is: a ball spans fewer voxels along an axis of thick slices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ushape.data.synth.texture import Plane, as_plane
from ushape.sizes import Size

Window = tuple[slice, slice, slice]


@dataclass(frozen=True)
class Lattice:
    """The voxels of a volume.

    Attributes:
        size: Voxels, (z, y, x).
        edges: Length of a voxel per axis, in units of the shortest.
    """

    size: Size
    edges: tuple[float, ...]

    @classmethod
    def of(cls, size: Sequence[int], spacing_mm: Sequence[float]) -> Lattice:
        """Measure voxels in units of their shortest edge."""
        shortest = min(spacing_mm)
        return cls(tuple(size), tuple(float(edge / shortest) for edge in spacing_mm))

    @property
    def extent(self) -> NDArray[np.float64]:
        """Length of the volume per axis, in units."""
        return np.array(self.size) * self.edges

    def refined(self) -> Lattice:
        """Divide long edges, so that all are about as long as the shortest."""
        parts = [max(1, round(edge)) for edge in self.edges]
        return Lattice(
            tuple(n * part for n, part in zip(self.size, parts, strict=True)),
            tuple(edge / part for edge, part in zip(self.edges, parts, strict=True)),
        )

    def gather(self, fine: Plane) -> Plane:
        """Average values of the refined lattice within every voxel, as thick slices do."""
        shape = [
            number for n, m in zip(self.size, fine.shape, strict=True) for number in (n, m // n)
        ]
        return as_plane(fine.reshape(shape).mean(axis=(1, 3, 5), dtype=np.float32))

    def positions(self) -> tuple[Plane, Plane, Plane]:
        """Return z, y, x of the voxel centres, in units, as arrays that broadcast."""
        z, y, x = (
            (np.arange(n, dtype=np.float32) + np.float32(0.5)) * np.float32(edge)
            for n, edge in zip(self.size, self.edges, strict=True)
        )
        return z[:, None, None], y[None, :, None], x[None, None, :]

    def around(self, centre: Sequence[float] | Plane, far: float) -> Window:
        """Return the voxels within some units of a point, per axis, as slices."""
        low = [int(max((c - far) / e, 0)) for c, e in zip(centre, self.edges, strict=True)]
        high = [
            min(int(max((c + far) / e, 0)) + 1, n)
            for c, e, n in zip(centre, self.edges, self.size, strict=True)
        ]
        return tuple(slice(a, max(a, b)) for a, b in zip(low, high, strict=True))  # type: ignore[return-value]

    def blur(self, volume: Plane, sigma: float) -> Plane:
        """Blur by some units along every axis."""
        return as_plane(ndimage.gaussian_filter(volume, [sigma / edge for edge in self.edges]))

    def noise(self, rng: np.random.Generator, sigma: float) -> Plane:
        """Draw Gaussian noise with zero mean, unit deviation and features `sigma` units wide.

        Wide features are drawn on a coarser grid and enlarged, so the cost does not grow with
        sigma.
        """
        widths = [sigma / edge for edge in self.edges]
        steps = [max(1, int(width / 4)) for width in widths]
        shape = [n // step + 3 for n, step in zip(self.size, steps, strict=True)]
        coarse = rng.standard_normal(shape).astype(np.float32)
        for axis, (width, step) in enumerate(zip(widths, steps, strict=True)):
            coarse = ndimage.gaussian_filter1d(coarse, width / step, axis=axis, mode="wrap")
            coarse /= _kept_deviation(width / step, shape[axis])
        for axis, (n, step) in enumerate(zip(self.size, steps, strict=True)):
            coarse = _enlarge(coarse, axis, n, step)
        return as_plane(coarse)


def _kept_deviation(width: float, length: int) -> np.float32:
    """Return the part of white noise's deviation that a filter leaves."""
    impulse = np.zeros(length)
    impulse[length // 2] = 1
    kernel = ndimage.gaussian_filter1d(impulse, width, mode="wrap")
    return np.float32(np.sqrt(np.sum(kernel**2)))


def _enlarge(values: Plane, axis: int, length: int, step: int) -> Plane:
    """Interpolate linearly to `length` samples, `step` of them between two old ones."""
    at = np.arange(length)
    low = np.take(values, at // step, axis)
    if step == 1:
        return low
    share = (at % step / step).astype(np.float32)
    share = share.reshape([-1 if place == axis else 1 for place in range(values.ndim)])
    return low + share * (np.take(values, at // step + 1, axis) - low)
