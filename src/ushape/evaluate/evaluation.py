"""Score label maps and masks in memory, by case and over all cases."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ushape.data.targets import class_masks, void_mask
from ushape.errors import ShapeError
from ushape.evaluate.measure import MaskPair, Objects, measure
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

LabelMap = npt.NDArray[np.unsignedinteger[Any]]
"""Class indices, or sets of classes where classes overlap, as `ushape.data.targets` has them."""


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
        prediction: Class indices (sets of classes where they overlap), shape (*size).
        truth: The same for the truth; where it is void nothing counts.
        labels: The classes.
        regions: Which side V_rand takes as regions: `background` (cells between membranes),
            `foreground` (touching cells), or `auto`: the side with more components in this truth.
            Where `settings` are given, theirs holds.
        settings: What to measure; by default what suits the kind of target.
        spacing: Edges of a voxel, in the unit of the settings.
        ignore: True for pixels that do not count, shape (*size).
        group: The subject that the case belongs to.
    """
    metrics = choose_metrics(None, labels.target, truth.ndim)
    void = void_mask(truth, labels)
    if void is not None:
        ignore = void if ignore is None else void | ignore
    return evaluate_masks(
        id,
        class_masks(prediction, labels),
        class_masks(truth, labels),
        settings or ScoreSettings(metrics, regions=regions),
        spacing=spacing,
        ignore=ignore,
        group=group,
    )


def evaluate_masks(
    id: str,
    prediction: npt.NDArray[np.bool_],
    truth: npt.NDArray[np.bool_],
    settings: ScoreSettings,
    *,
    spacing: float | Sequence[float] = 1.0,
    ignore: Mask | None = None,
    group: str | None = None,
    objects: Objects = (None, None),
) -> CaseScores:
    """Score one case of classes that may overlap, each a mask of its own.

    V_rand of a single class stands in `CaseScores.v_rand`.

    Args:
        id: Its name.
        prediction: Masks of the foreground classes, shape (K, *size), bool.
        truth: Same shape.
        settings: What to measure.
        spacing: Edges of a voxel, in the unit of the settings.
        ignore: True for pixels that do not count, shape (*size).
        group: The subject that the case belongs to.
        objects: Numbers of the predicted and the true objects of the first class, shape (*size);
            None for the connected pieces of its mask.

    Raises:
        ShapeError: The two differ in shape.
    """
    if prediction.shape != truth.shape:
        raise ShapeError(
            f"predicted masks {format_size(prediction.shape)} and true ones "
            f"{format_size(truth.shape)} differ in shape: give the same classes and pixels"
        )
    pairs = (
        MaskPair(
            predicted, true, settings, spacing, ignore, objects if number == 0 else (None, None)
        )
        for number, (predicted, true) in enumerate(zip(prediction, truth, strict=True))
    )
    return _score(id, pairs, group, has_v_rand=len(truth) == 1)


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
    labels: LabelTable | Sequence[str],
    *,
    regions: str | None = None,
    problems: Sequence[str] = (),
    seed: int = 0,
    settings: ScoreSettings | None = None,
) -> Evaluation:
    """Average over cases, with a 95 % bootstrap interval over cases, or over their groups.

    Args:
        cases: Their scores.
        labels: The classes, or the names of the foreground classes.
        regions: Which side the regions of V_rand are.
        problems: What could not be scored.
        seed: Of the bootstrap.
        settings: What was measured.
    """
    names = labels.names[1:] if isinstance(labels, LabelTable) else tuple(labels)
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
