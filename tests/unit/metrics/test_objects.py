"""Objects matched by hand, and against every possible matching."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ushape.errors import ConfigError, DataError, ShapeError
from ushape.metrics import detection_scores, instance_scores, label_regions


def test_instances_by_hand():
    truth = np.array([1] * 10 + [2] * 10 + [3] * 10)
    prediction = np.array([7] * 8 + [0] * 2 + [8] * 4 + [9] * 6 + [0] * 10)
    # 1 and 7: IoU 0.8; 2 and 9: 0.6, 2 and 8: 0.4; 3 is missed.
    found = instance_scores(prediction, truth)
    assert (found.num_matched, found.num_predicted, found.num_reference) == (2, 3, 3)
    assert [found.precision, found.recall, found.f1] == pytest.approx([2 / 3] * 3)
    assert found.mean_iou == pytest.approx(0.7)
    assert found.panoptic_quality == pytest.approx(1.4 / (2 + 0.5 + 0.5))
    assert instance_scores(prediction, truth, min_iou=0.6).num_matched == 1  # above, not from
    assert instance_scores(prediction, truth, min_iou=0.9).panoptic_quality == 0


def test_the_matching_is_one_to_one_and_has_most_pairs():
    # a overlaps 1 best but is the only partner of 2: taking the best pair first loses one.
    truth = np.array([1, 1, 1, 1, 1, 2, 2, 2, 0])
    prediction = np.array([4, 4, 5, 5, 5, 5, 5, 5, 5])
    found = instance_scores(prediction, truth, min_iou=0.1)
    assert found.num_matched == 2
    assert found.iou_sum == pytest.approx(2 / 5 + 3 / 7)
    # One prediction over two objects finds one of them as an instance, both as a lesion.
    merged = np.array([1] * 8 + [0])
    assert instance_scores(merged, truth, min_iou=0.1).num_matched == 1
    assert detection_scores(merged, truth).num_found == 2


def test_detection_by_hand():
    truth = np.array([1] * 10 + [0] * 5 + [2] * 10 + [0] * 5)
    prediction = np.array([0] * 9 + [1] * 4 + [0] * 2 + [2] * 10 + [0] * 2 + [3] * 3)
    found = detection_scores(prediction, truth)
    assert vars(found) == {"num_found": 2, "num_reference": 2, "num_right": 2, "num_predicted": 3}
    assert [found.sensitivity, found.precision, found.f1] == pytest.approx([1, 2 / 3, 0.8])
    # One pixel of ten, and one of four, is not more than a quarter.
    strict = detection_scores(prediction, truth, min_overlap=0.25)
    assert (strict.num_found, strict.num_right) == (1, 1)


def test_nothing_to_find_and_nothing_found():
    none, one = np.zeros(4, int), np.array([0, 5, 5, 0])
    both = instance_scores(none, none)
    values = [both.precision, both.recall, both.f1, both.panoptic_quality, both.mean_iou]
    assert np.isnan([*values, detection_scores(none, none).f1]).all()
    missed = instance_scores(none, one)
    assert np.isnan(missed.precision)
    assert [missed.recall, missed.f1, missed.panoptic_quality] == [0, 0, 0]
    assert detection_scores(none, one).f1 == detection_scores(one, none).f1 == 0
    spurious = instance_scores(one, none)
    assert np.isnan(spurious.recall)
    assert [spurious.precision, spurious.f1] == [0, 0]


def test_ignored_objects_are_left_out():
    truth, prediction = np.array([1, 1, 0, 2, 2]), np.array([1, 1, 0, 0, 0])
    ignore = truth == 2
    found = instance_scores(prediction, truth, ignore=ignore)
    assert (found.num_reference, found.panoptic_quality) == (1, 1)
    assert detection_scores(prediction, truth, ignore=ignore).sensitivity == 1


def test_many_objects_are_matched_in_groups():
    # A dense table of 40000 x 40000 would need 13 GB.
    truth = label_regions(np.indices((400, 400)).sum(axis=0) % 2 == 0)
    assert truth.max() > 40_000
    found = instance_scores(truth[::-1], truth[::-1])
    assert (found.num_matched, found.iou_sum) == (truth.max(), truth.max())


def test_bad_input_is_refused():
    some = np.array([0, 1])
    with pytest.raises(ConfigError, match=r"min_iou 1\.0 is not a fraction"):
        instance_scores(some, some, min_iou=1.0)
    with pytest.raises(ConfigError, match=r"min_overlap -0\.1"):
        detection_scores(some, some, min_overlap=-0.1)
    with pytest.raises(ShapeError, match="differ in shape"):
        instance_scores(some, np.zeros(3, int))
    with pytest.raises(DataError, match="region numbers"):
        instance_scores(some.astype(float), some)


REGIONS = hnp.arrays(np.int64, 14, elements=st.integers(0, 3))


def brute_best(prediction, truth, threshold):
    """Try every one-to-one matching: most pairs, then the largest sum of IoU."""
    found = [p for p in np.unique(prediction) if p]
    true = [t for t in np.unique(truth) if t]
    iou = {
        (p, t): ((prediction == p) & (truth == t)).sum() / ((prediction == p) | (truth == t)).sum()
        for p in found
        for t in true
    }
    best = (0, 0.0)
    spare = [*true, *[None] * len(found)]
    for chosen in itertools.permutations(spare, len(found)):
        matched = [iou[p, t] for p, t in zip(found, chosen, strict=True) if t is not None]
        matched = [value for value in matched if value > threshold]
        best = max(best, (len(matched), sum(matched)))
    return best, len(found), len(true)


@settings(deadline=None, max_examples=60)
@given(REGIONS, REGIONS, st.sampled_from([0.0, 0.1, 0.25, 0.5]))
def test_the_matching_is_the_best_of_all(prediction, truth, threshold):
    (num_matched, iou_sum), num_predicted, num_reference = brute_best(prediction, truth, threshold)
    found = instance_scores(prediction, truth, min_iou=threshold)
    assert (found.num_matched, found.num_predicted, found.num_reference) == (
        num_matched,
        num_predicted,
        num_reference,
    )
    assert found.iou_sum == pytest.approx(iou_sum)


@settings(deadline=None, max_examples=60)
@given(REGIONS, REGIONS, st.sampled_from([0.0, 0.3, 0.5]))
def test_detection_equals_asking_every_object(prediction, truth, share):
    found = detection_scores(prediction, truth, min_overlap=share)

    def hits(objects, others):
        return sum(
            (others[objects == name] > 0).mean() > share for name in np.unique(objects) if name
        )

    assert (found.num_found, found.num_right) == (hits(truth, prediction), hits(prediction, truth))
