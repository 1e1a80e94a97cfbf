"""Score a folder of predictions against the truth, in whatever form and format both are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ushape.data.layouts import natural_key
from ushape.errors import DataError
from ushape.evaluate.classes import ClassWish, Matched, match_classes
from ushape.evaluate.evaluation import summarise
from ushape.evaluate.find import find_source
from ushape.evaluate.listing import name_some
from ushape.evaluate.scores import Evaluation
from ushape.evaluate.scoring import CasePair, Scorer, choose_side, score_cases
from ushape.evaluate.settings import (
    REGION_METRICS,
    ScoreSettings,
    check_tolerance,
    choose_metrics,
    left_out,
)
from ushape.evaluate.sources import LabelSource, settle


def evaluate_folders(
    predictions: Path,
    truth: Path,
    *,
    foreground: str | None = None,
    names: Mapping[str, int] | None = None,
    regions: str = "auto",
    progress: Callable[[int, int], None] | None = None,
    metrics: str | Sequence[str] | None = None,
    tolerance: float | None = None,
    spacing_mm: Sequence[float] | None = None,
    ignore: int | None = None,
    group_of: Callable[[str], str] | None = None,
    min_iou: float = 0.5,
    label_folder: str | None = None,
    classes: Sequence[str] | None = None,
    is_resampled: bool = False,
    target: str | None = None,
) -> Evaluation:
    """Score predicted labels. One case is in memory at a time.

    Either side may hold label values, one folder of masks a class, or one file with a mask a
    channel, 2D or 3D, in any format that `ushape.data.io` reads; see `find_source`.

    Args:
        predictions: Folder of label files; `predictions.json` in it, if there, tells classes.
        truth: Folder of label files of the same names, or a data set (its labels are taken).
            Both may also be single files.
        foreground: The value that is the foreground; overrides `predictions.json`.
        names: Class names with their values, background first; overrides `predictions.json`.
            Of masks: the numbers of folders or channels, from 1.
        regions: Which side region scores take as regions: `auto`, `background` or `foreground`.
        progress: Called with (done, total).
        metrics: Names of metrics or groups of them; by default what suits the kind of target.
        tolerance: Of NSD and boundary F, in mm where the spacing is known, else in pixels. By
            default one voxel: the longest edge of the first case's.
        spacing_mm: Edges of a voxel, z y x; by default what the files say, the truth first.
        ignore: Label value of the truth for pixels that do not count.
        group_of: Gives the subject of a case by its name; intervals are then over subjects.
        min_iou: From which IoU on two objects may match.
        label_folder: The folder of `truth` that holds the labels.
        classes: Names of the classes to score; without them both sides must have the same.
        is_resampled: Bring predictions on another grid to that of the truth, by nearest voxels.
        target: `instances` or `instances+border` where values are numbers of objects.

    Returns:
        Scores of every prediction that has a truth; the others are in `problems`.

    Raises:
        DataError: There is nothing to compare.
        ConfigError: A metric or option is unknown or out of range.
    """
    check_tolerance(tolerance)
    choose_metrics(metrics, "multiclass")  # a wrong name must not cost minutes
    sides = _find(predictions, truth, label_folder)
    wish = ClassWish(foreground, names, ignore, classes, target)
    matched = match_classes(sides.prediction, sides.truth, sides.shared, wish)
    cases = [
        CasePair(
            name,
            sides.prediction.files[name],
            sides.truth.files[name],
            group_of(name) if group_of else None,
        )
        for name in sides.shared
    ]
    kind = "binary" if len(matched.names) == 1 else "multiclass"
    num_axes = matched.truth.spatial_dims
    settings = ScoreSettings(
        choose_metrics(metrics, kind, num_axes),
        regions="foreground" if regions == "auto" else regions,
        min_iou=min_iou,
        left_out=left_out(metrics, num_axes),
    )
    scorer = Scorer(
        matched.prediction, matched.truth, settings, tolerance, spacing_mm, is_resampled
    )
    has_side = kind == "binary" and bool(REGION_METRICS & set(settings.metrics))
    if regions == "auto" and has_side:
        scorer.settings = replace(settings, regions=choose_side(scorer, cases))
    problems = list(sides.problems)
    scored = score_cases(scorer, cases, problems, progress)
    evaluation = summarise(
        scored,
        matched.names,
        regions=scorer.settings.regions if has_side else None,
        problems=problems,
        settings=scorer.settings,
    )
    return replace(
        evaluation,
        num_without_prediction=len(sides.truth.files.keys() - sides.prediction.files.keys()),
        understood=_tell(sides, matched),
    )


@dataclass(frozen=True)
class _Sides:
    """Both sides, the names of the cases that both have, and what is wrong with the others."""

    prediction: LabelSource
    truth: LabelSource
    shared: tuple[str, ...]
    problems: tuple[str, ...]


def _find(predictions: Path, truth: Path, label_folder: str | None) -> _Sides:
    predicted, true = (
        find_source(predictions, has_images=False),
        find_source(truth, label_folder=label_folder),
    )
    predicted, true = settle(predicted, true.size), settle(true, predicted.size)
    if predictions.is_file() and truth.is_file():  # whatever they are called
        true = replace(true, files=dict(zip(predicted.files, true.files.values(), strict=True)))
    shared = tuple(sorted(predicted.files.keys() & true.files.keys(), key=natural_key))
    problems = [*predicted.problems, *true.problems]
    if not shared:
        if problems and not (predicted.files and true.files):
            raise DataError(problems[0])
        raise DataError(
            f"no file in {predictions} ({name_some(predicted.files)}) has the name of one in "
            f"{truth} ({name_some(true.files)}): names must be equal up to the ending"
        )
    lonely = sorted(predicted.files.keys() - true.files.keys(), key=natural_key)
    problems += [f"{predicted.files[n].path}: no truth of this name in {truth}" for n in lonely]
    return _Sides(predicted, true, shared, (*problems, *predicted.failed))


def _tell(sides: _Sides, matched: Matched) -> Mapping[str, str]:
    """Say in a line each what was understood of both sides."""
    noun = "volume" if matched.truth.spatial_dims == 3 else "picture"
    told = {}
    for side, source, text in zip(
        ("prediction", "truth"), (sides.prediction, sides.truth), matched.told, strict=True
    ):
        count = len(source.files)
        told[side] = f"{count} {noun}{'s' * (count != 1)}, {text}"
    return told
