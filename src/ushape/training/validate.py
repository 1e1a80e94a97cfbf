"""Measure a network on whole images, through the same tiles as prediction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ushape.config.schema import RunConfig
from ushape.data.sample import Sample
from ushape.data.targets import most_likely
from ushape.inference import predict_probabilities
from ushape.labels import LabelTable
from ushape.metrics import count_table, overlap_scores
from ushape.nets.network import SegmentationNetwork


@dataclass(frozen=True)
class ValidationScores:
    """Mean Dice over cases; `class_dice` by class name, nan where no case holds the class."""

    score: float
    class_dice: dict[str, float]


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
    truth and prediction are both empty are left out).

    Args:
        network: In eval mode on `device`.
        samples: Labelled cases.
        is_stopped: Asked between images; when it says yes, None is returned.
    """
    without_mirror = type(config.tiling)(**{**vars(config.tiling), "mirror": False})
    dice = []
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
        )
        assert probabilities is not None
        assert sample.target is not None
        table = count_table(most_likely(probabilities), sample.target, len(labels.classes))
        dice.append(overlap_scores(table).dice[1:])
        if progress:
            progress(done + 1, len(samples))
    means = mean_defined(np.array(dice))
    return ValidationScores(
        score=float(mean_defined(means[:, None])[0]),
        class_dice={
            entry.name: float(mean) for entry, mean in zip(labels.foreground, means, strict=True)
        },
    )


def mean_defined(
    values: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Average over the first axis without nan; nan where nothing is left."""
    counts = np.isfinite(values).sum(axis=0)
    sums = np.nansum(values, axis=0)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
