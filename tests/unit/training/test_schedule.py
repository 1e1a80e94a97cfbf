"""How far training is, and the learning rate there."""

import math

import pytest

from ushape.config.schema import ScheduleConfig
from ushape.training.schedule import Clock, learning_rate_factor

SHAPES = ["cosine", "linear", "polynomial"]


def config(shape="cosine", warmup=0.1, *, steps=None, budget_s=None):
    return ScheduleConfig(budget_s=budget_s, steps=steps, shape=shape, warmup_fraction=warmup)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("warmup", [0.0, 0.1, 0.9, 1.0])
def test_it_lands_at_exactly_zero(shape, warmup):
    assert learning_rate_factor(1.0, config(shape, warmup)) == 0.0
    before_the_end = learning_rate_factor(0.9999, config(shape, warmup))
    assert before_the_end > 0


@pytest.mark.parametrize("shape", SHAPES)
def test_it_rises_evenly_and_then_falls(shape):
    factors = [learning_rate_factor(n / 1000, config(shape)) for n in range(1001)]
    assert factors[50] == pytest.approx(0.5)
    assert max(factors) == factors[100] == 1
    assert 0 < factors[0] < 0.02
    assert factors[:101] == sorted(factors[:101])
    assert factors[100:] == sorted(factors[100:], reverse=True)


def test_without_warm_up_it_begins_at_the_peak():
    assert learning_rate_factor(0.0, config(warmup=0.0)) == 1


@pytest.mark.parametrize(
    ("shape", "middle"), [("cosine", 0.5), ("linear", 0.5), ("polynomial", 0.5**0.9)]
)
def test_the_shapes(shape, middle):
    assert learning_rate_factor(0.55, config(shape)) == pytest.approx(middle)
    late = {
        "cosine": 0.5 * (1 + math.cos(math.pi * 0.9)), "linear": 0.1, "polynomial": 0.1**0.9,
    }  # fmt: skip
    assert learning_rate_factor(0.91, config(shape)) == pytest.approx(late[shape])


class Time:
    """A clock on the wall that a test turns."""

    def __init__(self, begin=1000.0):
        self.seconds = begin

    def __call__(self):
        return self.seconds


def test_with_steps_the_clock_counts_steps():
    time = Time()
    clock = Clock(config(steps=4), now=time)
    time.seconds += 1e6
    assert [clock.fraction(step) for step in range(5)] == [0, 0.25, 0.5, 0.75, 1]
    assert [clock.is_over(step) for step in (0, 3, 4, 5)] == [False, False, True, True]
    assert clock.spent_s == 1e6


def test_with_a_budget_the_clock_counts_seconds():
    time = Time()
    clock = Clock(config(budget_s=100.0), now=time)
    assert clock.fraction(0) == 0
    time.seconds += 25
    assert clock.fraction(0) == 0.25
    assert clock.remaining_s(0) == 75
    assert not clock.is_over(10**9)
    time.seconds += 75
    assert clock.fraction(0) == 1
    assert clock.is_over(0)
    time.seconds += 75
    assert clock.fraction(0) == 1
    assert clock.remaining_s(0) == 0


def test_a_resumed_run_goes_on_where_it_stopped():
    time = Time(5.0)
    clock = Clock(config(budget_s=100.0), spent_s=60.0, now=time)
    assert clock.spent_s == 60
    time.seconds += 20
    assert clock.fraction(0) == 0.8
    assert clock.remaining_s(0) == 20


def test_the_last_validation_is_inside_the_budget():
    time = Time()
    clock = Clock(config(budget_s=100.0), now=time)
    clock.reserve_s = 20.0
    time.seconds += 40
    assert clock.fraction(0) == 0.5
    time.seconds += 40
    assert clock.fraction(0) == 1
    assert clock.is_over(0)
    assert clock.remaining_s(0) == 20, "the validation takes the rest"


def test_a_reserve_longer_than_the_budget_ends_at_once():
    clock = Clock(config(budget_s=10.0), now=Time())
    clock.reserve_s = 30.0
    assert clock.is_over(0)
    assert clock.fraction(0) <= 1


def test_no_step_begins_that_would_end_far_beyond_the_budget():
    """A step that overshoots by less than half is taken, so that runs are not short on average."""
    time = Time()
    clock = Clock(config(budget_s=100.0), now=time)
    clock.step_done(10.0)
    time.seconds += 94
    assert not clock.is_over(0)
    time.seconds += 1.5
    assert clock.is_over(0)


def test_the_time_left_in_steps_follows_the_pace():
    clock = Clock(config(steps=100), now=Time())
    assert math.isnan(clock.remaining_s(0))
    clock.step_done(2.0)
    assert clock.remaining_s(10) == 180
    for _ in range(200):
        clock.step_done(1.0)
    assert clock.remaining_s(90) == pytest.approx(10, abs=0.01)
