"""Predict in two passes: large structures on the whole image, small ones in regions of interest.

Both passes are callables; this module never sees a network.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ushape.errors import ShapeError
from ushape.sizes import format_size
from ushape.tiling.components import Mask
from ushape.tiling.region import Region, find_region
from ushape.tiling.roi import blank, cut, paste
from ushape.tiling.windows import Array

PredictImage = Callable[[Array], Array]
"""Takes an image, shape (C, *size); gives probabilities, shape (K, *size)."""

NO_REGION = "no region: the coarse mask is empty, so the fine mask is empty too"


@dataclass(frozen=True)
class SerialResult:
    """What two passes found.

    Attributes:
        coarse: Probabilities of the first pass, shape (K, *size).
        fine: Probabilities of the second at their place in the image, shape (F, *size).
        regions: Where the second pass looked; none where the first found nothing.
    """

    coarse: Array
    fine: Array
    regions: tuple[Region, ...]

    @property
    def region(self) -> Region | None:
        """The first region, of the largest object; None where there is none."""
        return self.regions[0] if self.regions else None

    @property
    def message(self) -> str:
        """Say in words what happened; empty where a region was found."""
        return "" if self.regions else NO_REGION


def foreground(probabilities: Array) -> Mask:
    """Take a mask from probabilities: above one half for one channel, else not the first class.

    >>> foreground(np.array([[0.2, 0.7]])), foreground(np.array([[0.9, 0.2], [0.1, 0.8]]))
    (array([False,  True]), array([False,  True]))
    """
    if len(probabilities) == 1:
        return np.asarray(probabilities[0] > 0.5)
    return np.asarray(probabilities.argmax(axis=0) > 0)


def serial_predict(
    coarse: PredictImage,
    fine: PredictImage,
    image: Array,
    *,
    to_mask: Callable[[Array], Mask] = foreground,
    find: Callable[[Mask], Region | Sequence[Region] | None] = find_region,
    size: Sequence[int] | None = None,
    fill: Sequence[float] = (0.0,),
) -> SerialResult:
    """Predict the whole image, find the region, predict it enlarged, put the result back.

    Args:
        coarse: First pass.
        fine: Second pass, on the cut. Not called where there is no region.
        image: Shape (C, *size).
        to_mask: From coarse probabilities to the mask of the structure to look into.
        find: From that mask to the region, or to several: `partial(find_region, kind="mask")`,
            `find_regions` and so on.
        size: Of the cut; None: the image's.
        fill: Fine probabilities outside the region, one a channel: (0,) for one class, (1, 0) for
            a background and one class.

    Returns:
        Probabilities of both passes and the region between them.

    Raises:
        ShapeError: A pass gives another size than it was given, or `fine` another number of
            channels than `fill`.

    >>> image = np.zeros((1, 8, 8))
    >>> image[0, 2:5, 2:5] = 1
    >>> result = serial_predict(lambda x: x, lambda x: x / 2, image)
    >>> result.region.size, float(result.fine.max())
    ((4, 4), 0.5)
    """
    whole = coarse(image)
    _check("coarse", whole, image.shape[1:], None)
    found = find(to_mask(whole))
    regions = () if found is None else (found,) if isinstance(found, Region) else tuple(found)
    part = predict_regions(fine, image, regions, size=size, fill=fill)
    return SerialResult(whole, part, regions)


def predict_regions(
    fine: PredictImage,
    image: Array,
    regions: Sequence[Region],
    *,
    size: Sequence[int] | None = None,
    fill: Sequence[float] = (0.0,),
) -> Array:
    """Make the second pass: cut each region out, predict it enlarged, put it back.

    Where regions overlap, every pixel has the values of the region that is surest there: whose
    values differ most from `fill`.

    Args:
        fine: On the cut. Not called where there is no region.
        image: Shape (C, *size).
        regions: Found in a mask of this image.
        size: Of the cuts; None: the image's.
        fill: Probabilities outside the regions, one a channel.

    Returns:
        Probabilities, shape (len(fill), *size of the image).

    Raises:
        ShapeError: `fine` gives another size than it was given, or another number of channels.
    """
    cut_size = tuple(image.shape[1:] if size is None else size)
    result = blank(len(fill), image.shape[1:], fill)
    for number, region in enumerate(regions):
        part = fine(cut(image, region, cut_size))
        _check("fine", part, cut_size, len(fill))
        pasted = paste(part, region, image.shape[1:], fill)
        if number == 0:
            result = pasted
            continue
        outside = np.asarray(fill, pasted.dtype).reshape(-1, *(1,) * len(cut_size))
        is_surer = abs(pasted - outside).max(axis=0) > abs(result - outside).max(axis=0)
        result = np.where(is_surer, pasted, result)
    return result


def _check(name: str, result: Array, size: Sequence[int], count: int | None) -> None:
    if tuple(result.shape[1:]) != tuple(size):
        raise ShapeError(
            f"{name} gave shape {format_size(result.shape)} for an image of {format_size(size)}: "
            "it must keep the size"
        )
    if count is not None and len(result) != count:
        raise ShapeError(
            f"{name} gave {len(result)} channels and fill has {count}: give one number a channel"
        )
