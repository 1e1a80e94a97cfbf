"""How much a wrong region costs: small classes found in true boxes against predicted ones."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ushape.metrics import Interval, bootstrap_mean, count_masks, overlap_scores
from ushape.metrics.checks import Mask

ARMS = ("true boxes", "predicted boxes")
"""Where the second pass looked."""

Masks = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class BoxCase:
    """Dice of the small classes of one case.

    Attributes:
        id: The case.
        dice: By arm of `ARMS`, one value for each small class; nan where truth and prediction are
            both empty.
        group: The subject it belongs to, where cases are drawn by subject.
    """

    id: str
    dice: Mapping[str, tuple[float, ...]]
    group: str | None = None


@dataclass(frozen=True)
class BoxScores:
    """What regions cost, over all cases.

    Attributes:
        within: The class whose regions are looked into.
        class_names: The small classes.
        cases: By case.
        means: Arm -> one interval for each small class, over cases; `lost` is the first arm less
            the second, over cases where both have a score.
    """

    within: str
    class_names: tuple[str, ...]
    cases: tuple[BoxCase, ...]
    means: Mapping[str, tuple[Interval, ...]]

    def to_json(self) -> dict[str, Any]:
        """Return plain data, undefined values as null."""
        return {
            "within": self.within,
            "summary": {
                name: {arm: _interval(found[number]) for arm, found in self.means.items()}
                for number, name in enumerate(self.class_names)
            },
            "cases": [
                {
                    "id": case.id,
                    **{
                        name: {arm: _finite(values[number]) for arm, values in case.dice.items()}
                        for number, name in enumerate(self.class_names)
                    },
                }
                for case in self.cases
            ],
        }


def score_boxes(
    id: str, found: Mapping[str, Masks], truth: Masks, *, ignore: Mask | None = None
) -> BoxCase:
    """Score one case.

    Args:
        id: The case.
        found: Masks of the small classes by arm of `ARMS`, shape (small class, *size).
        truth: Same shape.
        ignore: True for pixels that do not count, shape (*size).
    """
    dice = {
        arm: tuple(overlap_scores(count_masks(found[arm], truth, ignore=ignore)).dice.tolist())
        for arm in ARMS
    }
    return BoxCase(id, dice)


def summarise_boxes(
    within: str, class_names: Sequence[str], cases: Sequence[BoxCase], *, seed: int = 0
) -> BoxScores:
    """Average over cases, with 95 % bootstrap intervals over cases, or over their groups."""
    members = [case.group for case in cases if case.group is not None]
    units = members if members and len(members) == len(cases) else None
    columns = {
        arm: [[case.dice[arm][number] for case in cases] for number in range(len(class_names))]
        for arm in ARMS
    }
    columns["lost"] = [
        (np.array(true) - np.array(predicted)).tolist()
        for true, predicted in zip(columns[ARMS[0]], columns[ARMS[1]], strict=True)
    ]
    means = {
        arm: tuple(bootstrap_mean(values, groups=units, seed=seed) for values in by_class)
        for arm, by_class in columns.items()
    }
    return BoxScores(within, tuple(class_names), tuple(cases), means)


def _interval(found: Interval) -> dict[str, Any]:
    return {
        "mean": _finite(found.mean),
        "low": _finite(found.low),
        "high": _finite(found.high),
        "cases": found.num_cases,
        **({} if found.num_groups is None else {"groups": found.num_groups}),
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
