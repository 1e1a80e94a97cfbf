"""Means over cases, with the interval that so few cases leave open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ushape.errors import ConfigError, DataError, ShapeError
from ushape.sizes import format_size

_DRAWS_AT_ONCE = 1_000_000

Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A mean over cases and how far chance may have moved it.

    Attributes:
        mean: Nan without cases.
        low: Lower end of the interval; nan with fewer than two cases (or groups).
        high: Upper end.
        num_cases: Cases in the mean.
        num_undefined: Cases left out because their value is nan.
        num_groups: Groups that the cases come from, if they were drawn by group.
    """

    mean: float
    low: float
    high: float
    num_cases: int
    num_undefined: int
    num_groups: int | None = None


def bootstrap_mean(
    values: Sequence[float] | npt.NDArray[Any],
    *,
    groups: Sequence[str] | None = None,
    confidence: float = 0.95,
    num_resamples: int = 10_000,
    seed: int = 0,
) -> Interval:
    """Average over cases, with the percentile bootstrap interval.

    Args:
        values: One value a case, shape (cases,). Nan means undefined; such cases are left out
            and counted.
        groups: The subject (or any other group) of every case. Cases of one subject are alike,
            so whole groups are drawn instead of cases; the mean stays that over cases.
        confidence: Fraction of resampled means inside the interval.
        num_resamples: How often the cases are drawn again, with replacement.
        seed: Fixes the draws: equal input gives equal output.

    Raises:
        ShapeError: There is more than one axis, or not one group for each value.
        DataError: A value is infinite.
        ConfigError: `confidence` is not between 0 and 1, or `num_resamples` is below 1.

    Source: Efron 1979, Bootstrap Methods: Another Look at the Jackknife; for groups Davison and
    Hinkley 1997, section 3.8.

    >>> bootstrap_mean([0.5, 0.5, float("nan")])
    Interval(mean=0.5, low=0.5, high=0.5, num_cases=2, num_undefined=1, num_groups=None)
    """
    given = np.asarray(values, dtype=np.float64)
    _check(given, groups, confidence, num_resamples)
    is_defined = ~np.isnan(given)
    cases = given[is_defined]
    num_undefined = given.size - cases.size
    members = None if groups is None else group_numbers(groups, is_defined)
    num_groups = None if members is None else int(members.max(initial=-1)) + 1
    num_units = cases.size if num_groups is None else num_groups
    if cases.size == 0:
        return Interval(np.nan, np.nan, np.nan, 0, num_undefined, num_groups)
    # From the first value on, so that equal values give exactly that value.
    offsets = cases - cases[0]
    mean = float(cases[0] + offsets.mean())
    if num_units == 1:
        return Interval(mean, np.nan, np.nan, cases.size, num_undefined, num_groups)
    means = cases[0] + resampled_means(
        offsets, members, num_resamples=num_resamples, generator=np.random.default_rng(seed)
    )
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(mean, float(low), float(high), cases.size, num_undefined, num_groups)


def group_numbers(groups: Sequence[str], is_kept: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Number the groups of the cases that are kept, from 0."""
    kept = [group for group, keep in zip(groups, is_kept, strict=True) if keep]
    numbers = {group: number for number, group in enumerate(dict.fromkeys(kept))}
    return np.array([numbers[group] for group in kept], dtype=np.int64)


def resampled_means(
    values: Values,
    members: npt.NDArray[np.int64] | None,
    *,
    num_resamples: int,
    generator: np.random.Generator,
) -> Values:
    """Draw cases, or whole groups of them, with replacement and average each draw.

    Args:
        values: Shape (cases,), finite.
        members: Group number of every case from 0, or None to draw cases.
        num_resamples: Draws.
        generator: The source of chance.

    Returns:
        Shape (num_resamples,): means over the cases drawn.
    """
    if members is None:
        members = np.arange(values.size)
    sums = np.bincount(members, weights=values)
    sizes = np.bincount(members).astype(np.float64)
    rows = max(1, _DRAWS_AT_ONCE // sums.size)
    means = np.empty(num_resamples)
    for start in range(0, num_resamples, rows):
        part = means[start : start + rows]
        chosen = generator.integers(0, sums.size, (part.size, sums.size))
        part[:] = sums[chosen].sum(axis=1) / sizes[chosen].sum(axis=1)
    return means


def _check(
    values: Values, groups: Sequence[str] | None, confidence: float, num_resamples: int
) -> None:
    if values.ndim != 1:
        raise ShapeError(
            f"values of shape {format_size(values.shape)}: give one value a case, on one axis"
        )
    if groups is not None and len(groups) != values.size:
        raise ShapeError(f"{len(groups)} groups for {values.size} values: give one for each")
    if np.isinf(values).any():
        raise DataError("a value is infinite, which has no mean: give nan for undefined cases")
    if not 0 < confidence < 1:
        raise ConfigError(f"confidence {confidence} is not between 0 and 1: give for example 0.95")
    if num_resamples < 1:
        raise ConfigError(f"num_resamples {num_resamples} is below 1: give for example 10000")
