"""Which classes small ones lie beside, in the labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from ushape.data.targets import class_masks
from ushape.labels import LabelTable


def count_contacts(
    target: npt.NDArray[Any], table: LabelTable, small: Sequence[str]
) -> dict[str, int]:
    """Count the pixels of other foreground classes on and beside small ones.

    Args:
        target: Of all classes, shape (*size).
        table: All classes.
        small: Names of the small classes.

    Returns:
        By name of every other foreground class: its pixels that a small class covers or touches,
        at corners too.
    """
    masks = dict(zip(table.names[1:], class_masks(target, table), strict=True))
    chosen = np.logical_or.reduce([masks[name] for name in small])
    boxes = ndimage.find_objects(chosen.astype(np.uint8))
    counts = dict.fromkeys((name for name in masks if name not in small), 0)
    if not boxes:
        return counts
    inside = tuple(
        slice(max(0, side.start - 1), min(n, side.stop + 1))
        for side, n in zip(boxes[0], chosen.shape, strict=True)
    )
    structure = ndimage.generate_binary_structure(chosen.ndim, chosen.ndim)
    near = ndimage.binary_dilation(chosen[inside], structure)
    return {name: int(np.count_nonzero(masks[name][inside] & near)) for name in counts}
