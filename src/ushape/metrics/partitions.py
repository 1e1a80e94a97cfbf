"""How well two divisions of an image into regions agree: by pairs of pixels, by information.

Both scores follow the foreground-restricted convention of the ISBI 2012 challenge, as its Fiji
scripts have it: only pixels inside a reference region count, and a counted pixel where the
prediction has no region (0) is a region of its own, of one pixel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ushape.errors import DataError
from ushape.metrics.checks import check_same_shape

Sizes = npt.NDArray[np.int64]

_FEW_PAIRS = 1 << 16
"""A table of so many counts is small, whatever the image."""
_LARGEST_NAME = 2**31 - 1
"""Two numbers up to here are one number of 64 bits."""


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
class InformationScores:
    """How much two divisions into regions tell about each other, 1 for equal ones.

    Attributes:
        v_info: Both kinds of fault together, the harmonic mean of the other two.
        split: Information shared, as a fraction of the prediction's: low when it splits regions.
        merge: Information shared, as a fraction of the reference's: low when it merges regions.
        split_bits: Entropy of the prediction given the reference, 0 without splits.
        merge_bits: Entropy of the reference given the prediction, 0 without merges. The sum of
            both is the variation of information (Meila 2007).
    """

    v_info: float
    split: float
    merge: float
    split_bits: float
    merge_bits: float


@dataclass(frozen=True)
class _Overlaps:
    """Pixels that count: by pair of regions, by predicted, by true region, and without any."""

    both: Sizes
    predicted: Sizes
    reference: Sizes
    num_singletons: int


def adapted_rand(
    prediction_regions: npt.NDArray[Any], reference_regions: npt.NDArray[Any]
) -> RandScores:
    """Compare two divisions into regions by the foreground-restricted Rand score, V_rand.

    With p_ij the fraction of pixels in predicted region i and reference region j, s_i and t_j its
    sums: V_rand = sum p_ij^2 / (0.5 sum s_i^2 + 0.5 sum t_j^2). A pixel also pairs with itself.
    Borders are not thinned.

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
    found = _overlaps(prediction_regions, reference_regions)
    in_reference = _sum_of_squares(found.reference)
    if in_reference == 0:
        return RandScores(np.nan, np.nan, np.nan)
    # Pixels without a predicted region add 1 each to the pairs of the prediction and of both.
    both = _sum_of_squares(found.both) + found.num_singletons
    merged = _sum_of_squares(found.predicted) + found.num_singletons
    return RandScores(
        v_rand=2 * both / (merged + in_reference), split=both / in_reference, merge=both / merged
    )


def adapted_information(
    prediction_regions: npt.NDArray[Any], reference_regions: npt.NDArray[Any]
) -> InformationScores:
    """Compare two divisions into regions by the information-theoretic score, V_info.

    With H(S), H(T) the entropies of the region sizes of prediction and reference and I(S; T) their
    mutual information: V_info = I / (0.5 H(S) + 0.5 H(T)).

    Args:
        prediction_regions: Region numbers, 0 for none, shape (*space), integer.
        reference_regions: The same shape.

    Returns:
        The scores; all nan if the reference has no region. A side of one region has no
        information to share: its fraction is 1, and V_info is 1 if the other side is one region
        too, else 0 (whatever is split off a single region scores 0; V_rand is finer there).

    Raises:
        ShapeError: The two differ in shape.
        DataError: They hold something else than whole numbers from 0.

    Source: Arganda-Carreras et al. 2015, Eqs. 4 to 6 with alpha = 0.5.

    >>> found = adapted_information(np.array([1, 1, 2, 3]), np.array([1, 1, 2, 2]))
    >>> found.merge, found.split_bits
    (1.0, 0.5)
    """
    found = _overlaps(prediction_regions, reference_regions)
    if found.reference.size == 0:
        return InformationScores(*[np.nan] * 5)
    num_pixels = int(found.reference.sum())
    # A region of one pixel holds 1/n log2 n bits.
    alone = found.num_singletons * math.log2(num_pixels) / num_pixels
    of_prediction = _entropy_bits(found.predicted, num_pixels) + alone
    of_reference = _entropy_bits(found.reference, num_pixels)
    of_both = _entropy_bits(found.both, num_pixels) + alone
    split_bits = max(0.0, of_both - of_reference)
    merge_bits = max(0.0, of_both - of_prediction)
    shared = max(0.0, of_prediction + of_reference - of_both)
    total = of_prediction + of_reference
    return InformationScores(
        v_info=2 * shared / total if total > 0 else 1.0,
        split=shared / of_prediction if of_prediction > 0 else 1.0,
        merge=shared / of_reference if of_reference > 0 else 1.0,
        split_bits=split_bits,
        merge_bits=merge_bits,
    )


