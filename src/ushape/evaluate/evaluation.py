"""Score label maps in memory, by case and over all cases."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from ushape.errors import ShapeError
from ushape.evaluate.measure import MaskPair, measure
from ushape.evaluate.scores import CaseScores, Evaluation, Presence
from ushape.evaluate.settings import OVERLAP_METRICS, ScoreSettings, choose_metrics
from ushape.labels import LabelTable
from ushape.metrics import METRICS, bootstrap_mean
from ushape.metrics.checks import Mask
from ushape.sizes import format_size

__all__ = [
    "OVERLAP_METRICS",
    "CaseScores",
    "Evaluation",
    "LabelMap",
    "evaluate_maps",
    "evaluate_masks",
    "summarise",
]

LabelMap = npt.NDArray[np.uint8]


def evaluate_maps(
    id: str,
    prediction: LabelMap,
    truth: LabelMap,
    labels: LabelTable,
    *,
    regions: str = "auto",
    settings: ScoreSettings | None = None,
    spacing: float | Sequence[float] = 1.0,
    ignore: Mask | None = None,
    group: str | None = None,
) -> CaseScores:
    """Score one case of two label maps.

    Args:
        id: Its name.
        prediction: Class indices, shape (*size).
        truth: The same for the truth.
        labels: The classes.
        regions: Which side V_rand takes as regions: `background` (cells between membranes),
            `foreground` (touching cells), or `auto`: the side with more components in this truth.
            Where `settings` are given, theirs holds.
        settings: What to measure; by default what suits the kind of target.
        spacing: Edges of a voxel, in the unit of the settings.
        ignore: True for pixels that do not count, shape (*size).
        group: The subject that the case belongs to.
    """
    classes = range(1, len(labels.classes))
    chosen = settings or ScoreSettings(choose_metrics(None, labels.target), regions=regions)
    pairs = (
        MaskPair(prediction == number, truth == number, chosen, spacing, ignore)
        for number in classes
    )
    return _score(id, pairs, group, has_v_rand=labels.target == "binary")


def evaluate_masks(
    id: str,
    prediction: npt.NDArray[np.bool_],
    truth: npt.NDArray[np.bool_],
    settings: ScoreSettings,
    *,
    spacing: float | Sequence[float] = 1.0,
    ignore: Mask | None = None,
    group: str | None = None,
) -> CaseScores:
    """Score one case of classes that may overlap, each a mask of its own.

    Args:
        id: Its name.
        prediction: Masks of the foreground classes, shape (K, *size), bool.
        truth: Same shape.
        settings: What to measure.
        spacing: Edges of a voxel, in the unit of the settings.
        ignore: True for pixels that do not count, shape (*size).
        group: The subject that the case belongs to.

    Raises:
        ShapeError: The two differ in shape.
    """
    if prediction.shape != truth.shape:
        raise ShapeError(
            f"predicted masks {format_size(prediction.shape)} and true ones "
            f"{format_size(truth.shape)} differ in shape: give the same classes and pixels"
        )
    pairs = (
        MaskPair(predicted, true, settings, spacing, ignore)
        for predicted, true in zip(prediction, truth, strict=True)
    )
    return _score(id, pairs, group, has_v_rand=False)


def _score(
    id: str, pairs: Iterable[MaskPair], group: str | None, *, has_v_rand: bool
) -> CaseScores:
    columns: dict[str, list[float]] = {}
    presence = []
    for pair in pairs:
        for column, value in measure(pair).items():
            columns.setdefault(column, []).append(value)
        seen = True if pair.ignore is None else ~pair.ignore
        presence.append((bool((pair.prediction & seen).any()), bool((pair.truth & seen).any())))
    v_rand = columns.pop("v_rand")[0] if has_v_rand and "v_rand" in columns else None
    classes = {column: tuple(values) for column, values in columns.items()}
    return CaseScores(id, classes, v_rand, tuple(presence), group)


def summarise(
    cases: Sequence[CaseScores],
    labels: LabelTable,
    *,
    regions: str | None = None,
    problems: Sequence[str] = (),
    seed: int = 0,
    settings: ScoreSettings | None = None,
) -> Evaluation:
    """Average over cases, with a 95 % bootstrap interval over cases, or over their groups."""
    names = tuple(entry.name for entry in labels.foreground)
    groups = [case.group for case in cases]
    members = [group for group in groups if group is not None]
    units = members if members and len(members) == len(groups) else None
    columns = tuple(cases[0].classes) if cases else OVERLAP_METRICS
    means = {
        column: tuple(
            bootstrap_mean(
                [case.classes[column][number] for case in cases], groups=units, seed=seed
            )
            for number in range(len(names))
        )
        for column in columns
    }
    rand = [case.v_rand for case in cases if case.v_rand is not None]
    interval = bootstrap_mean(rand, groups=units, seed=seed) if rand else None
    return Evaluation(
        names,
        tuple(cases),
        means,
        interval,
        regions,
        tuple(problems),
        settings=settings or ScoreSettings(tuple(c for c in columns if c in METRICS)),
        presence=tuple(_presence(cases, number) for number in range(len(names))),
    )


def _presence(cases: Sequence[CaseScores], number: int) -> Presence:
    seen = [case.presence[number] for case in cases if case.presence]
    return Presence(
        both=seen.count((True, True)),
        missed=seen.count((False, True)),
        spurious=seen.count((True, False)),
        neither=seen.count((False, False)),
    )
