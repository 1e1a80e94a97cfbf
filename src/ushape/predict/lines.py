"""Thin predicted lines to one pixel."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from skimage.morphology import skeletonize

from ushape.data.masks import Masks


def thin_lines(
    index: npt.NDArray[np.uint8], thin: Sequence[int], probabilities: npt.NDArray[np.float32]
) -> npt.NDArray[np.uint8]:
    """Thin some classes to their skeletons.

    Args:
        index: Class indices, shape (*size).
        thin: Indices of the classes that are lines.
        probabilities: Shape (channel, *size); the pixels that a line loses go to the likeliest
            class that is no line.
    """
    rest = np.zeros_like(index)
    if len(probabilities) > 1:
        others = probabilities.copy()
        others[list(thin)] = -1.0
        rest = others.argmax(axis=0).astype(np.uint8)
    result = index.copy()
    for number in thin:
        mask = index == number
        lost = mask & ~thin_mask(mask)
        result[lost] = rest[lost]
    return result


def thin_mask(mask: Masks) -> Masks:
    """Thin a mask, shape (*size), to its skeleton."""
    return np.asarray(skeletonize(mask), dtype=np.bool_)  # type: ignore[no-untyped-call]
