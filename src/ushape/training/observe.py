"""What a run tells while it goes: a log file for ever, and observers for the moment."""

from __future__ import annotations

import json
import math
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from ushape.files import storage_error, write_text


@dataclass(frozen=True)
class StepReport:
    """One training step as an observer sees it.

    The loss is the sum of factor times part; a balance changes the factors while it runs.
    """

    step: int
    loss: float
    parts: dict[str, float]
    learning_rate: float
    samples_per_s: float
    fraction: float
    spent_s: float
    remaining_s: float
    factors: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class ValidationReport:
    """One validation over whole images."""

    step: int
    score: float
    class_dice: dict[str, float]
    is_best: bool
    seconds: float
    spent_s: float


class Observer(Protocol):
    """Somebody who watches a run; the terminal line of the command line is one."""

    def preparing(self, done: int, total: int) -> None:
        """Hear that cases are being prepared."""

    def stepped(self, report: StepReport) -> None:
        """Hear of a training step."""

    def validating(self, done: int, total: int) -> None:
        """Hear that a validation is under way."""

    def validated(self, report: ValidationReport) -> None:
        """Hear of a finished validation."""

    def note(self, text: str) -> None:
        """Hear a sentence that a person should read."""


class Silence:
    """An observer that ignores everything."""

    def preparing(self, done: int, total: int) -> None:
        """Ignore."""

    def stepped(self, report: StepReport) -> None:
        """Ignore."""

    def validating(self, done: int, total: int) -> None:
        """Ignore."""

    def validated(self, report: ValidationReport) -> None:
        """Ignore."""

    def note(self, text: str) -> None:
        """Ignore."""


class RunLog:
    """`metrics.jsonl`: one line an event, appended and flushed.

    A run that is resumed at step n first drops what was logged after n (and a line that a kill
    cut in two), so that the log always tells one story. A validation that was logged but not
    saved is done again, so those after `validated_step` are dropped too, if it is given.
    """

    def __init__(self, path: Path, *, resume_step: int, validated_step: int | None = None) -> None:
        self.path = path
        last = {"validation": resume_step if validated_step is None else validated_step}
        kept = [
            event
            for event in read_log(path)
            if event.get("step", 0) <= last.get(str(event.get("event")), resume_step)
        ]
        write_text(path, "".join(json.dumps(event) + "\n" for event in kept))

    def write(self, event: str, report: StepReport | ValidationReport) -> None:
        """Append one event."""
        line = json.dumps({"event": event, **_finite(asdict(report))}, allow_nan=False) + "\n"
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(line)
                file.flush()
                if event == "validation":
                    os.fsync(file.fileno())
        except OSError as error:
            raise storage_error(self.path, error) from error


def _finite(value: Any) -> Any:
    """Replace nan and infinity, which JSON does not know, by None, in groups too."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read_log(path: Path) -> list[dict[str, Any]]:
    """Read `metrics.jsonl`, leaving out lines that a kill or a full disk cut in two."""
    if not path.exists():
        return []
    events = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            event = json.loads(line)
        except json.JSONDecodeError:
            continue
        if isinstance(event, dict):
            events.append(event)
    return events
