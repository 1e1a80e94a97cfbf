"""How far training is, and the learning rate there."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from ushape.config.schema import ScheduleConfig


def learning_rate_factor(fraction: float, config: ScheduleConfig) -> float:
    """Give the factor on the peak learning rate.

    Args:
        fraction: Part of the training that is done, 0 to 1.
        config: Warm-up and shape.

    Returns:
        Rises from almost 0 to 1 during the warm-up, then falls to 0 at fraction 1.
    """
    if fraction >= 1:
        return 0.0
    warmup = config.warmup_fraction
    if fraction < warmup:
        return max(fraction / warmup, 0.01)
    rest = (fraction - warmup) / (1 - warmup)
    if config.shape == "cosine":
        return 0.5 * (1 + math.cos(math.pi * rest))
    return 1 - rest if config.shape == "linear" else float((1 - rest) ** 0.9)


class Clock:
    """Tells how far a run is, by steps or by time; time continues where a resumed run stopped.

    With a time budget the last validation is part of it: the clock keeps back as much time as
    the longest validation so far took, so that the run ends when the budget does.
    """

    def __init__(
        self,
        config: ScheduleConfig,
        *,
        spent_s: float = 0.0,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config, self._now = config, now
        self._begin = now() - spent_s
        self._step_s = 0.0
        self.reserve_s = 0.0

    @property
    def spent_s(self) -> float:
        """Seconds of training so far, over all resumed parts."""
        return self._now() - self._begin

    def fraction(self, step: int) -> float:
        """Give the part of the training that is done before step `step`, 0 to 1."""
        if self._config.steps is not None:
            return step / self._config.steps
        assert self._config.budget_s is not None
        usable = max(self._config.budget_s - self.reserve_s, 1e-3)
        return min(self.spent_s / usable, 1.0)

    def is_over(self, step: int) -> bool:
        """Say whether step `step` has no place any more: half a step's time is the tolerance."""
        if self._config.steps is not None:
            return step >= self._config.steps
        assert self._config.budget_s is not None
        return self.spent_s + self._step_s / 2 >= self._config.budget_s - self.reserve_s

    def remaining_s(self, step: int) -> float:
        """Estimate the seconds left; nan before there is anything to estimate from."""
        if self._config.budget_s is not None:
            return max(self._config.budget_s - self.spent_s, 0.0)
        assert self._config.steps is not None
        return self._step_s * (self._config.steps - step) if self._step_s else math.nan

    def step_done(self, seconds: float) -> None:
        """Learn how long a step takes (a running mean)."""
        self._step_s = seconds if not self._step_s else 0.9 * self._step_s + 0.1 * seconds
