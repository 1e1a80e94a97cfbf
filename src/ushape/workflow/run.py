"""The main job: a data folder in; a trained model, its predictions, scores and a report out.

    scan -> fingerprint -> plan -> prepare -> train -> predict -> evaluate -> report

Each arrow is a function of a package below; here they only follow each other, and what they
leave lies in the run folder (docs/architecture.md has its map).
"""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Unpack

import torch

import ushape
from ushape.bundle import BundleHeader
from ushape.data.fine import small_thresholds
from ushape.data.preprocess import prepare_cases
from ushape.data.sample import Sample
from ushape.device import DeviceFacts
from ushape.errors import Stopped
from ushape.evaluate import Evaluation, write_evaluation
from ushape.files import make_folder
from ushape.labels import LabelTable
from ushape.plan import Plan, class_fractions
from ushape.plan.fine_rules import first_pass
from ushape.predict import load, predict_cases
from ushape.sizes import format_count
from ushape.training.loop import FitResult, fit
from ushape.training.observe import Observer, Silence
from ushape.workflow.fine import compare_boxes
from ushape.workflow.folder import RunFolder
from ushape.workflow.prepare import Prepared, prepare_plan
from ushape.workflow.record import RunRecord
from ushape.workflow.report import write_run_report
from ushape.workflow.resume import check_folder, check_subject, free_folder, resume_or_begin
from ushape.workflow.scores import evaluate_run
from ushape.workflow.wishes import Asks, read_wishes


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


def train(
    data: str | Path,
    *,
    out: str | Path | None = None,
    config: str | Path | None = None,
    device: str = "auto",
    is_resumed: bool = False,
    observer: Observer | None = None,
    on_plan: Callable[[Prepared], None] | None = None,
    **asks: Unpack[Asks],
) -> Run:
    """Train on a folder of images and labels, and say how good the result is.

    Args:
        data: Folder with `images/` and `labels/`, or any other layout of docs/layouts.md.
        out: Run folder; by default `runs/DATA-MODEL`, with a number if that is taken.
        config: A YAML file with settings; `settings` and the other arguments win over it.
        device: `auto`, `cpu` or `cuda`.
        is_resumed: Go on with the run in `out` if there is one. Its settings are taken up;
            what is said anew must not differ.
        observer: Is told what happens.
        on_plan: Is given the plan before training starts.
        **asks: `model`, `budget`, `steps`, `val`, `folds`, `fold`, `foreground`, `labels`,
            `target`, `ignore`, `regions`, `label_folder`, `layout`, `stack`, `align`, `augment`,
            `start_from`, `settings`, `seed`: see `ushape.workflow.Asks`.

    Returns:
        The run: folder, model file, report, scores.

    Raises:
        UshapeError: Unusable data, settings or folder; the message says what to do.
        ushape.errors.Stopped: SIGINT or SIGTERM came; everything is saved.

    >>> run = ushape.train("data/membrane", budget="10m", val="24-29")   # doctest: +SKIP
    """
    watcher = observer or Silence()
    files = [Path(config)] if config else []
    has_weights = False
    if out:
        begun = RunFolder(Path(out))
        has_weights = is_resumed and begun.state.exists()
        check_folder(begun, is_resumed=is_resumed)
        if begun.config.exists():
            files.insert(0, begun.config)
            check_subject(begun, asks)
    prepared = prepare_plan(
        data, read_wishes(files, asks), device, watcher.preparing, has_weights=has_weights
    )
    folder = RunFolder(Path(out) if out else free_folder(prepared.plan))
    with folder.held():
        return _train(folder, prepared, watcher, on_plan, device, is_resumed=is_resumed)


