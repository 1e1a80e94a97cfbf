"""Where training patches lie: which case, and around which voxel of which class.

The voxels of every class are found once, when a case is prepared, so that no step has to search
a target. Of a large class some are kept, drawn evenly, beside the exact number of all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ushape.config.schema import SamplingConfig
from ushape.data.sample import Sample
from ushape.data.targets import class_masks
from ushape.labels import LabelTable

Indices = npt.NDArray[np.integer[Any]]

MAX_PLACES = 10_000
"""Voxels of one class that are kept of one case."""

SLAB = 1 << 22
"""Voxels whose masks by class are made at once: those of a large volume would fill the memory."""


class Places(tuple[Indices, ...]):
    """By foreground class some of its voxels, shape (n, axes), and how many there are in all."""

    counts: tuple[int, ...]

    def __new__(cls, indices: Iterable[Indices], counts: Iterable[int]) -> Places:
        """Keep the counts, which are larger than n where not every voxel is kept."""
        places = super().__new__(cls, indices)
        places.counts = tuple(counts)
        return places

    def __getnewargs__(self) -> tuple[tuple[Indices, ...], tuple[int, ...]]:
        """Give what a copy is made of."""
        return tuple(self), self.counts


def index_places(target: npt.NDArray[Any], table: LabelTable, seed: int) -> Places:
    """Find voxels of every foreground class: all, or `MAX_PLACES` drawn evenly.

    Args:
        target: Shape (*size), class indices or sets of classes.
        table: The classes.
        seed: Decides which are drawn.
    """
    generator = np.random.default_rng(seed)
    height = max(1, SLAB // max(1, int(np.prod(target.shape[1:]))))
    slabs = [slice(start, start + height) for start in range(0, len(target), height)]
    axes = tuple(range(1, target.ndim + 1))
    numbers = np.array([class_masks(target[s], table).sum(axis=axes) for s in slabs])
    ends = numbers.cumsum(axis=0)
    counts = [int(count) for count in ends[-1]]
    # The n-th voxel of a class, counted in the order of memory; a slab knows those from its first.
    ranks = [
        np.sort(generator.choice(count, MAX_PLACES, replace=False, shuffle=False))
        if count > MAX_PLACES
        else np.arange(count)
        for count in counts
    ]
    found: list[list[Indices]] = [[] for _ in counts]
    for number, slab in enumerate(slabs):
        for index, mask in enumerate(class_masks(target[slab], table)):
            end = ends[number, index]
            first, last = np.searchsorted(ranks[index], (end - numbers[number, index], end))
            inside = ranks[index][first:last] - (end - numbers[number, index])
            indices = np.stack(np.unravel_index(np.flatnonzero(mask)[inside], mask.shape), axis=1)
            indices[:, 0] += slab.start
            found[index].append(indices)
    return Places((np.concatenate(parts) for parts in found), counts)


def pack_places(places: Places) -> npt.NDArray[np.int64]:
    """Lay places out as one row of numbers: classes, counts, lengths, indices."""
    head = [len(places), *places.counts, *(len(indices) for indices in places)]
    return np.concatenate([head, *(indices.ravel() for indices in places)]).astype(np.int64)


def unpack_places(packed: npt.NDArray[np.int64], axes: int) -> Places:
    """Undo `pack_places`; the indices are views."""
    classes = int(packed[0])
    counts, lengths = packed[1 : 1 + classes], packed[1 + classes : 1 + 2 * classes]
    ends = 1 + 2 * classes + np.cumsum(lengths) * axes
    parts = zip(ends - lengths * axes, ends, strict=True)
    indices = (packed[start:end].reshape(-1, axes) for start, end in parts)
    return Places(indices, (int(count) for count in counts))


def case_weights(samples: Sequence[Sample], sampling: SamplingConfig) -> npt.NDArray[np.float64]:
    """Weigh cases against each other: by pixels that are not void, or all that have any alike.

    What a data set says of single cases (`Sample.sampling_weight`) is a factor on that.
    """
    pixels = np.array(
        [float(np.prod(s.size) if s.num_valid is None else s.num_valid) for s in samples]
    )
    weights = pixels if sampling.cases == "size" else (pixels > 0).astype(np.float64)
    return weights * _said_weights(samples)


def _said_weights(samples: Sequence[Sample]) -> npt.NDArray[np.float64]:
    return np.array([sample.sampling_weight for sample in samples])


def num_centred(sampling: SamplingConfig, batch_size: int) -> int:
    """Say how many patches of a batch are centred on a class."""
    share = sampling.foreground_fraction
    return max(1, int(share * batch_size + 0.5)) if share else 0


def draw_places(
    generator: np.random.Generator,
    samples: Sequence[Sample],
    sampling: SamplingConfig,
    number: int,
) -> list[tuple[int, Indices]]:
    """Draw voxels of foreground classes: a class, then a case that holds it, then its voxel.

    Classes of `equal` chance take turns in a random order, so that a batch with as many such
    patches as there are classes shows every class. Cases are drawn by their voxels of the class,
    or with equal chances.

    Args:
        generator: Source of chance.
        samples: Cases with places.
        sampling: How classes and cases are drawn.
        number: Voxels to draw.

    Returns:
        Number of the case and index of the voxel. Nothing if no case holds any foreground.

    Raises:
        ValueError: The places of a case were not indexed.
    """
    if not number:
        return []
    counts = _class_counts(samples)
    said = _said_weights(samples)
    total = (counts * said[:, None]).sum(axis=0)
    held = np.flatnonzero(total)
    if not len(held):
        return []
    if sampling.classes == "equal":
        turns = [generator.permutation(held) for _ in range(-(-number // len(held)))]
        classes = np.concatenate(turns)[:number]
    else:
        classes = generator.choice(len(total), size=number, p=total / total.sum())
    drawn = []
    for index in classes:
        weights = said * (counts[:, index] if sampling.cases == "size" else counts[:, index] > 0)
        case = int(generator.choice(len(samples), p=weights / weights.sum()))
        places = samples[case].places[index]
        drawn.append((case, np.array(places[generator.integers(len(places))])))
    return drawn


def _class_counts(samples: Sequence[Sample]) -> npt.NDArray[np.int64]:
    """Count the voxels by case and foreground class."""
    for sample in samples:
        if not sample.places:
            raise ValueError(
                f"case {sample.id}: sampling.foreground_fraction needs the places of classes; "
                "give prepare_cases the sampling"
            )
    return np.array(
        [
            s.places.counts if isinstance(s.places, Places) else [len(p) for p in s.places]
            for s in samples
        ],
        dtype=np.int64,
    )
