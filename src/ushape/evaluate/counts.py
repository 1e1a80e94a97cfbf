"""Count the values of label files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from ushape.errors import DataError
from ushape.evaluate.read import LabelFiles, read_values
from ushape.labels import Colors, Palette, pool_palettes


def count_labels(cases: Iterable[LabelFiles]) -> tuple[Counter[int], bool, Palette | None]:
    """Count the values of all files that can be read; the others are told later.

    Returns:
        Pixels by value, whether the values are packed colours, and the colours of values that are
        indices.

    Raises:
        DataError: Not one can be read.
    """
    counts: Counter[int] = Counter()
    is_color, first = False, None
    palettes: list[tuple[str, Colors, dict[int, int]]] = []
    for case in cases:
        try:
            label = read_values(case.path)
        except DataError as error:
            first = first or error
            continue
        is_color = is_color or label.is_color
        found = _tally(label.values)
        counts.update(found)
        palettes.append((str(label.path), label.palette, found))
    if not counts and first is not None:
        raise first
    return counts, is_color, pool_palettes(palettes)


def _tally(values: npt.NDArray[Any]) -> dict[int, int]:
    """Count values; plane by plane, as counting widens them."""
    if values.dtype.itemsize > 2:
        found, sums = np.unique(values, return_counts=True)
        return dict(zip(found.tolist(), sums.tolist(), strict=True))
    sums = np.zeros(1 << (8 * values.dtype.itemsize), np.int64)
    for plane in values:
        sums += np.bincount(plane.ravel(), minlength=len(sums))
    return {int(value): int(sums[value]) for value in np.flatnonzero(sums)}
