"""Fill a report from a run: its plan, its log, its predictions and scores."""

from __future__ import annotations

import math
import platform
from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
import torch

import ushape
from ushape.bundle import load_bundle
from ushape.config.load import config_tree
from ushape.data.io import read_image
from ushape.evaluate import Evaluation
from ushape.evaluate.evaluation import OVERLAP_METRICS, CaseScores
from ushape.metrics import Interval
from ushape.nets import describe
from ushape.report import (
    Card,
    History,
    Overlay,
    ReportContent,
    Setting,
    Table,
    write_report,
)
from ushape.sizes import format_duration, format_size
from ushape.training.observe import read_log
from ushape.workflow.folder import RunFolder
from ushape.workflow.overlaps import compare_pictures
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
        data_facts=data_facts(record),
        problems=tuple(str(problem) for problem in record.scan.problems),
        history=_history(folder, record),
        case_table=_table(record.evaluation) if record.evaluation else None,
        overlays=_overlays(folder, record),
        settings=_settings(record),
        commands=_commands(folder, record),
        environment=_environment(record),
    )
    write_report(folder.report, content)


def data_facts(record: RunRecord) -> tuple[tuple[str, str], ...]:
    """Say in a few lines what was trained on what."""
    found, split = record.plan.fingerprint, record.plan.split
    sizes = format_size(found.median_size)
    if found.smallest_size != found.largest_size:
        span = f"{format_size(found.smallest_size)} to {format_size(found.largest_size)}"
        sizes = f"median {sizes} ({span})"
    low, high = found.value_range
    table = found.labels
    balance = ", ".join(
        f"{entry.name} {share:.2%}"
        for entry, share in zip(table.classes, found.class_fractions, strict=True)
    )
    return (
        ("Data", f"{found.name} ({found.layout})"),
        ("Training cases", f"{len(split.train)}: {_listing(split.train)}"),
        ("Validation cases", f"{len(split.val)}: {_listing(split.val)}\n{split.reason}"),
        ("Image size", sizes),
        (
            "Channels and values",
            f"{'grey' if found.channels == 1 else 'RGB'}, {', '.join(found.value_types)}, "
            f"{low:g} to {high:g}",
        ),
        ("Label values", f"{table.describe()}\n{table.reason}"),
        ("Share of pixels", balance),
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
    cards.append(Card("Steps", f"{fit.steps:,}", f"{pixels:,} pixels each"))
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


def _overlays(folder: RunFolder, record: RunRecord) -> tuple[Overlay, ...]:
    """Show the best, the median and the worst validation case by mean Dice."""
    if record.evaluation is None:
        return ()
    table = record.plan.fingerprint.labels
    cases = {case.id: case for case in record.prepared.layout.cases}
    scored = [(case_dice(case), case.id) for case in record.evaluation.cases]
    ranked = sorted((score, name) for score, name in scored if math.isfinite(score))
    if not ranked:
        return ()
    picks = {"Best": ranked[-1], "Median": ranked[len(ranked) // 2], "Worst": ranked[0]}
    overlays, shown = [], set()
    for title, (score, name) in picks.items():
        if name in shown:
            continue
        shown.add(name)
        image = read_image(cases[name].image)
        pictures = compare_pictures(folder.predictions, cases[name], table, image.shape[1:])
        overlays.append(
            Overlay(
                title=f"{title}: {name}",
                caption=f"Dice {score:.3f}",
                image=image,
                prediction=pictures.prediction,
                truth=pictures.truth,
                class_names=pictures.names,
            )
        )
    return tuple(overlays)


def case_dice(case: CaseScores) -> float:
    """Average a case's Dice over the classes that have one; nan without any."""
    defined = [value for value in case.classes["dice"] if math.isfinite(value)]
    return float(np.mean(defined)) if defined else math.nan


def _settings(record: RunRecord) -> tuple[Setting, ...]:
    reasons = record.plan.reasons
    settings = []
    for section, value in config_tree(record.plan.config).items():
        if not isinstance(value, dict):
            settings.append(Setting(section, _text(value), reasons.get(section, "")))
            continue
        for key, item in value.items():
            full = f"{section}.{key}"
            text = (
                record.plan.fingerprint.labels.describe() if full == "data.labels" else _text(item)
            )
            settings.append(Setting(full, text, reasons.get(full, reasons.get(section, ""))))
    return tuple(settings)


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
    python = "\n".join(
        (
            "import numpy as np",
            "from PIL import Image",
            "import ushape",
            "",
            f'model = ushape.load("{folder.best}")',
            'labels = model.predict(np.asarray(Image.open("image.png")))',
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
    cases = f"{interval.num_cases} case{'s' if interval.num_cases != 1 else ''}"
    if not math.isfinite(interval.low):
        return cases
    return f"95 % interval {_span(interval)}, {cases}"
