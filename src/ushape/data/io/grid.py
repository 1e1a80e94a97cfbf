"""Where the voxels of an image lie: size, spacing, origin and direction, and whether two agree.

Convention: every sequence runs in array order, z, y, x (2D: y, x). World axes are those of DICOM
and SimpleITK in the same reversed order: they grow to superior, posterior and left, in
millimetres. Voxel `i` (z, y, x) has its centre at `origin + direction @ (spacing * i)`.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ushape.errors import DataError, ShapeError
from ushape.sizes import Size, format_size

ORTHOGONAL_TOLERANCE = 1e-3
SAME_VOXELS = 0.1
"""Grids are the same when no voxel lies farther than this part of its edge from its partner."""

Numbers = Sequence[float] | NDArray[Any]
"""Numbers, one an axis."""

_LETTERS = {2: ("PA", "LR"), 3: ("SI", "PA", "LR")}


@dataclass(frozen=True)
class Grid:
    """The place of every voxel. Build it with `Grid.of`, which takes any sequences.

    Attributes:
        size: Voxels per axis, z y x or y x.
        spacing_mm: Distance of voxel centres per axis; None when the file does not say.
        origin_mm: World position of the first voxel's centre, z y x.
        direction: Rows are world axes, columns are array axes, both z y x; orthonormal.
    """

    size: Size
    spacing_mm: tuple[float, ...] | None
    origin_mm: tuple[float, ...]
    direction: tuple[tuple[float, ...], ...]

    @classmethod
    def of(
        cls,
        size: Sequence[int],
        spacing_mm: Numbers | None = None,
        origin_mm: Numbers | None = None,
        direction: Sequence[Sequence[float]] | NDArray[Any] | None = None,
    ) -> Grid:
        """Build a grid; what is left out is unknown spacing, origin 0 and the identity.

        Raises:
            ShapeError: A size or spacing is not positive and finite, or the numbers do not fit.
        """
        dims = len(size)
        matrix = np.eye(dims) if direction is None else np.asarray(direction, np.float64)
        origin = (0.0,) * dims if origin_mm is None else tuple(float(value) for value in origin_mm)
        spacing = None if spacing_mm is None else tuple(float(value) for value in spacing_mm)
        problem = _problem(tuple(size), spacing, origin, matrix)
        if problem:
            raise ShapeError(problem)
        rows = tuple(tuple(float(value) + 0.0 for value in row) for row in matrix)
        return cls(tuple(int(edge) for edge in size), spacing, origin, rows)

    @property
    def spatial_dims(self) -> int:
        """2 or 3."""
        return len(self.size)

    @property
    def edges_mm(self) -> tuple[float, ...]:
        """Spacing, or 1 per axis where it is unknown."""
        return self.spacing_mm or (1.0,) * self.spatial_dims

    @property
    def is_placed(self) -> bool:
        """Whether origin or direction say more than a bare array does."""
        return any(self.origin_mm) or not np.array_equal(self.direction, np.eye(self.spatial_dims))

    @property
    def orientation(self) -> str:
        """Where each array axis points, nearest anatomical axis, such as `SPL` for z, y, x."""
        matrix = np.asarray(self.direction)
        letters = _LETTERS[self.spatial_dims]
        picked = [int(np.argmax(np.abs(column))) for column in matrix.T]
        signs = (matrix[row, axis] for axis, row in enumerate(picked))
        return "".join(
            letters[row][0 if sign >= 0 else 1] for row, sign in zip(picked, signs, strict=True)
        )

    def positions_mm(self, indices: NDArray[Any]) -> NDArray[np.float64]:
        """Return the world positions (n, axes) of voxel indices (n, axes)."""
        matrix = np.asarray(self.direction) * self.edges_mm
        return np.asarray(indices @ matrix.T + self.origin_mm, np.float64)

    def shift_voxels(self, other: Grid) -> float:
        """Measure how far voxels of `other` lie from those of this grid, at most, in voxel edges.

        The sizes must be equal. The farthest voxel is a corner, as the difference is linear.
        """
        corners = np.array(list(itertools.product(*((0, edge - 1) for edge in self.size))))
        apart = other.positions_mm(corners) - self.positions_mm(corners)
        return float(np.abs(apart @ np.asarray(self.direction) / self.edges_mm).max())

    def is_same(self, other: Grid, tolerance_voxels: float = SAME_VOXELS) -> bool:
        """Tell whether every voxel of `other` lies where this grid has it.

        Where either file does not say its spacing, only the sizes can be compared.
        """
        if self.size != other.size:
            return False
        if self.spacing_mm is None or other.spacing_mm is None:
            return True
        return self.shift_voxels(other) <= tolerance_voxels

    def difference(self, other: Grid) -> str:
        """Name the numbers that differ, this grid's first; empty when all are equal."""
        parts = []
        if self.size != other.size:
            parts.append(f"size {format_size(self.size)} against {format_size(other.size)}")
        for name in ("spacing_mm", "origin_mm"):
            mine, its = _numbers(getattr(self, name)), _numbers(getattr(other, name))
            if mine != its:
                parts.append(f"{name.removesuffix('_mm')} {mine} against {its} mm")
        turns = [np.ravel(grid.direction) for grid in (self, other)]
        if len(turns[0]) == len(turns[1]) and not np.allclose(turns[0], turns[1], atol=1e-6):
            mine, its = (" ".join(f"{value:.4g}" for value in turn) for turn in turns)
            parts.append(f"direction [{mine}] against [{its}]")
        return ", ".join(parts)


