"""Labels that number objects: what lies between touching ones, and numbers for predicted ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

OBJECT, BORDER = 1, 2
"""Class indices."""


def find_borders(numbers: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Mark the pixels that have two objects within one pixel, diagonals included.

    Args:
        numbers: Shape (*size), 0 is the background.

    Returns:
        Same shape: the rims along which objects touch, and gaps one pixel wide between them.
    """
    signed = numbers.astype(np.int64)
    large = int(signed.max(initial=0)) + 1  # the filters compute in double precision
    highest = ndimage.maximum_filter(signed, size=3, mode="nearest")
    lowest = ndimage.minimum_filter(np.where(signed == 0, large, signed), size=3, mode="nearest")
    return np.asarray((highest != lowest) & (lowest != large))


def number_objects(index: npt.NDArray[np.uint8]) -> npt.NDArray[np.int32]:
    """Number the objects of a map of classes.

    Connected pixels of the class `OBJECT` are one object; pixels of the class `BORDER` go to the
    nearest object.

    Args:
        index: Class indices, shape (*size).

    Returns:
        Same shape, 0 is the background.
    """
    numbers = np.asarray(ndimage.label(index == OBJECT)[0], dtype=np.int32)
    is_border = index == BORDER
    if not is_border.any() or not numbers.any():
        return numbers
    nearest = ndimage.distance_transform_edt(
        numbers == 0, return_distances=False, return_indices=True
    )
    grown = numbers[tuple(nearest)]
    return np.where(is_border, grown, numbers)
