"""Whatever the pace: the rate stays in range, and a budget is used up and not overrun."""

from hypothesis import given, settings
from hypothesis import strategies as st

from ushape.config.schema import ScheduleConfig
from ushape.training.schedule import Clock, learning_rate_factor

QUICK = settings(deadline=None, max_examples=80)
SHAPES = st.sampled_from(["cosine", "linear", "polynomial"])
FRACTIONS = st.floats(0, 1)


@QUICK
@given(shape=SHAPES, warmup=FRACTIONS, first=FRACTIONS, second=FRACTIONS)
def test_the_factor_has_one_peak_and_ends_at_zero(shape, warmup, first, second):
    config = ScheduleConfig(steps=1, shape=shape, warmup_fraction=warmup)
    low, high = sorted([first, second])
    early, late = (learning_rate_factor(place, config) for place in (low, high))
    assert 0 <= early <= 1
    assert 0 <= late <= 1
    if high < warmup:
        assert early <= late
    if low >= warmup:
        assert early >= late
    assert learning_rate_factor(1.0, config) == 0


@QUICK
@given(
    budget=st.floats(10, 1000),
    step=st.floats(0.05, 5),
    reserve=st.floats(0, 9),
    kills=st.lists(st.integers(1, 60), max_size=3),
)
def test_a_budget_ends_within_half_a_step(budget, step, reserve, kills):
    """Steps of equal length; the run is killed and resumed now and then, saved at each step."""
    wall, done, spent = [0.0], 0, 0.0
    config = ScheduleConfig(budget_s=budget)
    kill_after = [*kills, None]
    for limit in kill_after:
        wall[0] += 1e5  # the wall clock goes on while the run is dead
        clock = Clock(config, spent_s=spent, now=lambda: wall[0])
        clock.reserve_s = reserve
        clock.step_done(step)
        fractions = []
        while not clock.is_over(done) and (limit is None or len(fractions) < limit):
            fractions.append(clock.fraction(done))
            wall[0] += step
            done += 1
            spent = clock.spent_s
            clock.step_done(step)
        assert fractions == sorted(fractions)
        assert all(0 <= fraction < 1 + 1e-9 for fraction in fractions)
    assert abs(spent - (budget - reserve)) <= step / 2 + 1e-6
