"""Planes of a volume to look at, with pixels that are square in space."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

AXES = "zyx"


@dataclass(frozen=True)
class Cut:
    """A plane of a volume.

    Attributes:
        axis: The axis that it stands on, 0 for z.
        index: Its place along that axis.
        count: Planes in all.
    """

    axis: int
    index: int
    count: int

    @property
    def text(self) -> str:
        """Say which plane it is.

        >>> Cut(0, 11, 30).text
        'slice z = 12 of 30'
        """
        return f"slice {AXES[self.axis]} = {self.index + 1} of {self.count}"

    def take(self, values: npt.NDArray[Any], edges: Sequence[float]) -> npt.NDArray[Any]:
        """Cut the plane out and repeat its rows or columns until its pixels are square.

        Args:
            values: Shape (..., z, y, x).
            edges: Lengths of a voxel, z y x.

        Returns:
            Shape (..., rows, columns).
        """
        plane = np.take(values, self.index, axis=values.ndim - 3 + self.axis)
        rest = [edge for axis, edge in enumerate(edges) if axis != self.axis]
        lengths = [
            max(1, round(n * e / min(rest))) for n, e in zip(plane.shape[-2:], rest, strict=True)
        ]
        rows, columns = (
            ((np.arange(new) + 0.5) * old / new).astype(np.intp)
            for new, old in zip(lengths, plane.shape[-2:], strict=True)
        )
        return np.asarray(plane[..., rows[:, None], columns])


def choose_cuts(marked: npt.NDArray[np.bool_], edges: Sequence[float]) -> tuple[Cut, ...]:
    """Choose the plane with most of what is marked, and one across it.

    Args:
        marked: Shape (z, y, x).
        edges: Lengths of a voxel.

    Returns:
        A plane on the coarsest axis, the first of equals: there pixels are finest. Then one on
        the first other axis, unless it is but one voxel thick.
    """
    first = max(range(3), key=lambda axis: (edges[axis], -axis))
    across = next(axis for axis in range(3) if axis != first)
    chosen = [_fullest(marked, first)]
    if marked.shape[first] > 1:
        chosen.append(_fullest(marked, across))
    return tuple(chosen)


def _fullest(marked: npt.NDArray[np.bool_], axis: int) -> Cut:
    others = tuple(other for other in range(3) if other != axis)
    counts = np.count_nonzero(marked, axis=others)
    index = int(counts.argmax()) if counts.any() else len(counts) // 2
    return Cut(axis, index, len(counts))
