"""Measure a network on whole images, through the same tiles as prediction."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from ushape.config.schema import RunConfig
from ushape.data.sample import Sample
from ushape.data.targets import class_masks, likely_masks, void_mask
from ushape.inference import predict_probabilities
from ushape.labels import LabelTable
from ushape.metrics import count_masks, overlap_scores
from ushape.nets.network import SegmentationNetwork

NUM_THRESHOLDS = 40
"""Thresholds lie this finely: 0.025, 0.05, ..., 0.975."""


@dataclass(frozen=True)
class ValidationScores:
    """Mean Dice over cases.

    Attributes:
        score: Mean over the foreground classes.
        class_dice: By class name, nan where no case holds the class.
        thresholds: Of thin classes: the probability from which on the mean Dice is best.
    """

    score: float
    class_dice: dict[str, float]
    thresholds: dict[str, float] = field(default_factory=dict)


def validate(
    network: SegmentationNetwork,
    samples: Sequence[Sample],
    config: RunConfig,
    labels: LabelTable,
    *,
    device: torch.device,
    progress: Callable[[int, int], None] | None = None,
    is_stopped: Callable[[], bool] = lambda: False,
) -> ValidationScores | None:
    """Score a network on whole validation images.

    The score is the mean over the foreground classes of their mean Dice over cases (cases where
    truth and prediction are both empty are left out). Void pixels count nowhere. Classes of
    `searched_classes` are scored at the threshold that suits these images best.

    Args:
        network: In eval mode on `device`.
        samples: Labelled cases.
        is_stopped: Asked between images; when it says yes, None is returned.
    """
    without_mirror = type(config.tiling)(**{**vars(config.tiling), "mirror": False})
    dice = []
    searches = {name: ThresholdSearch() for name in searched_classes(config, labels)}
    for done, sample in enumerate(samples):
        if is_stopped():
            return None
        probabilities = predict_probabilities(
            network,
            sample.image,
            without_mirror,
            device=device,
            precision=config.train.precision,
            channels_last=config.train.channels_last,
            labels=labels,
        )
        assert probabilities is not None
        assert sample.target is not None
        void = void_mask(sample.target, labels)
        truth = class_masks(sample.target, labels)
        table = count_masks(likely_masks(probabilities, labels), truth, ignore=void)
        dice.append(overlap_scores(table).dice)
        for name, search in searches.items():
            channel = probabilities[labels.logit_names.index(name)]
            mask = truth[labels.names.index(name) - 1]
            seen = np.ones(mask.shape, bool) if void is None else ~void
            search.add(channel[seen], mask[seen])
        if progress:
            progress(done + 1, len(samples))
    means = mean_defined(np.array(dice))
    best = {name: search.best() for name, search in searches.items()}
    for name, (_, score) in best.items():
        means[labels.names.index(name) - 1] = score
    return ValidationScores(
        score=float(mean_defined(means[:, None])[0]),
        class_dice={
            entry.name: float(mean) for entry, mean in zip(labels.foreground, means, strict=True)
        },
        thresholds={name: threshold for name, (threshold, _) in best.items()},
    )


def searched_classes(config: RunConfig, labels: LabelTable) -> tuple[str, ...]:
    """Name the classes whose threshold is chosen on validation."""
    if config.train.thresholds == "all" and labels.target != "multiclass":
        return labels.names[1:]
    return config.lines.classes


class ThresholdSearch:
    """Finds the probability from which on a class is predicted with the best mean Dice.

    Case by case it keeps only how many true and other pixels have which probability.
    """

    def __init__(self) -> None:
        self._dice: list[np.ndarray[tuple[int, ...], np.dtype[np.float64]]] = []

    def add(
        self,
        probabilities: np.ndarray[tuple[int, ...], np.dtype[np.float32]],
        truth: np.ndarray[tuple[int, ...], np.dtype[np.bool_]],
    ) -> None:
        """Count one case.

        Args:
            probabilities: Shape (pixel,).
            truth: Same shape.
        """
        bins = np.minimum((probabilities * NUM_THRESHOLDS).astype(np.intp), NUM_THRESHOLDS - 1)
        hits, others = (
            np.bincount(bins[chosen], minlength=NUM_THRESHOLDS)[::-1].cumsum()[::-1][1:]
            for chosen in (truth, ~truth)
        )
        total = hits + others + np.count_nonzero(truth)
        with np.errstate(invalid="ignore"):
            self._dice.append(np.where(total > 0, 2 * hits / np.maximum(total, 1), np.nan))

    def best(self) -> tuple[float, float]:
        """Give the threshold and its mean Dice; of equals the one nearest to one half."""
        limits = np.arange(1, NUM_THRESHOLDS) / NUM_THRESHOLDS
        means = mean_defined(np.array(self._dice))
        if not np.isfinite(means).any():
            return 0.5, math.nan
        top = np.flatnonzero(means >= np.nanmax(means) - 1e-9)
        chosen = top[np.abs(limits[top] - 0.5).argmin()]
        return float(limits[chosen]), float(means[chosen])


def mean_defined(
    values: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Average over the first axis without nan; nan where nothing is left."""
    counts = np.isfinite(values).sum(axis=0)
    sums = np.nansum(values, axis=0)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
