"""Resample a label onto the grid of its image: what `--align` asks for."""

from __future__ import annotations

import numpy as np

from ushape.data.io.grid import Grid
from ushape.data.io.itk import quiet_itk, to_itk
from ushape.data.io.sniff import unreadable
from ushape.data.io.volume import LabelVolume


def align(label: LabelVolume, grid: Grid, *, outside: int = 0) -> LabelVolume:
    """Give every voxel of `grid` the label value at the nearest voxel of `label`.

    Args:
        label: The label on its own grid.
        grid: Where it shall lie.
        outside: Value of voxels that the label does not cover.

    Returns:
        The label on `grid`; itself when it lies there already. No value is invented.

    Raises:
        DataError: Either file does not say its spacing, the numbers of axes differ, or the two
            do not overlap at all.
    """
    if label.grid == grid:
        return label
    if label.grid.spacing_mm is None or grid.spacing_mm is None:
        raise unreadable(
            label.path,
            f"{label.grid.difference(grid)}, and the spacing of one is not known",
            "only files that say their spacing can be aligned",
        )
    if label.grid.spatial_dims != grid.spatial_dims:
        raise unreadable(
            label.path, label.grid.difference(grid), "a label must have the axes of its image"
        )
    with quiet_itk() as sitk:
        moving = to_itk(sitk, label.values[np.newaxis], label.grid)
        resample = sitk.ResampleImageFilter()
        resample.SetSize(grid.size[::-1])
        resample.SetOutputSpacing(grid.spacing_mm[::-1])
        resample.SetOutputOrigin(grid.origin_mm[::-1])
        resample.SetOutputDirection(np.asarray(grid.direction)[::-1, ::-1].ravel().tolist())
        resample.SetInterpolator(sitk.sitkNearestNeighbor)
        resample.SetDefaultPixelValue(float(outside))
        values = sitk.GetArrayFromImage(resample.Execute(moving))
    if not _overlap(label.grid, grid):
        raise unreadable(
            label.path,
            f"it does not overlap its image at all ({label.grid.difference(grid)})",
            "give the label of this image",
        )
    return LabelVolume(values, grid, label.path, label.is_color)


def _overlap(label: Grid, image: Grid) -> bool:
    """Tell whether any voxel centre of the image lies within the label."""
    axes = [np.linspace(0, edge - 1, min(edge, 33)) for edge in image.size]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, image.spatial_dims)
    apart = image.positions_mm(points) - label.origin_mm
    index = apart @ np.asarray(label.direction) / label.edges_mm
    inside = (index >= -0.5) & (index <= np.array(label.size) - 0.5)
    return bool(inside.all(axis=1).any())
