"""Bring intensities to the scale that the network is trained on, slab by slab.

A channel is measured first and scaled after, in pieces, so that besides the values and the result
at most one float32 copy of a channel is held: for percentiles, which need all values at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ushape.config.schema import PreprocessConfig
from ushape.data.io.volume import Values
from ushape.errors import DataError

SLAB = 1 << 22
"""Pixels that are measured at once: in double precision a whole volume would fill the memory."""

Image = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Scaling:
    """How one channel's values become the network's.

    Attributes:
        low: Values below are lifted to it; None where nothing is clipped.
        high: Values above are lowered to it.
        middle: What becomes 0.
        reach: What becomes 1 above it; None leaves the values in their unit.
        keep_zeros: Zeros stay zero.
    """

    low: Any = None
    high: Any = None
    middle: Any = 0.0
    reach: Any = None
    keep_zeros: bool = False

    def apply(self, values: Values) -> Image:
        """Scale a part of the channel; the result is a new array."""
        scaled = values.astype(np.float32)
        zeros = scaled == 0 if self.keep_zeros else None  # clipping may lift them
        if self.low is not None:
            np.clip(scaled, np.float32(self.low), np.float32(self.high), out=scaled)
        if self.reach is not None:
            # In the precision of the two numbers, which is double.
            scaled[...] = (scaled - self.middle) / self.reach
        if zeros is not None:
            scaled[zeros] = 0
        return scaled


def normalise_image(image: Values, config: PreprocessConfig) -> Image:
    """Bring an image as read from its file to the form that the network was trained on.

    Args:
        image: Shape (channel, *size), any number type.
        config: How many channels the network takes, and how intensities are scaled.

    Returns:
        Same shape, float32, a copy. `zscore` and `percentile` make zeros of a constant image.

    Raises:
        DataError: The image has another number of channels than the network, or `unit` is asked
            of floats, whose type has no largest value to speak of.
    """
    image = used_channels(image, config)
    normalised = np.empty(image.shape, np.float32)
    for channel, scaling, result in zip(
        image, measure_scaling(image, config), normalised, strict=True
    ):
        for slab in slabs(channel.shape):
            result[slab] = scaling.apply(channel[slab])
    return normalised


def used_channels(image: Values, config: PreprocessConfig) -> Values:
    """Take the channels that the network takes: one of a grey picture stored in colours.

    Raises:
        DataError: There are more or fewer.
    """
    if image.shape[0] == 3 and config.channels == 1 and _is_grey(image):
        image = image[:1]
    if image.shape[0] != config.channels:
        wanted = {1: "grey images", 3: "RGB images"}.get(
            config.channels, f"images of {config.channels} channels"
        )
        raise DataError(
            f"the image has {image.shape[0]} channel(s), the model takes {config.channels}: "
            f"give {wanted} as in training"
        )
    return image


def measure_scaling(image: Values, config: PreprocessConfig) -> tuple[Scaling, ...]:
    """Say how each channel of an image is to be scaled.

    Args:
        image: Shape (channel, *size), as many channels as the network takes.
        config: How intensities are scaled.

    Raises:
        DataError: `unit` is asked of floats.
    """
    if config.normalise == "ct":
        rows = (map(np.float64, row) for row in config.intensity)
        return tuple(Scaling(low, high, mean, deviation) for low, high, mean, deviation in rows)
    return tuple(_measure(channel, config) for channel in image)


def slabs(shape: tuple[int, ...]) -> Iterator[slice]:
    """Cut the first axis into pieces of at most `SLAB` values, or of one plane."""
    height = max(1, SLAB // max(1, int(np.prod(shape[1:]))))
    return (slice(start, start + height) for start in range(0, shape[0], height))


def _measure(channel: Values, config: PreprocessConfig) -> Scaling:
    flat, ends = _clip(channel, config)
    if config.normalise == "percentile":
        flat = _flat(channel) if flat is None else flat
        low, high = np.percentile(flat, (0.5, 99.5), overwrite_input=True)
        middle, reach = (low + high) / 2, np.maximum((high - low) / 2, _least(low + high))
        return Scaling(*ends, middle, reach / 2)
    if config.normalise == "unit":
        return Scaling(*ends, np.float32(0), np.float32(_largest(channel.dtype)))
    if config.normalise == "none":
        return Scaling(*ends)
    del flat  # as large as the channel
    moments = _moments(channel, Scaling(*ends), keep_zeros=config.nonzero)
    if moments is None:  # nothing but zeros, which stay so
        return Scaling(keep_zeros=True)
    mean, deviation = moments
    return Scaling(*ends, mean, np.maximum(deviation, _least(mean)), config.nonzero)


def _clip(channel: Values, config: PreprocessConfig) -> tuple[Image | None, tuple[Any, Any]]:
    """Find the ends to clip to; give the clipped values too, in any order, where that took them."""
    if config.clip is None:
        return None, (None, None)
    flat = _flat(channel)
    low, high = np.percentile(flat, config.clip, overwrite_input=True)
    np.clip(flat, np.float32(low), np.float32(high), out=flat)
    return flat, (low, high)


def _flat(channel: Values) -> Image:
    return channel.astype(np.float32, order="C").reshape(-1)


def _moments(
    channel: Values, clipping: Scaling, *, keep_zeros: bool
) -> tuple[np.float64, np.float64] | None:
    """Take mean and deviation of clipped values, by the moments of slabs; None where are none."""
    counts, means, variances = [], [], []
    for slab in slabs(channel.shape):
        values = clipping.apply(channel[slab])
        if keep_zeros:
            values = values[channel[slab] != 0]
        if values.size:
            counts.append(values.size)
            means.append(values.mean(dtype=np.float64))
            variances.append(values.var(dtype=np.float64))
    if not counts:
        return None
    shares = np.array(counts) / np.sum(counts)
    mean = np.sum(shares * means)
    return mean, np.sqrt(np.sum(shares * (variances + (means - mean) ** 2)))


def _largest(kind: np.dtype[Any]) -> int:
    """Give the largest value of a type of whole numbers."""
    if kind.kind == "b":
        return 1
    if kind.kind not in "iu":
        raise DataError(
            f"normalise=unit divides by the largest value of whole numbers, the image holds {kind}:"
            " use zscore"
        )
    return int(np.iinfo(kind).max)


def _least(level: Any) -> npt.NDArray[np.float64]:
    """Give the spread below which an image counts as constant, whatever its unit."""
    return np.asarray(1e-6 * np.abs(level) + 1e-30)


def _is_grey(image: Values) -> bool:
    return bool(np.array_equal(image[0], image[1]) and np.array_equal(image[0], image[2]))
