"""Paired differences: directions, ties, groups, against scipy, and how often they are wrong."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from ushape.errors import ShapeError
from ushape.metrics import bootstrap_mean, paired_difference

NAN = math.nan


def test_direction_decides_who_is_better():
    low, high = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [2.0, 3.5, 4.0, 5.5, 6.0, 7.5]
    assert paired_difference(low, high, better="high").verdict == "second"
    down = paired_difference(low, high, better="low")
    assert (down.verdict, down.num_first_better, down.effect) == ("first", 6, -1)
    assert down.difference == pytest.approx(1.25)  # still second - first
    # Nearer to zero from either side.
    signed = paired_difference(
        [-0.4, 0.3, 0.5, -0.6, 0.5, -0.4], [0.1, -0.1, 0.2, 0.1, 0.1, 0.15], better="zero"
    )
    assert (signed.verdict, signed.num_second_better) == ("second", 6)
    assert signed.mean_first == pytest.approx(0.45)
    assert signed.difference == pytest.approx(-0.325)


def test_it_is_scipys_wilcoxon_and_a_bootstrap_of_the_differences():
    generator = np.random.default_rng(0)
    first = generator.normal(size=28)
    second = first + generator.normal(0.3, 1, 28)
    found = paired_difference(first, second, seed=5)
    assert found.p_value == pytest.approx(stats.wilcoxon(second - first).pvalue)
    expected = bootstrap_mean(second - first, seed=5)
    assert [found.difference, found.low, found.high] == pytest.approx(
        [expected.mean, expected.low, expected.high]
    )
    ranks = stats.rankdata(np.abs(second - first))
    against = ranks[second < first].sum()
    assert found.effect == pytest.approx(1 - 2 * against / ranks.sum())
    back = paired_difference(second, first, seed=5)
    assert back.difference == pytest.approx(-found.difference)
    assert back.effect == pytest.approx(-found.effect)


def test_undefined_cases_are_left_out_in_pairs():
    found = paired_difference([0.1, NAN, 0.3, NAN, 0.5], [0.2, 0.9, NAN, NAN, 0.7])
    assert (found.num_cases, found.num_undefined) == (2, 3)
    assert [found.mean_first, found.mean_second] == pytest.approx([0.3, 0.45])


@pytest.mark.parametrize("groups", [None, ["a", "a", "b"]])
def test_equal_methods_show_no_difference(groups):
    found = paired_difference([0.1, 0.2, 0.3], [0.1, 0.2, 0.3], groups=groups)
    assert (found.verdict, found.p_value, found.effect, found.difference) == ("none", 1, 0, 0)
    # 0.1 + 0.2 against 0.3: rounding is no gain.
    assert paired_difference([0.3], [0.1 + 0.2]).num_second_better == 0


def test_too_few_cases_say_nothing():
    nothing = paired_difference([NAN], [0.3])
    assert (nothing.num_cases, nothing.verdict) == (0, "none")
    assert math.isnan(nothing.p_value)
    one = paired_difference([0.1], [0.9])
    assert (one.num_second_better, one.verdict) == (1, "none")
    assert math.isnan(one.low)
    group = paired_difference([0.1, 0.2], [0.9, 0.8], groups=["a", "a"])
    assert (group.num_groups, group.verdict) == (1, "none")
    with pytest.raises(ShapeError, match="2 values of the first method and 1 of the second"):
        paired_difference([1, 2], [1])


@pytest.mark.parametrize("better", ["high", "low"])
def test_a_few_pairs_of_one_sign_call_no_winner(better):
    """Their bootstrap interval always leaves out 0; Wilcoxon's p is 0.06 at best with five."""
    assert paired_difference([0.8, 0.8], [0.801, 0.802]).verdict == "none"
    first = np.linspace(0.5, 0.9, 6)
    second = first + np.linspace(0.01, 0.02, 6)
    five = paired_difference(first[:5], second[:5], better=better)
    assert five.low > 0
    assert (five.verdict, five.is_too_few, five.p_value) == ("none", True, 1 / 16)
    six = paired_difference(first, second, better=better)
    assert six.p_value < 0.05
    assert (six.verdict, six.is_too_few) == ("second" if better == "high" else "first", False)
    # Twenty cases of five subjects are five; undefined cases and their subjects are none.
    many, groups = first.repeat(4)[:20], [str(number // 4) for number in range(20)]
    grouped = paired_difference(many, many + 0.01, groups=groups)
    assert (grouped.num_units, grouped.verdict) == (5, "none")
    gone = paired_difference([*first[:5], NAN], second, better=better)
    assert (gone.num_units, gone.verdict) == (5, "none")


def test_twelve_copies_of_a_subject_are_one_subject():
    """Repeating every case must not make the interval narrower where cases are grouped."""
    first = np.array([0.5, 0.6, 0.7, 0.8, 0.85, 0.9])
    second = first + np.array([0.02, -0.01, 0.03, 0.01, -0.02, 0.02])
    groups = [name for name in "abcdef" for _ in range(12)]
    plain = paired_difference(first, second)
    naive = paired_difference(first.repeat(12), second.repeat(12))
    grouped = paired_difference(first.repeat(12), second.repeat(12), groups=groups)
    assert naive.verdict == "second"
    assert (plain.verdict, grouped.verdict) == ("none", "none")
    assert [grouped.low, grouped.high] == pytest.approx([plain.low, plain.high], abs=1e-3)
    assert grouped.p_value == pytest.approx(plain.p_value)
    assert (grouped.num_cases, grouped.num_groups) == (72, 6)


def test_without_a_difference_it_is_seldom_claimed():
    generator = np.random.default_rng(1)
    claims = 0
    for _ in range(150):
        noise = generator.normal(size=(2, 30))
        claims += paired_difference(*noise, num_resamples=400).verdict != "none"
    assert claims / 150 < 0.13
