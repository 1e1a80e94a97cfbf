"""Score the predicted validation cases of a run, in whatever form they are."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from ushape.data.case_image import read_case_header
from ushape.data.layouts import CaseFiles, ClassMask
from ushape.errors import DataError
from ushape.evaluate import (
    REGION_METRICS,
    CasePair,
    Evaluation,
    Reading,
    Scorer,
    ScoreSettings,
    choose_metrics,
    choose_side,
    files_of,
    score_cases,
    summarise,
)
from ushape.evaluate.find import RECORD
from ushape.evaluate.listing import label_files
from ushape.labels import LabelTable
from ushape.predict.write import written_form

Listing = Callable[[Path], Mapping[str, Path]]
"""Lists the label files of a folder by case."""


def evaluate_run(
    predictions: Path,
    truths: Path,
    cases: Sequence[CaseFiles],
    table: LabelTable,
    *,
    is_resampled: bool = False,
) -> Evaluation:
    """Score predicted validation cases.

    Args:
        predictions: Folder of what was predicted.
        truths: The data set, for messages.
        cases: The validation cases. Where they belong to several subjects, or are slices of several
            stacks, intervals are over these.
        table: The classes.
        is_resampled: Bring predictions on another grid to that of the labels.
    """
    labelled = [case for case in cases if case.label_paths]
    if not labelled:
        raise DataError(f"{truths}: none of the {len(cases)} validation cases has a label")
    dims = 3 if labelled[0].planes else read_case_header(labelled[0]).grid.spatial_dims
    count = len(table.foreground)
    settings = ScoreSettings(
        choose_metrics(None, "binary" if count == 1 else "multiclass", dims), regions="foreground"
    )
    scorer = Scorer(
        _predicted(table, dims), _true(table, dims), settings, is_resampled=is_resampled
    )
    pairs, problems = _pairs(predictions, labelled, table)
    has_side = count == 1 and bool(REGION_METRICS & set(settings.metrics))
    if has_side:
        scorer.settings = replace(settings, regions=choose_side(scorer, pairs))
    scored = score_cases(scorer, pairs, problems)
    side = scorer.settings.regions if has_side else None
    return summarise(scored, table, regions=side, problems=problems, settings=scorer.settings)


def predicted_files(
    predictions: Path, case: CaseFiles, table: LabelTable, listed: Listing = label_files
) -> CaseFiles:
    """Say where the prediction of a case lies: the same case with what was predicted as its labels.

    A stack whose slices were written one by one has its predictions in `planes`. Where there is no
    file, the one is named that `ushape predict` would write.

    Args:
        predictions: Folder of what was predicted.
        case: Of the data set.
        table: The classes.
        listed: How folders are listed; for many cases one that remembers.
    """
    form = written_form(table)
    names = [entry.name for entry in table.foreground]
    first = predictions / names[0] if form == "folders" else predictions
    if case.planes and case.id not in listed(first):
        planes = tuple(predicted_files(predictions, plane, table, listed) for plane in case.planes)
        return replace(case, label=None, masks=(), planes=planes)

    def find(folder: Path, suffix: str) -> Path:
        return listed(folder).get(case.id, folder / f"{case.id}{suffix}")

    if form == "folders":
        masks = tuple(ClassMask(name, find(predictions / name, ".png")) for name in names)
        return replace(case, label=None, masks=masks, planes=())
    label = find(predictions, ".tif" if form == "channels" else ".png")
    return replace(case, label=label, masks=(), planes=())


def _predicted(table: LabelTable, dims: int) -> Reading:
    """Say how `ushape predict` writes these classes."""
    places = tuple((place,) for place in range(len(table.foreground)))
    form = written_form(table)
    if form == "folders" or form == "channels":
        return Reading(form, dims, places, num_masks=len(places))
    return Reading("values", dims, places, table)


def _true(table: LabelTable, dims: int) -> Reading:
    """Say how the labels of a run's data set hold the classes."""
    if table.form == "values" or table.form == "instances":
        places = tuple((place,) for place in range(len(table.foreground)))
        return Reading("values", dims, places, table)
    members = tuple(tuple(value - 1 for value in entry.members) for entry in table.foreground)
    num_masks = len({place for group in members for place in group})
    return Reading(table.form, dims, members, ignore=table.ignore, num_masks=num_masks)


def _pairs(
    predictions: Path, cases: Sequence[CaseFiles], table: LabelTable
) -> tuple[list[CasePair], list[str]]:
    """Join predictions and truth; what was not predicted is a problem."""
    failed, listed = _failed(predictions), cache(label_files)
    # One subject, or a single stack, leaves nothing to draw an interval from.
    has_groups = len({case.group for case in cases} - {None}) > 1
    pairs, problems = [], []
    for case in cases:
        found = files_of(predicted_files(predictions, case, table, listed))
        why = failed.get(str(case.image))
        if why is not None:
            problems.append(f"{case.image}: was not predicted ({why})")
        elif not found.path.exists():
            problems.append(f"{found.path}: there is no prediction of the case {case.id}")
        else:
            group = case.group if has_groups else None
            pairs.append(CasePair(case.id, found, files_of(case), group))
    return pairs, problems


def _failed(predictions: Path) -> dict[str, str]:
    record = predictions / RECORD
    if not record.is_file():
        return {}
    try:
        return dict(json.loads(record.read_text(encoding="utf-8")).get("failed", {}))
    except (OSError, ValueError) as error:
        raise DataError(f"{record}: damaged ({error}); predict again") from error
