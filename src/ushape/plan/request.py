"""What a plan is made from, and what it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ushape.config.schema import RunConfig
from ushape.device import DeviceFacts
from ushape.plan.fingerprint import Fingerprint
from ushape.plan.speed import Speed
from ushape.plan.split import Split

DEFAULT_BUDGET_S = 1800.0


@dataclass(frozen=True)
class Request:
    """What a person asks for.

    Attributes:
        model: A network's name, with its paper's numbers; None lets the plan choose.
        budget_s: Seconds to train.
        steps: Steps to train, instead of a budget.
        validation: What `--val` said, or what stands for silence.
        label_folder: What `--label-folder` said.
        layout: What `--layout` said.
        stack_mm: What `--stack` said: voxel edges, z y x.
        align: What `--align` said.
        augment: Preset that `--augment` said.
        settings: `--set` and `--config`, flat: key -> value.
    """

    model: str | None = None
    budget_s: float | None = None
    steps: int | None = None
    validation: str = "0.2"
    label_folder: str | None = None
    layout: str | None = None
    stack_mm: tuple[float, float, float] | None = None
    align: bool = False
    augment: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Situation:
    """All that the rules look at, besides what has been chosen already.

    Attributes:
        fingerprint: The data set.
        split: Training and validation cases.
        request: What a person asks for.
        device: Where it will run.
        speed: How fast it is there, measured or estimated.
    """

    fingerprint: Fingerprint
    split: Split
    request: Request
    device: DeviceFacts
    speed: Speed

    def num_images(self, ids: Sequence[str]) -> float:
        """Count images of the fingerprint's size: cases, or of slices the share of their stacks."""
        if not self.fingerprint.is_stack:
            return len(ids)
        stacks = len(set(self.fingerprint.groups.values())) or 1
        return stacks * len(ids) / max(len(self.fingerprint.case_ids), 1)


@dataclass(frozen=True)
class Plan:
    """Settings, the reason for each choice, and which cases train.

    Attributes:
        warnings: What a person should know before the training starts.
    """

    config: RunConfig
    reasons: Mapping[str, str]
    split: Split
    fingerprint: Fingerprint
    warnings: tuple[str, ...] = ()
