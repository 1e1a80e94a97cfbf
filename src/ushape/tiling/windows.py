"""Cut one tile out of an image, mirrored where it reaches beyond, and weigh one tile.

The image is indexed, never padded as a whole: a memory-mapped image stays on the disk.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

LEAST_WEIGHT = 1e-3
"""The ends of a tile keep this weight along each axis (its middle has 1), so that no pixel divides
by nothing. Floored as a product over all axes, a border slice that one tile covers alone along its
own axis would lose the fading along the others."""


def reflect_indices(start: int, length: int, size: int) -> npt.NDArray[np.intp]:
    """Give the pixel to read at each position, mirroring at the borders without repeating the edge.

    Mirrors as often as it takes; an axis of one pixel repeats that pixel.

    Args:
        start: First position; negative ones lie before the first pixel.
        length: Number of positions.
        size: Number of pixels on the axis.

    >>> reflect_indices(-2, 8, 4).tolist()
    [2, 1, 0, 1, 2, 3, 2, 1]
    """
    if size == 1:
        return np.zeros(length, dtype=np.intp)
    period = 2 * (size - 1)
    positions = np.arange(start, start + length, dtype=np.intp) % period
    return np.minimum(positions, period - positions)


def cut_tile(image: Array, starts: Sequence[int], tile_size: Sequence[int]) -> Array:
    """Cut one tile, mirrored where it reaches beyond the image.

    Args:
        image: Shape (C, *size), in memory or memory-mapped.
        starts: First position along each spatial axis; may be negative.
        tile_size: Size of the tile; may be larger than the image.

    Returns:
        Shape (C, *tile_size), in the image's own dtype. A view of the image if it lies inside.
    """
    indices = [
        reflect_indices(start, length, size)
        for start, length, size in zip(starts, tile_size, image.shape[1:], strict=True)
    ]
    # Read the touched box first: fancy indexing a memory map axis by axis would read it all.
    box = tuple(slice(int(index.min()), int(index.max()) + 1) for index in indices)
    tile: Array = image[(slice(None), *box)]
    for axis, (start, index) in enumerate(zip(starts, indices, strict=True), start=1):
        is_inside = 0 <= start <= image.shape[axis] - len(index)
        if not is_inside:
            tile = np.take(tile, index - index.min(), axis=axis)
    return tile


def tile_weights(tile_size: Sequence[int]) -> npt.NDArray[np.float32]:
    """Weigh the pixels of a tile by their trust: Gaussians of one eighth of the tile, floored.

    Args:
        tile_size: Size of the tile.

    Returns:
        Shape (*tile_size), the product over axes of `LEAST_WEIGHT` at the ends to about 1 in the
        middle.

    Source: Isensee et al. 2021, nnU-Net, which fades tiles with the same sigma.
    """
    weights = np.ones((), dtype=np.float64)
    for length in tile_size:
        distance = (np.arange(length) - (length - 1) / 2) / (length / 8)
        fading = np.maximum(np.exp(-0.5 * distance**2), LEAST_WEIGHT)
        weights = np.multiply.outer(weights, fading)
    return weights.astype(np.float32)
