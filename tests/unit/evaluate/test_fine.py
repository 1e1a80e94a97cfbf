"""What a wrong region costs."""

import json
from dataclasses import replace

import numpy as np
import pytest

from ushape.evaluate.fine import score_boxes, summarise_boxes

TRUTH = np.zeros((1, 4, 4), bool)
TRUTH[0, :2, :2] = True
HALF = TRUTH.copy()
HALF[0, 1] = False
NONE = np.zeros_like(TRUTH)


def case(name, true, predicted, truth=TRUTH, **more):
    return score_boxes(name, {"true boxes": true, "predicted boxes": predicted}, truth, **more)


def test_the_loss_is_true_less_predicted_over_cases_with_both():
    found = summarise_boxes(
        "disc",
        ["knob"],
        [case("a", TRUTH, HALF), case("b", TRUTH, TRUTH), case("c", NONE, NONE, NONE)],
    )
    assert found.means["true boxes"][0].mean == pytest.approx(1)
    assert found.means["predicted boxes"][0].mean == pytest.approx((2 / 3 + 1) / 2)
    assert found.means["lost"][0].mean == pytest.approx(1 / 6)
    assert found.means["lost"][0].num_cases == 2
    data = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert data["within"] == "disc"
    assert data["summary"]["knob"]["lost"]["cases"] == 2
    assert data["cases"][2] == {"id": "c", "knob": {"true boxes": None, "predicted boxes": None}}


def test_whole_subjects_are_drawn_where_they_are_known():
    """Twelve slices of a subject are one subject: as wide as with one slice of each."""
    few = [case(name, true, HALF) for name, true in zip("abc", (TRUTH, HALF, TRUTH), strict=True)]
    many = [replace(one, group=one.id) for one in few for _ in range(12)]
    one_each = summarise_boxes("disc", ["knob"], few).means["lost"][0]
    grouped = summarise_boxes("disc", ["knob"], many)
    naive = summarise_boxes("disc", ["knob"], [replace(one, group=None) for one in many])
    found = grouped.means["lost"][0]
    assert (found.low, found.high) == pytest.approx((one_each.low, one_each.high))
    assert (found.num_cases, found.num_groups) == (36, 3)
    assert naive.means["lost"][0].low > found.low
    assert grouped.to_json()["summary"]["knob"]["lost"]["groups"] == 3
    partly = summarise_boxes("disc", ["knob"], [*many[:-1], few[0]])
    assert partly.means["lost"][0].num_groups is None


def test_void_counts_nowhere():
    void = np.zeros((4, 4), bool)
    void[1] = True
    assert case("a", TRUTH, HALF, ignore=void).dice["predicted boxes"] == (1.0,)
