"""What a wrong region costs, by subject: who hands the subjects on."""

from __future__ import annotations

import math

import pytest

from ushape.data.sample import Sample
from ushape.evaluate.fine import BoxCase
from ushape.workflow import fine as workflow

VALUES = {"a1": 1.0, "a2": 1.0, "b1": 0.2, "b2": 0.2}


class Settings:
    within, classes = "disc", ("knob",)


@pytest.fixture
def boxes(monkeypatch):
    """Compare boxes of four scans whose scores are known."""

    def score(predictor, sample, fine):
        return BoxCase(sample.id, {"true boxes": (VALUES[sample.id],), "predicted boxes": (0.2,)})

    monkeypatch.setattr(workflow, "_score", score)
    samples = [Sample(name, None, None) for name in VALUES]
    return lambda groups: workflow.compare_boxes(None, samples, Settings, groups=groups)


def test_intervals_draw_the_subjects_of_the_run(boxes):
    found = boxes({"a1": "anna", "a2": "anna", "b1": "ben", "b2": "ben", "c": "carla"})
    assert [case.group for case in found.cases] == ["anna", "anna", "ben", "ben"]
    lost = found.means["lost"][0]
    assert (lost.num_groups, lost.low, lost.high) == (2, pytest.approx(0), pytest.approx(0.8))


@pytest.mark.parametrize("groups", [None, {}, dict.fromkeys(VALUES, "anna")])
def test_one_subject_or_none_leaves_cases_to_draw(boxes, groups):
    found = boxes(groups)
    assert found.means["lost"][0].num_groups is None
    assert math.isfinite(found.means["lost"][0].low)
