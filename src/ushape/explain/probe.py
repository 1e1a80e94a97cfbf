"""How well a class can be read from one feature map: a linear probe, scored on pixels held out.

The probe is what a branch computes: a 1x1 convolution, then linear interpolation to the image's
size. Its weights are those of a ridge regression from the features to the masks of the classes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ushape.sizes import Size

Floats = npt.NDArray[np.floating]
FoldMap = npt.NDArray[np.int8]

NUM_FOLDS = 4
NUM_BLOCKS = 8
"""Along every axis, where one image is all there is and its blocks are held out in turn."""

MOST_SAMPLES = 8192
RIDGE = 1e-2
"""Added to the variance, 1, of every feature."""

NUM_BINS = 1024
LOWEST, HIGHEST = -1.0, 2.0
"""Probes are fitted to 0 and 1; scores beyond these count as these."""


@dataclass(frozen=True)
class Probe:
    """How well a class is read from a node.

    Attributes:
        dice: Of the thresholded probe with the mask; the threshold is that of the training pixels.
        auc: Chance that a pixel of the class scores higher than one of the rest.
        fold_dice: By fold; nan where a fold cannot be scored.
        is_held_out: Whether the probe had not seen the pixels that it is scored on.
    """

    dice: float
    auc: float
    fold_dice: tuple[float, ...]
    is_held_out: bool


def make_folds(sizes: Sequence[Size], stride: Size) -> list[FoldMap]:
    """Say which fold every pixel belongs to.

    Several images: whole images. One: blocks, so that neighbours are mostly held out together.

    Args:
        sizes: Of the images.
        stride: The network's total one: no block is narrower.
    """
    if len(sizes) > 1:
        count = min(NUM_FOLDS, len(sizes))
        return [np.full(size, number % count, np.int8) for number, size in enumerate(sizes)]
    size = sizes[0]
    total = np.zeros((1,) * len(size), np.intp)
    for axis, (n, step) in enumerate(zip(size, stride, strict=True)):
        block = np.arange(n) // max(step, math.ceil(n / NUM_BLOCKS))
        total = total + (axis + 1) * block.reshape(-1, *(1,) * (len(size) - 1 - axis))
    return [np.broadcast_to(total % NUM_FOLDS, size).astype(np.int8)]


def draw_points(
    masks: npt.NDArray[np.bool_],
    void: npt.NDArray[np.bool_] | None,
    most: int,
    generator: np.random.Generator,
) -> tuple[npt.NDArray[np.intp], Floats]:
    """Draw pixels to fit probes on, as many from every combination of classes.

    Args:
        masks: Shape (K, *size).
        void: Pixels that count nowhere.
        most: How many in all.
        generator: Of all chance.

    Returns:
        Pixels, shape (n, axes), and weights with which every combination of classes counts the
        same, however few its pixels are.
    """
    bits = np.int64(1) << np.arange(len(masks), dtype=np.int64)
    codes = np.tensordot(bits, masks.astype(np.int64), axes=1)
    if void is not None:
        codes[void] = -1
    kinds = [code for code in np.unique(codes) if code >= 0]
    points, weights = [], []
    for code in kinds:
        places = np.flatnonzero(codes.ravel() == code)
        count = min(len(places), max(1, most // len(kinds)))
        points.append(np.sort(generator.choice(places, count, replace=False)))
        weights.append(np.full(count, 1 / count))
    if not points:
        return np.zeros((0, codes.ndim), np.intp), np.zeros(0)
    chosen = np.unravel_index(np.concatenate(points), codes.shape)
    return np.stack(chosen, axis=1), np.concatenate(weights)


def fit_probes(
    features: Floats, targets: Floats, weights: Floats, folds: npt.NDArray[np.int8], num_folds: int
) -> tuple[Floats, Floats]:
    """Fit one probe without each fold, and one with all pixels.

    Args:
        features: Shape (n, C).
        targets: 0 or 1, shape (n, K).
        weights: Shape (n).
        folds: Shape (n).
        num_folds: How many there are.

    Returns:
        Weights, shape (num_folds + 1, K, C), and offsets, shape (num_folds + 1, K), for raw
        features; the last is the one with all pixels.
    """
    share = (weights / weights.sum()).astype(np.float32)[:, None]
    mean = (share * features).sum(axis=0, dtype=np.float64)
    deviation = np.sqrt((share * (features - mean) ** 2).sum(axis=0, dtype=np.float64))
    # A channel that never changes is not read.
    scale = np.where(deviation > 1e-6 * (1e-6 + np.abs(mean)), 1 / np.maximum(deviation, 1e-12), 0)
    scaled = ((features - mean) * scale).astype(np.float32)
    extended = np.concatenate([scaled, np.ones((len(scaled), 1), np.float32)], axis=1)
    grams, sides, masses = [], [], []
    for fold in range(num_folds):
        is_in = folds == fold
        part = extended[is_in]
        weighted = part * share[is_in]
        grams.append((weighted.T @ part).astype(np.float64))
        sides.append((weighted.T @ targets[is_in]).astype(np.float64))
        masses.append(float(share[is_in].sum()))
    gram, side, mass = sum(grams), sum(sides), sum(masses)
    ridge = np.diag(np.append(np.full(features.shape[1], RIDGE), 1e-9))
    without = [*zip(grams, sides, masses, strict=True), (0.0, 0.0, 0.0)]
    solutions = [
        np.linalg.solve(
            (gram - g) / max(mass - m, 1e-12) + ridge, (side - s) / max(mass - m, 1e-12)
        )
        for g, s, m in without
    ]
    slopes = np.stack([solution[:-1].T * scale for solution in solutions])
    offsets = np.stack([solution[-1] for solution in solutions]) - slopes @ mean
    return slopes.astype(np.float32), offsets.astype(np.float32)


class Tally:
    """Counts of the scores of one node, from which Dice and AUC follow.

    Counts add up over images, so that no image has to be kept.
    """

    def __init__(self, num_classes: int, num_folds: int) -> None:
        """Start with nothing seen."""
        # Axes: probe, class, (seen by the probe, held out), (not of the class, of it), bin.
        self.counts = np.zeros((num_folds + 1, num_classes, 2, 2, NUM_BINS), np.int64)

    def add(
        self,
        scores: Floats,
        masks: npt.NDArray[np.bool_],
        folds: FoldMap,
        void: npt.NDArray[np.bool_] | None,
    ) -> None:
        """Count one image.

        Args:
            scores: Shape (num_folds + 1, K, *size).
            masks: Shape (K, *size).
            folds: Shape (*size).
            void: Shape (*size), or None.
        """
        places = slice(None) if void is None else ~void
        bins = ((scores - LOWEST) * (NUM_BINS / (HIGHEST - LOWEST))).clip(0, NUM_BINS - 1)
        for probe, by_class in enumerate(bins.astype(np.int32)):
            part = (folds[places] == probe).astype(np.int32) * (2 * NUM_BINS)
            for k, found in enumerate(by_class):
                code = part + masks[k][places] * np.int32(NUM_BINS) + found[places]
                counted = np.bincount(code.ravel(), minlength=4 * NUM_BINS)
                self.counts[probe, k] += counted.reshape(2, 2, NUM_BINS)

    def probe(self, k: int) -> Probe:
        """Score a class."""
        counts = self.counts[:, k]
        seen, held = counts[:-1, 0], counts[:-1, 1]
        can_learn = (seen.sum(axis=2) > 0).all(axis=1)
        has_class = held[:, 1].sum(axis=1) > 0
        if not (can_learn & has_class).any():
            dice, auc = _dice(counts[-1, 0], _best_bin(counts[-1, 0])), _auc(counts[-1, 0])
            return Probe(dice, auc, (), is_held_out=False)
        totals, by_fold = np.zeros(3), []
        for one_seen, one_held, is_usable in zip(seen, held, can_learn, strict=True):
            if is_usable:
                limit = _best_bin(one_seen)
                totals += _confusion(one_held, limit)
            # Without the class a fold has no Dice of its own; its false alarms count in the total.
            is_scored = is_usable and one_held[1].any()
            by_fold.append(_dice(one_held, limit) if is_scored else math.nan)
        aucs = [
            (_auc(one), one[1].sum())
            for one, is_usable in zip(held, can_learn, strict=True)
            if is_usable and one.sum(axis=1).all()
        ]
        auc = np.average([a for a, _ in aucs], weights=[n for _, n in aucs]) if aucs else math.nan
        return Probe(_dice_of(totals), float(auc), tuple(by_fold), is_held_out=True)

    def limits(self, k: int) -> Floats:
        """Give the threshold of every probe of a class."""
        best = np.array([_best_bin(counts[0]) for counts in self.counts[:, k]])
        return np.asarray(LOWEST + best * ((HIGHEST - LOWEST) / NUM_BINS))


def _confusion(counts: npt.NDArray[np.int64], limit: int) -> Floats:
    """Give (true positives, false positives, false negatives) from a bin on."""
    rest, own = counts
    return np.array([own[limit:].sum(), rest[limit:].sum(), own[:limit].sum()], dtype=np.float64)


def _dice_of(confusion: Floats) -> float:
    hit, false_alarm, missed = confusion.tolist()
    total = 2 * hit + false_alarm + missed
    return 2 * hit / total if total else math.nan


def _dice(counts: npt.NDArray[np.int64], limit: int) -> float:
    return _dice_of(_confusion(counts, limit))


def _best_bin(counts: npt.NDArray[np.int64]) -> int:
    """Choose the threshold of the largest Dice."""
    above = counts[:, ::-1].cumsum(axis=1)[:, ::-1]
    dice = 2 * above[1] / np.maximum(1, above.sum(axis=0) + counts[1].sum())
    return int(dice.argmax())


def _auc(counts: npt.NDArray[np.int64]) -> float:
    """Count the pairs that are in the right order; equal bins count half."""
    rest, own = counts.astype(np.float64)
    below = np.cumsum(rest) - rest / 2
    pairs = own.sum() * rest.sum()
    return float((own * below).sum() / pairs) if pairs else math.nan
