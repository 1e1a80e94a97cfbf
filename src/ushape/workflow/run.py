"""The main job: a data folder in; a trained model, its predictions, scores and a report out.

    scan -> fingerprint -> plan -> prepare -> train -> predict -> evaluate -> report

Each arrow is a function of a package below; here they only follow each other, and what they
leave lies in the run folder (docs/architecture.md has its map).
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

import ushape
from ushape.bundle import BundleHeader
from ushape.config.load import config_tree, load_config, write_config
from ushape.config.schema import RunConfig, TrainConfig
from ushape.data.layouts import find_cases
from ushape.data.preprocess import PreparedCase, prepare_cases
from ushape.data.scan import Scan, scan_cases
from ushape.device import DeviceFacts, find_device
from ushape.errors import ConfigError, DataError, ShapeError, Stopped
from ushape.evaluate import Evaluation, write_evaluation
from ushape.files import make_folder, write_json
from ushape.inference import plan_image
from ushape.labels import LabelTable, LabelWish
from ushape.nets import geometry_of, make_spec
from ushape.nets.parts import FineHead
from ushape.plan import (
    Fingerprint,
    Plan,
    Split,
    class_fractions,
    plan_run,
    settle_wish,
    split_cases,
    take_fingerprint,
)
from ushape.predict import load, predict_files
from ushape.training.loop import FitResult, fit
from ushape.training.objective import build_objective
from ushape.training.observe import Observer, Silence
from ushape.workflow.folder import RunFolder, RunRecord
from ushape.workflow.report import write_run_report
from ushape.workflow.scores import evaluate_run
from ushape.workflow.wishes import Wishes, read_wishes


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
        folder: The run folder.
        bundle: The best model file; `ushape.load` opens it.
        report: The report page.
        fit: Steps, seconds and best validation score.
        evaluation: Scores on the validation cases, or None without any.
    """

    folder: Path
    bundle: Path
    report: Path
    fit: FitResult
    evaluation: Evaluation | None


@dataclass(frozen=True)
class Prepared:
    """A plan, and the scan and device that it was made from."""

    plan: Plan
    scan: Scan
    device: DeviceFacts


def plan(
    data: str | Path,
    *,
    model: str | None = None,
    budget: str | float | None = None,
    steps: int | None = None,
    val: str | None = None,
    foreground: str | None = None,
    labels: str | Mapping[str, int] | None = None,
    target: str | None = None,
    ignore: int | str | None = None,
    regions: Sequence[str] | Mapping[str, Sequence[str]] | None = None,
    label_folder: str | None = None,
    settings: Mapping[str, Any] | None = None,
    config: str | Path | None = None,
    seed: int | None = None,
    device: str = "auto",
    progress: Callable[[int, int], None] | None = None,
) -> Prepared:
    """Understand a data set and decide how to train on it, without training.

    Args are those of `train`; `progress` is called with (cases read, cases in all).
    """
    wishes = read_wishes(
        files=[Path(config)] if config else [],
        settings=settings or {},
        model=model,
        budget=budget,
        steps=steps,
        val=val,
        foreground=foreground,
        labels=labels,
        target=target,
        ignore=ignore,
        regions=regions,
        label_folder=label_folder,
        seed=seed,
    )
    return _prepare(data, wishes, device, progress)


def _prepare(
    data: str | Path,
    wishes: Wishes,
    device: str,
    progress: Callable[[int, int], None] | None,
) -> Prepared:
    facts = find_device(device)
    request = wishes.request
    layout = find_cases(data, label_folder=request.label_folder)
    said = wishes.labels
    told = layout.wish if said == LabelWish() else None
    scan = scan_cases(layout, wish=told or said, progress=progress)
    fingerprint = take_fingerprint(scan, settle_wish(scan, said, told))
    seed = request.settings.get("train.seed", TrainConfig.seed)
    split = split_cases(fingerprint.case_ids, request.validation, seed=seed)
    try:
        run_plan = plan_run(fingerprint, split, request, facts)
    except ShapeError as error:
        raise ConfigError(f"patch.size: {error}") from error
    _check_plan(run_plan)
    return Prepared(run_plan, scan, facts)


def _check_plan(run_plan: Plan) -> None:
    """Find now, before anything is written, what would fail when training starts."""
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


