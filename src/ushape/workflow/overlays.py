"""Pictures for the report: the best, the median and the worst validation case."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ushape.data.case_image import read_case_image
from ushape.data.io import Volume, canonical_turn
from ushape.data.layouts import CaseFiles
from ushape.data.masks import Masks
from ushape.evaluate.scores import CaseScores
from ushape.labels import LabelTable
from ushape.report import Overlay
from ushape.report.cuts import choose_cuts
from ushape.workflow.overlaps import read_masks_of, unite
from ushape.workflow.record import RunRecord


def choose_overlays(predictions: Path, record: RunRecord) -> tuple[Overlay, ...]:
    """Show the best, the median and the worst validation case by mean Dice.

    Args:
        predictions: Folder of what was predicted.
        record: The run.
    """
    if record.evaluation is None:
        return ()
    scored = [(case_dice(case), case.id) for case in record.evaluation.cases]
    ranked = sorted((score, name) for score, name in scored if math.isfinite(score))
    if not ranked:
        return ()
    picks = {"Best": ranked[-1], "Median": ranked[len(ranked) // 2], "Worst": ranked[0]}
    named = {case.id: case for case in record.prepared.layout.cases}
    overlays: list[Overlay] = []
    shown = set()
    for title, (score, name) in picks.items():
        if name in shown:
            continue
        shown.add(name)
        overlays += show_case(
            f"{title}: {name}",
            f"Dice {score:.3f}",
            predictions,
            named[name],
            record.plan.fingerprint.labels,
            align=record.plan.config.data.align,
        )
    return tuple(overlays)


def show_case(
    title: str,
    caption: str,
    predictions: Path,
    case: CaseFiles,
    table: LabelTable,
    *,
    align: bool = False,
) -> Iterator[Overlay]:
    """Show a picture as it is, of a volume the slice with most foreground and a cut across it.

    Args:
        title: Of the case.
        caption: Below it.
        predictions: Folder of what was predicted.
        case: With its labels.
        table: The classes.
        align: Resample labels that lie on another grid than their image.
    """
    image = read_case_image(case)
    prediction, truth = read_masks_of(predictions, case, table, image.grid, align=align)
    names = [entry.name for entry in table.foreground]
    if image.grid.spatial_dims == 2:
        pictures = unite(prediction, truth, names)
        yield Overlay(
            title, caption, image.values, pictures.prediction, pictures.truth, pictures.names
        )
        return
    yield from _show_volume(title, caption, image, prediction, truth, names)


def _show_volume(
    title: str, caption: str, image: Volume, prediction: Masks, truth: Masks, names: list[str]
) -> Iterator[Overlay]:
    turn = canonical_turn(image.grid)
    values, prediction, truth = (turn.apply(each) for each in (image.values, prediction, truth))
    marked = np.asarray((truth if truth.any() else prediction).any(axis=0))
    edges = turn.new.edges_mm
    for number, cut in enumerate(choose_cuts(marked, edges)):
        pictures = unite(cut.take(prediction, edges), cut.take(truth, edges), names)
        planes = [cut.take(values, edges), pictures.prediction, pictures.truth]
        if cut.axis and image.grid.is_placed:  # a person's head is up
            planes = [np.flip(plane, axis=-2) for plane in planes]
        told = f"a cut across it: {cut.text}" if number else f"{caption} in the volume; {cut.text}"
        yield Overlay(title, told, planes[0], planes[1], planes[2], pictures.names)


def case_dice(case: CaseScores) -> float:
    """Average a case's Dice over the classes that have one; nan without any."""
    defined = [value for value in case.classes["dice"] if math.isfinite(value)]
    return float(np.mean(defined)) if defined else math.nan
