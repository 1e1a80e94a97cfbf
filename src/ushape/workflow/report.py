"""Fill a report from a run: its plan, its log, its predictions and scores."""

from __future__ import annotations

import math
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import torch

import ushape
from ushape.bundle import load_bundle
from ushape.config.load import config_tree
from ushape.evaluate import Evaluation
from ushape.evaluate.evaluation import OVERLAP_METRICS
from ushape.metrics import Interval
from ushape.nets import describe
from ushape.plan.usual import is_usual
from ushape.report import (
    Card,
    History,
    ReportContent,
    Setting,
    Table,
    write_report,
)
from ushape.sizes import format_count, format_duration, format_size
from ushape.training.observe import read_log
from ushape.workflow.box_table import box_table
from ushape.workflow.data_facts import data_facts
from ushape.workflow.folder import RunFolder
from ushape.workflow.overlays import choose_overlays
from ushape.workflow.record import RunRecord


def write_run_report(folder: RunFolder, record: RunRecord) -> None:
    """Write `report.html` of a finished run."""
    config, fingerprint = record.plan.config, record.plan.fingerprint
    bundle = load_bundle(folder.best)
    figure = describe(bundle.network.spec, None)
    content = ReportContent(
        title=fingerprint.name,
        subtitle=f"{config.model.name}, {figure.trainable_parameters:,} parameters",
        created=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        cards=_cards(record, figure.trainable_parameters),
        data_facts=_data_facts(record),
        problems=tuple(str(problem) for problem in record.scan.problems),
        history=_history(folder, record),
        case_table=_table(record.evaluation) if record.evaluation else None,
        box_table=box_table(record.evaluation) if record.evaluation else None,
        overlays=choose_overlays(folder.predictions, record),
        settings=_settings(record),
        commands=_commands(folder, record),
        environment=_environment(record),
    )
    write_report(folder.report, content)


def _data_facts(record: RunRecord) -> tuple[tuple[str, str], ...]:
    """Say what was trained on what."""
    split = record.plan.split
    first, *others = (
        (title.capitalize(), "\n".join(lines))
        for title, lines in data_facts(record.plan.fingerprint, record.scan)
    )
    return (
        first,
        ("Training cases", f"{len(split.train)}: {_listing(split.train)}"),
        ("Validation cases", f"{len(split.val)}: {_listing(split.val)}\n{split.reason}"),
        *others,
    )


def _cards(record: RunRecord, parameters: int) -> tuple[Card, ...]:
    cards = []
    evaluation = record.evaluation
    if evaluation:
        for number, name in enumerate(evaluation.class_names[:4]):
            dice = evaluation.class_means["dice"][number]
            iou = evaluation.class_means["iou"][number]
            label = "Dice" if len(evaluation.class_names) == 1 else f"Dice, {name}"
            cards.append(Card(label, _number(dice.mean), _interval_note(dice)))
            if len(evaluation.class_names) == 1:
                cards.append(Card("IoU", _number(iou.mean), _interval_note(iou)))
        if evaluation.v_rand:
            rand = evaluation.v_rand
            cards.append(Card("V_rand", _number(rand.mean), _interval_note(rand)))
    fit = record.fit
    cards.append(Card("Parameters", f"{parameters / 1e6:.2f} M", record.plan.config.model.name))
    cards.append(Card("Training", format_duration(fit.seconds), record.device.name))
    pixels = math.prod(record.plan.config.patch.size) * record.plan.config.patch.batch
    unit = "pixels" if len(record.plan.config.patch.size) == 2 else "voxels"
    cards.append(Card("Steps", f"{fit.steps:,}", f"{pixels:,} {unit} each"))
    return tuple(cards)


def _history(folder: RunFolder, record: RunRecord) -> History:
    events = read_log(folder.log)
    steps = [event for event in events if event["event"] == "step"]
    steps = [event for event in steps if event["loss"] is not None]
    validations = [event for event in events if event["event"] == "validation"]
    validations = [event for event in validations if event["score"] is not None]
    return History(
        steps=tuple(event["step"] for event in steps),
        losses=tuple(event["loss"] for event in steps),
        val_steps=tuple(event["step"] for event in validations),
        val_scores=tuple(event["score"] for event in validations),
        learning_rates=tuple(event["learning_rate"] for event in steps),
        best_step=record.fit.best_step if validations else None,
        x_seconds=tuple(event["spent_s"] for event in steps),
        score_name="validation Dice",
    )


