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


@dataclass(frozen=True)
class Interval:
    """A mean over cases and how far chance may have moved it.

    Attributes:
        mean: Nan without cases.
        low: Lower end of the interval; nan with fewer than two cases.
        high: Upper end.
        num_cases: Cases in the mean.
        num_undefined: Cases left out because their value is nan.
    """

    mean: float
    low: float
    high: float
    num_cases: int
    num_undefined: int


def bootstrap_mean(
    values: Sequence[float] | npt.NDArray[Any],
    *,
    confidence: float = 0.95,
    num_resamples: int = 10_000,
    seed: int = 0,
) -> Interval:
    """Average over cases, with the percentile bootstrap interval.

    Args:
        values: One value a case, shape (cases,). Nan means undefined; such cases are left out
            and counted.
        confidence: Fraction of resampled means inside the interval.
        num_resamples: How often the cases are drawn again, with replacement.
        seed: Fixes the draws: equal input gives equal output.

    Raises:
        ShapeError: There is more than one axis.
        DataError: A value is infinite.
        ConfigError: `confidence` is not between 0 and 1, or `num_resamples` is below 1.

    Source: Efron 1979, Bootstrap Methods: Another Look at the Jackknife.

    >>> bootstrap_mean([0.5, 0.5, float("nan")])
    Interval(mean=0.5, low=0.5, high=0.5, num_cases=2, num_undefined=1)
    """
    given = np.asarray(values, dtype=np.float64)
    _check(given, confidence, num_resamples)
    cases = given[~np.isnan(given)]
    num_undefined = given.size - cases.size
    if cases.size == 0:
        return Interval(np.nan, np.nan, np.nan, 0, num_undefined)
    # From the first value on, so that equal values give exactly that value.
    offsets = cases - cases[0]
    mean = float(cases[0] + offsets.mean())
    if cases.size == 1:
        return Interval(mean, np.nan, np.nan, 1, num_undefined)
    means = cases[0] + _resampled_means(offsets, num_resamples, np.random.default_rng(seed))
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(mean, float(low), float(high), cases.size, num_undefined)


def _resampled_means(
    values: npt.NDArray[np.float64], num_resamples: int, generator: np.random.Generator
) -> npt.NDArray[np.float64]:
    rows = max(1, _DRAWS_AT_ONCE // values.size)
    means = np.empty(num_resamples)
    for start in range(0, num_resamples, rows):
        part = means[start : start + rows]
        chosen = generator.integers(0, values.size, (part.size, values.size))
        part[:] = values[chosen].mean(axis=1)
    return means


def _check(values: npt.NDArray[np.float64], confidence: float, num_resamples: int) -> None:
    if values.ndim != 1:
        raise ShapeError(
            f"values of shape {format_size(values.shape)}: give one value a case, on one axis"
        )
    if np.isinf(values).any():
        raise DataError("a value is infinite, which has no mean: give nan for undefined cases")
    if not 0 < confidence < 1:
        raise ConfigError(f"confidence {confidence} is not between 0 and 1: give for example 0.95")
    if num_resamples < 1:
        raise ConfigError(f"num_resamples {num_resamples} is below 1: give for example 10000")
