"""Count the values of label files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from ushape.errors import DataError
from ushape.evaluate.read import LabelFiles, read_values


def count_labels(cases: Iterable[LabelFiles]) -> tuple[Counter[int], bool]:
    """Count the values of all files that can be read; the others are told later.

    Returns:
        Pixels by value, and whether the values are packed colours.

    Raises:
        DataError: Not one can be read.
    """
    counts: Counter[int] = Counter()
    is_color, first = False, None
    for case in cases:
        try:
            label = read_values(case.path)
        except DataError as error:
            first = first or error
            continue
        is_color = is_color or label.is_color
        counts.update(_tally(label.values))
    if not counts and first is not None:
        raise first
    return counts, is_color


def _tally(values: npt.NDArray[Any]) -> dict[int, int]:
    """Count values; plane by plane, as counting widens them."""
    if values.dtype.itemsize > 2:
        found, sums = np.unique(values, return_counts=True)
        return dict(zip(found.tolist(), sums.tolist(), strict=True))
    sums = np.zeros(1 << (8 * values.dtype.itemsize), np.int64)
    for plane in values:
        sums += np.bincount(plane.ravel(), minlength=len(sums))
    return {int(value): int(sums[value]) for value in np.flatnonzero(sums)}
