"""Objects as wholes: how many are found, matched one to one, and how well.

Objects are numbered regions (`label_regions` numbers the pieces of a mask; instance labels are
regions already).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from ushape.errors import ConfigError
from ushape.metrics.checks import Mask, check_ignore, harmonic_mean
from ushape.metrics.partitions import overlap_sizes

PANOPTIC_IOU = 0.5
"""Above this IoU, a match is the only one that its objects can have."""


@dataclass(frozen=True)
class InstanceScores:
    """Objects matched one to one at a threshold of IoU.

    Attributes:
        num_matched: Pairs of objects (true positives).
        num_predicted: Objects of the prediction.
        num_reference: Objects of the reference.
        iou_sum: Over the matched pairs.
    """

    num_matched: int
    num_predicted: int
    num_reference: int
    iou_sum: float

    @property
    def precision(self) -> float:
        """Matched objects of all predicted ones; nan without any."""
        return _ratio(self.num_matched, self.num_predicted)

    @property
    def recall(self) -> float:
        """Matched objects of all true ones; nan without any."""
        return _ratio(self.num_matched, self.num_reference)

    @property
    def f1(self) -> float:
        """Harmonic mean; 0 when one side has no object, nan when both have none."""
        return _ratio(2 * self.num_matched, self.num_predicted + self.num_reference)

    @property
    def mean_iou(self) -> float:
        """Mean IoU of the matched pairs (segmentation quality); nan without any."""
        return self.iou_sum / self.num_matched if self.num_matched else float("nan")

    @property
    def panoptic_quality(self) -> float:
        """F1 times mean IoU, PQ at a threshold of 0.5 (Kirillov et al. 2019, Eq. 1)."""
        num_objects = self.num_predicted + self.num_reference
        return 2 * self.iou_sum / num_objects if num_objects else float("nan")


@dataclass(frozen=True)
class DetectionScores:
    """Objects found and objects invented, where covering a part is enough.

    Attributes:
        num_found: True objects that the prediction covers.
        num_reference: True objects.
        num_right: Predicted objects that the truth covers.
        num_predicted: Predicted objects.
    """

    num_found: int
    num_reference: int
    num_right: int
    num_predicted: int

    @property
    def sensitivity(self) -> float:
        """True objects found; nan without any."""
        return _ratio(self.num_found, self.num_reference)

    @property
    def precision(self) -> float:
        """Predicted objects that are right; nan without any."""
        return _ratio(self.num_right, self.num_predicted)

    @property
    def f1(self) -> float:
        """Harmonic mean; 0 when one side has no object, nan when both have none."""
        return harmonic_mean(self.precision, self.sensitivity)


def instance_scores(
    prediction_regions: npt.NDArray[Any],
    reference_regions: npt.NDArray[Any],
    *,
    min_iou: float = PANOPTIC_IOU,
    ignore: Mask | None = None,
) -> InstanceScores:
    """Match predicted and true objects one to one.

    Two objects may match if their IoU is above `min_iou`. Of all matchings the one with most
    pairs is taken, and of those the one with the largest sum of IoU. From 0.5 on there is only one.

    Args:
        prediction_regions: Object numbers, 0 for none, shape (*space), integer.
        reference_regions: The same shape.
        min_iou: From 0 to below 1.
        ignore: True for pixels that do not count: objects are cut there, and those wholly
            inside are left out.

    Raises:
        ShapeError: The arrays differ in shape.
        DataError: They hold something else than whole numbers from 0.
        ConfigError: `min_iou` is out of range.

    >>> found = instance_scores(np.array([1, 1, 0, 2]), np.array([1, 1, 1, 0]))
    >>> found.num_matched, found.f1, round(found.panoptic_quality, 3)
    (1, 0.6666666666666666, 0.444)
    """
    _check_share("min_iou", min_iou)
    found, true, shared, sizes = _objects(prediction_regions, reference_regions, ignore)
    union = sizes[0][found] + sizes[1][true] - shared
    iou = shared / union
    may_match = iou > min_iou
    num_matched, iou_sum = _best_matching(found[may_match], true[may_match], iou[may_match])
    return InstanceScores(num_matched, sizes[0].size, sizes[1].size, iou_sum)


def detection_scores(
    prediction_regions: npt.NDArray[Any],
    reference_regions: npt.NDArray[Any],
    *,
    min_overlap: float = 0.0,
    ignore: Mask | None = None,
) -> DetectionScores:
    """Count the lesions that are found, and the predictions that are right.

    A true object is found if predicted objects cover more than a fraction of it; a predicted one
    is right if true objects cover more than that fraction of it. Shape does not matter, and one
    prediction may find two lesions: use `instance_scores` where it must not.

    Args:
        prediction_regions: Object numbers, 0 for none, shape (*space), integer.
        reference_regions: The same shape.
        min_overlap: The fraction, from 0 (one pixel is enough) to below 1.
        ignore: True for pixels that do not count.

    Raises:
        ShapeError: The arrays differ in shape.
        DataError: They hold something else than whole numbers from 0.
        ConfigError: `min_overlap` is out of range.
    """
    _check_share("min_overlap", min_overlap)
    found, true, shared, sizes = _objects(prediction_regions, reference_regions, ignore)
    covered = [
        np.bincount(names, weights=shared, minlength=size.size)
        for names, size in zip((found, true), sizes, strict=True)
    ]
    right, detected = (
        int(np.count_nonzero(part > min_overlap * size))
        for part, size in zip(covered, sizes, strict=True)
    )
    return DetectionScores(detected, sizes[1].size, right, sizes[0].size)


def _objects(
    prediction: npt.NDArray[Any], reference: npt.NDArray[Any], ignore: Mask | None
) -> tuple[
    npt.NDArray[np.int64],
    npt.NDArray[np.int64],
    npt.NDArray[np.int64],
    tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]],
]:
    """Return the pairs of objects that overlap, numbered from 0, their overlap, and all sizes."""
    check_ignore(ignore, prediction.shape)
    if ignore is not None and prediction.shape == reference.shape:
        prediction, reference = prediction[~ignore], reference[~ignore]
    found, true, shared = overlap_sizes(prediction, reference)
    places, sizes = [], []
    for names in (found, true):
        known, place = np.unique(names, return_inverse=True)
        size = np.bincount(place, weights=shared, minlength=known.size).astype(np.int64)
        has_zero = int(known.size > 0 and known[0] == 0)
        places.append(place - has_zero)
        sizes.append(size[has_zero:])
    overlaps = (found != 0) & (true != 0)
    return places[0][overlaps], places[1][overlaps], shared[overlaps], (sizes[0], sizes[1])


def _best_matching(
    found: npt.NDArray[np.int64], true: npt.NDArray[np.int64], iou: npt.NDArray[np.float64]
) -> tuple[int, float]:
    """Match most pairs, then the best ones: an assignment in every group that hangs together."""
    from scipy.optimize import linear_sum_assignment  # takes long to import

    if found.size == 0:
        return 0, 0.0
    num_found = int(found.max()) + 1
    size = num_found + int(true.max()) + 1
    links = sparse.coo_array((np.ones(found.size), (found, true + num_found)), shape=(size, size))
    group = connected_components(links, directed=False)[1][found]
    # Most pairs hang together with no other one: they match.
    is_alone = np.bincount(group)[group] == 1
    num_matched, iou_sum = int(np.count_nonzero(is_alone)), float(iou[is_alone].sum())
    others = np.flatnonzero(~is_alone)
    others = others[np.argsort(group[others], kind="stable")]
    starts = np.flatnonzero(np.diff(group[others])) + 1
    for pairs in np.split(others, starts) if others.size else ():
        rows, row = np.unique(found[pairs], return_inverse=True)
        columns, column = np.unique(true[pairs], return_inverse=True)
        gain = np.zeros((rows.size, columns.size))
        # One more pair outweighs all the IoU that any matching can have.
        gain[row, column] = iou[pairs] + min(gain.shape) + 1
        chosen = linear_sum_assignment(gain, maximize=True)
        matched = gain[chosen][gain[chosen] > 0]
        num_matched += matched.size
        iou_sum += float((matched - min(gain.shape) - 1).sum())
    return num_matched, iou_sum


def _check_share(name: str, value: float) -> None:
    if not 0 <= value < 1:
        raise ConfigError(
            f"{name} {value} is not a fraction from 0 to below 1: give for example 0.5"
        )


def _ratio(part: int, of: int) -> float:
    return part / of if of else float("nan")
