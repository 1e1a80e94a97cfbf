"""All that a report of a run tells of."""

from __future__ import annotations

from dataclasses import dataclass

from ushape.data.scan import Scan
from ushape.device import DeviceFacts
from ushape.evaluate import Evaluation
from ushape.plan import Plan
from ushape.training.loop import FitResult
from ushape.workflow.prepare import Prepared


@dataclass(frozen=True)
class RunRecord:
    """What was found and planned, how training went, and the scores if there are any."""

    prepared: Prepared
    fit: FitResult
    evaluation: Evaluation | None

    @property
    def plan(self) -> Plan:
        """What was run, and why."""
        return self.prepared.plan

    @property
    def scan(self) -> Scan:
        """What the data set holds."""
        return self.prepared.scan

    @property
    def device(self) -> DeviceFacts:
        """Where it was run."""
        return self.prepared.device
