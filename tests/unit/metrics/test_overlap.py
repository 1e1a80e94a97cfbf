"""Overlap scores: by hand, against scikit-image's confusion, and where a class is absent."""

from __future__ import annotations

import numpy as np
import pytest

from ushape.errors import DataError, ShapeError
from ushape.metrics import count_table, overlap_scores


def test_counts_by_hand():
    reference = np.array([[0, 0, 1], [1, 2, 2]])
    prediction = np.array([[0, 1, 1], [2, 2, 0]])
    # Class 0: one hit, one 0 too many (for a 2), one missed (called 1). And so on.
    assert count_table(prediction, reference, 4).tolist() == [
        [1, 1, 1],
        [1, 1, 1],
        [1, 1, 1],
        [0, 0, 0],
    ]
    lopsided = count_table(np.array([1, 1, 1, 0]), np.array([1, 0, 0, 0]), 2)
    assert lopsided.tolist() == [[1, 0, 2], [1, 2, 0]]


def test_scores_by_hand():
    # 6 hits, 2 too many, 4 missed: Dice 12/18, IoU 6/12, precision 6/8, recall 6/10.
    scores = overlap_scores(np.array([[6, 2, 4]]))
    got = [scores.dice[0], scores.iou[0], scores.precision[0], scores.recall[0]]
    assert got == pytest.approx([2 / 3, 1 / 2, 3 / 4, 3 / 5])


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ([0, 0, 0], [np.nan, np.nan, np.nan, np.nan]),
        ([0, 5, 0], [0, 0, 0, np.nan]),
        ([0, 0, 5], [0, 0, np.nan, 0]),
        ([0, 5, 5], [0, 0, 0, 0]),
        ([5, 0, 0], [1, 1, 1, 1]),
    ],
)
def test_the_rule_for_absent_classes(counts, expected):
    scores = overlap_scores(np.array([counts]))
    got = [scores.dice[0], scores.iou[0], scores.precision[0], scores.recall[0]]
    np.testing.assert_array_equal(got, expected)


def test_many_tables_at_once():
    tables = np.array([[[6, 2, 4], [1, 0, 0]], [[0, 0, 0], [1, 1, 1]]])
    np.testing.assert_allclose(overlap_scores(tables).iou, [[1 / 2, 1], [np.nan, 1 / 3]])


def test_bool_and_small_integers_do_not_overflow():
    # uint8 arithmetic would wrap: class 200 of 256 has pair number 200 * 256 + 200.
    table = count_table(np.full(3, 200, np.uint8), np.full(3, 200, np.uint8), 256)
    assert table[200].tolist() == [3, 0, 0]
    assert table.sum() == 3
    mask = np.array([True, False])
    assert count_table(mask, ~mask, 2).tolist() == [[0, 1, 1], [0, 1, 1]]


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
