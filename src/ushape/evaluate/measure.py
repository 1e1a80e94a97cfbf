"""Measure one class of one case by all metrics that were asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from ushape.evaluate.case import Numbers
from ushape.evaluate.settings import ScoreSettings
from ushape.metrics import (
    METRICS,
    Regions,
    centerline_scores,
    choose_regions,
    component_error,
    count_masks,
    detection_scores,
    instance_scores,
    label_regions,
    overlap_scores,
    region_scores,
    surface_distances,
    warping_error,
)
from ushape.metrics.checks import Mask, without_ignored

Scores = dict[str, float]
Objects = tuple[Numbers | None, Numbers | None]
"""Numbers of the objects of prediction and truth; None where they are the pieces of the mask."""


@dataclass(frozen=True)
class MaskPair:
    """One class of one case, and how to measure it.

    Attributes:
        prediction: Shape (*space), bool.
        truth: Same shape.
        settings: What to measure.
        spacing: Edges of a voxel, in the unit of the settings.
        ignore: True for pixels that do not count.
        objects: Numbers of the objects of both.
    """

    prediction: Mask
    truth: Mask
    settings: ScoreSettings
    spacing: float | Sequence[float] = 1.0
    ignore: Mask | None = None
    objects: Objects = (None, None)

    @property
    def side(self) -> Regions:
        """Which side the regions are; by this truth alone where the settings say `auto`."""
        if self.settings.regions == "auto":
            return choose_regions([self.truth])
        return "background" if self.settings.regions == "background" else "foreground"


def measure(pair: MaskPair) -> Scores:
    """Measure one class of one case.

    Returns:
        Column name -> value, in the order of the settings; nan where nothing can be said.
    """
    wanted = set(pair.settings.metrics)
    scores: Scores = {}
    for names, measured_by in _FAMILIES.items():
        if wanted & set(names):
            scores |= measured_by(pair)
    return {METRICS[n].column(pair.settings.unit): scores[n] for n in pair.settings.metrics}


def _overlap(pair: MaskPair) -> Scores:
    table = count_masks(pair.prediction[None], pair.truth[None], ignore=pair.ignore)
    return {name: float(values[0]) for name, values in vars(overlap_scores(table)).items()}


def _surface(pair: MaskPair) -> Scores:
    found = surface_distances(pair.prediction, pair.truth, spacing=pair.spacing, ignore=pair.ignore)
    return {
        "hd": found.hausdorff,
        "hd95": found.hausdorff95,
        "assd": found.assd,
        "nsd": found.normalised_dice(pair.settings.tolerance),
        "boundary_f": found.boundary(pair.settings.tolerance).f1,
    }


def _regions(pair: MaskPair) -> Scores:
    found = region_scores(pair.prediction, pair.truth, pair.side, ignore=pair.ignore)
    return {"v_rand": found.v_rand, "v_info": found.v_info}


def _thinned_regions(pair: MaskPair) -> Scores:
    found = region_scores(
        pair.prediction, pair.truth, pair.side, is_thinned=True, ignore=pair.ignore
    )
    return {"v_rand_thinned": found.v_rand, "v_info_thinned": found.v_info}


def _warping(pair: MaskPair) -> Scores:
    found = warping_error(pair.prediction, pair.truth, pair.side, ignore=pair.ignore)
    return {"warping_error": found.fraction, "topology_errors": float(found.num_errors)}


def _boxed(pair: MaskPair) -> MaskPair:
    """Cut away what lies around both masks, but for a voxel: objects there are none."""
    filled = pair.prediction | pair.truth
    for numbers in pair.objects:
        if numbers is not None:  # the rims of touching objects may be a class of their own
            filled |= numbers != 0
    found = ndimage.find_objects(filled.view(np.uint8))
    if not found or found[0] is None:
        return pair
    box = tuple(slice(max(0, part.start - 1), part.stop + 1) for part in found[0])
    predicted, true = (None if numbers is None else numbers[box] for numbers in pair.objects)
    return replace(
        pair,
        prediction=pair.prediction[box],
        truth=pair.truth[box],
        ignore=None if pair.ignore is None else pair.ignore[box],
        objects=(predicted, true),
    )


def _lines(pair: MaskPair) -> Scores:
    pair = _boxed(pair)
    return {"cldice": centerline_scores(pair.prediction, pair.truth, ignore=pair.ignore).cldice}


def _components(pair: MaskPair) -> Scores:
    pair = _boxed(pair)
    error = component_error(pair.prediction, pair.truth, ignore=pair.ignore)
    return {"component_error": float(error)}


def _objects(pair: MaskPair) -> Scores:
    pair = _boxed(pair)
    masks = without_ignored(pair.prediction, pair.truth, pair.ignore)
    predicted, true = (
        label_regions(mask)
        if numbers is None
        else numbers
        if pair.ignore is None
        else np.where(pair.ignore, 0, numbers)
        for mask, numbers in zip(masks, pair.objects, strict=True)
    )
    lesions = detection_scores(predicted, true)
    matched = instance_scores(predicted, true, min_iou=pair.settings.min_iou)
    panoptic = instance_scores(predicted, true)
    return {
        "detection_sensitivity": lesions.sensitivity,
        "detection_precision": lesions.precision,
        "detection_f1": lesions.f1,
        "instance_precision": matched.precision,
        "instance_recall": matched.recall,
        "instance_f1": matched.f1,
        "panoptic_quality": panoptic.panoptic_quality,
    }


def _names(group: str) -> tuple[str, ...]:
    return tuple(name for name, metric in METRICS.items() if metric.group == group)


_FAMILIES: Mapping[tuple[str, ...], Callable[[MaskPair], Scores]] = {
    _names("overlap"): _overlap,
    _names("surface"): _surface,
    ("v_rand", "v_info"): _regions,
    ("v_rand_thinned", "v_info_thinned"): _thinned_regions,
    ("warping_error", "topology_errors"): _warping,
    ("cldice",): _lines,
    ("component_error",): _components,
    _names("objects"): _objects,
}
