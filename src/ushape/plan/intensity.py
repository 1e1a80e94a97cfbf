"""What the intensities of a data set are inside its foreground, and of which modality."""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from ushape.data.scan import CaseScan, Inside, Scan
from ushape.labels import LabelTable

AIR_HU = (-3100.0, -700.0)
"""The smallest values of a CT scan: air is -1000; scanners pad with values down to -3024."""

BONE_HU = (200.0, 40000.0)
"""Its largest: bone, and metal where the scale goes that far."""


class Intensity(NamedTuple):
    """Values of one channel inside the foreground of all cases, in the unit of the files."""

    percentile_0_5: float
    percentile_99_5: float
    mean: float
    std: float


def pool_intensities(cases: Sequence[CaseScan], labels: LabelTable) -> tuple[Intensity, ...]:
    """Sum up the intensities inside the foreground: every voxel of every case counts the same.

    Voxels in several classes count once for each. The percentiles are exact up to the distance of
    the quantiles that the scan keeps of a case.

    Returns:
        One a channel; empty where no case has foreground.
    """
    values = {value for entry in labels.foreground for value in entry.members}
    parts = [case.inside[value] for case in cases for value in values if value in case.inside]
    if not parts:
        return ()
    return tuple(_pool(parts, channel) for channel in range(len(parts[0].means)))


def _pool(parts: Sequence[Inside], channel: int) -> Intensity:
    counts = np.array([part.count for part in parts], np.float64)
    means = np.array([part.means[channel] for part in parts])
    stds = np.array([part.stds[channel] for part in parts])
    mean = float(np.average(means, weights=counts))
    variance = float(np.average(stds**2 + (means - mean) ** 2, weights=counts))
    values = np.concatenate([part.quantiles[channel] for part in parts])
    weights = np.concatenate(
        [np.full(part.quantiles.shape[1], part.count / part.quantiles.shape[1]) for part in parts]
    )
    low, high = _weighted_quantiles(values, weights, (0.005, 0.995))
    return Intensity(low, high, mean, math.sqrt(variance))


def _weighted_quantiles(
    values: npt.NDArray[np.float32], weights: npt.NDArray[np.float64], shares: Sequence[float]
) -> tuple[float, ...]:
    """Give the smallest value that each share of the weight does not exceed."""
    order = np.argsort(values, kind="stable")
    below = np.cumsum(weights[order])
    found = np.searchsorted(below, np.array(shares) * below[-1]).clip(0, len(order) - 1)
    return tuple(float(value) for value in values[order][found])


def find_modality(scan: Scan) -> Literal["ct", "other"]:
    """Say whether the intensities are those of computed tomography.

    A name of the channel beside the data decides. Else volumes of one channel are CT whose whole
    numbers reach, in the median case, from air to bone on Hounsfield's scale.
    """
    if scan.channel_names:
        return "ct" if all(_is_ct(name) for name in scan.channel_names) else "other"
    cases = scan.cases
    is_volume = len(cases[0].size) == 3 or scan.stack_mm is not None
    if not is_volume or cases[0].num_channels != 1 or not all(case.is_whole for case in cases):
        return "other"
    low = statistics.median(case.minimum for case in cases)
    high = statistics.median(case.maximum for case in cases)
    is_ct = AIR_HU[0] <= low <= AIR_HU[1] and BONE_HU[0] <= high <= BONE_HU[1]
    return "ct" if is_ct else "other"


def _is_ct(name: str) -> bool:
    return re.split(r"[\s_-]", name.strip().lower())[0] == "ct"


def ct_beside_others(channel_names: Sequence[str], normalise: str) -> tuple[str, ...]:
    """Warn where computed tomography is a channel beside others: all are normalised alike.

    Args:
        channel_names: As of the fingerprint.
        normalise: How values are brought to one scale, `preprocess.normalise`.
    """
    is_ct = [_is_ct(name) for name in channel_names]
    if normalise == "ct" or not any(is_ct) or all(is_ct):
        return ()
    return (
        f"channels {', '.join(channel_names)}: one normalisation for all channels ({normalise}), "
        "CT values are not windowed; --set preprocess.normalise=ct clips and scales each channel "
        "by its own values in the foreground of all cases",
    )