class Placed(Protocol):
    """What has a grid and a name to complain about: a volume, a label, a header."""

    @property
    def grid(self) -> Grid:
        """Where the voxels lie."""

    @property
    def name(self) -> str:
        """The file, for messages."""


def check_same_grid(
    image: Placed,
    label: Placed,
    tolerance_voxels: float = SAME_VOXELS,
    *,
    what: str = "label",
    aligning: str = "--align",
) -> None:
    """Refuse two files whose voxels do not lie at the same places.

    Args:
        image: The one that is right.
        label: The other.
        tolerance_voxels: How far voxels may be apart, in edges of a voxel.
        what: The second is, such as `label`.
        aligning: What a person can say to have the second resampled.

    Raises:
        DataError: They differ; the message names the numbers of both.
    """
    mine, its = image.grid, label.grid
    if mine.is_same(its, tolerance_voxels):
        return
    shift = ""
    if mine.size == its.size:
        shift = f"; voxels lie up to {mine.shift_voxels(its):.3g} voxel edges apart"
    raise DataError(
        f"{label.name} does not lie on the grid of {image.name}: {its.difference(mine)} "
        f"(z y x){shift}; give the {what} of this image, or resample it with {aligning}"
    )


def _numbers(values: Sequence[float] | None) -> str:
    return "unknown" if values is None else " x ".join(f"{value:.6g}" for value in values)


def _problem(
    size: Size, spacing: tuple[float, ...] | None, origin: tuple[float, ...], matrix: NDArray[Any]
) -> str | None:
    """Say what is wrong with the numbers of a grid, if anything is."""
    dims = len(size)
    if dims not in (2, 3) or len(origin) != dims or matrix.shape != (dims, dims):
        return f"a grid has 2 or 3 axes in all its parts, not size {size} with origin {origin}"
    if min(size) < 1:
        return f"its size is {format_size(size)}: every axis needs a voxel"
    if spacing is not None and (
        len(spacing) != dims or not all(np.isfinite(spacing)) or min(spacing) <= 0
    ):
        return f"its spacing is {_numbers(spacing)} mm (z y x): every axis must be above 0"
    if not np.all(np.isfinite(origin)):
        return f"its origin is {_numbers(origin)} mm (z y x)"
    if not np.all(np.isfinite(matrix)):
        return "its direction holds nan or infinity"
    error = float(np.abs(matrix.T @ matrix - np.eye(dims)).max())
    if error > ORTHOGONAL_TOLERANCE:
        return f"its axes are not at right angles (sheared by {error:.3g}, as a tilted gantry does)"
    return None