def overlap_sizes(
    prediction_regions: npt.NDArray[Any], reference_regions: npt.NDArray[Any]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Count the pixels that every two regions share, in a sparse way.

    Args:
        prediction_regions: Region numbers, 0 for none, shape (*space), integer.
        reference_regions: The same shape.

    Returns:
        Predicted numbers, reference numbers and shared pixels of all pairs that meet; 0 (no
        region) is one of the numbers.
    """
    check_regions(prediction_regions, reference_regions)
    found, true = prediction_regions.ravel(), reference_regions.ravel()
    if not found.size:
        return (np.zeros(0, np.int64),) * 3
    if max(int(found.max()), int(true.max())) > _LARGEST_NAME:
        sides = (np.unique(side, return_inverse=True) for side in (found, true))
        names, place = zip(*sides, strict=True)
        rows, columns, shared = _count_pairs(place[0] + 1, place[1] + 1)
        return names[0][rows - 1].astype(np.int64), names[1][columns - 1].astype(np.int64), shared
    return _count_pairs(found, true)


def _count_pairs(found: Sizes, true: Sizes) -> tuple[Sizes, Sizes, Sizes]:
    """Count how often every pair of numbers stands at one place, the pairs in order."""
    # Most pixels are in no region of either side: they are counted without being sorted.
    meets = (found != 0) | (true != 0)
    num_outside = found.size - int(np.count_nonzero(meets))
    num_names = int(true.max()) + 1
    # Without the second cast numbers of 64 bits without a sign would make floats of both.
    pairs = found[meets].astype(np.int64) * num_names + true[meets].astype(np.int64)
    if (int(found.max()) + 1) * num_names <= max(found.size, _FEW_PAIRS):
        table = np.bincount(pairs)
        pairs = np.flatnonzero(table)
        shared = table[pairs]
    else:
        pairs, shared = np.unique(pairs, return_counts=True)
    if num_outside:
        pairs, shared = np.append(0, pairs), np.append(num_outside, shared)
    return pairs // num_names, pairs % num_names, shared.astype(np.int64)


def check_regions(prediction: npt.NDArray[Any], reference: npt.NDArray[Any]) -> None:
    """Refuse what are not two arrays of region numbers of one shape."""
    check_same_shape(prediction, reference)
    for name, regions in (("prediction", prediction), ("reference", reference)):
        if regions.dtype.kind not in "iub" or (regions.size and regions.min() < 0):
            raise DataError(
                f"the {name} of type {regions.dtype} holds something else than region numbers: "
                "give whole numbers from 0, where 0 is no region"
            )


def _overlaps(prediction: npt.NDArray[Any], reference: npt.NDArray[Any]) -> _Overlaps:
    found, true, shared = overlap_sizes(prediction, reference)
    is_counted = true != 0
    found, true, shared = found[is_counted], true[is_counted], shared[is_counted]
    has_region = found != 0
    return _Overlaps(
        both=shared[has_region],
        predicted=_sums_by(found[has_region], shared[has_region]),
        reference=_sums_by(true, shared),
        num_singletons=int(shared[~has_region].sum()),
    )


def _sums_by(names: Sizes, sizes: Sizes) -> Sizes:
    found = np.zeros(0, np.int64)
    if names.size:
        places = np.unique(names, return_inverse=True)[1]
        found = np.zeros(int(places.max()) + 1, np.int64)
        np.add.at(found, places, sizes)
    return found


def _sum_of_squares(sizes: Sizes) -> int:
    return int(np.square(sizes).sum())


def _entropy_bits(sizes: Sizes, num_pixels: int) -> float:
    share = sizes[sizes > 0] / num_pixels
    return float(-(share * np.log2(share)).sum())
