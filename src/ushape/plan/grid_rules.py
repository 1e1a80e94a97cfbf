"""Rules for the grid that images are prepared on: cropping, resampling, and what comes out.

Source: Isensee et al. 2021, "nnU-Net: a self-configuring method for deep learning-based biomedical
image segmentation", Nature Methods 18, supplementary note 2 (resampling, target spacing).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ushape.errors import ConfigError
from ushape.plan.choices import Choices
from ushape.plan.fingerprint import Fingerprint
from ushape.sizes import Size

SAME_SPACING = 1.01
"""Spacings that differ by less than this factor are the same."""

THICK = 3.0
"""An axis whose voxels are more than this many times as long as the finest is thick."""

CROP_BELOW = 0.75
"""Borders are cut off where the content takes less than this share of the volume."""


@dataclass(frozen=True)
class Grid:
    """Prepared images, as far as sizes go.

    Attributes:
        size: Median size.
        largest: Largest size of each axis.
        edges: Voxel edges in mm, or 1 where they are not known.
        has_spacing: They are known.
    """

    size: Size
    largest: Size
    edges: tuple[float, ...]
    has_spacing: bool

    @property
    def spatial_dims(self) -> int:
        """2 for pictures, 3 for volumes and stacks."""
        return len(self.size)

    @property
    def ratios(self) -> tuple[float, ...]:
        """Edge of each axis over the finest."""
        return tuple(edge / min(self.edges) for edge in self.edges)

    @property
    def anisotropy(self) -> float:
        """Coarsest edge over the finest."""
        return max(self.ratios)

    @property
    def coarsest(self) -> int:
        """Number of the axis with the longest edge, the first of equals."""
        return self.edges.index(max(self.edges))


def choose_grid(choices: Choices, fingerprint: Fingerprint) -> Grid:
    """Choose whether borders are cut off, and the spacing that volumes are brought to.

    Raises:
        ConfigError: A spacing was set that has another number of axes than the images, or though
            theirs is not known.
    """
    is_cropped = _choose_crop(choices, fingerprint)
    target, reason = _target_spacing(fingerprint)
    target = choices.choose("preprocess.spacing_mm", target, reason)
    dims = fingerprint.spatial_dims
    if target is not None and len(target) != dims:
        raise ConfigError(
            f"preprocess.spacing_mm = {list(target)} has {len(target)} numbers, the images have "
            f"{dims} axes: give one an axis"
        )
    if target is not None and fingerprint.spacing_mm is None:
        raise ConfigError(
            f"preprocess.spacing_mm = {list(target)}: the files do not tell the edges of their "
            "voxels, so nothing can be resampled: leave it out, or give files that tell them"
        )
    content = fingerprint.content_size if is_cropped else ()
    known, finest = fingerprint.spacing_mm, fingerprint.smallest_spacing_mm
    size = _resampled(content or fingerprint.median_size, known, target)
    # A large case may also be a coarse one; resampled it has at least its voxels, at most these.
    largest = _resampled(fingerprint.largest_size, known or finest, target)
    return Grid(
        size,
        tuple(max(a, b) for a, b in zip(size, largest, strict=True)),
        tuple(target or fingerprint.edges),
        known is not None,
    )


def _choose_crop(choices: Choices, fingerprint: Fingerprint) -> bool:
    share = content_share(fingerprint)
    if fingerprint.spatial_dims == 3 and share < CROP_BELOW:
        reason = f"the box around what is not zero is {share:.0%} of the median volume"
        return bool(choices.choose("preprocess.crop", "nonzero", reason) == "nonzero")
    if fingerprint.spatial_dims == 2:
        reason = "pictures are taken whole"
    else:
        reason = (
            f"the box around what is not zero is {share:.0%} of the median volume: little to cut"
        )
    return bool(choices.choose("preprocess.crop", "none", reason) == "nonzero")


def content_share(fingerprint: Fingerprint) -> float:
    """Return the share of the median image that lies in the box around what is not zero."""
    if not fingerprint.content_size:
        return 1.0
    return math.prod(fingerprint.content_size) / math.prod(fingerprint.median_size)


def _target_spacing(fingerprint: Fingerprint) -> tuple[tuple[float, ...] | None, str]:
    """Choose the spacing to resample to; None leaves every volume as it is."""
    median = fingerprint.spacing_mm
    if fingerprint.spatial_dims == 2:
        return None, "pictures keep their pixels: nothing is resampled"
    if median is None:
        return None, "the files tell no spacing: nothing is resampled"
    low = fingerprint.smallest_spacing_mm or median
    high = fingerprint.largest_spacing_mm or median
    if fingerprint.is_stack:
        return None, "all slices have the same spacing: nothing is resampled"
    if all(b <= a * SAME_SPACING for a, b in zip(low, high, strict=True)):
        text = " x ".join(f"{edge:.3g}" for edge in median)
        return None, f"all volumes have voxels of {text} mm: nothing is resampled"
    target = list(median)
    reason = "median of each axis"
    axis = median.index(max(median))
    others = max(edge for number, edge in enumerate(median) if number != axis)
    sizes = fingerprint.median_size
    is_thick = median[axis] > THICK * min(median) and sizes[axis] * THICK < max(sizes)
    if is_thick and low[axis] < median[axis]:
        # The 10th percentile lies between the smallest and the median; here their geometric mean.
        target[axis] = max(math.sqrt(low[axis] * median[axis]), others)
        reason += (
            f"; along thick axis {'zyx'[axis]} between the smallest and the median, so that scans "
            "with thin slices keep detail"
        )
    return tuple(float(f"{edge:.4g}") for edge in target), reason


def _resampled(
    size: Size, spacing: tuple[float, ...] | None, target: tuple[float, ...] | None
) -> Size:
    if spacing is None or target is None:
        return size
    return tuple(
        max(round(length * edge / wanted), 1)
        for length, edge, wanted in zip(size, spacing, target, strict=True)
    )
