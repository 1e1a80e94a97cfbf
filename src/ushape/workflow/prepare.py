"""From a data folder to a plan: what was found, and what will be run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Unpack

from ushape.config.schema import TrainConfig
from ushape.data.layouts import CaseFiles, Layout, find_cases
from ushape.data.scan import Scan, scan_cases
from ushape.data.stacks import join_slices
from ushape.device import DeviceFacts, find_device
from ushape.errors import ConfigError, ShapeError
from ushape.inference import plan_image
from ushape.labels import LabelWish
from ushape.nets import geometry_of, make_spec
from ushape.nets.parts import FineHead
from ushape.plan import (
    Plan,
    plan_run,
    settle_wish,
    split_cases,
    take_fingerprint,
)
from ushape.training.objective import build_objective
from ushape.workflow.wishes import Asks, Wishes, read_wishes


@dataclass(frozen=True)
class Prepared:
    """A plan, and what it was made from."""

    plan: Plan
    scan: Scan
    device: DeviceFacts
    layout: Layout

    def cases(self, ids: tuple[str, ...]) -> tuple[CaseFiles, ...]:
        """Give the files of some cases of the split; slices of a stack are joined."""
        if self.layout.stack_mm is not None:
            return join_slices(self.layout.cases, set(ids), self.layout.stack_mm)
        files = {case.id: case for case in self.layout.cases}
        return tuple(files[case] for case in ids)


def plan(
    data: str | Path,
    *,
    config: str | Path | None = None,
    device: str = "auto",
    progress: Callable[[int, int], None] | None = None,
    **asks: Unpack[Asks],
) -> Prepared:
    """Understand a data set and decide how to train on it, without training.

    Args:
        data: As of `train`.
        config: As of `train`.
        device: As of `train`.
        progress: Called with (cases read, cases in all).
        **asks: As of `train`.
    """
    wishes = read_wishes([Path(config)] if config else [], asks)
    return prepare_plan(data, wishes, device, progress)


def prepare_plan(
    data: str | Path,
    wishes: Wishes,
    device: str,
    progress: Callable[[int, int], None] | None,
) -> Prepared:
    """Read a data set once and plan a run on it."""
    facts = find_device(device)
    request = wishes.request
    layout = find_cases(data, label_folder=request.label_folder)
    said = wishes.labels
    told = layout.wish if said == LabelWish() else None
    scan = scan_cases(layout, wish=told or said, progress=progress)
    fingerprint = take_fingerprint(scan, settle_wish(scan, said, told))
    split = split_cases(
        fingerprint.case_ids,
        request.validation,
        seed=request.settings.get("train.seed", TrainConfig.seed),
    )
    try:
        run_plan = plan_run(fingerprint, split, request, facts)
    except ShapeError as error:
        raise ConfigError(f"patch.size: {error}") from error
    check_plan(run_plan)
    return Prepared(run_plan, scan, facts, layout)


def check_plan(run_plan: Plan) -> None:
    """Find now, before anything is written, what would fail when training starts.

    Raises:
        ConfigError: The loss does not fit the classes, or the tiles do not fit the network.
    """
    config, fingerprint = run_plan.config, run_plan.fingerprint
    model = config.model
    build_objective(config, fingerprint.labels, fingerprint.logit_fractions)
    spec = make_spec(
        model.name, in_channels=model.in_channels, classes=model.classes, **model.options
    )
    if any(isinstance(output, FineHead) for output in spec.auxiliary):
        raise ConfigError(
            f"{model.name} is trained in two passes, on whole images and on regions of them, which "
            "this release does not do yet: build it with ushape.build and train it by hand"
        )
    geometry = geometry_of(spec)
    try:
        geometry.output_size(config.tiling.tile_size)
        plan_image(geometry, fingerprint.largest_size, config.tiling)
    except (ShapeError, ConfigError) as error:
        raise ConfigError(f"tiling.tile_size: {error}") from error
