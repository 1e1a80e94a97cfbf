"""Score a folder of predicted label pictures against the truth."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ushape.data.layouts import natural_key
from ushape.errors import DataError
from ushape.evaluate.evaluation import evaluate_maps, summarise
from ushape.evaluate.scores import CaseScores, Evaluation
from ushape.evaluate.settings import ScoreSettings, check_tolerance, choose_metrics
from ushape.evaluate.sources import (
    LabelFile,
    Reader,
    failed_before,
    find_labels,
    find_pictures,
    find_truths,
    name_some,
    read_picture,
    read_truths,
)
from ushape.labels import LabelTable
from ushape.metrics import choose_regions
from ushape.sizes import format_size


@dataclass(frozen=True)
class _Case:
    """Where the files of one case are."""

    name: str
    prediction: Path
    truth: Path
    group: str | None


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
    read: Reader = read_picture,
) -> Evaluation:
    """Score predicted label pictures. One case is in memory at a time.

    Args:
        predictions: Folder of label pictures; `predictions.json` in it, if there, tells classes.
        truth: Folder of label pictures with the same names, or a data set (its labels are taken).
        foreground: The value that is the foreground; overrides `predictions.json`.
        names: Class names with their values, background first; overrides `predictions.json`.
        regions: Which side region scores take as regions: `auto`, `background` or `foreground`.
        progress: Called with (done, total).
        metrics: Names of metrics or groups of them; by default what suits the kind of target.
        tolerance: Of NSD and boundary F, in mm where the spacing is known, else in pixels. By
            default one voxel: the longest edge of the first case's.
        spacing_mm: Edges of a voxel, z y x; by default what the files say.
        ignore: Label value of the truth for pixels that do not count.
        group_of: Gives the subject of a case by its name; intervals are then over subjects.
        min_iou: From which IoU on two objects may match.
        read: How a label file is read.

    Returns:
        Scores of every prediction that has a truth; the others are in `problems`.

    Raises:
        DataError: There is nothing to compare.
        ConfigError: A metric or option is unknown or out of range.
    """
    check_tolerance(tolerance)
    predicted, true = find_pictures(predictions), find_truths(truth)
    shared = sorted(predicted.keys() & true.keys(), key=natural_key)
    if not shared:
        raise DataError(
            f"no picture in {predictions} ({name_some(predicted)}) has the name of one in {truth} "
            f"({name_some(true)}): names must be equal up to the ending"
        )
    problems = [
        f"{predicted[name]}: no truth of this name in {truth}"
        for name in sorted(predicted.keys() - true.keys(), key=natural_key)
    ]
    problems += failed_before(predictions)
    chosen = {name: true[name] for name in shared}
    labels = find_labels(predictions, chosen, foreground, names, ignore)
    # Before any file is read: a wrong name must not cost minutes.
    wanted = choose_metrics(metrics, labels.target)
    cases = [
        _Case(name, predicted[name], true[name], group_of(name) if group_of else None)
        for name in shared
    ]
    if regions == "auto":
        regions = _choose_side(chosen, labels, ignore, read)
    settings = ScoreSettings(wanted, regions=regions, min_iou=min_iou)
    score = _Scorer(labels, settings, tolerance, spacing_mm, ignore, read)
    scored: list[CaseScores] = []
    for done, case in enumerate(cases):
        try:
            scored.append(score(case))
        except DataError as error:
            problems.append(str(error))
        if progress:
            progress(done + 1, len(shared))
    if not scored:
        more = f"; and {len(problems) - 1} more" if len(problems) > 1 else ""
        raise DataError(f"nothing could be evaluated: {problems[0]}{more}")
    side = regions if labels.target == "binary" else None
    evaluation = summarise(scored, labels, regions=side, problems=problems, settings=score.settings)
    return replace(evaluation, num_without_prediction=len(true.keys() - predicted.keys()))


def _choose_side(
    truths: Mapping[str, Path], labels: LabelTable, ignore: int | None, read: Reader
) -> str:
    """Choose once for the data set which side the regions are; classes are regions themselves."""
    if labels.target != "binary":
        return "foreground"
    return choose_regions(file.index == 1 for file in read_truths(truths, labels, ignore, read))


@dataclass
class _Scorer:
    """Scores case after case; the first one decides the unit for all."""

    labels: LabelTable
    settings: ScoreSettings
    tolerance: float | None
    spacing_mm: Sequence[float] | None
    ignore: int | None
    read: Reader
    is_decided: bool = False

    def __call__(self, case: _Case) -> CaseScores:
        predicted = self.read(case.prediction, self.labels, None)
        true = self.read(case.truth, self.labels, self.ignore)
        if predicted.index.shape != true.index.shape:
            raise DataError(
                f"{case.prediction}: size {format_size(predicted.index.shape)}, the truth "
                f"{case.truth} has {format_size(true.index.shape)}; predict the image that the "
                "truth belongs to"
            )
        spacing_mm = self._spacing(case, predicted, true)
        if not self.is_decided:
            self.settings = _decide(self.settings, spacing_mm, self.tolerance)
            self.is_decided = True
        if (self.settings.unit == "mm") != (spacing_mm is not None):
            raise DataError(
                f"{case.truth}: its spacing is {'not known' if spacing_mm is None else 'known'}, "
                "other than that of the first case; give --spacing for all"
            )
        return evaluate_maps(
            case.name,
            predicted.index,
            true.index,
            self.labels,
            settings=self.settings,
            spacing=spacing_mm or 1.0,
            ignore=true.ignored,
            group=case.group,
        )

    def _spacing(
        self, case: _Case, predicted: LabelFile, true: LabelFile
    ) -> tuple[float, ...] | None:
        num_axes = true.index.ndim
        if self.spacing_mm is not None:
            if len(self.spacing_mm) not in (1, num_axes):
                raise DataError(
                    f"{case.truth}: {num_axes} axes, but --spacing has {len(self.spacing_mm)} "
                    "numbers; give one, or one an axis (z, y, x)"
                )
            given = tuple(float(edge) for edge in self.spacing_mm)
            return given * num_axes if len(given) == 1 else given
        return true.spacing_mm or predicted.spacing_mm


def _decide(
    plan: ScoreSettings, spacing_mm: Sequence[float] | None, tolerance: float | None
) -> ScoreSettings:
    one_voxel = max(spacing_mm) if spacing_mm else 1.0
    return replace(
        plan,
        unit="mm" if spacing_mm else "pixels",
        tolerance=one_voxel if tolerance is None else tolerance,
    )
