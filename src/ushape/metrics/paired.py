"""Is the second of two methods better, judged on the same cases?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ushape.errors import ShapeError
from ushape.metrics.statistics import Values, bootstrap_mean, group_numbers

Better = Literal["high", "low", "zero"]
"""Which values are good: high ones (Dice), low ones (distances), or those near zero (errors that
have a sign)."""

FEWEST_UNITS = 6
"""From fewer pairs nothing is claimed: the interval of a few values of one sign always leaves out
0, and not even the exact signed-rank test reaches p < 0.05 (five pairs: 2 / 2^5 = 0.06)."""


@dataclass(frozen=True)
class PairedDifference:
    """The difference of two methods over the cases where both have a value.

    Attributes:
        mean_first: Mean of the first method over these cases.
        mean_second: Mean of the second.
        difference: Mean of second - first (of the absolute values where zero is best).
        low: Lower end of its bootstrap interval; nan with fewer than two cases or groups.
        high: Upper end.
        num_cases: Cases where both have a value.
        num_undefined: Cases left out because one or both are nan.
        num_second_better: Cases where the second method is better.
        num_first_better: Cases where the first is.
        p_value: Two-sided Wilcoxon signed-rank test; of the groups' mean differences where there
            are groups; 1 if no case differs, nan without cases.
        effect: Matched-pairs rank-biserial correlation, from -1 (the first is better in all
            cases) over 0 to 1 (the second is).
        better: Which values are good.
        num_groups: Groups, if the cases were drawn by group.
    """

    mean_first: float
    mean_second: float
    difference: float
    low: float
    high: float
    num_cases: int
    num_undefined: int
    num_second_better: int
    num_first_better: int
    p_value: float
    effect: float
    better: Better
    num_groups: int | None = None

    @property
    def num_units(self) -> int:
        """What was drawn for the interval: cases, or groups where there are any."""
        return self.num_cases if self.num_groups is None else self.num_groups

    @property
    def is_too_few(self) -> bool:
        """Whether there are too few cases (or groups) to call one method better."""
        return self.num_units < FEWEST_UNITS

    @property
    def verdict(self) -> Literal["first", "second", "none"]:
        """Which method is better; none unless the interval of the difference leaves out 0.

        With fewer cases (or groups) than `FEWEST_UNITS` it is always none.
        """
        if self.is_too_few or not (self.low > 0 or self.high < 0):
            return "none"
        is_second = (self.low > 0) == (self.better == "high")
        return "second" if is_second else "first"


def paired_difference(
    first: Sequence[float] | npt.NDArray[Any],
    second: Sequence[float] | npt.NDArray[Any],
    *,
    better: Better = "high",
    groups: Sequence[str] | None = None,
    confidence: float = 0.95,
    num_resamples: int = 10_000,
    seed: int = 0,
) -> PairedDifference:
    """Compare two methods on the same cases.

    Args:
        first: One value a case, shape (cases,); nan is undefined.
        second: Those of the other method, in the same order of cases.
        better: Which values are good; for `zero` absolute values are compared.
        groups: Subject of every case: whole subjects are drawn again, and the test is made on
            their mean differences.
        confidence: Of the interval.
        num_resamples: Draws of the bootstrap.
        seed: Fixes the draws.

    Raises:
        ShapeError: There is not one value of each for every case.
        DataError: A value is infinite.
        ConfigError: `confidence` or `num_resamples` is out of range.

    Source: Wilcoxon 1945; the effect is Kerby 2014, The simple difference formula.

    >>> first = [0.70, 0.72, 0.75, 0.80, 0.85, 0.90]
    >>> found = paired_difference(first, [value + 0.02 for value in first])
    >>> found.verdict, found.num_second_better, found.effect
    ('second', 6, 1.0)
    >>> paired_difference(first[:5], first[1:]).verdict
    'none'
    """
    before, after = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if before.shape != after.shape:
        raise ShapeError(
            f"{before.size} values of the first method and {after.size} of the second: give both "
            "for the same cases"
        )
    # Distances to the best value, so that less is better, or the values where more is.
    size = (np.abs(before), np.abs(after)) if better == "zero" else (before, after)
    change = _without_rounding(size[1] - size[0], np.maximum(np.abs(size[0]), np.abs(size[1])))
    mean = bootstrap_mean(
        change, groups=groups, confidence=confidence, num_resamples=num_resamples, seed=seed
    )
    is_defined = ~np.isnan(change)
    change = change[is_defined]
    gain = change if better == "high" else -change
    units = gain
    if groups is not None and gain.size:
        members = group_numbers(groups, is_defined)
        units = np.bincount(members, weights=gain) / np.bincount(members)
    return PairedDifference(
        mean_first=_mean(size[0][is_defined] if better == "zero" else before[is_defined]),
        mean_second=_mean(size[1][is_defined] if better == "zero" else after[is_defined]),
        difference=mean.mean,
        low=mean.low,
        high=mean.high,
        num_cases=mean.num_cases,
        num_undefined=mean.num_undefined,
        num_second_better=int(np.count_nonzero(gain > 0)),
        num_first_better=int(np.count_nonzero(gain < 0)),
        p_value=_wilcoxon(units),
        effect=_rank_biserial(units),
        better=better,
        num_groups=mean.num_groups,
    )


def _without_rounding(change: Values, size: Values) -> Values:
    """Call values equal that differ by less than what adding up in another order does."""
    return np.where(np.abs(change) <= 1e-12 * size, 0.0, change)


def _wilcoxon(gains: Values) -> float:
    from scipy import stats  # takes long to import

    if gains.size == 0:
        return float("nan")
    if not gains.any():
        return 1.0
    return float(stats.wilcoxon(gains).pvalue)


def _rank_biserial(gains: Values) -> float:
    """Return the rank sum in favour less that against, of all ranks; ties of zero left out."""
    from scipy import stats  # takes long to import

    moved = gains[gains != 0]
    if moved.size == 0:
        return 0.0 if gains.size else float("nan")
    ranks = stats.rankdata(np.abs(moved))
    return float((np.sign(moved) * ranks).sum() / ranks.sum())


def _mean(values: Values) -> float:
    return float(values.mean()) if values.size else float("nan")
