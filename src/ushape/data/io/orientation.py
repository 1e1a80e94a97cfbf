"""Bring scans to one order of axes, and labels to that of their scan; nothing is resampled.

Canonical is z y x to superior, posterior, left (`Grid.orientation` = "SPL"), the order of axial
DICOM slices. An oblique scan is brought to the nearest such order and keeps its oblique direction.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ushape.data.io.grid import Grid
from ushape.data.io.volume import LabelVolume, Values, Volume
from ushape.errors import ShapeError


@dataclass(frozen=True)
class Turn:
    """How the axes of an image were exchanged and flipped.

    Attributes:
        order: For every new spatial axis, the old axis that it was.
        flips: For every new spatial axis, whether it then was reversed.
        old: The grid before.
        new: The grid after.
    """

    order: tuple[int, ...]
    flips: tuple[bool, ...]
    old: Grid
    new: Grid

    @property
    def is_identity(self) -> bool:
        """Whether nothing changes."""
        return self.order == tuple(range(len(self.order))) and not any(self.flips)

    def apply(self, values: Values) -> Values:
        """Turn values whose last axes are the old spatial ones. The result is contiguous.

        Raises:
            ShapeError: The values do not end in the size of the old grid.
        """
        _check(values, self.old)
        lead = values.ndim - len(self.order)
        turned = values.transpose(*range(lead), *(lead + axis for axis in self.order))
        return np.ascontiguousarray(turned[self._slices()])

    def undo(self, values: Values) -> Values:
        """Turn values on the new grid back onto the old one.

        Raises:
            ShapeError: The values do not end in the size of the new grid.
        """
        _check(values, self.new)
        lead = values.ndim - len(self.order)
        back = np.argsort(self.order)
        unflipped = values[self._slices()]
        return np.ascontiguousarray(
            unflipped.transpose(*range(lead), *(lead + int(axis) for axis in back))
        )

    def _slices(self) -> tuple[Any, ...]:
        return (..., *(slice(None, None, -1 if flip else 1) for flip in self.flips))


def to_canonical(volume: Volume) -> tuple[Volume, Turn]:
    """Bring a volume to the canonical order of axes.

    Pictures, and volumes whose file says nothing of direction, stay as they are.

    Returns:
        The volume, whose values are the same array when nothing changes, and the turn with which
        a prediction goes back: `turn.undo(values)` lies on `turn.old`.
    """
    turn = canonical_turn(volume.grid)
    values = volume.values if turn.is_identity else turn.apply(volume.values)
    return Volume(values, turn.new, volume.path), turn


def canonical_turn(grid: Grid) -> Turn:
    """Find the turn that brings a grid nearest to z y x = superior, posterior, left."""
    dims = grid.spatial_dims
    direction = np.asarray(grid.direction)
    world = range(dims)
    order = max(
        itertools.permutations(world),
        key=lambda axes: round(sum(abs(direction[row, axis]) for row, axis in enumerate(axes)), 6),
    )
    flips = tuple(bool(direction[row, axis] < 0) for row, axis in enumerate(order))
    return _turn(grid, tuple(order), flips)


def turn_onto(grid: Grid, wanted: Grid) -> Turn | None:
    """Find the turn that brings the voxels of a grid to where another grid has them.

    Returns:
        None where exchanging and flipping axes does not do it, or one does not tell its spacing.
    """
    if grid.spatial_dims != wanted.spatial_dims or None in (grid.spacing_mm, wanted.spacing_mm):
        return None
    cosines = np.asarray(grid.direction).T @ np.asarray(wanted.direction)  # old axis, new axis
    order = tuple(int(axis) for axis in np.argmax(np.abs(cosines), axis=0))
    if len(set(order)) < len(order):
        return None
    flips = tuple(bool(cosines[axis, new] < 0) for new, axis in enumerate(order))
    turn = _turn(grid, order, flips)
    return turn if wanted.is_same(turn.new) else None


def turned_onto(label: LabelVolume, wanted: Grid) -> LabelVolume:
    """Turn a label to the order of axes of its image, where it has the same voxels in another one.

    So it is with a DICOM series and the NIfTI label made from it: slices in reverse order.

    Returns:
        The label with its axes exchanged and flipped; itself where it lies as it should, or
        elsewhere: the caller compares the grids.
    """
    turn = None if wanted.is_same(label.grid) else turn_onto(label.grid, wanted)
    if turn is None:
        return label
    return replace(label, values=turn.apply(label.values), grid=turn.new)


def _turn(grid: Grid, order: tuple[int, ...], flips: tuple[bool, ...]) -> Turn:
    """Say what exchanging and flipping axes makes of a grid."""
    matrix = np.asarray(grid.direction)[:, order] * [-1.0 if flip else 1.0 for flip in flips]
    corner = [grid.size[axis] - 1 if flip else 0 for axis, flip in zip(order, flips, strict=True)]
    index = np.zeros(grid.spatial_dims)
    index[list(order)] = corner
    new = Grid.of(
        [grid.size[axis] for axis in order],
        None if grid.spacing_mm is None else [grid.spacing_mm[axis] for axis in order],
        grid.positions_mm(index[np.newaxis])[0],
        matrix,
    )
    return Turn(order, flips, grid, new)


def _check(values: Values, grid: Grid) -> None:
    if values.shape[values.ndim - grid.spatial_dims :] != grid.size:
        raise ShapeError(f"shape {values.shape} does not end in the size of the grid, {grid.size}")
