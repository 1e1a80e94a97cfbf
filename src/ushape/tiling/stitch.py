"""Join the results of tiles, and hand finished rows on as soon as no later tile can touch them.

Only one band of rows is held: as many as one tile fills along the first spatial axis.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ushape.errors import ShapeError
from ushape.tiling.plan import Piece, TilePlan
from ushape.tiling.windows import Array, tile_weights

Sink = Callable[[int, Array], None]
"""Takes a finished block: its first row, and its values (K, rows, *rest), which it may keep."""


class BandStitcher:
    """Collects the results of tiles that arrive in the order of `TilePlan.tiles`.

    Blended results are averaged as they come: `mean += weight / sum_of_weights * (new - mean)`.
    Equal values thus stay equal to the last bit, which dividing by a sum of weights does not grant.
    (West 1979, Updating Mean and Variance Estimates.)
    """

    def __init__(self, plan: TilePlan, sink: Sink) -> None:
        self._plan = plan
        self._sink = sink
        self._weights = tile_weights(plan.out_tile_size) if plan.blend else None
        self._num_rows = max(piece.count for piece in plan.axes[0])
        self._first_row = 0
        rows, *rest = plan.axes
        self._last_of_row = [pieces[-1] for pieces in rest]
        ends = [*(piece.first for piece in rows[1:]), plan.size[0]]
        self._ready = {piece.first: end for piece, end in zip(rows, ends, strict=True)}
        self._band: Array | None = None
        shape = (self._num_rows, *plan.size[1:])
        self._seen = np.zeros(shape, np.float32) if plan.blend else None

    def add(self, pieces: Sequence[Piece], result: Array) -> None:
        """Fill in one tile; the last one of a row of tiles hands finished rows on.

        Args:
            pieces: Where the tile lies, one piece an axis.
            result: Shape (K, *out_tile_size); the same K every time.

        Raises:
            ShapeError: The number of channels differs from the first tile's.
        """
        if self._band is None:
            shape = (len(result), self._num_rows, *self._plan.size[1:])
            self._band = np.zeros(shape, result.dtype)
        if len(result) != len(self._band):
            raise ShapeError(
                f"the callable gave {len(result)} channels for a tile, "
                f"after {len(self._band)} for the first one; expected as many for every tile"
            )
        rows, *rest = pieces
        inside = tuple(slice(piece.offset, piece.offset + piece.count) for piece in pieces)
        top = rows.first - self._first_row
        place = (
            slice(top, top + rows.count),
            *(slice(piece.first, piece.first + piece.count) for piece in rest),
        )
        target = self._band[(slice(None), *place)]
        new = result[(slice(None), *inside)]
        if self._weights is None or self._seen is None:
            target[...] = new
        else:
            weights, seen = self._weights[inside], self._seen[place]
            seen += weights
            target += weights / seen * (new - target)
        if rest == self._last_of_row:
            self._flush(self._band, self._ready[rows.first])

    def _flush(self, band: Array, end: int) -> None:
        done = end - self._first_row
        self._sink(self._first_row, band[:, :done].copy())
        _move_up(np.moveaxis(band, 1, 0), done)
        if self._seen is not None:
            _move_up(self._seen, done)
        self._first_row = end


def _move_up(rows: Array, done: int) -> None:
    """Drop the first rows in place; empty ones, all zero, come in behind."""
    left = len(rows) - done
    rows[:left] = rows[done:]
    rows[left:] = 0
