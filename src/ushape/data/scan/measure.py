"""Measure intensities: of a whole image, and at the voxels of every label value.

Whole numbers of 8 and 16 bits are measured exactly, from their histogram; so are other numbers of
images of up to `EXACT_VALUES` values. The percentiles of larger ones are those of `DRAWN_VALUES`
values drawn by chance (the same at every call), which errs by less than 0.1 % in rank. Nothing is
copied to double precision but `SLAB` values at a time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[Any]

SLAB = 1 << 20
"""Values that are worked on at once."""

EXACT_VALUES = 1 << 22
DRAWN_VALUES = 1 << 20

PICKED = 1 << 15
"""Of the voxels of one label value at least this many are looked at, or all."""

KEPT = 2048
"""Quantiles that are kept of one case, over all label values and channels."""

_FEW_VALUES = 16  # then looking for each in turn is quicker than sorting the pixels by value
_MOST_QUANTILES, _LEAST_QUANTILES = 512, 16
_PERCENTILES = {"percentile_0_5": 0.005, "median": 0.5, "percentile_99_5": 0.995}


@dataclass(frozen=True, eq=False)
class Inside:
    """Intensities at the voxels of one label value in one case.

    Attributes:
        count: Voxels of the value.
        quantiles: Evenly spaced in rank, rising, shape (channel, n); each stands for count / n
            voxels.
        means: Of each channel.
        stds: Standard deviation of each channel.
    """

    count: int
    quantiles: npt.NDArray[np.float32]
    means: tuple[float, ...]
    stds: tuple[float, ...]


def measure_image(image: Values) -> dict[str, Any]:
    """Measure the intensities over all channels.

    Args:
        image: Shape (channel, *size), contiguous, finite.

    Returns:
        `minimum`, `maximum`, `mean`, `std`, `percentile_0_5`, `median`, `percentile_99_5` and
        `is_whole`: whether all values (of a drawn million) are whole numbers.
    """
    flat = image.reshape(-1)
    if image.dtype.kind in "bui" and image.dtype.itemsize <= 2:
        values, weights = _histogram(flat)
    elif flat.size <= EXACT_VALUES:
        values, weights = np.sort(flat), np.ones(flat.size, np.int64)
    else:
        return _measure_large(flat)
    below = np.cumsum(weights)
    mean = float(np.average(values.astype(np.float64), weights=weights))
    variance = float(np.average((values - mean) ** 2, weights=weights))
    return {
        "minimum": float(values[0]),
        "maximum": float(values[-1]),
        "mean": mean,
        "std": variance**0.5,
        **_percentiles(values, below),
        "is_whole": _is_whole(values),
    }


def _histogram(flat: Values) -> tuple[Values, Values]:
    """Count 8- and 16-bit numbers: the values that occur, rising, and how often each does."""
    lowest = int(flat.min())
    counts = np.zeros(int(flat.max()) - lowest + 1, np.int64)
    for start in range(0, flat.size, SLAB):
        slab = flat[start : start + SLAB].astype(np.int64) - lowest
        counts += np.bincount(slab, minlength=len(counts))
    found = np.flatnonzero(counts)
    return found + lowest, counts[found]


def _measure_large(flat: Values) -> dict[str, Any]:
    slabs = [slice(start, start + SLAB) for start in range(0, flat.size, SLAB)]
    mean = float(sum(flat[slab].sum(dtype=np.float64) for slab in slabs)) / flat.size
    squares = sum(float(((flat[slab] - mean) ** 2).sum(dtype=np.float64)) for slab in slabs)
    drawn = np.sort(flat[np.random.default_rng(0).integers(0, flat.size, DRAWN_VALUES)])
    return {
        "minimum": float(flat.min()),
        "maximum": float(flat.max()),
        "mean": mean,
        "std": (squares / flat.size) ** 0.5,
        **_percentiles(drawn, np.arange(1, len(drawn) + 1)),
        "is_whole": _is_whole(drawn),
    }


def _percentiles(values: Values, below: Values) -> dict[str, float]:
    """Give the smallest value that each share of all values does not exceed."""
    ranks = {name: np.ceil(share * below[-1]) for name, share in _PERCENTILES.items()}
    return {name: float(values[np.searchsorted(below, rank)]) for name, rank in ranks.items()}


def _is_whole(values: Values) -> bool:
    return values.dtype.kind != "f" or bool(np.array_equal(values, np.rint(values)))


def content_size(image: Values) -> tuple[int, ...]:
    """Give the size of the box around what is not zero in any channel; all of a blank image."""
    edges = []
    for axis in range(1, image.ndim):
        others = tuple(other for other in range(image.ndim) if other != axis)
        found = np.flatnonzero(image.any(axis=others))
        if not found.size:
            return tuple(image.shape[1:])
        edges.append(int(found[-1] - found[0] + 1))
    return tuple(edges)


def hash_image(image: Values) -> str:
    """Return the SHA-256 of shape, type and values, to find copies."""
    digest = hashlib.sha256(f"{image.shape} {image.dtype}".encode())
    digest.update(image.data)
    return digest.hexdigest()


def measure_by_value(image: Values, labels: Values, counts: Mapping[int, int]) -> dict[int, Inside]:
    """Measure the intensities at the voxels of every label value.

    Args:
        image: Shape (channel, *size), contiguous.
        labels: Shape (*size), contiguous.
        counts: Voxels of every value in `labels`.
    """
    flat = labels.reshape(-1)

    def split(slab: slice) -> Iterator[tuple[int, Values]]:
        part = flat[slab]
        if len(counts) <= _FEW_VALUES:
            yield from ((value, np.flatnonzero(part == value)) for value in counts)
            return
        order = np.argsort(part, kind="stable")
        starts = np.flatnonzero(np.diff(part[order], prepend=-1))
        for members in np.split(order, starts[1:]):
            yield int(part[members[0]]), members

    return _measure_inside(image, counts, split)


def measure_by_mask(image: Values, masks: Values, counts: Mapping[int, int]) -> dict[int, Inside]:
    """Measure the intensities inside every mask; masks are numbered 1, 2, ...

    Args:
        image: Shape (channel, *size), contiguous.
        masks: Shape (class, *size), contiguous, bool.
        counts: Voxels of every mask.
    """
    flat = masks.reshape(len(masks), -1)

    def split(slab: slice) -> Iterator[tuple[int, Values]]:
        for number, mask in enumerate(flat, start=1):
            yield number, np.flatnonzero(mask[slab])

    return _measure_inside(image, counts, split)


def _measure_inside(
    image: Values,
    counts: Mapping[int, int],
    split: Callable[[slice], Iterator[tuple[int, Values]]],
) -> dict[int, Inside]:
    """Pick voxels of every value at even distances in the order of the file, and sum them up."""
    channels = image.reshape(len(image), -1)
    seen = dict.fromkeys(counts, 0)
    picked: dict[int, list[Values]] = {value: [] for value in counts}
    for start in range(0, channels.shape[1], SLAB):
        for value, places in split(slice(start, start + SLAB)):
            if not counts.get(value):
                continue
            step = max(1, counts[value] // PICKED)
            picked[value].append(channels[:, start + places[-seen[value] % step :: step]])
            seen[value] += len(places)
    full = {value: np.concatenate(parts, axis=1) for value, parts in picked.items() if parts}
    share = KEPT // max(1, len(full) * len(image))
    most = min(max(share, _LEAST_QUANTILES), _MOST_QUANTILES)
    return {value: _sum_up(counts[value], values, most) for value, values in full.items()}


def _sum_up(count: int, values: Values, most: int) -> Inside:
    """Sum up picked values, shape (channel, n)."""
    exact = values.astype(np.float64)
    radix: Literal["stable"] | None = (
        "stable" if values.dtype.kind in "bui" and values.dtype.itemsize <= 2 else None
    )
    number = min(most, values.shape[1])
    ranks = ((np.arange(number) + 0.5) * values.shape[1] / number).astype(np.intp)
    return Inside(
        count,
        np.sort(values, axis=1, kind=radix)[:, ranks].astype(np.float32),
        tuple(float(mean) for mean in exact.mean(axis=1)),
        tuple(float(std) for std in exact.std(axis=1)),
    )
