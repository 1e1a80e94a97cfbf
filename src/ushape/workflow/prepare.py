"""From a data folder to a plan: what was found, and what will be run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Unpack

from ushape.config.schema import TrainConfig
from ushape.data.layouts import CaseFiles, Layout
from ushape.data.scan import Scan
from ushape.data.stacks import join_slices
from ushape.device import DeviceFacts, find_device
from ushape.errors import ConfigError, ShapeError
from ushape.inference import plan_image
from ushape.nets import Geometry, build_network, geometry_of, make_spec
from ushape.nets.second_pass import fine_head
from ushape.plan import (
    Fingerprint,
    Plan,
    Request,
    Split,
    measure_for,
    plan_run,
    split_cases,
)
from ushape.plan.fine_rules import FINE_GRAINED, first_pass
from ushape.plan.intensity import pool_intensities
from ushape.serial import cut_size, input_size
from ushape.training.fine import build_fine_loss
from ushape.training.objective import build_objective
from ushape.training.start import take_weights
from ushape.workflow.fine import with_contacts
from ushape.workflow.read_data import read_data
from ushape.workflow.wishes import Asks, Wishes, read_wishes

OWN = "own"
"""What `--val` says for the cases that the data set itself sets aside."""


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
    *,
    has_weights: bool = False,
) -> Prepared:
    """Read a data set once and plan a run on it.

    Args:
        data: As of `train`.
        wishes: What is asked for.
        device: As of `train`.
        progress: Called with (cases read, cases in all).
        has_weights: A run goes on that has weights of its own, so that no model is started from.
    """
    facts = find_device(device)
    request = wishes.request
    layout, scan, fingerprint = read_data(data, wishes, progress)
    if not request.validation:
        unsaid = OWN if layout.split else Request.validation
        request = replace(request, validation=unsaid)
    split = _split(layout, fingerprint, request)
    fingerprint = with_contacts(fingerprint, request, layout.cases)
    trained = set(split.train)
    learnt = [case for case in scan.cases if case.id in trained]
    fingerprint = replace(fingerprint, intensities=pool_intensities(learnt, fingerprint.labels))
    speed = measure_for(request, facts, spatial_dims=fingerprint.spatial_dims)
    try:
        run_plan = plan_run(fingerprint, split, request, facts, speed)
    except ShapeError as error:
        raise ConfigError(f"patch.size: {error}") from error
    check_plan(run_plan, has_weights=has_weights)
    return Prepared(run_plan, scan, facts, layout)


def _split(layout: Layout, fingerprint: Fingerprint, request: Request) -> Split:
    """Divide the cases as asked."""
    ids = fingerprint.case_ids
    if request.validation == OWN:
        if not layout.split:
            raise ConfigError(f"--val own: {layout.root} does not say which cases validate")
        val = tuple(case for case in ids if layout.split.get(case) == "val")
        train = tuple(case for case in ids if layout.split.get(case) != "val")
        if not train or not val:
            which = "train" if val else "val"
            raise ConfigError(
                f"{layout.root}: no usable case is marked {which}: give --val, or --val none"
            )
        return Split(train, val, f"as {layout.root.name} divides itself")
    return split_cases(
        ids,
        request.validation,
        seed=request.settings.get("train.seed", TrainConfig.seed),
        groups=fingerprint.groups,
        classes=fingerprint.cases_classes,
        is_stack=fingerprint.is_stack,
        are_volumes=fingerprint.spatial_dims == 3 and not fingerprint.is_stack,
    )


def check_plan(run_plan: Plan, *, has_weights: bool = False) -> None:
    """Find now, before anything is written, what would fail when training starts.

    Args:
        run_plan: All settings.
        has_weights: No model is started from.

    Raises:
        ConfigError: The loss does not fit the classes, the tiles do not fit the network, or the
            model to start from is another network.
        BundleError: There is no model to start from.
    """
    config, fingerprint = run_plan.config, run_plan.fingerprint
    model = config.model
    learnt = first_pass(fingerprint, config.fine)
    build_objective(config, learnt.labels, learnt.logit_fractions)
    spec = make_spec(
        model.name, in_channels=model.in_channels, classes=model.classes, **model.options
    )
    if config.train.start_from is not None and not has_weights:
        take_weights(
            build_network(spec),
            config.train.start_from,
            config.preprocess,
            fingerprint.labels.names,
        )
    geometry = geometry_of(spec)
    if fine_head(spec) is not None:
        _check_second_pass(run_plan, geometry)
    try:
        geometry.output_size(config.tiling.tile_size)
        plan_image(geometry, fingerprint.largest_size, config.tiling)
    except (ShapeError, ConfigError) as error:
        raise ConfigError(f"tiling.tile_size: {error}") from error


def _check_second_pass(run_plan: Plan, geometry: Geometry) -> None:
    """Find now what would fail in the second pass."""
    config, found = run_plan.config, run_plan.fingerprint
    if not config.fine.classes:
        raise ConfigError(
            f"{config.model.name} has a head for a second pass that nothing would train: take "
            f"--model {FINE_GRAINED}; --set model.options.network=NAME says which it extends"
        )
    shares = dict(zip(found.labels.names, found.class_fractions, strict=True))
    build_fine_loss(config, [shares[name] for name in config.fine.classes])
    size = cut_size(config.fine)
    if len(size) != len(geometry.total_stride):
        raise ConfigError(
            f"fine.cut_size = {list(size)}: give {len(geometry.total_stride)} edges, one an axis"
        )
    input_size(geometry, size)
