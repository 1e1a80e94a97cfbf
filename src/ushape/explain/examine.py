"""Examine a network: two passes over the images, probes fitted between them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch

from ushape.data.targets import likely_masks
from ushape.errors import DataError
from ushape.explain.cam import class_scores, gradient_maps
from ushape.explain.maps import (
    FeatureMaps,
    Image,
    Masks,
    choose_window,
    enlarge,
    feature_maps,
    most_pixels,
    sample,
)
from ushape.explain.probe import (
    MOST_SAMPLES,
    NUM_FOLDS,
    FoldMap,
    Tally,
    draw_points,
    fit_probes,
    make_folds,
)
from ushape.explain.response import Case, ClassPicture, ClassResponse, NodeResponse, Response
from ushape.labels import LabelTable
from ushape.nets import prune
from ushape.nets.network import SegmentationNetwork
from ushape.sizes import format_size

LEAST_PIXELS = 8
"""A class with fewer pixels in all images is not examined."""

Progress = Callable[[int, int], None]


def respond(
    network: SegmentationNetwork,
    cases: Sequence[Case],
    labels: LabelTable,
    *,
    thresholds: Mapping[str, float] | None = None,
    progress: Progress | None = None,
    most: int | None = None,
) -> Response:
    """Measure how every node responds to every class.

    Args:
        network: Trained. A copy is used, on the CPU: the same input gives the same answer.
        cases: All with masks, or all without.
        labels: The classes.
        thresholds: By class name: from which probability on it is predicted, if not as usual.
        progress: Called with (passes done, passes in all).
        most: Pixels of an image to look at; None: what memory allows.

    Raises:
        DataError: There is no image, or some have masks and some have not, or no class is found.
    """
    has_truth = {case.masks is not None for case in cases}
    if len(has_truth) != 1:
        raise DataError(
            "give images that all have true masks, or none of them" if cases else "no image"
        )
    examiner = _Examiner(network, labels, thresholds, most)
    cases, notes = examiner.prepare(cases)
    steps = 2 * len(cases)
    for number, case in enumerate(cases):
        examiner.look(number, case)
        if progress:
            progress(number + 1, steps)
    examiner.fit()
    for number, case in enumerate(cases):
        examiner.score(number, case)
        if progress:
            progress(len(cases) + number + 1, steps)
    return examiner.result(has_truth.pop(), notes)


class _Examiner:
    """The passes over the images, and what they collect."""

    def __init__(
        self,
        network: SegmentationNetwork,
        labels: LabelTable,
        thresholds: Mapping[str, float] | None,
        most: int | None,
    ) -> None:
        self.network = prune(network).cpu().float().eval().requires_grad_(False)
        self.labels = labels
        self.thresholds = thresholds
        self.spec = self.network.spec
        self.limit = most or most_pixels(self.spec)
        self.names = [entry.name for entry in labels.foreground]
        self.channels = [labels.logit_names.index(name) for name in self.names]
        self.folds: list[FoldMap] = []
        self.num_folds = 0
        count = len(self.names)
        self.features: dict[str, list[Image]] = {node.name: [] for node in self.spec.nodes}
        self.drawn: list[tuple[Image, Image, FoldMap]] = []
        self.inside: list[list[dict[str, float]]] = [[] for _ in self.names]
        self.pixels = np.zeros(count, np.int64)
        self.total = 0
        self.overlap = np.zeros((count, 3), np.int64)
        self.richest = [(0, -1)] * count
        self.heats: list[dict[str, Image]] = [{} for _ in self.names]
        self.probes: dict[str, tuple[npt.NDArray[np.floating], npt.NDArray[np.floating]]] = {}
        self.pictures: dict[int, ClassPicture] = {}

    def prepare(self, cases: Sequence[Case]) -> tuple[list[Case], list[str]]:
        """Cut large images to the window that is looked at."""
        kept, notes = [], []
        for case in cases:
            size = case.image.shape[1:]
            window = choose_window(size, self.limit, case.masks)
            if window is None:
                kept.append(case)
                continue
            every = (slice(None), *window)
            part = case._replace(
                image=case.image[every],
                masks=None if case.masks is None else case.masks[every],
                void=None if case.void is None else case.void[window],
            )
            kept.append(part)
            why = "where most of the classes is" if case.masks is not None else "its middle"
            notes.append(
                f"{case.name}: {format_size(part.image.shape[1:])} of {format_size(size)} pixels "
                f"were looked at ({why}), which bounds the memory"
            )
        self.folds = make_folds(
            [case.image.shape[1:] for case in kept], self.network.geometry.total_stride
        )
        self.num_folds = NUM_FOLDS if len(kept) == 1 else min(NUM_FOLDS, len(kept))
        self.tallies = {
            node.name: Tally(len(self.names), self.num_folds) for node in self.spec.nodes
        }
        self.most_samples = max(1, MOST_SAMPLES // len(kept))
        return kept, notes

    def look(self, number: int, case: Case) -> None:
        """First pass: gradients, and features at some pixels."""
        found = feature_maps(self.network, case.image, keep_graph=True)
        predicted = self._predict(found)
        masks = self._masks(case, predicted)
        scores = class_scores(
            found.logits[:, : self.labels.num_logits],
            is_exclusive=self.labels.target == "multiclass",
        )
        self.total += math.prod(found.size) - (0 if case.void is None else int(case.void.sum()))
        for k, mask in enumerate(masks):
            count = int(np.count_nonzero(mask))
            self.pixels[k] += count
            own = predicted[k] if case.void is None else predicted[k] & ~case.void
            self.overlap[k] += (np.count_nonzero(own & mask), np.count_nonzero(own), count)
            if count:
                heats = gradient_maps(found, scores[0, self.channels[k]], torch.from_numpy(mask))
                self._keep_heat(k, number, count, mask, found, heats)
        generator = np.random.default_rng(number)
        points, weights = draw_points(masks, case.void, self.most_samples, generator)
        at = tuple(points.T)
        targets = masks[(slice(None), *at)].T.astype(np.float32)
        self.drawn.append((targets, weights.astype(np.float32), self.folds[number][at]))
        for name, values in found.maps.items():
            self.features[name].append(sample(values, found.places[name], points))

    def fit(self) -> None:
        """Between the passes: the probes."""
        targets, weights, folds = (np.concatenate(parts) for parts in zip(*self.drawn, strict=True))
        for name, parts in self.features.items():
            self.probes[name] = fit_probes(
                np.concatenate(parts), targets, weights, folds, self.num_folds
            )
            parts.clear()

    def score(self, number: int, case: Case) -> None:
        """Second pass: apply the probes to all pixels."""
        found = feature_maps(self.network, case.image, keep_graph=False)
        predicted = self._predict(found)
        masks = self._masks(case, predicted)
        folds = self.folds[number]
        shown = [k for k, (_, best) in enumerate(self.richest) if best == number]
        maps: dict[int, dict[str, Image]] = {k: {} for k in shown}
        for name, values in found.maps.items():
            slopes, offsets = self.probes[name]
            scores = self._apply(slopes, offsets, values, found, name)
            self.tallies[name].add(scores, masks, folds, case.void)
            for k in shown:
                maps[k][name] = np.take_along_axis(
                    scores[:, k], folds[None].astype(np.intp), axis=0
                )[0]
        shown_case = case._replace(masks=masks)
        for k in shown:
            self.pictures[k] = ClassPicture(
                shown_case, masks[k], predicted[k], self.heats[k], maps[k], {}
            )

    def result(self, has_truth: bool, notes: list[str]) -> Response:
        """Bring everything together."""
        classes, pictures, absent = [], {}, []
        for k, name in enumerate(self.names):
            if self.pixels[k] < LEAST_PIXELS:
                absent.append(name)
                continue
            nodes = tuple(
                NodeResponse(
                    node.name,
                    node.level,
                    node.column,
                    self.tallies[node.name].probe(k),
                    _mean([one[node.name] for one in self.inside[k]]),
                )
                for node in self.spec.nodes
            )
            hit, own, true = self.overlap[k].tolist()
            dice = 2 * hit / (own + true) if has_truth else math.nan
            area = float(self.pixels[k] / self.total)
            classes.append(
                ClassResponse(name, self.channels[k], nodes, area, len(self.inside[k]), dice)
            )
            limits = {
                node.name: float(self.tallies[node.name].limits(k)[-1]) for node in self.spec.nodes
            }
            pictures[name] = replace(self.pictures[k], limits=limits)
            if not nodes[-1].probe.is_held_out:
                notes.append(
                    f"{name}: too few places to hold some out: its probes are scored on the pixels "
                    "that they were fitted on, which flatters nodes with many channels"
                )
        if not classes:
            what = "the true masks hold" if has_truth else "the network predicts"
            raise DataError(
                f"{what} none of the classes {', '.join(self.names)} in these images: give images "
                "with at least one of them" + ("" if has_truth else ", or --label TRUTH")
            )
        return Response(
            tuple(classes), tuple(absent), has_truth, pictures, tuple(notes), len(self.folds)
        )

    def _predict(self, found: FeatureMaps) -> Masks:
        logits = found.logits.detach()[:, : self.labels.num_logits]
        is_exclusive = self.labels.target == "multiclass"
        probabilities = torch.softmax(logits, dim=1) if is_exclusive else torch.sigmoid(logits)
        return likely_masks(probabilities[0].numpy(), self.labels, self.thresholds)

    def _masks(self, case: Case, predicted: Masks) -> Masks:
        masks = predicted if case.masks is None else case.masks
        return masks if case.void is None else masks & ~case.void

    def _apply(
        self,
        slopes: npt.NDArray[np.floating],
        offsets: npt.NDArray[np.floating],
        values: torch.Tensor,
        found: FeatureMaps,
        name: str,
    ) -> Image:
        """Compute every probe's score at every pixel, shape (num_folds + 1, K, *size)."""
        flat = torch.from_numpy(slopes.reshape(-1, slopes.shape[-1]))
        small = torch.einsum("oc,nc...->no...", flat, values)
        small += torch.from_numpy(offsets.reshape(1, -1, *(1,) * len(found.size)))
        large = enlarge(small, found.places[name], found.size)
        result: Image = large.reshape(*slopes.shape[:2], *found.size).numpy()
        return result

    def _keep_heat(
        self,
        k: int,
        number: int,
        count: int,
        mask: npt.NDArray[np.bool_],
        found: FeatureMaps,
        heats: dict[str, torch.Tensor],
    ) -> None:
        large = {
            name: enlarge(heat, found.places[name], found.size)[0, 0].numpy()
            for name, heat in heats.items()
        }
        self.inside[k].append(
            {
                name: float(heat[mask].sum(dtype=np.float64) / total)
                if (total := heat.sum(dtype=np.float64)) > 0
                else math.nan
                for name, heat in large.items()
            }
        )
        if count > self.richest[k][0]:
            self.richest[k] = (count, number)
            self.heats[k] = large


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan
