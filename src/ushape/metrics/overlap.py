"""Dice, IoU, precision and recall from integer counts that add up across cases and batches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ushape.errors import DataError, ShapeError
from ushape.sizes import format_size


@dataclass(frozen=True)
class OverlapScores:
    """Scores per class, shape (..., K), float64, from 0 to 1; nan where there is nothing to score.

    The rule for empty classes: a score is its fraction of pixels, and nan if that fraction is of
    no pixels at all.

    ========================  ====  ===  =========  ======
    class is absent from      dice  iou  precision  recall
    ========================  ====  ===  =========  ======
    prediction and reference  nan   nan  nan        nan
    the reference only        0     0    0          nan
    the prediction only       0     0    nan        0
    ========================  ====  ===  =========  ======

    Means leave nan out and say how many there were (`bootstrap_mean` does).
    """

    dice: npt.NDArray[np.float64]
    iou: npt.NDArray[np.float64]
    precision: npt.NDArray[np.float64]
    recall: npt.NDArray[np.float64]


def count_table(
    prediction: npt.NDArray[Any], reference: npt.NDArray[Any], num_classes: int
) -> npt.NDArray[np.int64]:
    """Count true positive, false positive and false negative pixels of every class.

    Tables add: the sum over cases is the table of all cases together.

    Args:
        prediction: Class indices, shape (*space), integer or bool.
        reference: Class indices, same shape.
        num_classes: Classes, the background included.

    Returns:
        Shape (num_classes, 3): true positives, false positives, false negatives.

    Raises:
        ShapeError: The two maps differ in shape.
        DataError: A map holds something else than class indices.

    >>> count_table(np.array([0, 1, 1]), np.array([0, 1, 0]), 2).tolist()
    [[1, 0, 1], [1, 1, 0]]
    """
    if prediction.shape != reference.shape:
        raise ShapeError(
            f"prediction {format_size(prediction.shape)} and reference "
            f"{format_size(reference.shape)} differ in shape: they must cover the same pixels"
        )
    pairs = _class_indices("reference", reference, num_classes) * num_classes
    pairs += _class_indices("prediction", prediction, num_classes)
    confusion = np.bincount(pairs, minlength=num_classes**2).reshape(num_classes, num_classes)
    hits = confusion.diagonal()
    table = np.stack([hits, confusion.sum(axis=0) - hits, confusion.sum(axis=1) - hits], axis=1)
    return table.astype(np.int64, copy=False)


def overlap_scores(table: npt.NDArray[np.int64]) -> OverlapScores:
    """Compute the scores of every class; see `OverlapScores` for classes that are absent.

    Args:
        table: Counts from `count_table`, shape (..., K, 3), one table or many.

    >>> overlap_scores(np.array([[6, 2, 4], [0, 0, 0]])).dice.tolist()
    [0.6666666666666666, nan]
    """
    true_positive, false_positive, false_negative = np.moveaxis(table, -1, 0)
    predicted, present = true_positive + false_positive, true_positive + false_negative
    return OverlapScores(
        dice=_fraction(2 * true_positive, predicted + present),
        iou=_fraction(true_positive, predicted + false_negative),
        precision=_fraction(true_positive, predicted),
        recall=_fraction(true_positive, present),
    )


def _class_indices(name: str, values: npt.NDArray[Any], num_classes: int) -> npt.NDArray[np.int64]:
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


def _fraction(part: npt.NDArray[np.int64], of: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    fraction = np.full(of.shape, np.nan)
    np.divide(part, of, out=fraction, where=of > 0)
    return fraction
