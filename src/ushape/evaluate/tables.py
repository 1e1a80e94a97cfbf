"""Write an evaluation as a table and as JSON."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path

from ushape.evaluate.scores import CaseScores, Evaluation
from ushape.evaluate.settings import OVERLAP_METRICS
from ushape.files import write_json, write_text
from ushape.metrics import Interval


def write_evaluation(evaluation: Evaluation, stem: Path) -> tuple[Path, Path]:
    """Write `STEM.csv` (one line a case, then mean, low and high) and `STEM.json`.

    Columns are CLASS_METRIC: first the overlap of all classes, then V_rand of binary targets,
    then everything else, then the group if there is one.

    Returns:
        The two paths.
    """
    places = _places(evaluation)
    groups = [case.group or "" for case in evaluation.cases]
    has_groups = any(groups)
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["case", *places, *(["group"] if has_groups else [])])
    for case, group in zip(evaluation.cases, groups, strict=True):
        cells = [_cell(_value(case, place)) for place in places.values()]
        writer.writerow([case.id, *cells, *([group] if has_groups else [])])
    intervals = [_interval(evaluation, place) for place in places.values()]
    for row in ("mean", "low", "high"):
        cells = [_cell(getattr(interval, row)) for interval in intervals]
        writer.writerow([row, *cells, *([""] if has_groups else [])])
    paths = stem.with_suffix(".csv"), stem.with_suffix(".json")
    write_text(paths[0], table.getvalue())
    write_json(paths[1], evaluation.to_json())
    return paths


_Place = tuple[str, int] | None
"""A column of the scores and the number of the class; None is V_rand of the case."""


def _places(evaluation: Evaluation) -> dict[str, _Place]:
    """Name the columns of the table and say where their values are."""
    others = [column for column in evaluation.class_means if column not in OVERLAP_METRICS]
    places: dict[str, _Place] = {}
    for columns in (OVERLAP_METRICS, others):
        for number, name in enumerate(evaluation.class_names):
            places |= {f"{name}_{column}": (column, number) for column in columns}
        if columns is OVERLAP_METRICS and evaluation.v_rand is not None:
            places["v_rand"] = None
    return places


def _value(case: CaseScores, place: _Place) -> float:
    if place is not None:
        return case.classes[place[0]][place[1]]
    return math.nan if case.v_rand is None else case.v_rand


def _interval(evaluation: Evaluation, place: _Place) -> Interval:
    if place is not None:
        return evaluation.class_means[place[0]][place[1]]
    assert evaluation.v_rand is not None
    return evaluation.v_rand


def _cell(value: float) -> str:
    return f"{value:.6f}" if math.isfinite(value) else ""
