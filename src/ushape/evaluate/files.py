"""Score a folder of predicted label pictures against the truth, and write the tables."""

from __future__ import annotations

import csv
import io
import json
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ushape.data.io import PICTURE_SUFFIXES, read_label
from ushape.data.layouts import find_cases, natural_key
from ushape.data.preprocess import read_target
from ushape.errors import DataError
from ushape.evaluate.evaluation import (
    OVERLAP_METRICS,
    CaseScores,
    Evaluation,
    evaluate_maps,
    summarise,
)
from ushape.files import write_json, write_text
from ushape.labels import LabelTable, choose_labels
from ushape.metrics import Interval, choose_regions
from ushape.sizes import format_size

RECORD = "predictions.json"


def evaluate_folders(
    predictions: Path,
    truth: Path,
    *,
    foreground: str | None = None,
    names: Mapping[str, int] | None = None,
    regions: str = "auto",
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Score predicted label pictures.

    Args:
        predictions: Folder of label pictures; `predictions.json` in it, if there, tells classes.
        truth: Folder of label pictures with the same names, or a data set (its labels are taken).
        foreground: The value that is the foreground; overrides `predictions.json`.
        names: Class names with their values, background first; overrides `predictions.json`.
        regions: Which side V_rand takes as regions: `auto`, `background` or `foreground`.
        progress: Called with (done, total).

    Returns:
        Scores of every prediction that has a truth; the others are in `problems`.

    Raises:
        DataError: There is nothing to compare.
    """
    predicted, true = _pictures(predictions), _truths(truth)
    shared = sorted(predicted.keys() & true.keys(), key=natural_key)
    if not shared:
        raise DataError(
            f"no picture in {predictions} ({_some(predicted)}) has the name of one in {truth} "
            f"({_some(true)}): names must be equal up to the ending"
        )
    problems = [
        f"{predicted[name]}: no truth of this name in {truth}"
        for name in sorted(predicted.keys() - true.keys(), key=natural_key)
    ]
    problems += _failed_before(predictions)
    labels = _labels(predictions, {n: true[n] for n in shared}, foreground, names)
    if labels.target == "binary" and regions == "auto":
        regions = choose_regions(_masks({name: true[name] for name in shared}, labels))
    cases: list[CaseScores] = []
    for done, name in enumerate(shared):
        try:
            cases.append(_score(name, predicted[name], true[name], labels, regions))
        except DataError as error:
            problems.append(str(error))
        if progress:
            progress(done + 1, len(shared))
    if not cases:
        more = f"; and {len(problems) - 1} more" if len(problems) > 1 else ""
        raise DataError(f"nothing could be evaluated: {problems[0]}{more}")
    side = regions if labels.target == "binary" else None
    evaluation = summarise(cases, labels, regions=side, problems=problems)
    return replace(evaluation, num_without_prediction=len(true.keys() - predicted.keys()))


def write_evaluation(evaluation: Evaluation, stem: Path) -> tuple[Path, Path]:
    """Write `STEM.csv` (one line a case, then mean, low and high) and `STEM.json`.

    Returns:
        The two paths.
    """
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    columns = [f"{n}_{m}" for n in evaluation.class_names for m in OVERLAP_METRICS]
    with_rand = evaluation.v_rand is not None
    writer.writerow(["case", *columns, *(["v_rand"] if with_rand else [])])
    for case in evaluation.cases:
        cells = [
            _cell(case.classes[metric][number])
            for number in range(len(evaluation.class_names))
            for metric in OVERLAP_METRICS
        ]
        rand = [_cell(case.v_rand if case.v_rand is not None else math.nan)] if with_rand else []
        writer.writerow([case.id, *cells, *rand])
    for row in ("mean", "low", "high"):
        writer.writerow([row, *(_cell(getattr(i, row)) for i in _intervals(evaluation))])
    paths = stem.with_suffix(".csv"), stem.with_suffix(".json")
    write_text(paths[0], table.getvalue())
    write_json(paths[1], evaluation.to_json())
    return paths


def _intervals(evaluation: Evaluation) -> list[Interval]:
    found = [
        evaluation.class_means[metric][number]
        for number in range(len(evaluation.class_names))
        for metric in OVERLAP_METRICS
    ]
    return [*found, evaluation.v_rand] if evaluation.v_rand else found


def _score(
    name: str, prediction: Path, truth: Path, labels: LabelTable, regions: str
) -> CaseScores:
    predicted, true = read_target(prediction, labels), read_target(truth, labels)
    if predicted.shape != true.shape:
        raise DataError(
            f"{prediction}: size {format_size(predicted.shape)}, the truth {truth} has "
            f"{format_size(true.shape)}; predict the image that the truth belongs to"
        )
    return evaluate_maps(name, predicted, true, labels, regions=regions)


def _masks(truths: Mapping[str, Path], labels: LabelTable) -> Iterator[npt.NDArray[np.bool_]]:
    """Read the foreground masks of the truths that can be read; the others are reported later."""
    for path in truths.values():
        try:
            yield read_target(path, labels) == 1
        except DataError:
            continue


def _labels(
    predictions: Path,
    truths: Mapping[str, Path],
    foreground: str | None,
    names: Mapping[str, int] | None,
) -> LabelTable:
    record = predictions / RECORD
    if foreground is None and not names and record.is_file():
        try:
            return LabelTable.from_json(json.loads(record.read_text(encoding="utf-8"))["labels"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"{record}: damaged ({error}); delete it and give --labels") from error
    counts: Counter[int] = Counter()
    is_color = False
    for path in truths.values():
        picture = read_label(path)
        is_color = picture.is_color
        values, number = np.unique(picture.values, return_counts=True)
        counts.update(dict(zip(values.tolist(), number.tolist(), strict=True)))
    return choose_labels(counts, is_color=is_color, foreground=foreground, names=names)


def _failed_before(predictions: Path) -> list[str]:
    record = predictions / RECORD
    if not record.is_file():
        return []
    try:
        failed = json.loads(record.read_text(encoding="utf-8")).get("failed", {})
    except (OSError, ValueError):
        return []
    return [f"{path}: was not predicted ({message})" for path, message in failed.items()]


def _truths(folder: Path) -> dict[str, Path]:
    try:
        layout = find_cases(folder)
    except DataError:
        if folder.is_dir() and not _pictures_in(folder):
            raise
        return _pictures(folder)
    return {case.id: case.label for case in layout.cases if case.label is not None}


def _pictures(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        what = "this is a file" if folder.exists() else "there is no such folder"
        raise DataError(f"{folder}: {what}; give a folder of label pictures")
    found = _pictures_in(folder)
    if not found:
        raise DataError(f"{folder}: holds no PNG, BMP, TIFF or JPEG picture")
    return found


def _pictures_in(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        is_hidden = path.name.startswith(".") or path.stem.endswith(".probabilities")
        if is_hidden or path.suffix.lower() not in PICTURE_SUFFIXES:
            continue
        if path.stem in found:
            raise DataError(
                f"{path}: the name stands twice, also as {found[path.stem].name}; remove one of "
                "them, or put them into two folders"
            )
        found[path.stem] = path
    return found


def _some(names: Mapping[str, Path]) -> str:
    listed = sorted(names, key=natural_key)[:3]
    return ", ".join(listed) + (" ..." if len(names) > 3 else "")


def _cell(value: float) -> str:
    return f"{value:.6f}" if math.isfinite(value) else ""
