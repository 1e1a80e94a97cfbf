"""Overlap scores: by hand, against scikit-image's confusion, and where a class is absent."""

from __future__ import annotations

import numpy as np
import pytest

from ushape.errors import DataError, ShapeError
from ushape.metrics import count_masks, count_table, overlap_scores


def test_counts_by_hand():
    reference = np.array([[0, 0, 1], [1, 2, 2]])
    prediction = np.array([[0, 1, 1], [2, 2, 0]])
    # Class 0: one hit, one 0 too many (for a 2), one missed (called 1), three rightly not 0.
    assert count_table(prediction, reference, 4).tolist() == [
        [1, 1, 1, 3],
        [1, 1, 1, 3],
        [1, 1, 1, 3],
        [0, 0, 0, 6],
    ]
    lopsided = count_table(np.array([1, 1, 1, 0]), np.array([1, 0, 0, 0]), 2)
    assert lopsided.tolist() == [[1, 0, 2, 1], [1, 2, 0, 1]]


def test_scores_by_hand():
    # 6 hits, 2 too many, 4 missed, 8 rightly left: 8 predicted and 10 present.
    scores = overlap_scores(np.array([[6, 2, 4, 8]]))
    got = {name: values[0] for name, values in vars(scores).items()}
    assert got == pytest.approx(
        {
            "dice": 12 / 18,
            "iou": 6 / 12,
            "precision": 6 / 8,
            "recall": 6 / 10,
            "specificity": 8 / 10,
            "volume_error": -2 / 10,
        }
    )


NAN = np.nan


@pytest.mark.parametrize(
    ("counts", "expected"),
    [  # dice, iou, precision, recall, specificity, volume error
        ([0, 0, 0, 9], [NAN, NAN, NAN, NAN, 1, NAN]),
        ([0, 5, 0, 5], [0, 0, 0, NAN, 0.5, NAN]),
        ([0, 0, 5, 5], [0, 0, NAN, 0, 1, -1]),
        ([0, 5, 5, 0], [0, 0, 0, 0, 0, 0]),
        ([5, 0, 0, 0], [1, 1, 1, 1, NAN, 0]),
        ([0, 0, 0, 0], [NAN] * 6),
    ],
)
def test_the_rule_for_absent_classes(counts, expected):
    scores = overlap_scores(np.array([counts]))
    np.testing.assert_array_equal([values[0] for values in vars(scores).values()], expected)


def test_many_tables_at_once():
    tables = np.array([[[6, 2, 4, 0], [1, 0, 0, 1]], [[0, 0, 0, 3], [1, 1, 1, 0]]])
    np.testing.assert_allclose(overlap_scores(tables).iou, [[1 / 2, 1], [np.nan, 1 / 3]])


def test_ignored_pixels_count_nowhere():
    reference = np.array([0, 1, 1, 255])
    prediction = np.array([0, 1, 0, 1])
    ignore = reference == 255
    # The ignored value itself is no class, so it must not even be looked at.
    assert count_table(prediction, reference, 2, ignore=ignore).tolist() == [
        [1, 1, 0, 1],
        [1, 0, 1, 1],
    ]
    everything = np.ones(4, bool)
    assert not count_table(prediction, reference, 2, ignore=everything).any()


def test_masks_may_overlap():
    prediction = np.array([[1, 1, 0, 0], [1, 1, 1, 0]], bool)
    reference = np.array([[1, 0, 0, 0], [0, 1, 1, 1]], bool)
    assert count_masks(prediction, reference).tolist() == [[1, 1, 0, 2], [2, 1, 1, 0]]
    ignore = np.array([1, 0, 0, 0], bool)
    assert count_masks(prediction, reference, ignore=ignore).tolist() == [
        [0, 1, 0, 2],
        [2, 0, 1, 0],
    ]
    # By class: the first pixel is unknown of the second class only.
    by_class = np.array([[0, 0, 0, 0], [1, 0, 0, 0]], bool)
    assert count_masks(prediction, reference, ignore=by_class).tolist() == [
        [1, 1, 0, 2],
        [2, 0, 1, 0],
    ]


def test_bool_and_small_integers_do_not_overflow():
    # uint8 arithmetic would wrap: class 200 of 256 has pair number 200 * 256 + 200.
    table = count_table(np.full(3, 200, np.uint8), np.full(3, 200, np.uint8), 256)
    assert table[200].tolist() == [3, 0, 0, 0]
    assert table[:, :3].sum() == 3
    mask = np.array([True, False])
    assert count_table(mask, ~mask, 2).tolist() == [[0, 1, 1, 0], [0, 1, 1, 0]]


def test_an_empty_map_counts_nothing():
    empty = np.zeros((0, 4), np.uint8)
    assert not count_table(empty, empty, 3).any()


def test_bad_maps_are_refused():
    two = np.array([0, 1])
    with pytest.raises(ShapeError, match=r"prediction 3 and reference 2 differ in shape"):
        count_table(np.zeros(3, int), two, 2)
    with pytest.raises(DataError, match=r"prediction has values from 0 to 255: .* are 0 to 1"):
        count_table(np.array([0, 255]), two, 2)
    with pytest.raises(DataError, match="reference has values from -1 to 1"):
        count_table(two, np.array([-1, 1]), 2)
    with pytest.raises(DataError, match="prediction has values of type float64"):
        count_table(np.array([0.2, 0.9]), two, 2)
    with pytest.raises(ShapeError, match="its last axis must hold 4 counts"):
        overlap_scores(np.zeros((2, 3), int))
    with pytest.raises(ShapeError, match="ignore 3 and the masks 2 differ"):
        count_table(two, two, 2, ignore=np.zeros(3, bool))
    with pytest.raises(DataError, match="ignore must be bool"):
        count_table(two, two, 2, ignore=two)
    with pytest.raises(DataError, match="reference is int64, not bool"):
        count_masks(two[None] > 0, two[None])
