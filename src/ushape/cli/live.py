"""The live line of training on a terminal, and plain lines where there is none."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from ushape.sizes import format_duration
from ushape.training.observe import StepReport, ValidationReport

PLAIN_EVERY_S = 15.0
"""Without a terminal (a log file, CI) a line is printed this often."""


class LiveLine:
    """An observer of training: one line that stays in place, validations above it.

    Everything goes to standard error, so that `--json` keeps standard output for itself.
    """

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._is_terminal = self._console.is_terminal
        self._bar = Progress(
            BarColumn(24),
            TextColumn("{task.percentage:3.0f} %"),
            TextColumn("{task.description}"),
            console=self._console,
            transient=True,
            redirect_stdout=sys.stdout.isatty(),
            disable=not self._is_terminal,
        )
        self._task: TaskID | None = None
        self._score = math.nan
        self._last_plain = 0.0
        self._rate = 0.0

    def __enter__(self) -> LiveLine:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Take the line away while others print."""
        self._bar.stop()
        yield
        self._bar.start()

    def preparing(self, done: int, total: int) -> None:
        """Show how many cases are read."""
        self._show(done / max(total, 1), f"reading cases, {done} of {total}")

    def stepped(self, report: StepReport) -> None:
        """Show step, loss, score, speed and time left."""
        self._rate = (
            report.samples_per_s
            if not self._rate
            else 0.8 * self._rate + 0.2 * report.samples_per_s
        )
        parts = [f"step {report.step}", f"loss {report.loss:.3f}"]
        if math.isfinite(self._score):
            parts.append(f"validation Dice {self._score:.3f}")
        parts.append(f"{self._rate:.1f} samples/s")
        if math.isfinite(report.remaining_s):
            parts.append(f"{format_duration(report.remaining_s)} left")
        text = ", ".join(parts)
        self._show(report.fraction, text)
        now = time.monotonic()
        if not self._is_terminal and now - self._last_plain >= PLAIN_EVERY_S:
            self._last_plain = now
            self._line(f"{report.fraction:4.0%}  {text}")

    def validating(self, done: int, total: int) -> None:
        """Show how many images of a validation are done."""
        self._show(None, f"validating, image {done} of {total}")

    def validated(self, report: ValidationReport) -> None:
        """Print a line that stays."""
        self._score = report.score
        classes = ", ".join(f"{name} {dice:.3f}" for name, dice in report.class_dice.items())
        detail = f" ({classes})" if len(report.class_dice) > 1 else ""
        best = ", best so far" if report.is_best else ""
        score = f"{report.score:.3f}" if math.isfinite(report.score) else "undefined"
        self._line(
            f"validation at step {report.step}, {format_duration(report.spent_s)}: "
            f"Dice {score}{detail}{best}"
        )

    def note(self, text: str) -> None:
        """Print a line that stays."""
        self._line(text)

    def _show(self, fraction: float | None, text: str) -> None:
        if not self._is_terminal:
            return
        if self._task is None:
            self._task = self._bar.add_task("", total=1.0)
        if fraction is None:
            self._bar.update(self._task, description=text)
        else:
            self._bar.update(self._task, description=text, completed=fraction)

    def _line(self, text: str) -> None:
        if self._is_terminal:
            self._console.print(text, markup=False)
        else:
            sys.stderr.write(text + "\n")
            sys.stderr.flush()
