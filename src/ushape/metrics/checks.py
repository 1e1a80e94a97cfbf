"""What all metrics ask of their input: two arrays over the same pixels, of the right kind."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ushape.errors import DataError, ShapeError
from ushape.sizes import format_size

Mask = npt.NDArray[np.bool_]


def check_same_shape(prediction: npt.NDArray[Any], reference: npt.NDArray[Any]) -> None:
    """Refuse two arrays that do not cover the same pixels."""
    if prediction.shape != reference.shape:
        raise ShapeError(
            f"prediction {format_size(prediction.shape)} and reference "
            f"{format_size(reference.shape)} differ in shape: they must cover the same pixels"
        )


def check_masks(prediction: Mask, reference: Mask, ignore: Mask | None = None) -> None:
    """Refuse what are not two masks of one shape (and a mask of ignored pixels like them)."""
    check_same_shape(prediction, reference)
    if prediction.dtype != bool or reference.dtype != bool:
        raise DataError(
            f"masks must be bool, given {prediction.dtype} and {reference.dtype}: "
            "compare with the foreground's class index first"
        )
    check_ignore(ignore, prediction.shape)


def check_ignore(ignore: Mask | None, shape: tuple[int, ...]) -> None:
    """Refuse a mask of ignored pixels that does not lie on the pixels of the masks."""
    if ignore is None:
        return
    if ignore.dtype != bool:
        raise DataError(
            f"ignore must be bool, true for pixels that do not count, given {ignore.dtype}: "
            "compare the labels with the ignored value first"
        )
    if ignore.shape != shape:
        raise ShapeError(
            f"ignore {format_size(ignore.shape)} and the masks {format_size(shape)} differ in "
            "shape: they must cover the same pixels"
        )


def without_ignored(prediction: Mask, reference: Mask, ignore: Mask | None) -> tuple[Mask, Mask]:
    """Set ignored pixels to background in both masks."""
    if ignore is None:
        return prediction, reference
    return prediction & ~ignore, reference & ~ignore


def fraction(part: npt.NDArray[Any], of: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Divide counts; nan where a fraction is of nothing."""
    found = np.full(of.shape, np.nan)
    np.divide(part, of, out=found, where=of > 0)
    return found


def harmonic_mean(first: float, second: float) -> float:
    """Join two fractions of which either may be undefined, as an F-score does.

    Nan if both are undefined (both sides are empty), 0 if one is (only one side is empty) or if
    both are 0.
    """
    if np.isnan(first) and np.isnan(second):
        return float("nan")
    if np.isnan(first) or np.isnan(second) or first + second == 0:
        return 0.0
    return 2 * first * second / (first + second)
