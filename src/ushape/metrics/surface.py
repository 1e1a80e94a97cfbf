"""How far two surfaces lie apart: Hausdorff, HD95, ASSD, surface Dice and boundary F.

All of them are read off the same two sets of distances, which `surface_distances` measures once.

The definition: a surface voxel is a voxel of the mask that has a neighbour over a face outside
the mask; beyond the image is outside. A distance goes from the centre of a surface voxel to the
centre of the nearest surface voxel of the other mask. This is what MONAI and most published
figures use; every surface voxel counts once, whatever area of the surface it stands for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from ushape.errors import ConfigError, ShapeError
from ushape.metrics.checks import Mask, check_masks, harmonic_mean
from ushape.sizes import format_size

Distances = npt.NDArray[np.float64]

_SLACK = 1 + 1e-9
"""A distance of three steps of 0.1 shall be within a tolerance of 0.3."""

_LOOK_AROUND = 3.0
"""So many voxels around a surface voxel are looked at one by one (at most 123 places in 3D)."""


@dataclass(frozen=True)
class BoundaryScores:
    """Boundary voxels as detections: right when within the tolerance of the other boundary.

    Attributes:
        precision: Fraction of the predicted boundary near the true one; nan without prediction.
        recall: Fraction of the true boundary near the predicted one; nan without truth.
        f1: Their harmonic mean; 0 when one side is empty, nan when both are.
    """

    precision: float
    recall: float
    f1: float


@dataclass(frozen=True)
class SurfaceDistances:
    """Distances between two surfaces, in the unit of the spacing that was given.

    An empty mask is infinitely far away. Distances of a case (`hausdorff`, `hausdorff95`,
    `assd`) are nan as soon as one mask is empty, for no number would be right; fractions of
    surface (`normalised_dice`, `boundary`) are 0 then, and nan only when both are empty.

    Attributes:
        to_reference: From every predicted surface voxel, shape (n,).
        to_prediction: From every true surface voxel, shape (m,).
    """

    to_reference: Distances
    to_prediction: Distances

    @property
    def is_defined(self) -> bool:
        """Both masks have a surface."""
        return self.to_reference.size > 0 and self.to_prediction.size > 0

    @property
    def hausdorff(self) -> float:
        """The largest distance of either direction (Huttenlocher et al. 1993, Eq. 1)."""
        return self.percentile(100)

    @property
    def hausdorff95(self) -> float:
        """The larger of the two directions' 95th percentiles, as MONAI and DeepMind have it."""
        return self.percentile(95)

    @property
    def assd(self) -> float:
        """The mean of all distances of both directions together (average symmetric distance)."""
        if not self.is_defined:
            return float("nan")
        total = self.to_reference.sum() + self.to_prediction.sum()
        return float(total / (self.to_reference.size + self.to_prediction.size))

    def percentile(self, percent: float) -> float:
        """Return the larger of the two directions' percentiles (linear between two distances)."""
        if not self.is_defined:
            return float("nan")
        sides = (self.to_reference, self.to_prediction)
        return float(max(np.percentile(side, percent) for side in sides))

    def normalised_dice(self, tolerance: float) -> float:
        """Return the fraction of both surfaces that lies within the tolerance of the other.

        Args:
            tolerance: In the unit of the distances; a distance equal to it is within.

        Source: Nikolov et al. 2018, Deep learning to achieve clinically applicable segmentation,
        with surface voxels counted instead of weighed by their area.
        """
        near = self._num_near(self.to_reference, tolerance)
        near += self._num_near(self.to_prediction, tolerance)
        num_voxels = self.to_reference.size + self.to_prediction.size
        return near / num_voxels if num_voxels else float("nan")

    def boundary(self, tolerance: float) -> BoundaryScores:
        """Return precision, recall and F of the boundary at a tolerance.

        Source: Martin, Fowlkes, Malik 2004, with nearest voxels instead of a matching, as in
        Csurka et al. 2013, What is a good evaluation measure for semantic segmentation?
        """
        precision, recall = (
            self._num_near(side, tolerance) / side.size if side.size else float("nan")
            for side in (self.to_reference, self.to_prediction)
        )
        return BoundaryScores(precision, recall, harmonic_mean(precision, recall))

    @staticmethod
    def _num_near(distances: Distances, tolerance: float) -> int:
        if not 0 <= tolerance < np.inf:
            raise ConfigError(f"tolerance {tolerance}: give a distance of 0 or more")
        return int(np.count_nonzero(distances <= tolerance * _SLACK))


