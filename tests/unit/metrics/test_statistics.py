"""Bootstrap means: known distributions, few cases, undefined values, fixed seeds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from ushape.errors import ConfigError, DataError, ShapeError
from ushape.metrics import Interval, bootstrap_mean


def test_the_interval_matches_scipys_percentile_bootstrap():
    values = np.random.default_rng(1).beta(8, 2, 40)
    ours = bootstrap_mean(values, confidence=0.9, num_resamples=20_000)
    theirs = stats.bootstrap(
        (values,),
        np.mean,
        confidence_level=0.9,
        n_resamples=20_000,
        method="percentile",
        rng=np.random.default_rng(7),
    ).confidence_interval
    assert ours.mean == pytest.approx(values.mean())
    width = theirs.high - theirs.low
    assert ours.low == pytest.approx(theirs.low, abs=0.03 * width)
    assert ours.high == pytest.approx(theirs.high, abs=0.03 * width)


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    generator = np.random.default_rng(3)
    covered = 0
    for _ in range(200):
        found = bootstrap_mean(generator.normal(5, 2, 30), num_resamples=400)
        covered += found.low <= 5 <= found.high
    assert 0.87 <= covered / 200 <= 0.99


def test_more_confidence_is_wider():
    values = np.random.default_rng(0).normal(size=25)
    narrow, wide = (bootstrap_mean(values, confidence=c) for c in (0.5, 0.99))
    assert wide.low < narrow.low < narrow.mean < narrow.high < wide.high


def test_the_seed_fixes_the_interval():
    values = np.random.default_rng(0).normal(size=25)
    assert bootstrap_mean(values, seed=4) == bootstrap_mean(list(values), seed=4)
    assert bootstrap_mean(values, seed=4) != bootstrap_mean(values, seed=5)


def test_many_cases_are_drawn_in_parts():
    # 20000 cases and 300 draws are six parts; all of the draws must be filled.
    values = np.random.default_rng(0).normal(1, 1, 20_000)
    found = bootstrap_mean(values, num_resamples=300)
    half = 1.96 / math.sqrt(20_000)
    assert found.low == pytest.approx(found.mean - half, abs=0.3 * half)
    assert found.high == pytest.approx(found.mean + half, abs=0.3 * half)


@pytest.mark.parametrize("value", [0.0, 0.1, 1 / 3, 0.9])
def test_equal_values_give_exactly_that_value(value):
    assert bootstrap_mean([value] * 7) == Interval(value, value, value, 7, 0)


def test_undefined_values_are_left_out_and_counted():
    found = bootstrap_mean([0.2, math.nan, 0.4, math.nan])
    assert found == bootstrap_mean([0.2, 0.4]).__class__(
        **{**vars(bootstrap_mean([0.2, 0.4])), "num_undefined": 2}
    )
    assert found.mean == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.7], Interval(0.7, math.nan, math.nan, 1, 0)),
        ([0.7, math.nan], Interval(0.7, math.nan, math.nan, 1, 1)),
        ([math.nan], Interval(math.nan, math.nan, math.nan, 0, 1)),
        ([], Interval(math.nan, math.nan, math.nan, 0, 0)),
    ],
)
def test_too_few_cases_have_no_interval(values, expected):
    np.testing.assert_equal(vars(bootstrap_mean(values)), vars(expected))


def test_bad_input_is_refused():
    with pytest.raises(ShapeError, match="values of shape 2 x 2"):
        bootstrap_mean(np.zeros((2, 2)))
    with pytest.raises(DataError, match="a value is infinite"):
        bootstrap_mean([1.0, math.inf])
    with pytest.raises(ConfigError, match=r"confidence 95 .* for example 0\.95"):
        bootstrap_mean([1.0, 2.0], confidence=95)
    with pytest.raises(ConfigError, match="num_resamples 0 is below 1"):
        bootstrap_mean([1.0, 2.0], num_resamples=0)


def test_groups_are_drawn_as_a_whole():
    values = np.random.default_rng(0).normal(size=6)
    groups = ["a", "a", "b", "c", "c", "c"]
    found = bootstrap_mean(values, groups=groups, num_resamples=20_000, seed=1)
    # By hand: draw three of the three groups, average over their cases.
    generator = np.random.default_rng(9)
    members = [values[:2], values[2:3], values[3:]]
    means = [
        np.concatenate([members[number] for number in generator.integers(0, 3, 3)]).mean()
        for _ in range(20_000)
    ]
    assert found.mean == pytest.approx(values.mean())
    expected = np.quantile(means, [0.025, 0.975])
    assert [found.low, found.high] == pytest.approx(expected, abs=0.03)
    assert (found.num_cases, found.num_groups) == (6, 3)


def test_every_case_its_own_group_is_no_grouping():
    values = np.random.default_rng(0).normal(size=9)
    alone = bootstrap_mean(values, groups=[str(number) for number in range(9)])
    plain = bootstrap_mean(values)
    assert [alone.low, alone.high] == pytest.approx([plain.low, plain.high])


def test_groups_without_a_defined_case_do_not_count():
    found = bootstrap_mean([0.1, 0.2, math.nan], groups=["a", "a", "b"])
    assert (found.num_groups, found.num_undefined) == (1, 1)
    assert math.isnan(found.low)  # one group has no spread
    with pytest.raises(ShapeError, match="2 groups for 3 values"):
        bootstrap_mean([1.0, 2.0, 3.0], groups=["a", "b"])
