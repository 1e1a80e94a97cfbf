"""Read the scores of a method from what `ushape evaluate` wrote."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ushape.errors import DataError
from ushape.metrics import Metric, metric_of_column

SUMMARY_ROWS = ("mean", "low", "high")
"""How `evaluation.csv` ends."""

Column = tuple[str, str]
"""Class (empty for a score of the whole case) and column, such as ("cell", "hd95_mm")."""


@dataclass(frozen=True)
class ScoreTable:
    """Scores of one method by case.

    Attributes:
        source: Where they come from.
        cases: In order.
        scores: Column -> case -> value, nan where undefined.
        groups: Subject of every case, where it was recorded.
        tolerance: At which NSD and boundary F were measured, if recorded.
    """

    source: str
    cases: tuple[str, ...]
    scores: Mapping[Column, Mapping[str, float]]
    groups: Mapping[str, str] = field(default_factory=dict)
    tolerance: float | None = None


def load_scores(path: Path) -> ScoreTable:
    """Read `evaluation.json` or `evaluation.csv`.

    Args:
        path: The file, the folder that holds it, or the folder of a run with one fold.

    Raises:
        DataError: There is no such file, or it holds something else.
    """
    file = _find(path)
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file}: cannot be read ({error}); {_EXPECTED}") from error
    if file.suffix.lower() == ".csv":
        return _from_csv(str(file), text)
    try:
        found = json.loads(text)
        return table_of(found, str(file))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{file}: holds no evaluation ({error}); {_EXPECTED}") from error


def table_of(evaluation: Mapping[str, Any], source: str) -> ScoreTable:
    """Take the scores out of an evaluation as plain data (`Evaluation.to_json`).

    Args:
        evaluation: The plain data.
        source: Where it comes from, for messages.

    Raises:
        DataError: One case stands twice, or there is none.
        KeyError: It is no evaluation.
    """
    scores: dict[Column, dict[str, float]] = {}
    cases = []
    for case in evaluation["cases"]:
        name = str(case["id"])
        cases.append(name)
        for key, value in case.items():
            if key == "id":
                continue
            class_name, values = (key, value) if isinstance(value, dict) else ("", {key: value})
            for column, score in values.items():
                if _metric(column) is not None:
                    number = math.nan if score is None else float(score)
                    scores.setdefault((class_name, column), {})[name] = number
    settings = evaluation.get("settings", {})
    groups = {str(case): str(group) for case, group in evaluation.get("groups", {}).items()}
    return _checked(ScoreTable(source, tuple(cases), scores, groups, settings.get("tolerance")))


def metric_of(column: Column) -> Metric:
    """Return the metric of a column of a `ScoreTable`."""
    metric = _metric(column[1])
    assert metric is not None
    return metric


_EXPECTED = "give a folder or file that `ushape evaluate` wrote, or predictions with --truth"


def _find(path: Path) -> Path:
    if path.is_file():
        if path.suffix.lower() not in (".json", ".csv"):
            raise DataError(f"{path}: is neither .json nor .csv; {_EXPECTED}")
        return path
    if not path.exists():
        raise DataError(f"{path}: there is no such file or folder; {_EXPECTED}")
    for ending in ("json", "csv"):
        files = [path / f"evaluation.{ending}", *sorted(path.glob(f"fold_*/evaluation.{ending}"))]
        found = [file for file in files if file.is_file()]
        if len(found) > 1 and found[0].parent != path:
            names = ", ".join(file.parent.name for file in found)
            raise DataError(f"{path}: holds several evaluations ({names}); give one of them")
        if found:
            return found[0]
    raise DataError(f"{path}: holds no evaluation.json or evaluation.csv; {_EXPECTED}")


def _from_csv(source: str, text: str) -> ScoreTable:
    rows = [row for row in csv.reader(text.splitlines()) if row]
    if len(rows) < 2 or rows[0][0] != "case" or any(len(row) != len(rows[0]) for row in rows):
        raise DataError(f"{source}: is no table of scores, whose first column is case; {_EXPECTED}")
    head, *lines = rows
    if [row[0] for row in lines[-3:]] == list(SUMMARY_ROWS):
        lines = lines[:-3]
    scores: dict[Column, dict[str, float]] = {}
    groups: dict[str, str] = {}
    for number, title in enumerate(head[1:], start=1):
        if title == "group":
            groups = {row[0]: row[number] for row in lines if row[number]}
            continue
        found = metric_of_column(title)
        if found is None:
            continue
        class_name = found[0]
        column = title.removeprefix(f"{class_name}_") if class_name else title
        scores[class_name, column] = {
            row[0]: _number(source, title, row[0], row[number]) for row in lines
        }
    return _checked(ScoreTable(source, tuple(row[0] for row in lines), scores, groups))


def _number(source: str, column: str, case: str, cell: str) -> float:
    try:
        return float(cell) if cell.strip() else math.nan
    except ValueError as error:
        raise DataError(
            f"{source}: {column} of case {case} is {cell!r}, no number; correct it"
        ) from error


def _metric(column: str) -> Metric | None:
    found = metric_of_column(column)
    return found[1] if found is not None and not found[0] else None


def _checked(table: ScoreTable) -> ScoreTable:
    twice = sorted({case for case in table.cases if table.cases.count(case) > 1})
    if twice:
        raise DataError(f"{table.source}: the case {twice[0]} stands twice; remove one of them")
    if not table.cases or not table.scores:
        raise DataError(f"{table.source}: holds no scores by case; {_EXPECTED}")
    return table
