"""Dice, IoU, precision, recall and their kin, from integer counts that add up.

A table of counts is all that a metric of overlap needs. Tables of batches, cases and ranks add to
the table of all of them together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ushape.errors import DataError, ShapeError
from ushape.metrics.checks import Mask, check_ignore, check_same_shape, fraction
from ushape.sizes import format_size

NUM_COUNTS = 4
"""True positives, false positives, false negatives, true negatives."""

Counts = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float64]


@dataclass(frozen=True)
class OverlapScores:
    """Scores per class, shape (..., K), float64; nan where there is nothing to score.

    The rule for empty classes: a score is its fraction of pixels, and nan if that fraction is of
    no pixels at all.

    ========================  ====  ===  =========  ======  ============
    class is absent from      dice  iou  precision  recall  volume_error
    ========================  ====  ===  =========  ======  ============
    prediction and reference  nan   nan  nan        nan     nan
    the reference only        0     0    0          nan     nan
    the prediction only       0     0    nan        0       -1
    ========================  ====  ===  =========  ======  ============

    Means leave nan out and say how many there were (`bootstrap_mean` does).

    Attributes:
        dice: 2 TP / (2 TP + FP + FN), 0 to 1.
        iou: TP / (TP + FP + FN).
        precision: TP / (TP + FP).
        recall: TP / (TP + FN), also called sensitivity.
        specificity: TN / (TN + FP); nan where the class fills the whole reference.
        volume_error: (FP - FN) / (TP + FN): the predicted volume less the true one, in parts of
            the true one; 0 is best, negative is too small.
    """

    dice: Scores
    iou: Scores
    precision: Scores
    recall: Scores
    specificity: Scores
    volume_error: Scores


def count_table(
    prediction: npt.NDArray[Any],
    reference: npt.NDArray[Any],
    num_classes: int,
    *,
    ignore: Mask | None = None,
) -> Counts:
    """Count true and false positive and negative pixels of every class of two label maps.

    Args:
        prediction: Class indices, shape (*space), integer or bool.
        reference: Class indices, same shape.
        num_classes: Classes, the background included.
        ignore: True for pixels that do not count, same shape; whatever either map holds there.

    Returns:
        Shape (num_classes, 4): true positives, false positives, false negatives, true negatives.

    Raises:
        ShapeError: The maps differ in shape.
        DataError: A map holds something else than class indices.

    >>> count_table(np.array([0, 1, 1]), np.array([0, 1, 0]), 2).tolist()
    [[1, 0, 1, 1], [1, 1, 0, 1]]
    """
    check_same_shape(prediction, reference)
    check_ignore(ignore, prediction.shape)
    if ignore is not None:
        prediction, reference = prediction[~ignore], reference[~ignore]
    pairs = _class_indices("reference", reference, num_classes) * num_classes
    pairs += _class_indices("prediction", prediction, num_classes)
    confusion = np.bincount(pairs, minlength=num_classes**2).reshape(num_classes, num_classes)
    hits = confusion.diagonal()
    return _table(hits, confusion.sum(axis=0), confusion.sum(axis=1), pairs.size)


def count_masks(prediction: Mask, reference: Mask, *, ignore: Mask | None = None) -> Counts:
    """Count pixels of classes that may overlap, each a mask of its own.

    Args:
        prediction: Shape (K, *space), bool.
        reference: Same shape.
        ignore: True for pixels that do not count: shape (*space), or (K, *space) by class.

    Returns:
        Shape (K, 4), as of `count_table`.

    Raises:
        ShapeError: The masks differ in shape.
        DataError: A mask is not bool.

    >>> both = np.array([[True, False], [True, True]])
    >>> count_masks(both, ~both).tolist()
    [[0, 1, 1, 0], [0, 2, 0, 0]]
    """
    check_same_shape(prediction, reference)
    for name, masks in (("prediction", prediction), ("reference", reference)):
        if masks.dtype != bool:
            raise DataError(f"the {name} is {masks.dtype}, not bool: give a mask for each class")
    axes = tuple(range(1, prediction.ndim))
    if ignore is None:
        num_pixels = np.full(prediction.shape[0], prediction[0].size if prediction.size else 0)
    else:
        by_class = ignore.ndim == prediction.ndim
        check_ignore(ignore, prediction.shape if by_class else prediction.shape[1:])
        counted = np.broadcast_to(~ignore, prediction.shape)
        prediction, reference = prediction & counted, reference & counted
        num_pixels = np.count_nonzero(counted, axis=axes)
    return _table(
        np.count_nonzero(prediction & reference, axis=axes),
        np.count_nonzero(prediction, axis=axes),
        np.count_nonzero(reference, axis=axes),
        num_pixels,
    )


def overlap_scores(table: Counts) -> OverlapScores:
    """Compute the scores of every class; see `OverlapScores` for classes that are absent.

    Args:
        table: Counts from `count_table` or `count_masks`, shape (..., K, 4), one table or many.

    Raises:
        ShapeError: The last axis does not hold the four counts.

    >>> overlap_scores(np.array([[6, 2, 4, 9], [0, 0, 0, 21]])).dice.tolist()
    [0.6666666666666666, nan]
    """
    if table.ndim < 1 or table.shape[-1] != NUM_COUNTS:
        raise ShapeError(
            f"a table of shape {format_size(table.shape)}: its last axis must hold 4 counts "
            "(true and false positives, false and true negatives)"
        )
    true_positive, false_positive, false_negative, true_negative = np.moveaxis(table, -1, 0)
    predicted, present = true_positive + false_positive, true_positive + false_negative
    return OverlapScores(
        dice=fraction(2 * true_positive, predicted + present),
        iou=fraction(true_positive, predicted + false_negative),
        precision=fraction(true_positive, predicted),
        recall=fraction(true_positive, present),
        specificity=fraction(true_negative, true_negative + false_positive),
        volume_error=fraction(predicted - present, present),
    )


def _table(
    hits: npt.NDArray[Any],
    predicted: npt.NDArray[Any],
    present: npt.NDArray[Any],
    num_pixels: npt.NDArray[Any] | int,
) -> Counts:
    missed = num_pixels - predicted - present + hits
    return np.stack([hits, predicted - hits, present - hits, missed], axis=1).astype(np.int64)


def _class_indices(name: str, values: npt.NDArray[Any], num_classes: int) -> Counts:
    if values.dtype.kind not in "iub":
        raise DataError(
            f"the {name} has values of type {values.dtype}, not class indices: "
            "threshold probabilities or take their argmax first"
        )
    if values.size and not 0 <= int(values.min()) <= int(values.max()) < num_classes:
        raise DataError(
            f"the {name} has values from {values.min()} to {values.max()}: "
            f"class indices of {num_classes} classes are 0 to {num_classes - 1}"
        )
    return values.ravel().astype(np.int64)
