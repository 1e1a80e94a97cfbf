"""Score the predicted validation cases of a run, in whatever form they are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ushape.data.io import read_image
from ushape.data.layouts import CaseFiles, ClassMask
from ushape.data.masks import read_masks
from ushape.data.preprocess import read_case_target, read_target
from ushape.data.targets import class_masks, void_mask
from ushape.errors import DataError
from ushape.evaluate import (
    Evaluation,
    LabelFile,
    ScoreSettings,
    choose_metrics,
    evaluate_folders,
    evaluate_masks,
    summarise,
)
from ushape.evaluate.scores import CaseScores
from ushape.labels import LabelTable
from ushape.predict.files import written_form


def evaluate_run(
    predictions: Path, truths: Path, cases: Sequence[CaseFiles], table: LabelTable
) -> Evaluation:
    """Score predicted validation cases.

    Args:
        predictions: Folder of what was predicted.
        truths: The data set, or its folder of labels.
        cases: The validation cases.
        table: The classes.
    """
    if not table.writes_masks:
        return evaluate_folders(predictions, truths, ignore=table.ignore, read=_read)
    settings = ScoreSettings(choose_metrics(None, "multilabel"))
    scores: list[CaseScores] = []
    problems: list[str] = []
    for case in cases:
        try:
            scores.append(_score(predictions, case, table, settings))
        except DataError as error:
            problems.append(str(error))
    if not scores:
        raise DataError(f"{predictions}: nothing could be evaluated: {'; '.join(problems)}")
    return summarise(scores, table, problems=problems, settings=settings)


def predicted_files(predictions: Path, case: CaseFiles, table: LabelTable) -> CaseFiles:
    """Say where the prediction of a case lies."""
    form = written_form(table)
    if form == "folders":
        names = (entry.name for entry in table.foreground)
        masks = tuple(ClassMask(name, predictions / name / f"{case.id}.png") for name in names)
        return CaseFiles(case.id, case.image, None, masks)
    suffix = ".tif" if form == "channels" else ".png"
    return CaseFiles(case.id, case.image, predictions / f"{case.id}{suffix}")


def _score(
    predictions: Path, case: CaseFiles, table: LabelTable, settings: ScoreSettings
) -> CaseScores:
    size = read_image(case.image).shape[1:]
    found = read_masks(predicted_files(predictions, case, table), size)
    assert found is not None, "predictions of such classes are masks"
    target = read_case_target(case, table, size)
    void = void_mask(target, table)
    return evaluate_masks(case.id, found.masks, class_masks(target, table), settings, ignore=void)


def _read(path: Path, labels: LabelTable, ignore: int | None) -> LabelFile:
    """Read a label picture, or array, of values."""
    target = read_target(path, labels)
    ignored = None if ignore is None else void_mask(target, labels)
    if ignored is None or not ignored.any():
        return LabelFile(target.astype(np.uint8))
    return LabelFile(np.where(ignored, 0, target).astype(np.uint8), ignored)
