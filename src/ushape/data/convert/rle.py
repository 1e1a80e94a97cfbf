"""Decode run lengths: lengths of runs of 0 and 1 in turn, the first of 0.

COCO runs down the columns and packs the lengths into text; CVAT runs along the rows.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ushape.errors import DataError

Mask = NDArray[np.bool_]

_MOST_DIGITS = 7  # five bits each: lengths of up to 2^35


def decode_columns(counts: str | Sequence[int], size: Sequence[int]) -> Mask:
    """Decode the run lengths of COCO.

    Args:
        counts: A list of numbers, or text as `pycocotools` packs them.
        size: (y, x) of the picture, which the lengths have to fill.

    Raises:
        DataError: They are damaged, or fill another number of pixels.
    """
    lengths = unpack(counts) if isinstance(counts, str) else counts
    return _runs(lengths, size[0] * size[1]).reshape(size[1], size[0]).T


def decode_rows(counts: Sequence[int], size: Sequence[int]) -> Mask:
    """Decode the run lengths of CVAT, which fill a box of this size (y, x).

    Raises:
        DataError: They are damaged, or fill another number of pixels.
    """
    return _runs(counts, size[0] * size[1]).reshape(size[0], size[1])


def unpack(text: str) -> list[int]:
    """Unpack the text of COCO's run lengths.

    A letter carries five bits, lowest first, and one that says that more follow; the last one's
    top bit is the sign. From the fourth on, lengths are differences to the last but one.

    >>> unpack("52203")
    [5, 2, 2, 2, 5]

    Raises:
        DataError: It is cut off, or holds other letters.
    """
    lengths: list[int] = []
    value, digit = 0, 0
    for letter in text:
        bits = ord(letter) - 48
        if not 0 <= bits < 64 or digit >= _MOST_DIGITS:
            raise DataError("its run lengths are damaged")
        value |= (bits & 31) << 5 * digit
        digit += 1
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << 5 * digit
        lengths.append(value + (lengths[-2] if len(lengths) > 2 else 0))
        value, digit = 0, 0
    if digit:
        raise DataError("its run lengths are cut off")
    return lengths


def _runs(lengths: Sequence[int], total: int) -> Mask:
    """Lay out runs in one row, after checking that they fill it: nothing is allocated on trust."""
    try:
        counts = np.asarray(lengths, np.int64)
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError("its run lengths are no whole numbers") from error
    if counts.ndim != 1 or (counts < 0).any() or (counts > total).any() or counts.sum() != total:
        given = f"{int(counts.sum())}" if counts.ndim == 1 else "no row of"
        raise DataError(f"its run lengths fill {given} pixels, {total} are there")
    return np.repeat(np.arange(len(counts)) % 2 == 1, counts)
