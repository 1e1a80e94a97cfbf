"""The warping error: what is left of a difference once borders may shift without penalty.

The truth is warped towards the prediction by flipping one pixel after the other, each only if
that changes no topology. What cannot be flipped is an error of topology: a gap, a bridge, a
region too many or too few.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy import ndimage

from ushape.errors import ShapeError
from ushape.metrics.checks import Mask, check_masks, without_ignored
from ushape.sizes import format_size

# The eight neighbours of a pixel, in a ring, as (row, column); every second one shares a face.
_RING = ((-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1))


@dataclass(frozen=True)
class WarpingError:
    """Errors of topology between two masks.

    Attributes:
        num_pixels: Pixels that still differ after warping.
        fraction: Of all pixels that count; nan if there are none.
        num_errors: Groups of such pixels (touching by anything): single errors.
        num_regions_gained: Groups that the prediction adds to the regions: merged, or invented.
        num_regions_lost: Groups that the prediction takes from the regions: split, or missed.
    """

    num_pixels: int
    fraction: float
    num_errors: int
    num_regions_gained: int
    num_regions_lost: int


def warping_error(
    prediction: Mask,
    reference: Mask,
    regions: str = "foreground",
    *,
    ignore: Mask | None = None,
) -> WarpingError:
    """Count the pixels that no change of borders alone can explain.

    Planar: where there are more than two axes, every slice over the last two is warped by itself
    and the errors are added up, as the ISBI 2012 challenge did.

    Args:
        prediction: Shape (..., y, x), bool.
        reference: Same shape; this is what is warped.
        regions: Which side the regions are, `foreground` or `background`. Regions touch by
            faces (4), the other side by faces and corners (8).
        ignore: True for pixels that do not count; both masks are background there.

    Raises:
        ShapeError: The masks differ in shape or have fewer than two axes.
        DataError: A mask is not bool.

    Source: Jain et al. 2010, Boundary learning by optimization with topological constraints,
    section 3. The order of flips is breadth first from the pixels that differ at the start;
    other orders may leave a few pixels more or less.

    >>> gap = np.array([[1, 1, 1], [0, 0, 0], [1, 1, 1]], bool)
    >>> bridge = gap.copy()
    >>> bridge[1, 1] = True
    >>> warping_error(bridge, gap).num_pixels, warping_error(gap, gap).num_pixels
    (1, 0)
    """
    check_masks(prediction, reference, ignore)
    if prediction.ndim < 2:
        raise ShapeError(f"masks of shape {format_size(prediction.shape)}: give 2 axes or more")
    num_counted = prediction.size if ignore is None else int(np.count_nonzero(~ignore))
    prediction, reference = without_ignored(prediction, reference, ignore)
    if regions == "background":
        prediction, reference = ~prediction, ~reference
    size = prediction.shape[-2:]
    planes = zip(prediction.reshape(-1, *size), reference.reshape(-1, *size), strict=True)
    num_pixels = gained = lost = 0
    for predicted, true in planes:
        left = warp(true, predicted) ^ predicted
        num_pixels += int(np.count_nonzero(left))
        gained += _count_groups(left & predicted)
        lost += _count_groups(left & ~predicted)
    return WarpingError(
        num_pixels=num_pixels,
        fraction=num_pixels / num_counted if num_counted else float("nan"),
        num_errors=gained + lost,
        num_regions_gained=gained,
        num_regions_lost=lost,
    )


def warp(mask: Mask, target: Mask) -> Mask:
    """Bring a mask as close to another one as its topology allows.

    Args:
        mask: Shape (y, x), bool; its pixels touch by faces, the others by anything.
        target: Same shape.

    Returns:
        A mask with the pieces and holes of `mask`, of which no pixel that differs from `target`
        could be flipped alone.
    """
    width = mask.shape[1] + 2
    now = bytearray(np.pad(mask, 1).astype(np.uint8).tobytes())
    goal = np.pad(target, 1).astype(np.uint8).tobytes()
    steps = [row * width + column for row, column in _RING]
    simple = _simple_pixels()
    waiting = deque(np.flatnonzero(np.pad(mask ^ target, 1)).tolist())
    while waiting:
        place = waiting.popleft()
        if now[place] == goal[place]:
            continue
        code = 0
        for step in steps:
            code = code << 1 | now[place + step]
        if not simple[code]:
            continue
        now[place] = goal[place]
        # Its neighbours may have become free to flip.
        waiting.extend(place + step for step in steps if now[place + step] != goal[place + step])
    warped = np.frombuffer(bytes(now), np.uint8).reshape(-1, width)
    return np.asarray(warped[1:-1, 1:-1] == 1)


@cache
def _simple_pixels() -> tuple[bool, ...]:
    """Tell for every neighbourhood whether flipping its centre keeps the topology.

    It does if the mask around it is in one piece (over faces, reaching a face of the centre) and
    the rest is in one piece (over faces and corners). The index has the first pixel of the ring
    in its highest bit.

    Source: Kong, Rosenfeld 1989, Digital topology.
    """
    table = []
    for code in range(256):
        ring = [bool(code >> (7 - place) & 1) for place in range(8)]
        table.append(_num_mask_pieces(ring) == 1 and _num_other_pieces(ring) == 1)
    return tuple(table)


def _num_mask_pieces(ring: list[bool]) -> int:
    """Count runs of set pixels along the ring that hold a face neighbour."""
    links = [(place, (place + 1) % 8) for place in range(8)]
    pieces = _pieces(ring, links)
    return sum(any(place % 2 == 1 for place in piece) for piece in pieces)


def _num_other_pieces(ring: list[bool]) -> int:
    """Count runs of unset pixels, where two face neighbours also touch past their corner."""
    links = [(place, (place + 1) % 8) for place in range(8)]
    links += [(place, (place + 2) % 8) for place in range(1, 8, 2)]
    return len(_pieces([not value for value in ring], links))


def _pieces(is_in: list[bool], links: list[tuple[int, int]]) -> list[set[int]]:
    pieces = [{place} for place in range(8) if is_in[place]]
    for first, second in links:
        if is_in[first] and is_in[second]:
            joined = [piece for piece in pieces if first in piece or second in piece]
            pieces = [piece for piece in pieces if piece not in joined]
            pieces.append(set().union(*joined))
    return pieces


def _count_groups(mask: Mask) -> int:
    return int(ndimage.label(mask, np.ones((3, 3), bool))[1])
