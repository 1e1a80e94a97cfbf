"""Whether regions are split or merged, which overlap of pixels hardly shows.

One pixel of membrane missing joins two cells: the membrane's Dice stays the same, V_rand falls.
Regions touch by faces (4 in 2D, 6 in 3D); what lies between them by anything.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from ushape.errors import ConfigError, ShapeError, unknown_name
from ushape.metrics.checks import Mask, check_masks
from ushape.metrics.partitions import RandScores, adapted_information, adapted_rand
from ushape.sizes import format_size

Regions = Literal["background", "foreground"]


@dataclass(frozen=True)
class RegionScores(RandScores):
    """Scores of the connected regions of two masks.

    Attributes:
        regions: What the regions are: connected parts of the foreground, or of the background
            (where the foreground is thin, such as membranes around cells).
        num_predicted: Regions of the prediction.
        num_reference: Regions of the reference.
        v_info: The information-theoretic score, see `InformationScores`.
        is_thinned: The prediction's borders were thinned to one pixel first.
    """

    regions: Regions
    num_predicted: int
    num_reference: int
    v_info: float = float("nan")
    is_thinned: bool = False


def label_regions(mask: Mask) -> npt.NDArray[np.int32]:
    """Number the connected regions of a mask; pixels touch by faces (4 in 2D, 6 in 3D).

    Args:
        mask: Shape (*space), bool.

    Returns:
        Region numbers 1, 2, ..., and 0 outside the mask.

    >>> label_regions(np.array([[True, False], [False, True]])).tolist()
    [[1, 0], [0, 2]]
    """
    regions = np.zeros(mask.shape, np.int32)
    ndimage.label(mask, output=regions)
    return regions


def thin_borders(regions: npt.NDArray[Any]) -> npt.NDArray[np.int32]:
    """Let regions grow until lines of one pixel part them, as the ISBI 2012 scores do.

    All regions grow at one speed over faces, by a watershed of the flat border; a line stays
    where two of them meet, and where a region meets itself the border goes.

    Args:
        regions: Region numbers, 0 for borders, shape (*space), integer.

    Source: Arganda-Carreras et al. 2015, "after border thinning".

    >>> thin_borders(np.array([[1, 0, 0, 0, 2]])).tolist()
    [[1, 1, 0, 2, 2]]
    """
    from skimage.segmentation import watershed  # takes long to import

    if not regions.any():
        return np.zeros(regions.shape, np.int32)
    flat = np.zeros(regions.shape, np.uint8)
    grown = watershed(  # type: ignore[no-untyped-call]
        flat, markers=regions, connectivity=1, watershed_line=True
    )
    return np.asarray(grown, dtype=np.int32)


def choose_regions(reference_masks: Iterable[Mask]) -> Regions:
    """Find the side of the masks that has more connected regions in all: cells, not membranes.

    Args:
        reference_masks: Masks of one data set, bool; any shapes. A tie is the foreground's.
    """
    lead = sum(_count_regions(mask) - _count_regions(~mask) for mask in reference_masks)
    return "foreground" if lead >= 0 else "background"


def region_scores(
    prediction_mask: Mask,
    reference_mask: Mask,
    regions: str = "auto",
    *,
    is_thinned: bool = False,
    ignore: Mask | None = None,
) -> RegionScores:
    """Compare the connected regions of two masks.

    Args:
        prediction_mask: Shape (*space), bool, true for the foreground.
        reference_mask: The same shape.
        regions: `foreground`, `background`, or `auto`: what `choose_regions` says of this
            reference alone (choose once for a data set, so that all cases are scored alike).
        is_thinned: Thin the prediction's borders first (`thin_borders`).
        ignore: True for pixels that do not count: they belong to no region of either mask.

    Returns:
        The scores, by the convention of `adapted_rand`, and what the regions were.

    Raises:
        ShapeError: The two masks differ in shape.
        DataError: They are not bool.
        ConfigError: There are no such regions.
    """
    check_masks(prediction_mask, reference_mask, ignore)
    if regions not in ("auto", *get_args(Regions)):
        raise ConfigError(unknown_name("regions", regions, ("auto", *get_args(Regions))))
    chosen = choose_regions([reference_mask]) if regions == "auto" else cast("Regions", regions)
    predicted, reference = (
        label_regions(_region_side(mask, chosen, ignore))
        for mask in (prediction_mask, reference_mask)
    )
    num_predicted = int(predicted.max(initial=0))
    if is_thinned:
        predicted = thin_borders(predicted)
    rand = adapted_rand(predicted, reference)
    return RegionScores(
        v_rand=rand.v_rand,
        split=rand.split,
        merge=rand.merge,
        regions=chosen,
        num_predicted=num_predicted,
        num_reference=int(reference.max(initial=0)),
        v_info=adapted_information(predicted, reference).v_info,
        is_thinned=is_thinned,
    )


def betti_numbers(mask: Mask) -> tuple[int, ...]:
    """Count what makes the shape of a mask: pieces and holes; in 3D pieces, tunnels and cavities.

    Voxels of the mask touch by faces, the rest by anything; beyond the image nothing is set.

    Args:
        mask: Shape (y, x) or (z, y, x), bool.

    Raises:
        ShapeError: The mask has another number of axes.

    >>> ring = np.ones((3, 3), bool)
    >>> ring[1, 1] = False
    >>> betti_numbers(ring)
    (1, 1)
    """
    from skimage.measure import euler_number  # takes long to import

    if mask.ndim not in (2, 3):
        raise ShapeError(f"a mask of shape {format_size(mask.shape)}: give 2 or 3 axes")
    pieces = _count_regions(mask)
    around = np.pad(~mask, 1, constant_values=True)
    everywhere = ndimage.generate_binary_structure(mask.ndim, mask.ndim)
    enclosed = int(ndimage.label(around, everywhere)[1]) - 1
    if mask.ndim == 2:
        return pieces, enclosed
    # Euler: pieces - tunnels + cavities.
    characteristic = int(euler_number(np.pad(mask, 1), 1))  # type: ignore[no-untyped-call]
    return pieces, pieces + enclosed - characteristic, enclosed


def component_error(prediction: Mask, reference: Mask, *, ignore: Mask | None = None) -> int:
    """Count the connected pieces that the prediction has too many (or, negative, too few).

    Raises:
        ShapeError: The masks differ in shape.
        DataError: A mask is not bool.
    """
    check_masks(prediction, reference, ignore)
    predicted, true = (
        _count_regions(mask if ignore is None else mask & ~ignore)
        for mask in (prediction, reference)
    )
    return predicted - true


def _region_side(mask: Mask, regions: Regions, ignore: Mask | None) -> Mask:
    side = mask if regions == "foreground" else ~mask
    return side if ignore is None else side & ~ignore


def _count_regions(mask: Mask) -> int:
    return int(label_regions(mask).max(initial=0))
