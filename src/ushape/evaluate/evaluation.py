"""Scores of label maps in memory, by case and over all cases."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ushape.labels import LabelTable
from ushape.metrics import (
    Interval,
    bootstrap_mean,
    count_table,
    overlap_scores,
    region_scores,
)

OVERLAP_METRICS = ("dice", "iou", "precision", "recall")

RAND_CONVENTION = (
    "V_rand: foreground-restricted Rand F-score of ISBI 2012 (Arganda-Carreras et al. 2015, "
    "alpha 0.5). Regions are connected components over faces; only pixels inside true regions "
    "count; a pixel that the prediction gives to no region is a region of its own. Borders are "
    "not thinned, and the prediction is not thresholded anew."
)

EMPTY_RULE = (
    "A class that a case holds neither in truth nor in prediction has no score there (empty cell) "
    "and is left out of its mean."
)

LabelMap = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class CaseScores:
    """Scores of one case.

    Attributes:
        id: The case.
        classes: Metric -> one value for each foreground class; nan where undefined.
        v_rand: V_rand of a binary target, else None.
    """

    id: str
    classes: Mapping[str, tuple[float, ...]]
    v_rand: float | None = None


@dataclass(frozen=True)
class Evaluation:
    """Scores of a set of cases.

    Attributes:
        class_names: Foreground classes.
        cases: By case.
        class_means: Metric -> one interval for each foreground class, over cases.
        v_rand: Its interval, for binary targets.
        regions: Which side V_rand's regions are: `background` or `foreground`.
        problems: What could not be evaluated.
        num_without_prediction: Truths that no prediction was given for.
    """

    class_names: tuple[str, ...]
    cases: tuple[CaseScores, ...]
    class_means: Mapping[str, tuple[Interval, ...]]
    v_rand: Interval | None
    regions: str | None
    problems: tuple[str, ...] = ()
    num_without_prediction: int = 0

    @property
    def mean_dice(self) -> float:
        """Mean Dice over the foreground classes that have one."""
        means = [interval.mean for interval in self.class_means["dice"]]
        defined = [mean for mean in means if math.isfinite(mean)]
        return sum(defined) / len(defined) if defined else math.nan

    def to_json(self) -> dict[str, Any]:
        """Return plain data, undefined values as null."""
        return {
            "conventions": [EMPTY_RULE, *([RAND_CONVENTION] if self.v_rand else [])],
            "regions": self.regions,
            "summary": {
                **{
                    name: {
                        metric: _interval_json(self.class_means[metric][number])
                        for metric in OVERLAP_METRICS
                    }
                    for number, name in enumerate(self.class_names)
                },
                **({"v_rand": _interval_json(self.v_rand)} if self.v_rand else {}),
            },
            "cases": [self._case_json(case) for case in self.cases],
            "problems": list(self.problems),
            "truths_without_prediction": self.num_without_prediction,
        }

    def _case_json(self, case: CaseScores) -> dict[str, Any]:
        scores: dict[str, Any] = {"id": case.id}
        for number, name in enumerate(self.class_names):
            scores[name] = {m: _finite(case.classes[m][number]) for m in OVERLAP_METRICS}
        if case.v_rand is not None:
            scores["v_rand"] = _finite(case.v_rand)
        return scores


def evaluate_maps(
    id: str,
    prediction: LabelMap,
    truth: LabelMap,
    labels: LabelTable,
    *,
    regions: str = "auto",
) -> CaseScores:
    """Score one case.

    Args:
        id: Its name.
        prediction: Class indices, shape (*size).
        truth: The same for the truth.
        labels: The classes.
        regions: Which side V_rand takes as regions: `background` (cells between membranes),
            `foreground` (touching cells), or `auto`: the side with more components in this truth.
    """
    scores = overlap_scores(count_table(prediction, truth, len(labels.classes)))
    classes = {
        metric: tuple(float(value) for value in getattr(scores, metric)[1:])
        for metric in OVERLAP_METRICS
    }
    if labels.target != "binary":
        return CaseScores(id, classes)
    found = region_scores(prediction == 1, truth == 1, regions=regions)
    return CaseScores(id, classes, found.v_rand)


def summarise(
    cases: Sequence[CaseScores],
    labels: LabelTable,
    *,
    regions: str | None = None,
    problems: Sequence[str] = (),
    seed: int = 0,
) -> Evaluation:
    """Average over cases, with a 95 % bootstrap interval over cases."""
    names = tuple(entry.name for entry in labels.foreground)
    means = {
        metric: tuple(
            bootstrap_mean([case.classes[metric][number] for case in cases], seed=seed)
            for number in range(len(names))
        )
        for metric in OVERLAP_METRICS
    }
    rand = [case.v_rand for case in cases if case.v_rand is not None]
    interval = bootstrap_mean(rand, seed=seed) if rand else None
    return Evaluation(names, tuple(cases), means, interval, regions, tuple(problems))


def _interval_json(interval: Interval) -> dict[str, Any]:
    return {
        "mean": _finite(interval.mean),
        "low": _finite(interval.low),
        "high": _finite(interval.high),
        "cases": interval.num_cases,
        "undefined": interval.num_undefined,
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
