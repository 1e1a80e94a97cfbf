"""Check the numbers of a volume: finite for images, whole for labels. No copy of the whole."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ushape.data.io.sniff import unreadable
from ushape.data.io.volume import Values

WHOLE_TOLERANCE = 1e-3
"""A label value this near to a whole number is rounded; farther ones are refused."""

_LARGEST_LABEL = 2**31 - 1


def check_finite(path: Path, values: Values) -> None:
    """Refuse nan and infinity.

    Args:
        path: The file, for the message.
        values: Shape (C, *size).

    Raises:
        DataError: There are some; the message says how many, and where the first is.
    """
    if values.dtype.kind != "f":
        return
    with np.errstate(invalid="ignore"):  # nan spreads into both ends: no mask is needed
        if np.isfinite(values.min()) and np.isfinite(values.max()):
            return
    num_bad = 0
    first: tuple[int, ...] | None = None
    for place, slab in _slabs(values):
        bad = ~np.isfinite(slab)
        num_bad += int(np.count_nonzero(bad))
        if first is None and bad.any():
            first = (*place, *(int(i) for i in np.unravel_index(int(bad.argmax()), bad.shape)))
    raise unreadable(
        path,
        f"{num_bad:,} of {values.size:,} values are nan or infinite, the first at {_at(first)}",
        "replace them by numbers, or leave it out",
    )


def whole_numbers(path: Path, values: Values) -> Values:
    """Bring label values to uint8, uint16 or int32.

    Floats within 1e-3 of a whole number are rounded: resampling and scaling leave such.

    Args:
        path: The file, for the message.
        values: Shape (*size).

    Raises:
        DataError: A value is farther from a whole number, nan, infinite, negative or too large;
            the message says where the first is.
    """
    kind = values.dtype.kind
    if kind == "b":
        return values.view(np.uint8)
    if kind == "f":
        check_finite(path, values[np.newaxis])
    low, high = float(values.min()), float(values.max())
    if kind == "f":
        low, high = float(np.rint(low)), float(np.rint(high))
    if low < 0:
        raise unreadable(path, f"the label holds {low:g}", "label values must be 0 or larger")
    if high > _LARGEST_LABEL:
        raise unreadable(path, f"the label holds {high:g}", f"the largest is {_LARGEST_LABEL}")
    dtype = np.dtype(np.uint8 if high <= 0xFF else np.uint16 if high <= 0xFFFF else np.int32)
    if kind != "f":
        return values.astype(dtype, copy=False)
    whole = np.empty(values.shape, dtype)
    for place, slab in _slabs(values):
        rounded = np.rint(slab)
        off = np.abs(slab - rounded) > WHOLE_TOLERANCE
        if off.any():
            inner = np.unravel_index(int(off.argmax()), off.shape)
            where = (*place, *(int(i) for i in inner))
            raise unreadable(
                path,
                f"the label holds {values[where]:.6g} at {_at(where)}, which is no whole number",
                "save whole numbers: resample labels with nearest, or threshold them first",
            )
        whole[place] = rounded
    return whole


def _slabs(values: Values) -> Iterator[tuple[tuple[int, ...], Values]]:
    """Walk over planes: small enough that what is computed on one costs no memory."""
    lead = values.shape[:-2]
    for place in np.ndindex(*lead):
        yield place, values[place]


def _at(place: tuple[int, ...] | None) -> str:
    """Write an index; the last three are z y x, what stands in front is the channel."""
    assert place is not None
    return f"index {tuple(place)}"
