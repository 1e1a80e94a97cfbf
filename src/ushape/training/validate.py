"""Measure a network on whole images, through the same tiles as prediction."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import torch

from ushape.config.schema import RunConfig, TilingConfig
from ushape.data.fine import small_thresholds
from ushape.data.sample import Sample
from ushape.data.targets import class_masks, likely_masks, void_mask
from ushape.inference import plan_image
from ushape.labels import LabelTable
from ushape.metrics import count_masks, overlap_scores
from ushape.metrics.overlap import NUM_COUNTS, Counts
from ushape.nets import Geometry
from ushape.nets.network import SegmentationNetwork
from ushape.serial import Passes

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
    passes = Passes(
        labels,
        replace(config.tiling, mirror=False),
        device,
        config.train.precision,
        channels_last=config.train.channels_last,
        fine=config.fine if config.fine.classes else None,
    )
    dice = []
    searches = {name: ThresholdSearch() for name in searched_classes(config, labels)}
    for done, sample in enumerate(samples):
        if is_stopped():
            return None
        count = _CaseCount(sample, labels, searches, small_thresholds(config.fine))
        passes.probabilities(network, sample.image, sink=count.add)
        dice.append(overlap_scores(count.table).dice)
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


class _CaseCount:
    """Counts hits and errors of one case band by band: a volume's probabilities are never whole."""

    def __init__(
        self,
        sample: Sample,
        labels: LabelTable,
        searches: Mapping[str, ThresholdSearch],
        thresholds: Mapping[str, float],
    ) -> None:
        self._sample, self._labels, self._searches = sample, labels, searches
        self._thresholds = thresholds
        self.table = np.zeros((len(labels.foreground), NUM_COUNTS), np.int64)
        for search in searches.values():
            search.begin_case()

    def add(self, first: int, band: npt.NDArray[np.float32]) -> None:
        """Count a band of probabilities, shape (channel, rows, *rest), from row `first` on."""
        assert self._sample.target is not None
        target = self._sample.target[first : first + band.shape[1]]
        void = void_mask(target, self._labels)
        truth = class_masks(target, self._labels)
        found = likely_masks(band, self._labels, self._thresholds)
        self.table += count_masks(found, truth, ignore=void)
        seen = np.ones(target.shape, bool) if void is None else ~void
        for name, search in self._searches.items():
            channel = band[self._labels.logit_names.index(name)]
            search.add(channel[seen], truth[self._labels.names.index(name) - 1][seen])


def choose_cases(
    samples: Sequence[Sample], geometry: Geometry, tiling: TilingConfig, most: float
) -> tuple[Sample, ...]:
    """Choose the cases that validation can afford, evenly spread over all.

    Args:
        samples: All validation cases.
        geometry: The network's.
        tiling: How cases are cut into tiles, which overlap and reach beyond a small case.
        most: Voxels of all tiles together.

    Returns:
        All cases where they fit; at least one.
    """
    costs = []
    for sample in samples:
        plan = plan_image(geometry, sample.size, tiling)
        costs.append(plan.num_tiles * math.prod(plan.tile_size))
    affordable = int(len(samples) * most / max(sum(costs), 1))
    for count in range(min(affordable, len(samples)), 1, -1):
        chosen = [(2 * number + 1) * len(samples) // (2 * count) for number in range(count)]
        if sum(costs[number] for number in chosen) <= most:
            return tuple(samples[number] for number in chosen)
    return (samples[len(samples) // 2],)


def searched_classes(config: RunConfig, labels: LabelTable) -> tuple[str, ...]:
    """Name the classes whose threshold is chosen on validation."""
    if config.train.thresholds != "all":
        return config.lines.classes
    if labels.target != "multiclass":
        return labels.names[1:]
    return (*config.lines.classes, *config.fine.classes)


class ThresholdSearch:
    """Finds the probability from which on a class is predicted with the best mean Dice.

    Case by case it keeps only how many true and other pixels have which probability.
    """

    def __init__(self) -> None:
        self._hits: list[Counts] = []
        self._others: list[Counts] = []

    def begin_case(self) -> None:
        """Count what is added from now on for another case."""
        self._hits.append(np.zeros(NUM_THRESHOLDS, np.int64))
        self._others.append(np.zeros(NUM_THRESHOLDS, np.int64))

    def add(
        self,
        probabilities: np.ndarray[tuple[int, ...], np.dtype[np.float32]],
        truth: np.ndarray[tuple[int, ...], np.dtype[np.bool_]],
    ) -> None:
        """Count pixels of the present case.

        Args:
            probabilities: Shape (pixel,).
            truth: Same shape.
        """
        bins = np.minimum((probabilities * NUM_THRESHOLDS).astype(np.intp), NUM_THRESHOLDS - 1)
        self._hits[-1] += np.bincount(bins[truth], minlength=NUM_THRESHOLDS)
        self._others[-1] += np.bincount(bins[~truth], minlength=NUM_THRESHOLDS)

    def best(self) -> tuple[float, float]:
        """Give the threshold and its mean Dice; of equals the one nearest to one half."""
        if not self._hits:
            return 0.5, math.nan
        limits = np.arange(1, NUM_THRESHOLDS) / NUM_THRESHOLDS
        means = mean_defined(self._dice())
        if not np.isfinite(means).any():
            return 0.5, math.nan
        top = np.flatnonzero(means >= np.nanmax(means) - 1e-9)
        chosen = top[np.abs(limits[top] - 0.5).argmin()]
        return float(limits[chosen]), float(means[chosen])

    def _dice(self) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        """Give the Dice of every case at every threshold, nan where nothing is to be found."""
        hits, others = (
            np.array(counts)[:, ::-1].cumsum(axis=1)[:, ::-1]
            for counts in (self._hits, self._others)
        )
        total = (hits + others)[:, 1:] + hits[:, :1]
        return np.where(total > 0, 2 * hits[:, 1:] / np.maximum(total, 1), np.nan)


def mean_defined(
    values: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Average over the first axis without nan; nan where nothing is left."""
    counts = np.isfinite(values).sum(axis=0)
    sums = np.nansum(values, axis=0)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