def train(
    data: str | Path,
    *,
    out: str | Path | None = None,
    model: str | None = None,
    budget: str | float | None = None,
    steps: int | None = None,
    val: str | None = None,
    foreground: str | None = None,
    labels: str | Mapping[str, int] | None = None,
    target: str | None = None,
    ignore: int | str | None = None,
    regions: Sequence[str] | Mapping[str, Sequence[str]] | None = None,
    label_folder: str | None = None,
    settings: Mapping[str, Any] | None = None,
    config: str | Path | None = None,
    seed: int | None = None,
    device: str = "auto",
    is_resumed: bool = False,
    observer: Observer | None = None,
    on_plan: Callable[[Prepared], None] | None = None,
) -> Run:
    """Train on a folder of images and label pictures, and say how good the result is.

    Args:
        data: Folder with `images/` and `labels/` (see `ushape.data.layouts`).
        out: Run folder; by default `runs/DATA-MODEL`, with a number if that is taken.
        model: A network of `ushape models`, with its paper's numbers. None: the plan chooses one
            whose width fits the device and the budget.
        budget: Time to train, such as `"10m"`, or seconds.
        steps: Steps to train, instead of a budget.
        val: Validation cases: names, ranges (`"24-29"`), globs, a fraction, a text file, `none`.
            A fifth of the cases by default.
        foreground: The label value that is the foreground of a binary data set.
        labels: Class names with their label values, background first.
        target: `binary`, `multiclass`, `multilabel`, `instances` or `instances+border`; by default
            what the labels show.
        ignore: The label value of void pixels, which count in no loss and no score.
        regions: Further classes made of labels, such as `{"whole": ["disc", "knob"]}`.
        label_folder: The folder to take labels from, beside `images/`.
        settings: Any setting by key, such as `{"patch.batch": 8}`.
        config: A YAML file with settings; `settings` and the other arguments win over it.
        seed: Of all chance; 0 by default.
        device: `auto`, `cpu` or `cuda`.
        is_resumed: Go on with the run in `out` if there is one. Its settings are taken up;
            what is said anew must not differ.
        observer: Is told what happens.
        on_plan: Is given the plan before training starts.

    Returns:
        The run: folder, model file, report, scores.

    Raises:
        UshapeError: Unusable data, settings or folder; the message says what to do.
        ushape.errors.Stopped: SIGINT or SIGTERM came; everything is saved.

    >>> run = ushape.train("data/membrane", budget="10m", val="24-29")   # doctest: +SKIP
    """
    watcher = observer or Silence()
    files = [Path(config)] if config else []
    if out:
        begun = RunFolder(Path(out))
        _check_folder(begun, is_resumed=is_resumed)
        if begun.config.exists():
            files.insert(0, begun.config)
            recorded = load_config(begun.config).model.name
            if model not in (None, recorded):
                raise _cannot_go_on(begun, "model.name", recorded, model)
    wishes = read_wishes(
        files=files,
        settings=settings or {},
        model=model,
        budget=budget,
        steps=steps,
        val=val,
        foreground=foreground,
        labels=labels,
        target=target,
        ignore=ignore,
        regions=regions,
        label_folder=label_folder,
        seed=seed,
    )
    prepared = _prepare(data, wishes, device, watcher.preparing)
    folder = RunFolder(Path(out) if out else _free_folder(prepared.plan))
    run_plan = _resume_or_begin(folder, prepared.plan)
    if on_plan:
        on_plan(Prepared(run_plan, prepared.scan, prepared.device))
    try:
        result = _fit(folder, run_plan, prepared, is_resumed=is_resumed, observer=watcher)
    except Stopped as stopped:
        raise Stopped(
            f"the run is saved in {folder.root}; to go on, repeat the command with "
            f"--out {folder.root} --resume"
        ) from stopped
    evaluation = _predict_and_evaluate(folder, run_plan, prepared.scan, watcher, device)
    record = RunRecord(run_plan, prepared.scan, prepared.device, result, evaluation)
    write_run_report(folder, record)
    return Run(folder.root, folder.best, folder.report, result, evaluation)


def _free_folder(run_plan: Plan) -> Path:
    base = f"{run_plan.fingerprint.name}-{run_plan.config.model.name}"
    taken = (Path("runs") / (base if n == 1 else f"{base}-{n}") for n in range(1, 10**6))
    return next(path for path in taken if not path.exists())


def _check_folder(folder: RunFolder, *, is_resumed: bool) -> None:
    """Refuse a folder that something else lies in, before the data are read."""
    if folder.root.exists() and not folder.root.is_dir():
        raise ConfigError(f"--out {folder.root} is a file: choose another name for the run folder")
    if is_resumed or not folder.root.exists():
        return
    if folder.config.exists():
        raise ConfigError(
            f"{folder.root} already holds a run: add --resume to go on with it, "
            "or choose another --out"
        )
    if any(folder.root.iterdir()):
        raise ConfigError(
            f"{folder.root} is not empty and holds no run: choose another --out, or an empty folder"
        )


def _resume_or_begin(folder: RunFolder, new: Plan) -> Plan:
    """Write the settings of a new run, or take those of the run that is resumed."""
    if folder.config.exists():
        folder.sweep()
        return _resumed_plan(folder, new)
    make_folder(folder.fold)
    write_json(
        folder.split, {"train": new.split.train, "val": new.split.val, "why": new.split.reason}
    )
    # Last, because its presence says that a run was begun.
    write_config(folder.config, new.config, new.reasons)
    return new


