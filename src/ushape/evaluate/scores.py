"""What an evaluation found: scores by case, their means, and all of it as plain data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ushape.evaluate.fine import BoxScores
from ushape.evaluate.settings import OVERLAP_METRICS, ScoreSettings
from ushape.metrics import Interval, overlap_scores

RAND_CONVENTION = (
    "V_rand: foreground-restricted Rand F-score of ISBI 2012 (Arganda-Carreras et al. 2015, "
    "alpha 0.5). Regions are connected components over faces; only pixels inside true regions "
    "count; a pixel that the prediction gives to no region is a region of its own. Borders are "
    "not thinned, and the prediction is not thresholded anew."
)

EMPTY_RULE = (
    "A class that a case holds neither in truth nor in prediction has no score there (empty cell) "
    "and is left out of its mean. Where only one side holds it, overlap and fractions of surface "
    "are 0, distances have no value; such cases are counted as missed or spurious."
)


@dataclass(frozen=True)
class CaseScores:
    """Scores of one case.

    Attributes:
        id: The case.
        classes: Column (a metric; distances with their unit) -> one value for each foreground
            class; nan where undefined.
        v_rand: V_rand of a binary target, else None.
        presence: For each foreground class, whether the prediction and the truth hold it.
        group: The subject or other group that the case belongs to.
    """

    id: str
    classes: Mapping[str, tuple[float, ...]]
    v_rand: float | None = None
    presence: tuple[tuple[bool, bool], ...] = ()
    group: str | None = None


@dataclass(frozen=True)
class Presence:
    """In how many cases a class is, and is predicted: the image-level view.

    Attributes:
        both: Cases that hold it in truth and prediction.
        missed: In the truth only.
        spurious: In the prediction only.
        neither: In neither.
    """

    both: int
    missed: int
    spurious: int
    neither: int

    def to_json(self) -> dict[str, Any]:
        """Return plain data, with recall and precision over cases."""
        counts = np.array([self.both, self.spurious, self.missed, self.neither])
        scores = overlap_scores(counts)
        rates = {n: _finite(float(getattr(scores, n))) for n in ("recall", "precision")}
        return {**vars(self), **rates}


@dataclass(frozen=True)
class Evaluation:
    """Scores of a set of cases.

    Attributes:
        class_names: Foreground classes.
        cases: By case.
        class_means: Column -> one interval for each foreground class, over cases.
        v_rand: Its interval, for binary targets.
        regions: Which side V_rand's regions are: `background` or `foreground`.
        problems: What could not be evaluated.
        num_without_prediction: Truths that no prediction was given for.
        settings: What was measured, and how.
        presence: For each foreground class, in how many cases it is.
        understood: `prediction` and `truth` -> a line on what they were taken for.
        boxes: What wrong regions cost, of a model that makes two passes.
    """

    class_names: tuple[str, ...]
    cases: tuple[CaseScores, ...]
    class_means: Mapping[str, tuple[Interval, ...]]
    v_rand: Interval | None
    regions: str | None
    problems: tuple[str, ...] = ()
    num_without_prediction: int = 0
    settings: ScoreSettings = field(default_factory=lambda: ScoreSettings(OVERLAP_METRICS))
    presence: tuple[Presence, ...] = ()
    understood: Mapping[str, str] = field(default_factory=dict)
    boxes: BoxScores | None = None

    @property
    def mean_dice(self) -> float:
        """Mean Dice over the foreground classes that have one."""
        means = [interval.mean for interval in self.class_means["dice"]]
        defined = [mean for mean in means if math.isfinite(mean)]
        return sum(defined) / len(defined) if defined else math.nan

    def to_json(self) -> dict[str, Any]:
        """Return plain data, undefined values as null."""
        groups = {case.id: case.group for case in self.cases if case.group is not None}
        return {
            "conventions": [EMPTY_RULE, *([RAND_CONVENTION] if self.v_rand else [])],
            "regions": self.regions,
            "settings": {
                "metrics": list(self.settings.metrics),
                "unit": self.settings.unit,
                "tolerance": self.settings.tolerance,
                "min_iou": self.settings.min_iou,
            },
            **({"understood": dict(self.understood)} if self.understood else {}),
            "summary": {
                **{
                    name: {
                        column: _interval_json(intervals[number])
                        for column, intervals in self.class_means.items()
                    }
                    for number, name in enumerate(self.class_names)
                },
                **({"v_rand": _interval_json(self.v_rand)} if self.v_rand else {}),
            },
            "image_level": {
                name: found.to_json()
                for name, found in zip(self.class_names, self.presence, strict=False)
            },
            **({"boxes": self.boxes.to_json()} if self.boxes else {}),
            "cases": [self._case_json(case) for case in self.cases],
            **({"groups": groups} if groups else {}),
            "problems": list(self.problems),
            "truths_without_prediction": self.num_without_prediction,
        }

    def _case_json(self, case: CaseScores) -> dict[str, Any]:
        scores: dict[str, Any] = {"id": case.id}
        for number, name in enumerate(self.class_names):
            scores[name] = {
                column: _finite(values[number]) for column, values in case.classes.items()
            }
        if case.v_rand is not None:
            scores["v_rand"] = _finite(case.v_rand)
        return scores


def _interval_json(interval: Interval) -> dict[str, Any]:
    return {
        "mean": _finite(interval.mean),
        "low": _finite(interval.low),
        "high": _finite(interval.high),
        "cases": interval.num_cases,
        "undefined": interval.num_undefined,
        **({} if interval.num_groups is None else {"groups": interval.num_groups}),
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
