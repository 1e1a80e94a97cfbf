"""Curves: smoothing and thinning keep what they promise; figures follow the page."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ushape.report.content import History
from ushape.report.curves import MAX_DRAWN_POINTS, draw_loss, draw_score
from ushape.report.series import envelope, smooth

numbers = st.lists(
    st.floats(-100, 100) | st.sampled_from([float("nan"), float("inf")]), min_size=1, max_size=40
)


@given(values=numbers, window=st.integers(1, 9))
@settings(deadline=None, max_examples=80)
def test_smoothing_is_the_mean_of_the_finite_values_near_by(
    values: list[float], window: int
) -> None:
    reach = window // 2
    for index, result in enumerate(smooth(values, window=window)):
        near = np.array(values[max(0, index - reach) : index + reach + 1])
        near = near[np.isfinite(near)]
        expected = near.mean() if len(near) else np.nan
        assert result == pytest.approx(expected, abs=1e-9, nan_ok=True)


def test_thinning_keeps_a_single_spike_and_a_gap() -> None:
    y = np.zeros(100_000)
    y[54_321], y[70_000:80_000] = 7.0, np.nan
    x_thin, y_thin = envelope(np.arange(100_000.0), y, max_points=1000)
    assert len(x_thin) <= 1000
    assert x_thin[y_thin == 7.0].tolist() == [54_321]
    assert (np.diff(x_thin) > 0).all()
    assert np.isnan(y_thin).sum() >= 49


def test_short_curves_are_not_thinned() -> None:
    x = np.arange(10.0)
    assert envelope(x, x, max_points=10)[1] is x


def history(n: int = 50, **changes: object) -> History:
    steps = tuple(range(1, n + 1))
    values: dict[str, object] = {
        "steps": steps,
        "losses": tuple(1 / step for step in steps),
        "val_steps": (10, 20),
        "val_scores": (0.4, 0.5),
        "learning_rates": tuple(0.002 * (1 - step / n) for step in steps),
        "best_step": 20,
        "x_seconds": tuple(60.0 * step for step in steps),
    }
    return History(**(values | changes))  # type: ignore[arg-type]


def texts(svg: str | None) -> list[str]:
    assert svg is not None
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg)


def test_axes_name_steps_and_times_and_the_learning_rate() -> None:
    words = texts(draw_loss(history()))
    assert {"step", "learning rate", "10", "10m"} <= set(words)
    assert "0.002" in words  # numbers on the page are not shortened with the coordinates


def test_without_times_and_rates_only_steps_are_named() -> None:
    words = texts(draw_loss(history(x_seconds=None, learning_rates=())))
    assert "learning rate" not in words
    assert not [word for word in words if word.endswith("m")]


def test_colours_come_from_the_page() -> None:
    for svg in (draw_loss(history()), draw_score(history())):
        assert svg is not None
        assert "var(--accent)" in svg
        assert re.findall(r"#[0-9a-f]{6}\b", svg) == []
    assert "var(--mark)" in (draw_score(history()) or "")
    assert "var(--mark)" not in (draw_score(history(best_step=None)) or "")


def test_a_few_huge_losses_do_not_flatten_the_rest() -> None:
    plain, spiked = [1.0 + 0.1 * (step % 3) for step in range(50)], [1e4] + [1.0] * 49
    assert "10000" not in texts(draw_loss(history(losses=tuple(plain))))
    assert texts(draw_loss(history(losses=tuple(spiked)))) != texts(
        draw_loss(history(losses=tuple(plain)))
    )


@pytest.mark.parametrize("losses", [(float("nan"),), (1.0,), (-0.5,), (0.0,), (float("inf"),)])
def test_one_step_is_drawn_or_left_out_without_warnings(losses: tuple[float, ...]) -> None:
    svg = draw_loss(History((1,), losses, learning_rates=(0.0,)))
    assert (svg is not None) == bool(np.isfinite(losses).all())


def test_scores_that_are_all_nan_draw_nothing() -> None:
    assert draw_score(History(val_steps=(5,), val_scores=(float("nan"),))) is None
    assert draw_score(History(val_steps=(5,), val_scores=(0.5,), best_step=5)) is not None
    assert draw_score(History(val_steps=(5,), val_scores=(0.5,), best_step=7)) is not None


def test_a_long_training_stays_a_small_figure() -> None:
    n = 40 * MAX_DRAWN_POINTS
    noise = np.random.default_rng(0).normal(1, 0.1, n)
    svg = draw_loss(history(n, losses=tuple(noise.tolist())))
    assert len(svg or "") < 150_000