def _table(evaluation: Evaluation) -> Table:
    many = len(evaluation.class_names) > 1
    metrics = ("dice",) if len(evaluation.class_names) > 3 else OVERLAP_METRICS
    titles = {"dice": "Dice", "iou": "IoU", "precision": "Precision", "recall": "Recall"}
    places = [(n, m) for n in range(len(evaluation.class_names)) for m in metrics]
    columns = ["Case"] + [
        f"{evaluation.class_names[n]} {titles[m]}" if many else titles[m] for n, m in places
    ]
    intervals = [evaluation.class_means[m][n] for n, m in places]
    if evaluation.v_rand:
        columns.append("V_rand")
        intervals.append(evaluation.v_rand)
    rows = []
    for case in evaluation.cases:
        cells = [_number(case.classes[m][n]) for n, m in places]
        if evaluation.v_rand:
            cells.append(_number(case.v_rand if case.v_rand is not None else math.nan))
        rows.append((case.id, *cells))
    summary = (
        ("mean", *(_number(interval.mean) for interval in intervals)),
        ("95 % interval", *(_span(interval) for interval in intervals)),
    )
    return Table(tuple(columns), tuple(rows), summary)


def _settings(record: RunRecord) -> tuple[Setting, ...]:
    reasons = record.plan.reasons
    settings = []
    for section, value in config_tree(record.plan.config).items():
        if not isinstance(value, dict):
            settings.append(_setting(section, _text(value), reasons))
            continue
        if section in reasons:
            settings.append(Setting(section, "", reasons[section]))
        for key, item in value.items():
            full = f"{section}.{key}"
            text = (
                record.plan.fingerprint.labels.describe() if full == "data.labels" else _text(item)
            )
            settings.append(_setting(full, text, reasons))
    return tuple(settings)


def _setting(key: str, text: str, reasons: Mapping[str, str]) -> Setting:
    reason = reasons.get(key, "")
    return Setting(key, text, reason, is_usual(key, reason))


def _text(value: object) -> str:
    """Write a setting's value the way people read it."""
    if isinstance(value, list):
        return format_size(value) if all(isinstance(v, int) for v in value) else str(value)
    if isinstance(value, dict):
        return ", ".join(f"{key} = {_text(item)}" for key, item in value.items()) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "-" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _commands(folder: RunFolder, record: RunRecord) -> tuple[tuple[str, str], ...]:
    root = folder.root
    data = record.plan.config.data.root
    reader, image = _reading(record)
    python = "\n".join(
        (
            "import ushape",
            f"from ushape.data.io import {reader}",
            "",
            f'model = ushape.load("{folder.best}")',
            f"labels = model.predict({reader}({image}))",
        )
    )
    return (
        ("Predict new images", f"ushape predict {root} IMAGES --out PREDICTIONS"),
        (
            "Train again with the same settings",
            f"ushape train {data} --config {folder.config} --out ANOTHER_RUN",
        ),
        ("Score predictions", f"ushape evaluate PREDICTIONS {data}"),
        (
            "Give the model to a colleague: this one file holds all that prediction needs",
            f"cp {folder.best} {record.plan.fingerprint.name}.safetensors",
        ),
        ("Use it from Python", python),
    )


def _reading(record: RunRecord) -> tuple[str, str]:
    """Name the function that reads what the model takes, and its arguments."""
    config = record.plan.config
    if len(config.patch.size) == 2:
        return "read_image", '"image.png"'
    if record.plan.fingerprint.is_stack:
        return "read_stack", f'["s1.png", "s2.png", "s3.png"], spacing_mm={config.data.stack_mm}'
    return "read_volume", '"scan.nii.gz"'


def _environment(record: RunRecord) -> tuple[tuple[str, str], ...]:
    device = record.device
    return (
        ("ushape", ushape.__version__),
        ("torch", torch.__version__),
        ("Python", platform.python_version()),
        ("seed", str(record.plan.config.train.seed)),
        ("device", device.name),
        ("threads", str(device.num_threads)),
        ("precision", record.plan.config.train.precision),
    )


def _listing(names: Sequence[str]) -> str:
    if len(names) <= 12:
        return ", ".join(names) or "none"
    return f"{', '.join(names[:5])} ... {', '.join(names[-3:])}"


def _number(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else "-"


def _span(interval: Interval) -> str:
    if not math.isfinite(interval.low):
        return "-"
    return f"{interval.low:.3f} to {interval.high:.3f}"


def _interval_note(interval: Interval) -> str:
    cases = format_count(interval.num_cases, "case")
    if not math.isfinite(interval.low):
        return cases
    return f"95 % interval {_span(interval)}, {cases}"
