"""Where a prepared array lies in its file: every step that was taken, with all its inverse needs.

The steps are: exchange and flip axes to the canonical order, cut the box of the crop out, resample
the box to `size` voxels. The outer faces of the box stay where they are: voxel `i` of `n` covers
the same part of it in the file's and in the prepared grid, so its centre lies at
`(i + 0.5) * cropped / size - 0.5` in voxels of the box.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ushape.data.io import Grid, Turn
from ushape.data.io.volume import Values
from ushape.errors import DataError, ShapeError
from ushape.sizes import Size


@dataclass(frozen=True)
class Placement:
    """How a prepared array was made of a file's voxels.

    Attributes:
        turn: From the file's order of axes (`turn.old`) to the canonical one (`turn.new`).
        start: First voxel of the cropped box, on the canonical grid.
        cropped: Size of the box.
        size: Size of the prepared array: of the box after resampling.
        spacing_mm: Voxel edges of the prepared array; None when the file does not say its own.
    """

    turn: Turn
    start: Size
    cropped: Size
    size: Size
    spacing_mm: tuple[float, ...] | None

    @property
    def grid(self) -> Grid:
        """The file's grid, on which predictions are written."""
        return self.turn.old

    @property
    def spatial_dims(self) -> int:
        """2 or 3."""
        return len(self.size)

    @property
    def is_cropped(self) -> bool:
        """Whether voxels at the border were left out."""
        return self.cropped != self.turn.new.size

    @property
    def is_resampled(self) -> bool:
        """Whether prepared voxels are others than those of the file."""
        return self.size != self.cropped

    @property
    def is_identity(self) -> bool:
        """Whether a prepared voxel has the index that it has in the file."""
        return self.turn.is_identity and not self.is_cropped and not self.is_resampled

    def box(self, values: Values) -> Values:
        """Look at the cropped box of values in the file's order, in canonical order.

        Args:
            values: Shape (..., *file size).

        Returns:
            Shape (..., *cropped), a view: what is written to it is written to `values`.

        Raises:
            ShapeError: The values have another size than the file.
        """
        old = self.turn.old.size
        if values.shape[values.ndim - len(old) :] != old:
            raise ShapeError(f"shape {values.shape} does not end in the file's size, {old}")
        lead = values.ndim - len(old)
        turned = values.transpose(*range(lead), *(lead + axis for axis in self.turn.order))
        flips: Any = (slice(None, None, -1 if flip else 1) for flip in self.turn.flips)
        ends = (start + edge for start, edge in zip(self.start, self.cropped, strict=True))
        cut: Any = (slice(start, end) for start, end in zip(self.start, ends, strict=True))
        return turned[(..., *flips)][(..., *cut)]

    def to_json(self) -> dict[str, Any]:
        """Return plain data for a JSON file."""
        return {
            "file": _grid_json(self.turn.old),
            "turn": {"order": list(self.turn.order), "flips": list(self.turn.flips)},
            "canonical": _grid_json(self.turn.new),
            "crop": {"start": list(self.start), "size": list(self.cropped)},
            "prepared": {
                "size": list(self.size),
                "spacing_mm": None if self.spacing_mm is None else list(self.spacing_mm),
            },
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Placement:
        """Read back what `to_json` wrote.

        Raises:
            DataError: The data are none of it.
        """
        try:
            turn, crop, prepared = data["turn"], data["crop"], data["prepared"]
            spacing = prepared["spacing_mm"]
            return cls(
                Turn(
                    _whole(turn["order"]),
                    tuple(bool(flip) for flip in turn["flips"]),
                    _grid(data["file"]),
                    _grid(data["canonical"]),
                ),
                _whole(crop["start"]),
                _whole(crop["size"]),
                _whole(prepared["size"]),
                None if spacing is None else tuple(float(edge) for edge in spacing),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"this is no record of how a case was prepared ({error!r})") from error


def whole_file(turn: Turn) -> Placement:
    """Place an array that is as large as its file: no crop, no resampling."""
    new = turn.new
    return Placement(turn, (0,) * new.spatial_dims, new.size, new.size, new.spacing_mm)


def _whole(numbers: Any) -> Size:
    return tuple(int(number) for number in numbers)


def _grid_json(grid: Grid) -> dict[str, Any]:
    return {
        "size": list(grid.size),
        "spacing_mm": None if grid.spacing_mm is None else list(grid.spacing_mm),
        "origin_mm": list(grid.origin_mm),
        "direction": np.asarray(grid.direction).tolist(),
    }


def _grid(data: Mapping[str, Any]) -> Grid:
    return Grid.of(data["size"], data["spacing_mm"], data["origin_mm"], data["direction"])
