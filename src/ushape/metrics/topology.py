"""Whether regions are split or merged, which overlap of pixels hardly shows: V_rand.

One pixel of membrane missing joins two cells: the membrane's Dice stays the same, V_rand falls.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

import numpy as np
import numpy.typing as npt
from scipy import ndimage, sparse

from ushape.errors import ConfigError, DataError, ShapeError, unknown_name
from ushape.sizes import format_size

Regions = Literal["background", "foreground"]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class RandScores:
    """How well two divisions into regions agree, 1 for equal ones.

    Attributes:
        v_rand: Both kinds of fault together, the harmonic mean of the other two.
        split: Of all pixel pairs in one reference region, the fraction that the prediction keeps
            together: low when it splits regions.
        merge: Of all pixel pairs in one predicted region, the fraction that belongs together: low
            when it merges regions.
    """

    v_rand: float
    split: float
    merge: float


@dataclass(frozen=True)
class RegionScores(RandScores):
    """Rand scores of the connected regions of two masks.

    Attributes:
        regions: What the regions are: connected parts of the foreground, or of the background
            (where the foreground is thin, such as membranes around cells).
        num_predicted: Regions of the prediction.
        num_reference: Regions of the reference.
    """

    regions: Regions
    num_predicted: int
    num_reference: int


def adapted_rand(
    prediction_regions: npt.NDArray[Any], reference_regions: npt.NDArray[Any]
) -> RandScores:
    """Compare two divisions into regions by the foreground-restricted Rand score, V_rand.

    With p_ij the fraction of pixels in predicted region i and reference region j, s_i and t_j its
    sums: V_rand = sum p_ij^2 / (0.5 sum s_i^2 + 0.5 sum t_j^2).

    The convention is that of the ISBI 2012 challenge, as its Fiji script has it: only pixels
    inside a reference region count; a counted pixel where the prediction has no region (0) is a
    region of its own, of one pixel; a pixel also pairs with itself. Borders are not thinned.

    Args:
        prediction_regions: Region numbers, 0 for none, shape (*space), integer.
        reference_regions: The same shape.

    Returns:
        The scores; all nan if the reference has no region, as there is nothing to score. A
        prediction without any region splits every region into pixels: merge 1, split near 0.

    Raises:
        ShapeError: The two differ in shape.
        DataError: They hold something else than whole numbers from 0.

    Source: Arganda-Carreras et al. 2015, Crowdsourcing the creation of image segmentation
    algorithms for connectomics, Eq. 3 with alpha = 0.5.

    >>> adapted_rand(np.array([1, 1, 1, 1]), np.array([1, 1, 2, 2]))
    RandScores(v_rand=0.6666666666666666, split=1.0, merge=0.5)
    """
    _check_pair(prediction_regions, reference_regions)
    is_counted = reference_regions != 0
    predicted, reference = prediction_regions[is_counted], reference_regions[is_counted]
    if reference.size == 0:
        return RandScores(np.nan, np.nan, np.nan)
    # Pixels without a predicted region add 1 each to the pairs of the prediction and of both.
    singletons = int(np.count_nonzero(predicted == 0))
    together, in_prediction, in_reference = _pairs(predicted, reference)
    both = together + singletons
    merged = in_prediction + singletons
    return RandScores(
        v_rand=2 * both / (merged + in_reference), split=both / in_reference, merge=both / merged
    )


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


def choose_regions(reference_masks: Iterable[Mask]) -> Regions:
    """Find the side of the masks that has more connected regions in all: cells, not membranes.

    Args:
        reference_masks: Masks of one data set, bool; any shapes. A tie is the foreground's.
    """
    lead = sum(_count_regions(mask) - _count_regions(~mask) for mask in reference_masks)
    return "foreground" if lead >= 0 else "background"


def region_scores(
    prediction_mask: Mask, reference_mask: Mask, regions: str = "auto"
) -> RegionScores:
    """Compare the connected regions of two masks.

    Args:
        prediction_mask: Shape (*space), bool, true for the foreground.
        reference_mask: The same shape.
        regions: `foreground`, `background`, or `auto`: what `choose_regions` says of this
            reference alone (choose once for a data set, so that all cases are scored alike).

    Returns:
        The scores, by the convention of `adapted_rand`, and what the regions were.

    Raises:
        ShapeError: The two masks differ in shape.
        DataError: They are not bool.
        ConfigError: There are no such regions.
    """
    _check_pair(prediction_mask, reference_mask)
    if prediction_mask.dtype != bool or reference_mask.dtype != bool:
        raise DataError(
            f"masks must be bool, given {prediction_mask.dtype} and {reference_mask.dtype}: "
            "compare with the foreground's class index first"
        )
    if regions not in ("auto", *get_args(Regions)):
        raise ConfigError(unknown_name("regions", regions, ("auto", *get_args(Regions))))
    chosen = choose_regions([reference_mask]) if regions == "auto" else cast("Regions", regions)
    is_inside = chosen == "foreground"
    predicted = label_regions(prediction_mask == is_inside)
    reference = label_regions(reference_mask == is_inside)
    rand = adapted_rand(predicted, reference)
    return RegionScores(
        v_rand=rand.v_rand,
        split=rand.split,
        merge=rand.merge,
        regions=chosen,
        num_predicted=int(predicted.max(initial=0)),
        num_reference=int(reference.max(initial=0)),
    )


def _count_regions(mask: Mask) -> int:
    return int(label_regions(mask).max(initial=0))


def _pairs(predicted: npt.NDArray[Any], reference: npt.NDArray[Any]) -> tuple[int, int, int]:
    """Count ordered pixel pairs in one region of both, of the prediction, of the reference.

    Predicted zeros are pixels of the reference only.
    """
    rows, columns = (
        np.unique(regions, return_inverse=True)[1] for regions in (predicted, reference)
    )
    sizes_prediction, sizes_reference = np.bincount(rows), np.bincount(columns)
    sizes_both = sparse.coo_array((np.ones(rows.size, np.int64), (rows, columns))).tocsr()
    has_zero = int(bool((predicted == 0).any()))  # sorted first, so it is row 0
    return (
        _sum_of_squares(sizes_both[has_zero:].data),
        _sum_of_squares(sizes_prediction[has_zero:]),
        _sum_of_squares(sizes_reference),
    )


def _sum_of_squares(sizes: npt.NDArray[Any]) -> int:
    return int(np.square(sizes.astype(np.int64)).sum())


def _check_pair(prediction: npt.NDArray[Any], reference: npt.NDArray[Any]) -> None:
    if prediction.shape != reference.shape:
        raise ShapeError(
            f"prediction {format_size(prediction.shape)} and reference "
            f"{format_size(reference.shape)} differ in shape: they must cover the same pixels"
        )
    for name, regions in (("prediction", prediction), ("reference", reference)):
        if regions.dtype.kind not in "iub" or (regions.size and regions.min() < 0):
            raise DataError(
                f"the {name} of type {regions.dtype} holds something else than region numbers: "
                "give whole numbers from 0, where 0 is no region"
            )