def _resumed_plan(folder: RunFolder, new: Plan) -> Plan:
    """Take the recorded settings; refuse others, since the result would be neither."""
    old = load_config(folder.config)
    for key, was, now in _differences(old, new.config):
        raise _cannot_go_on(folder, key, was, now)
    train_ids, val_ids = folder.read_split()
    if (train_ids, val_ids) != (new.split.train, new.split.val):
        raise DataError(
            f"{folder.root} was begun with {len(train_ids)} training and {len(val_ids)} validation "
            f"cases, the data now gives {len(new.split.train)} and {len(new.split.val)}: restore "
            "the files, or start a new run"
        )
    split = Split(train_ids, val_ids, new.split.reason)
    return Plan(old, folder.read_reasons(), split, new.fingerprint)


def _cannot_go_on(folder: RunFolder, key: str, was: object, now: object) -> ConfigError:
    return ConfigError(
        f"{folder.root} was begun with {key} = {was} and cannot go on with {now}: leave that as "
        "it was, or start a new run with another --out"
    )


def _differences(old: RunConfig, new: RunConfig) -> Iterator[tuple[str, Any, Any]]:
    now = config_tree(new)
    for section, before in config_tree(old).items():
        if not isinstance(before, Mapping):
            before, after, place = {section: before}, {section: now[section]}, ""
        else:
            after, place = now[section], f"{section}."
        for key, value in before.items():
            if value != after[key] and place + key != "data.root":
                yield place + key, value, after[key]


def _fit(
    folder: RunFolder,
    run_plan: Plan,
    prepared: Prepared,
    *,
    is_resumed: bool,
    observer: Observer,
) -> FitResult:
    config, fingerprint = run_plan.config, run_plan.fingerprint
    layout = find_cases(fingerprint.root, label_folder=config.data.label_folder)
    files = {case.id: case for case in layout.cases}
    table = fingerprint.labels
    cache = make_folder(folder.cache)
    # For weight=auto: what is held out must not tell how rare a class is.
    shares = class_fractions(prepared.scan, table, run_plan.split.train)

    def prepare(ids: Sequence[str]) -> tuple[PreparedCase, ...]:
        chosen = [files[case] for case in ids]
        return prepare_cases(
            chosen,
            table,
            config.preprocess,
            cache,
            weights=config.weight_map,
            sampling=config.sampling,
            progress=observer.preparing,
        )

    return fit(
        config,
        table,
        [case.open() for case in prepare(run_plan.split.train)],
        [case.open() for case in prepare(run_plan.split.val)],
        folder.fold,
        class_fractions=replace(fingerprint, class_fractions=shares).logit_fractions,
        device=prepared.device,
        header=_header(run_plan, table, prepared.device),
        is_resumed=is_resumed,
        observer=observer,
    )


def _header(run_plan: Plan, table: LabelTable, device: DeviceFacts) -> BundleHeader:
    fingerprint: Fingerprint = run_plan.fingerprint
    return BundleHeader(
        table,
        run_plan.config.preprocess,
        run_plan.config.tiling,
        {
            "ushape": ushape.__version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
            "created": datetime.now(UTC).date().isoformat(),
            "data": fingerprint.name,
            "train_cases": len(run_plan.split.train),
            "val_cases": len(run_plan.split.val),
            "model": run_plan.config.model.name,
            "loss": run_plan.config.loss,
            "seed": run_plan.config.train.seed,
            "device": device.name,
        },
        thin_classes=run_plan.config.lines.classes,
    )


def _predict_and_evaluate(
    folder: RunFolder, run_plan: Plan, scan: Scan, observer: Observer, device: str
) -> Evaluation | None:
    """Predict the validation cases with the best model, and score the files that were written."""
    if not run_plan.split.val:
        return None
    held = set(run_plan.split.val)
    cases = [case for case in scan.cases if case.id in held]
    observer.note(f"predicting {len(cases)} validation cases with the best weights")
    predict_files(
        load(folder.best, device=device),
        [case.image for case in cases],
        folder.predictions,
        names={case.image: case.id for case in cases},
        progress=lambda done, total, name: observer.validating(done, total),
    )
    label_folder = run_plan.config.data.label_folder
    layout = find_cases(run_plan.fingerprint.root, label_folder=label_folder)
    evaluation = evaluate_run(
        folder.predictions,
        layout.root if label_folder is None else layout.labels,
        [files for files in layout.cases if files.id in held],
        run_plan.fingerprint.labels,
    )
    write_evaluation(evaluation, folder.evaluation)
    return evaluation
