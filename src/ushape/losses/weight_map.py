"""The pixel weights of the 2015 paper: classes in balance, gaps between cells held open."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from ushape.errors import ShapeError

REACH = 6
"""How many sigma the distances to a cell are followed: exp(-6^2 / 2) is 1.5e-8."""


def weight_map(
    labels: npt.NDArray[Any],
    *,
    w0: float = 10.0,
    sigma: float = 5.0,
    is_balanced: bool = True,
    spacing: Sequence[float] | None = None,
) -> npt.NDArray[np.float32]:
    """Compute how much each pixel should count in a loss.

    w(x) = w_c(x) + w0 exp(-(d1(x) + d2(x))^2 / (2 sigma^2)), where d1 and d2 are the distances to
    the borders of the nearest and the second nearest cell. A border is the cell's own pixels that
    have a neighbour by face outside the cell. Where there are less than two cells the second term
    is 0; where it would be below w0 * 1.5e-8 it is taken as 0.

    Args:
        labels: Shape (*space), 2D or 3D. Bool, or 0 and 1: a mask, whose components (neighbours
            by face) are the cells. Larger values: the numbers of the cells, 0 is background.
        w0: Height of the second term.
        sigma: Its width, in pixels (in units of `spacing`).
        is_balanced: Whether w_c is inverse to the share of foreground and background, mean 1;
            otherwise it is 1.
        spacing: Pixel edge along each axis; 1 by default.

    Returns:
        Same shape; as `pixel_weight` of a loss it needs axes for batch and channel.

    Raises:
        ShapeError: The map is not 2D or 3D, or `spacing` does not fit it.

    Source: Ronneberger, Fischer, Brox 2015, Eq. 2.
    """
    edges = tuple(spacing or (1.0,) * labels.ndim)
    if labels.ndim not in (2, 3) or len(edges) != labels.ndim:
        raise ShapeError(
            f"labels have {labels.ndim} axes and spacing {len(edges)}: give a 2D or 3D map and "
            "one spacing an axis"
        )
    cells = labels
    if labels.dtype == np.bool_ or labels.max(initial=0) <= 1:
        cells, _ = ndimage.label(labels != 0)
    weights = _class_weights(cells != 0) if is_balanced else np.ones(labels.shape)
    first, second = _two_nearest(cells, edges, reach=REACH * sigma)
    weights += w0 * np.exp(-((first + second) ** 2) / (2 * sigma**2))
    return weights.astype(np.float32)


def _class_weights(is_cell: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    share = float(is_cell.mean()) if is_cell.size else 0.0
    if share in (0.0, 1.0):
        return np.ones(is_cell.shape)
    return np.where(is_cell, 0.5 / share, 0.5 / (1 - share))


def _two_nearest(
    cells: npt.NDArray[Any], edges: Sequence[float], *, reach: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Find the distances to the two nearest borders; infinite beyond `reach`."""
    first, second = (np.full(cells.shape, np.inf) for _ in range(2))
    numbers, compact = np.unique(cells, return_inverse=True)
    compact = compact.reshape(cells.shape)
    if 0 not in numbers:
        compact = compact + 1
    grow = [math.ceil(reach / edge) for edge in edges]
    for number, box in enumerate(ndimage.find_objects(compact), start=1):
        # The cell's own box and one pixel around it tell its border; `grow` is at least that.
        near = tuple(
            slice(max(0, part.start - more), part.stop + more)
            for part, more in zip(box, grow, strict=True)
        )
        cell = compact[near] == number
        border = cell & ~ndimage.binary_erosion(cell, border_value=1)
        if not border.any():  # the cell fills the image
            continue
        distance = ndimage.distance_transform_edt(~border, sampling=edges)
        nearest = first[near]
        second[near] = np.minimum(second[near], np.maximum(nearest, distance))
        first[near] = np.minimum(nearest, distance)
    return first, second