def surface_distances(
    prediction: Mask,
    reference: Mask,
    *,
    spacing: float | Sequence[float] = 1.0,
    ignore: Mask | None = None,
) -> SurfaceDistances:
    """Measure how far the surfaces of two masks lie apart.

    Args:
        prediction: Shape (*space), bool, any number of axes.
        reference: Same shape.
        spacing: Edge of a voxel, one for all axes or one an axis (z, y, x), in the unit that the
            distances shall have; 1 gives voxels.
        ignore: True for voxels that do not count: no surface runs there, nor where a mask only
            ends because the ignored voxels begin.

    Raises:
        ShapeError: The masks differ in shape, or there are not as many spacings as axes.
        DataError: A mask is not bool.
        ConfigError: A spacing is not a positive number.

    >>> line = np.array([False, True, True, False, False])
    >>> surface_distances(line, np.roll(line, 2), spacing=0.5).hausdorff
    1.0
    """
    check_masks(prediction, reference, ignore)
    edges = _spacings(spacing, prediction.ndim)
    box = _bounding_box(prediction | reference)
    if box is None:
        return SurfaceDistances(np.empty(0), np.empty(0))
    hidden = None if ignore is None else ignore[box]
    predicted = surface_mask(prediction[box], ignore=hidden)
    true = surface_mask(reference[box], ignore=hidden)
    return SurfaceDistances(
        to_reference=_nearest(predicted, true, edges),
        to_prediction=_nearest(true, predicted, edges),
    )


def surface_mask(mask: Mask, *, ignore: Mask | None = None) -> Mask:
    """Keep the voxels that have a neighbour over a face outside the mask.

    Args:
        mask: Shape (*space), bool.
        ignore: Voxels of which nobody knows what they are: they hold no surface, and a voxel
            beside them has none on that side.

    >>> surface_mask(np.ones((3, 4), bool)).astype(int).tolist()
    [[1, 1, 1, 1], [1, 0, 0, 1], [1, 1, 1, 1]]
    """
    solid = np.pad(mask if ignore is None else mask | ignore, 1)
    middle = (slice(1, -1),) * mask.ndim
    is_inside = solid[middle].copy()
    for axis in range(mask.ndim):
        for side in (slice(None, -2), slice(2, None)):
            is_inside &= solid[(*middle[:axis], side, *middle[axis + 1 :])]
    found = mask & ~is_inside
    return found if ignore is None else found & ~ignore


def _nearest(from_surface: Mask, to_surface: Mask, spacing: Distances) -> Distances:
    """Return the distance of every voxel of one surface to the other one.

    Most surfaces lie within a few voxels of each other, so the places around a voxel are looked
    up first, the nearest first; what is farther away goes to a tree of the other surface. Both
    are faster than distance transforms of the whole volume (benchmarks/surface.py).
    """
    if not to_surface.any():
        return np.full(np.count_nonzero(from_surface), np.inf)
    offsets, lengths = _near_offsets(spacing)
    reach = np.abs(offsets).max(axis=0)
    targets = np.pad(to_surface, [(int(side), int(side)) for side in reach])
    steps = offsets @ np.array(targets.strides)  # bytes, one each
    middle = tuple(
        slice(int(side), int(side) + n) for side, n in zip(reach, from_surface.shape, strict=True)
    )
    starts = np.zeros(targets.shape, bool)
    starts[middle] = from_surface
    places = np.flatnonzero(starts)
    distances = np.full(places.size, np.inf)
    open_ones = np.arange(places.size)
    flat = targets.ravel()
    for step, length in zip(steps, lengths, strict=True):
        is_met = flat[places[open_ones] + step]
        distances[open_ones[is_met]] = length
        open_ones = open_ones[~is_met]
    if open_ones.size:
        # Unbalanced trees are built several times as fast, and surfaces are spread evenly.
        tree = cKDTree(np.argwhere(targets) * spacing, balanced_tree=False, compact_nodes=False)
        far = np.column_stack(np.unravel_index(places[open_ones], targets.shape))
        distances[open_ones] = tree.query(far * spacing)[0]
    return distances


def _near_offsets(spacing: Distances) -> tuple[npt.NDArray[np.int64], Distances]:
    """List all steps up to `_LOOK_AROUND` of the shortest edge, the nearest first.

    Complete up to that length, so that the first one that meets the other surface is nearest.
    """
    radius = _LOOK_AROUND * float(spacing.min())
    reach = np.floor(radius / spacing * _SLACK).astype(int)
    box = tuple(int(side) for side in 2 * reach + 1)
    grid = np.indices(box).reshape(spacing.size, -1).T - reach
    lengths = np.sqrt(np.square(grid * spacing).sum(axis=1))
    near = np.flatnonzero(lengths <= radius * _SLACK)
    order = near[np.argsort(lengths[near], kind="stable")]
    return grid[order], lengths[order]


def _bounding_box(mask: Mask) -> tuple[slice, ...] | None:
    """Find the box of a mask with a margin of one voxel, so that ignored neighbours are seen."""
    box = []
    for axis in range(mask.ndim):
        others = tuple(other for other in range(mask.ndim) if other != axis)
        places = np.flatnonzero(mask.any(axis=others))
        if places.size == 0:
            return None
        box.append(slice(max(0, int(places[0]) - 1), int(places[-1]) + 2))
    return tuple(box)


def _spacings(spacing: float | Sequence[float], num_axes: int) -> Distances:
    given: Any = np.asarray(spacing, dtype=np.float64)
    if given.ndim > 1 or (given.ndim == 1 and given.size != num_axes):
        raise ShapeError(
            f"{given.size} spacings for masks of {num_axes} axes: give one, or one an axis"
        )
    if not (np.isfinite(given).all() and (given > 0).all()):
        raise ConfigError(f"spacing {format_size(given.ravel())}: give positive numbers")
    return np.broadcast_to(given, num_axes)
