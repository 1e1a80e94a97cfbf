"""The main job: a data folder in; a trained model, its predictions, scores and a report out.

    scan -> fingerprint -> plan -> prepare -> train -> predict -> evaluate -> report

Each arrow is a function of a package below; here they only follow each other, and what they
leave lies in the run folder (docs/architecture.md has its map).
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

import ushape
from ushape.bundle import BundleHeader
from ushape.config.load import load_config, read_settings, write_config
from ushape.config.schema import RunConfig
from ushape.data.layouts import find_cases
from ushape.data.preprocess import PreparedCase, prepare_cases
from ushape.data.scan import Scan, scan_cases
from ushape.device import DeviceFacts, find_device
from ushape.errors import ConfigError, DataError
from ushape.evaluate import Evaluation, evaluate_folders, write_evaluation
from ushape.files import make_folder, write_json
from ushape.labels import LabelTable, parse_names
from ushape.plan import Fingerprint, Plan, Request, Split, plan_run, split_cases, take_fingerprint
from ushape.predict import load, predict_files
from ushape.sizes import parse_duration_s
from ushape.training.loop import FitResult, fit
from ushape.training.observe import Observer, Silence
from ushape.workflow.folder import RunFolder, RunRecord
from ushape.workflow.report import write_run_report


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
    val: str = "0.2",
    foreground: str | None = None,
    labels: str | Mapping[str, int] | None = None,
    settings: Mapping[str, Any] | None = None,
    config: str | Path | None = None,
    seed: int | None = None,
    device: str = "auto",
    progress: Callable[[int, int], None] | None = None,
) -> Prepared:
    """Understand a data set and decide how to train on it, without training.

    Args are those of `train`; `progress` is called with (cases read, cases in all).
    """
    scan = scan_cases(find_cases(data), progress=progress)
    names = parse_names(labels) if isinstance(labels, str) else labels
    fingerprint = take_fingerprint(scan, foreground=foreground, names=names)
    wishes = {**(read_settings(config) if config else {}), **(settings or {})}
    if seed is not None:
        wishes["train.seed"] = seed
    split = split_cases(fingerprint.case_ids, val, seed=int(wishes.get("train.seed", 0)))
    request = Request(
        model=model,
        budget_s=parse_duration_s(budget) if isinstance(budget, str) else budget,
        steps=steps,
        validation=val,
        settings=wishes,
    )
    facts = find_device(device)
    return Prepared(plan_run(fingerprint, split, request, facts), scan, facts)


def train(
    data: str | Path,
    *,
    out: str | Path | None = None,
    model: str | None = None,
    budget: str | float | None = None,
    steps: int | None = None,
    val: str = "0.2",
    foreground: str | None = None,
    labels: str | Mapping[str, int] | None = None,
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
        foreground: The label value that is the foreground of a binary data set.
        labels: Class names with their label values, background first.
        settings: Any setting by key, such as `{"patch.batch": 8}`.
        config: A YAML file with settings; `settings` wins over it.
        seed: Of all chance; 0 by default.
        device: `auto`, `cpu` or `cuda`.
        is_resumed: Go on with the run in `out` if there is one.
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
    prepared = plan(
        data,
        model=model,
        budget=budget,
        steps=steps,
        val=val,
        foreground=foreground,
        labels=labels,
        settings=settings,
        config=config,
        seed=seed,
        device=device,
        progress=watcher.preparing,
    )
    folder = RunFolder(Path(out) if out else _free_folder(prepared.plan))
    run_plan = _resume_or_begin(folder, prepared, is_resumed=is_resumed)
    if on_plan:
        on_plan(Prepared(run_plan, prepared.scan, prepared.device))
    result = _fit(folder, run_plan, prepared, is_resumed=is_resumed, observer=watcher)
    evaluation = _predict_and_evaluate(folder, run_plan, prepared.scan, watcher, device)
    record = RunRecord(run_plan, prepared.scan, prepared.device, result, evaluation)
    write_run_report(folder, record)
    return Run(folder.root, folder.best, folder.report, result, evaluation)


def _free_folder(run_plan: Plan) -> Path:
    base = f"{run_plan.fingerprint.name}-{run_plan.config.model.name}"
    taken = (Path("runs") / (base if n == 1 else f"{base}-{n}") for n in range(1, 10**6))
    return next(path for path in taken if not path.exists())


def _resume_or_begin(folder: RunFolder, prepared: Prepared, *, is_resumed: bool) -> Plan:
    """Write the settings of a new run, or take those of the run that is resumed."""
    new = prepared.plan
    if folder.config.exists():
        if not is_resumed:
            raise ConfigError(
                f"{folder.root} already holds a run: add --resume to go on with it, "
                "or choose another --out"
            )
        return _resumed_plan(folder, new)
    if folder.root.exists() and any(folder.root.iterdir()) and not is_resumed:
        raise ConfigError(
            f"{folder.root} is not empty and holds no run: choose another --out, or an empty folder"
        )
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
        raise ConfigError(
            f"{folder.root} was begun with {key} = {was}, and is now to go on with {now}: "
            "repeat the first command with --resume added, or start a new run"
        )
    train_ids, val_ids = folder.read_split()
    if (train_ids, val_ids) != (new.split.train, new.split.val):
        raise DataError(
            f"{folder.root} was begun with {len(train_ids)} training and {len(val_ids)} validation "
            f"cases, the data now gives {len(new.split.train)} and {len(new.split.val)}: restore "
            "the files, or start a new run"
        )
    return Plan(old, new.reasons, Split(train_ids, val_ids, new.split.reason), new.fingerprint)


def _differences(old: RunConfig, new: RunConfig) -> Sequence[tuple[str, Any, Any]]:
    found = []
    for section, before in vars(old).items():
        after = getattr(new, section)
        if isinstance(before, str):
            found.append((section, before, after))
            continue
        found += [(f"{section}.{k}", v, getattr(after, k)) for k, v in vars(before).items()]
    return [(k, v, w) for k, v, w in found if v != w and k != "data.root"]


def _fit(
    folder: RunFolder,
    run_plan: Plan,
    prepared: Prepared,
    *,
    is_resumed: bool,
    observer: Observer,
) -> FitResult:
    config, fingerprint = run_plan.config, run_plan.fingerprint
    files = {case.id: case for case in find_cases(fingerprint.root).cases}
    table = fingerprint.labels
    cache = make_folder(folder.cache)

    def prepare(ids: Sequence[str]) -> tuple[PreparedCase, ...]:
        chosen = [files[case] for case in ids]
        return prepare_cases(chosen, table, config.preprocess, cache, progress=observer.preparing)

    return fit(
        config,
        table,
        [case.open() for case in prepare(run_plan.split.train)],
        [case.open() for case in prepare(run_plan.split.val)],
        folder.fold,
        class_fractions=fingerprint.logit_fractions,
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
        progress=lambda done, total, name: observer.validating(done, total),
    )
    evaluation = evaluate_folders(folder.predictions, run_plan.fingerprint.root)
    write_evaluation(evaluation, folder.evaluation)
    return evaluation
