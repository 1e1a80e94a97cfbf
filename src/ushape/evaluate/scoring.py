"""Score case after case: read both sides, bring them to one grid and one unit, measure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from ushape.errors import DataError
from ushape.evaluate.case import CaseLabels, place_on
from ushape.evaluate.evaluation import evaluate_masks
from ushape.evaluate.read import LabelFiles, Reading, read_case, with_spacing
from ushape.evaluate.scores import CaseScores
from ushape.evaluate.settings import ScoreSettings
from ushape.metrics import choose_regions
from ushape.metrics.checks import Mask


@dataclass(frozen=True)
class CasePair:
    """Where prediction and truth of one case are, and the group that it belongs to."""

    name: str
    prediction: LabelFiles
    truth: LabelFiles
    group: str | None = None


@dataclass
class Scorer:
    """Scores case after case; the first one decides the unit for all.

    Attributes:
        prediction: How predicted files are read.
        truth: How true files are read.
        settings: What to measure; unit and tolerance are decided by the first case.
        tolerance: In that unit; None for one voxel.
        spacing_mm: Edges of a voxel, in place of what files say.
        is_resampled: Predictions on other grids are resampled.
    """

    prediction: Reading
    truth: Reading
    settings: ScoreSettings
    tolerance: float | None = None
    spacing_mm: Sequence[float] | None = None
    is_resampled: bool = False
    is_decided: bool = False

    def __call__(self, case: CasePair) -> CaseScores:
        """Score one case.

        Raises:
            DataError: A file cannot be read, or the two do not fit each other.
        """
        true = self.read_truth(case)
        beside = None if self.truth.form == "channels" else case.truth.path
        predicted = read_case(case.prediction, self.prediction, case.truth.image or beside)
        edges = case.truth.spacing_mm
        if edges is not None and predicted.grid.size == true.grid.size:
            # The prediction lies on the image, whose edges these are.
            predicted = with_spacing(predicted, edges)
        spacing_mm = self._spacing(true, predicted)
        predicted = place_on(predicted, true, is_resampled=self.is_resampled)
        if not self.is_decided:
            self.settings = _decide(self.settings, spacing_mm, self.tolerance)
            self.is_decided = True
        if (self.settings.unit == "mm") != (spacing_mm is not None):
            raise DataError(
                f"{true.path}: its spacing is {'not known' if spacing_mm is None else 'known'}, "
                "other than that of the first case; give --spacing for all"
            )
        return evaluate_masks(
            case.name,
            predicted.masks,
            true.masks,
            self.settings,
            spacing=spacing_mm or 1.0,
            ignore=true.void,
            group=case.group,
            objects=(predicted.numbers, true.numbers),
        )

    def read_truth(self, case: CasePair) -> CaseLabels:
        """Read the truth of a case."""
        beside = None if self.prediction.form == "channels" else case.prediction.path
        return read_case(case.truth, self.truth, beside)

    def _spacing(self, true: CaseLabels, predicted: CaseLabels) -> tuple[float, ...] | None:
        num_axes = true.grid.spatial_dims
        if self.spacing_mm is not None:
            if len(self.spacing_mm) not in (1, num_axes):
                raise DataError(
                    f"{true.path}: {num_axes} axes, but --spacing has {len(self.spacing_mm)} "
                    "numbers; give one, or one an axis (z, y, x)"
                )
            given = tuple(float(edge) for edge in self.spacing_mm)
            return given * num_axes if len(given) == 1 else given
        return true.grid.spacing_mm or predicted.grid.spacing_mm


def score_cases(
    scorer: Scorer,
    cases: Sequence[CasePair],
    problems: list[str],
    progress: Callable[[int, int], None] | None = None,
) -> list[CaseScores]:
    """Score cases one after the other; only one is in memory at a time.

    Args:
        scorer: Knows how.
        cases: In their order.
        problems: Cases that cannot be scored are added.
        progress: Called with (done, total).

    Raises:
        DataError: Not one of them can be scored.
    """
    scored, num_before = [], len(problems)
    for done, case in enumerate(cases):
        try:
            scored.append(scorer(case))
        except DataError as error:
            problems.append(str(error))
        if progress:
            progress(done + 1, len(cases))
    if not scored:
        told = [*problems[num_before:], *problems[:num_before], "there is no case"]
        more = f"; and {len(problems) - 1} more" if len(problems) > 1 else ""
        raise DataError(f"nothing could be evaluated: {told[0]}{more}")
    return scored


def choose_side(scorer: Scorer, cases: Iterable[CasePair]) -> str:
    """Choose once for all cases of one class which side of the truth the regions are."""

    def masks() -> Iterable[Mask]:
        for case in cases:
            try:
                true = scorer.read_truth(case)
            except DataError:  # told when the case is scored
                continue
            yield true.masks[0]

    return choose_regions(masks())


def _decide(
    plan: ScoreSettings, spacing_mm: Sequence[float] | None, tolerance: float | None
) -> ScoreSettings:
    one_voxel = max(spacing_mm) if spacing_mm else 1.0
    return replace(
        plan,
        unit="mm" if spacing_mm else "pixels",
        tolerance=one_voxel if tolerance is None else tolerance,
    )
