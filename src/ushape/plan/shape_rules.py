"""Rules for the shape of the network: 2D, 2.5D or 3D, levels, kernels and strides of each axis.

Source: Isensee et al. 2021, supplementary note 2 (network topology): an axis is pooled, and has
kernels of 3, from the level on where its voxels are less than twice as long as the finest. Kernels
and strides of one entry of the catalogue stand for what nnU-Net sets level by level.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from ushape.plan.grid_rules import THICK, Grid
from ushape.sizes import format_size

LOWEST_EDGE = 4
"""Voxels that the lowest level keeps along every axis."""

FEWEST_LEVELS, MOST_LEVELS = 3, 5

POOLED_BELOW = 2.0
"""An axis is pooled together with the finest one if its voxels are shorter than this many."""

FLAT_SLICES = 2
"""With so few slices a volume is a set of pictures."""

SMALL_TARGET = 0.05
"""Attention is used where the foreground takes less than this share."""


class NetShape(NamedTuple):
    """A catalogue entry, the options that give it its shape, and why."""

    name: str
    options: dict[str, Any]
    why_name: str
    why_options: str


def choose_shape(grid: Grid, foreground_fraction: float) -> NetShape:
    """Choose the entry and its levels for images of this grid.

    Args:
        grid: Sizes and spacings after preparation.
        foreground_fraction: Share of all classes but the background.
    """
    if grid.spatial_dims == 2:
        levels = _levels(grid.size)
        why = f"{levels} levels suit images of {format_size(grid.size)}"
        options = {"levels": levels, "up": "transposed"}
        return NetShape("unet_padding", options, "the default of the family in 2D", why)
    thick = [axis for axis, ratio in enumerate(grid.ratios) if ratio >= POOLED_BELOW]
    if grid.size[0] <= FLAT_SLICES:
        return _pictures(grid)
    if any(axis != 0 for axis in thick):
        return _one_stride(grid, thick)
    flat, why_flat = _flat_levels(grid)
    if flat:
        return _thick_slices(grid, flat, why_flat, foreground_fraction)
    levels = _levels(grid.size)
    why_name = (
        "3D: voxels are about as long along every axis"
        if grid.has_spacing
        else ("3D: the spacing is not known, and taken as equal along every axis")
    )
    why = f"{levels} levels leave {LOWEST_EDGE} voxels or more of {format_size(grid.size)}"
    options = {"spatial_dims": 3, "levels": levels, "up": "transposed"}
    return NetShape("unet_padding", options, why_name, why)


def _halvings(length: int) -> int:
    """Count how often an axis can be halved before it is shorter than the lowest level's edge."""
    return max(int(math.log2(max(length, 1) / LOWEST_EDGE)), 0) if length >= LOWEST_EDGE else 0


def _levels(size: Sequence[int]) -> int:
    """Count levels for axes that are all halved together."""
    return min(max(min(map(_halvings, size)) + 1, FEWEST_LEVELS), MOST_LEVELS)


def _flat_levels(grid: Grid) -> tuple[int, str]:
    """Count the levels that leave the slice axis alone, and say why."""
    in_plane = _levels(grid.size[1:]) - 1
    ratio = grid.edges[0] / min(grid.edges[1:])
    by_spacing = int(math.log2(ratio)) if ratio >= POOLED_BELOW else 0
    by_size = in_plane - _halvings(grid.size[0])
    if not by_spacing and by_size < 2:
        return 0, ""
    flat = min(max(by_spacing, by_size), in_plane)
    if flat == by_spacing:
        return flat, f"slices are {ratio:.3g} times as far apart as pixels"
    return flat, f"{grid.size[0]} slices can be halved {_halvings(grid.size[0])} times only"


def _thick_slices(grid: Grid, flat: int, why_flat: str, foreground: float) -> NetShape:
    levels = _levels(grid.size[1:])
    kind = "2.5D" if grid.ratios[0] > THICK or not grid.has_spacing else "3D with flat first levels"
    which = "the first convolves and pools" if flat == 1 else f"the first {flat} convolve and pool"
    small = foreground < SMALL_TARGET
    why = (
        f"{levels} levels suit slices of {format_size(grid.size[1:])}; {which} "
        f"within the slice ({why_flat}); attention "
        + ("finds small targets" if small else "is for small targets")
    )
    options = {"levels": levels, "flat_levels": flat, "attention": small}
    return NetShape("unet_25d", options, f"{kind}: {why_flat}", why)


def _pictures(grid: Grid) -> NetShape:
    levels = _levels(grid.size[1:])
    options = {
        "spatial_dims": 3,
        "levels": levels,
        "kernel_size": [1, 3, 3],
        "stride": [1, 2, 2],
        "up": "transposed",
    }
    why_name = f"2D, slice by slice: the volumes have {grid.size[0]} slices"
    why = f"{levels} levels suit slices of {format_size(grid.size[1:])}; flat kernels and pooling"
    return NetShape("unet_padding", options, why_name, why)


def _one_stride(grid: Grid, thick: Sequence[int]) -> NetShape:
    """Leave axes unpooled that are thick and are not the slice axis, which unet_25d is made for."""
    stride = [1 if axis in thick else 2 for axis in range(3)]
    pooled = [length for axis, length in enumerate(grid.size) if axis not in thick]
    levels = _levels(pooled)
    names = " and ".join("zyx"[axis] for axis in thick)
    options = {"spatial_dims": 3, "levels": levels, "stride": stride, "up": "transposed"}
    why_name = f"3D: unet_25d is for thick slices along z, here {names} is thick"
    why = f"{levels} levels suit {format_size(grid.size)}; {names} is not pooled"
    return NetShape("unet_padding", options, why_name, why)
