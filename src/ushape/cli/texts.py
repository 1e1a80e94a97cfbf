"""Plans and evaluations as lines for the terminal."""

from __future__ import annotations

import math

from ushape.cli.plan_rows import plan_rows, row_lines
from ushape.config.load import config_tree
from ushape.data.scan import Scan
from ushape.evaluate import Evaluation
from ushape.evaluate.evaluation import OVERLAP_METRICS
from ushape.metrics import Interval
from ushape.plan import Fingerprint
from ushape.workflow import Prepared
from ushape.workflow.data_facts import data_facts


def fingerprint_lines(found: Fingerprint, scan: Scan | None = None) -> list[str]:
    """Say what was understood of a data set; with the scan also how its files are stored."""
    lines = []
    for title, texts in data_facts(found, scan):
        lines += [f"{title if not number else '':8} {text}" for number, text in enumerate(texts)]
    return [line.rstrip() for line in lines]


def fingerprint_json(found: Fingerprint) -> dict[str, object]:
    """Return what was understood of a data set as plain data, without what the scan holds too."""
    return {
        "labels": found.labels.to_json(),
        "median_size": found.median_size,
        "spacing_mm": found.spacing_mm,
        "content_size": found.content_size,
        "is_stack": found.is_stack,
        "channels": found.channels,
        "channel_names": found.channel_names,
        "modality": found.modality,
        "foreground_intensities": [inside._asdict() for inside in found.intensities],
        "outlier_ratio": found.outlier_ratio,
        "class_fractions": found.class_fractions,
        "class_cases": found.class_cases,
        "groups": dict(found.groups),
    }


def plan_lines(prepared: Prepared) -> list[str]:
    """Say what was understood, what will be run, and why."""
    lines = fingerprint_lines(prepared.plan.fingerprint)
    return lines + [line.rstrip() for row in plan_rows(prepared) for line in row_lines(row)]


def plan_json(prepared: Prepared) -> dict[str, object]:
    """Return a plan as plain data."""
    found, split = prepared.plan.fingerprint, prepared.plan.split
    return {
        "config": config_tree(prepared.plan.config),
        "reasons": dict(prepared.plan.reasons),
        "split": {"train": split.train, "val": split.val, "why": split.reason},
        "cases": len(found.case_ids),
        "labels": found.labels.to_json(),
        "target": found.labels.target,
        "class_fractions": found.class_fractions,
        "void_fraction": found.void_fraction,
        "problems": [*map(str, prepared.scan.problems), *prepared.plan.warnings],
    }


def evaluation_lines(evaluation: Evaluation) -> list[str]:
    """Write means with 95 % intervals, one line a class."""
    width = max(10, *(len(name) for name in evaluation.class_names))
    lines = [f"{'':{width}}  " + "".join(f"{name:<24}" for name in OVERLAP_METRICS)]
    for number, name in enumerate(evaluation.class_names):
        cells = (evaluation.class_means[metric][number] for metric in OVERLAP_METRICS)
        lines.append(f"{name:{width}}  " + "".join(f"{interval_text(cell):<24}" for cell in cells))
    if evaluation.v_rand:
        lines.append(
            f"{'V_rand':{width}}  {interval_text(evaluation.v_rand)}  "
            f"(regions: connected parts of the {evaluation.regions})"
        )
    dice = evaluation.class_means["dice"]
    missing = max((interval.num_undefined for interval in dice), default=0)
    without = f"; up to {missing} without a class in truth and prediction" if missing else ""
    count = len(evaluation.cases)
    kind = "1 case: no interval" if count == 1 else f"{count} cases, 95 % bootstrap intervals"
    lines.append(kind + without)
    return [line.rstrip() for line in lines]


def interval_text(interval: Interval) -> str:
    """Write `0.812 (0.790 to 0.834)`; a dash where nothing is defined."""
    if not math.isfinite(interval.mean):
        return "-"
    if not math.isfinite(interval.low):
        return f"{interval.mean:.3f}"
    return f"{interval.mean:.3f} ({interval.low:.3f} to {interval.high:.3f})"
