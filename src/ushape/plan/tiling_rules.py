"""Rules for prediction: tiles, overlap, views."""

from __future__ import annotations

import math

from ushape.nets import Geometry, NetworkSpec, geometry_of
from ushape.plan.choices import Choices
from ushape.plan.grid_rules import Grid
from ushape.plan.patch_rules import fit_box
from ushape.plan.request import Situation
from ushape.plan.speed import macs_per_pixel, prediction_bytes
from ushape.sizes import Size

TILE_2D = 512
"""Smaller pictures are one tile."""

OVERLAP = {2: 0.25, 3: 0.5}
"""nnU-Net has 0.5 in both; a quarter is enough for tiles of 512 pixels."""

TILE_VOXELS = 128**3
"""Tiles of volumes have up to this many voxels, memory allowing."""

QUICK_IMAGE_S = 4.0
"""Prediction averages over mirrored views where a picture of 512 x 512 pixels, or a median volume,
then takes at most this long."""


def choose_tiling(choices: Choices, situation: Situation, grid: Grid, spec: NetworkSpec) -> None:
    """Choose how whole images are predicted."""
    geometry = geometry_of(spec)
    dims = grid.spatial_dims
    part = "a quarter" if dims == 2 else "half"
    overlap = f"each tile lies {part} over its neighbour: borders know too little"
    choices.choose("tiling.overlap_fraction", OVERLAP[dims], overlap)
    size, reason = _tile(choices, situation, grid, spec, geometry)
    choices.choose("tiling.tile_size", size, reason)
    where = "a CPU" if situation.device.kind == "cpu" else "most devices, if it is large"
    choices.choose("tiling.batch", 1, f"one tile at a time is fastest on {where}")
    _choose_mirror(choices, situation, grid, spec)


def _tile(
    choices: Choices, situation: Situation, grid: Grid, spec: NetworkSpec, geometry: Geometry
) -> tuple[Size, str]:
    patch = tuple(choices.values["patch.size"])
    is_padded = not any(sum(pair) for pair in geometry.margin)
    if grid.spatial_dims == 2:
        if is_padded:
            size = tuple(-(-TILE_2D // stride) * stride for stride in geometry.total_stride)
            return size, "smaller images are one tile; larger ones blend"
        wanted = tuple(TILE_2D + sum(pair) for pair in geometry.margin)
        return geometry.nearest_sizes(wanted)[1], "exact tiles of the unpadded network"
    if not is_padded:
        return geometry.used_size(patch), "as the patch: exact tiles of the unpadded network"
    size = patch
    reason = "as the patch, the surroundings that the network has learnt with"
    if geometry.is_local:
        size = _largest_tile(situation, grid, spec, patch)
        if all(edge >= length for edge, length in zip(size, grid.largest, strict=True)):
            reason = "the largest volume in one piece"
        elif size != patch:
            reason = "larger than the patch: fewer tiles overlap"
    step = 1 - choices.values["tiling.overlap_fraction"]
    size = tuple(  # tiles move by whole strides
        max(edge, math.ceil(stride / step / stride) * stride)
        for edge, stride in zip(size, geometry.total_stride, strict=True)
    )
    return size, reason


def _largest_tile(situation: Situation, grid: Grid, spec: NetworkSpec, patch: Size) -> Size:
    """Find the largest tile that the memory holds, of up to `TILE_VOXELS` and no less than a patch.

    Only for networks whose output depends on nothing far away: there more of the image changes
    nothing but the borders.
    """
    limit = situation.speed.usable_bytes(situation.device.kind)
    strides = geometry_of(spec).total_stride
    most = float(TILE_VOXELS)
    while most > math.prod(patch):
        box = fit_box(grid.largest, grid.edges, strides, most)
        size = tuple(max(pair) for pair in zip(box, patch, strict=True))
        if prediction_bytes(spec, size, limit) <= limit:
            return size
        most /= 2
    return patch


def _choose_mirror(choices: Choices, situation: Situation, grid: Grid, spec: NetworkSpec) -> None:
    values = choices.values
    is_picture = grid.spatial_dims == 2
    pixels = TILE_2D**2 if is_picture else math.prod(grid.size) / (1 - OVERLAP[3]) ** 3
    # The speed is that of training; a prediction has one pass of the three, at the same speed.
    seconds = 8 * macs_per_pixel(spec) * pixels / situation.speed.macs_per_s
    symmetric = values["augment.flip"] and (values["augment.right_angles"] or not is_picture)
    is_quick = seconds <= QUICK_IMAGE_S
    if symmetric and is_quick:
        reason = "eight views of each image are averaged; false predicts eight times faster"
    elif not symmetric:
        reason = "one view: directions matter, and the network has seen one"
    else:
        reason = "one view: eight would be slow with this network"
    choices.choose("tiling.mirror", bool(symmetric and is_quick), reason)


def validation_seconds(
    choices: Choices, situation: Situation, grid: Grid, spec: NetworkSpec
) -> float:
    """Estimate how long it takes to predict the validation cases once, one view each."""
    pixels = math.prod(grid.size) * situation.num_images(situation.split.val)
    tile, overlap = choices.values["tiling.tile_size"], choices.values["tiling.overlap_fraction"]
    axes = sum(edge < length for edge, length in zip(tile, grid.size, strict=True))
    tiles = float((1 - overlap) ** -axes)
    return tiles * pixels * macs_per_pixel(spec) / situation.speed.macs_per_s
