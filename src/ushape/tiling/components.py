"""The connected objects of a mask. Pixels that touch at a corner belong together.

2D and 3D, NumPy and SciPy only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from ushape.errors import ConfigError

Mask = npt.NDArray[np.bool_]

LEAST_FRACTION = 0.05
"""Objects with a smaller fraction of the largest one's pixels are specks of a poor mask."""


@dataclass(frozen=True)
class MaskObject:
    """One connected object of a mask.

    Attributes:
        box: Its bounding box.
        anchor: One of its pixels, counted from the box's corner.
        pixels: How many it has.
    """

    box: tuple[slice, ...]
    anchor: tuple[int, ...]
    pixels: int


def find_objects(mask: Mask, *, least_fraction: float = LEAST_FRACTION) -> tuple[MaskObject, ...]:
    """List the connected objects of a mask, the largest first, without specks.

    Raises:
        ConfigError: `least_fraction` is negative.
    """
    if not 0 <= least_fraction < np.inf:
        raise ConfigError(f"least_fraction={least_fraction}: give 0 or more")
    numbers, count = ndimage.label(mask, ndimage.generate_binary_structure(mask.ndim, mask.ndim))
    if count == 0:
        return ()
    pixels = np.bincount(numbers.ravel())[1:]
    boxes = ndimage.find_objects(numbers)
    order = np.argsort(-pixels, kind="stable")
    found = []
    for index in order[pixels[order] >= least_fraction * pixels.max()].tolist():
        first = int(np.flatnonzero(numbers[boxes[index]] == index + 1)[0])
        lengths = tuple(side.stop - side.start for side in boxes[index])
        anchor = tuple(int(place) for place in np.unravel_index(first, lengths))
        found.append(MaskObject(boxes[index], anchor, int(pixels[index])))
    return tuple(found)


def object_mask(inside: Mask, entry: MaskObject) -> Mask:
    """Single an object out of what a mask holds in the object's box; same shape."""
    structure = ndimage.generate_binary_structure(inside.ndim, inside.ndim)
    numbers, _ = ndimage.label(inside, structure)
    return np.asarray(numbers == numbers[entry.anchor])


def largest_component(mask: Mask) -> Mask | None:
    """Keep the largest connected object (the first of equals), or None where there is none."""
    numbers, count = ndimage.label(mask, ndimage.generate_binary_structure(mask.ndim, mask.ndim))
    if count == 0:
        return None
    return np.asarray(numbers == 1 + np.bincount(numbers.ravel())[1:].argmax())
