"""Geometry of the patch that draws rest on: spacing, thick slices, room that a patch needs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from ushape.config.schema import AugmentConfig
from ushape.errors import ShapeError
from ushape.sizes import Size

MOST_ANISOTROPY = 3.0
"""Beyond this ratio of spacings, slices are varied within their plane only (as nnU-Net does)."""


@dataclass(frozen=True)
class Space:
    """Where the patch lives.

    Attributes:
        patch_size: Spatial size of the patches.
        edges: Edge of a pixel per axis, in edges of the finest axis (so the smallest is 1).
        plane: Axes that are turned, scaled and bent: all, or those within thick slices.
        slice_axis: The axis that slices are stacked along: the coarsest, the first of equals; None
            in 2D.
    """

    patch_size: Size
    edges: tuple[float, ...]
    plane: tuple[int, ...]
    slice_axis: int | None

    def in_plane(self) -> npt.NDArray[np.bool_]:
        """Tell of each axis whether it is turned, scaled and bent; (d,)."""
        return np.array([axis in self.plane for axis in range(len(self.patch_size))])


def find_space(patch_size: Size, spacing: Sequence[float] | None) -> Space:
    """Describe the patch's space.

    Args:
        patch_size: Spatial size.
        spacing: Distance of pixels per axis, in any unit; None for equal distances.

    Raises:
        ShapeError: The spacing has another number of axes, or a number that is no distance.
    """
    given = (1.0,) * len(patch_size) if spacing is None else tuple(float(x) for x in spacing)
    return _find_space(tuple(patch_size), given)


@lru_cache(maxsize=64)
def _find_space(patch_size: Size, given: tuple[float, ...]) -> Space:
    dims = len(patch_size)
    if len(given) != dims or not all(math.isfinite(x) and x > 0 for x in given):
        raise ShapeError(
            f"spacing {given} does not fit patches of size {patch_size}: give one positive "
            "distance for each axis, in the order of the axes"
        )
    finest = min(given)
    edges = tuple(x / finest for x in given)
    coarse = edges.index(max(edges))
    thick = dims == 3 and edges[coarse] > MOST_ANISOTROPY
    plane = tuple(axis for axis in range(dims) if not (thick and axis == coarse))
    return Space(patch_size, edges, plane, coarse if dims == 3 else None)


def window_size(
    patch_size: Size, config: AugmentConfig, *, spacing: Sequence[float] | None = None
) -> Size:
    """Find how large a window must be cut so that any drawn patch finds its pixels in it.

    Beyond it (rare: elastic offsets have no bound) the window's border is mirrored. Window and
    patch have the same parity, so that flips and right-angle turns fall exactly on pixels.

    Args:
        patch_size: Spatial size of the patches.
        config: Probabilities and ranges.
        spacing: As for `draw_augmentation`.
    """
    space = find_space(patch_size, spacing)
    turns = config.rotation_probability > 0 and config.rotation_degrees > 0
    scale = config.scale_range if config.scale_probability > 0 else 1.0
    scale *= config.scale_axis_range if config.scale_axis_probability > 0 else 1.0
    slant = math.tan(math.radians(config.shear_degrees)) if config.shear_probability > 0 else 0.0
    extra = config.shift_pixels if config.shift_probability > 0 else 0.0
    bend = 2 * config.elastic_pixels if config.elastic_probability > 0 else 0.0
    slide = config.slice_shift_pixels if config.slice_shift_probability > 0 else 0.0
    lengths = [edge * size for edge, size in zip(space.edges, patch_size, strict=True)]
    whole = math.hypot(*(lengths[axis] for axis in space.plane))
    sizes = []
    for axis, patch in enumerate(patch_size):
        if axis in space.plane:
            others = sum(lengths[other] for other in space.plane if other != axis)
            reach = whole * (1 + slant * (len(space.plane) - 1)) if turns else 0.0
            reach = max(reach, lengths[axis] + slant * others)
            side = 0.0 if axis == space.slice_axis else slide
            # Divided last: for equal spacing the figures are exact.
            length = math.ceil((reach * scale + 2 * (extra + bend + side)) / space.edges[axis])
        else:
            length = patch + 2 * math.ceil(extra / space.edges[axis])
        length = max(length, patch)
        sizes.append(length + (length - patch) % 2)
    return tuple(sizes)