def _train(
    folder: RunFolder,
    prepared: Prepared,
    observer: Observer,
    on_plan: Callable[[Prepared], None] | None,
    device: str,
    *,
    is_resumed: bool,
) -> Run:
    """Train, predict, evaluate and report in a folder that no other process trains in."""
    check_folder(folder, is_resumed=is_resumed)  # again, as one may have begun there meanwhile
    prepared = replace(prepared, plan=resume_or_begin(folder, prepared.plan))
    if on_plan:
        on_plan(prepared)
    try:
        result = _fit(folder, prepared, is_resumed=is_resumed, observer=observer)
    except Stopped as stopped:
        raise Stopped(
            f"the run is saved in {folder.root}; to go on, repeat the command with "
            f"--out {folder.root} --resume"
        ) from stopped
    evaluation = _predict_and_evaluate(folder, prepared, observer, device)
    record = RunRecord(prepared, result, evaluation)
    write_run_report(folder, record)
    return Run(folder.root, folder.best, folder.report, result, evaluation)


def _fit(
    folder: RunFolder, prepared: Prepared, *, is_resumed: bool, observer: Observer
) -> FitResult:
    run_plan = prepared.plan
    config, fingerprint, split = run_plan.config, run_plan.fingerprint, run_plan.split
    table = fingerprint.labels
    learnt = first_pass(fingerprint, config.fine)
    # For weight=auto: what is held out must not tell how rare a class is.
    shares = class_fractions(prepared.scan, learnt.labels, split.train)
    return fit(
        config,
        table,
        _open_cases(folder, prepared, split.train, observer),
        _open_cases(folder, prepared, split.val, observer),
        folder.fold,
        class_fractions=replace(learnt, class_fractions=shares).logit_fractions,
        device=prepared.device,
        header=_header(run_plan, table, prepared.device),
        is_resumed=is_resumed,
        observer=observer,
    )


def _open_cases(
    folder: RunFolder, prepared: Prepared, ids: tuple[str, ...], observer: Observer
) -> list[Sample]:
    """Prepare some cases, or take them from the cache, and map their arrays."""
    config = prepared.plan.config
    cases = prepare_cases(
        prepared.cases(ids),
        prepared.plan.fingerprint.labels,
        config.preprocess,
        make_folder(folder.cache),
        weights=config.weight_map,
        sampling=config.sampling,
        align=config.data.align,
        progress=observer.preparing,
    )
    return [case.open() for case in cases]


def _header(run_plan: Plan, table: LabelTable, device: DeviceFacts) -> BundleHeader:
    fingerprint = run_plan.fingerprint
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
        thresholds=small_thresholds(run_plan.config.fine),
        fine=run_plan.config.fine if run_plan.config.fine.classes else None,
        channel_names=fingerprint.channel_names,
    )


def _predict_and_evaluate(
    folder: RunFolder, prepared: Prepared, observer: Observer, device: str
) -> Evaluation | None:
    """Predict the validation cases with the best model, and score the files that were written."""
    split, fingerprint = prepared.plan.split, prepared.plan.fingerprint
    if not split.val:
        return None
    cases = prepared.cases(split.val)
    observer.note(
        f"predicting {format_count(len(split.val), 'validation case')} with the best weights"
    )
    predictor = load(folder.best, device=device)
    predict_cases(
        predictor,
        cases,
        folder.predictions,
        progress=lambda done, total, name: observer.validating(done, total),
    )
    config = prepared.plan.config
    evaluation = evaluate_run(
        folder.predictions,
        prepared.layout.root,
        [slice_ for case in cases for slice_ in case.planes or (case,)],
        fingerprint.labels,
        is_resampled=config.data.align,
    )
    fine = config.fine
    if fine.classes:
        observer.note(f"looking for {', '.join(fine.classes)} in the true regions too")
        samples = _open_cases(folder, prepared, split.val, observer)
        boxes = compare_boxes(
            predictor, samples, fine, groups=fingerprint.groups, progress=observer.validating
        )
        evaluation = replace(evaluation, boxes=boxes)
    write_evaluation(evaluation, folder.evaluation)
    return evaluation
