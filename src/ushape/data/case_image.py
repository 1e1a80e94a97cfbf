"""Read the image of a case: a picture, a volume, channels in several files, slices of a stack."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from ushape.data.io import Grid, Header, Volume, read_header, read_volume
from ushape.data.io.grid import Placed
from ushape.data.layouts import CaseFiles
from ushape.errors import DataError
from ushape.sizes import format_size


def read_case_header(case: CaseFiles) -> Header:
    """Read size, type and place of a case's image, without its voxels; of a stack, one slice's.

    Of channels in several files it is the header of the first.

    Raises:
        DataError: The file cannot be read, or claims more than it can hold.
    """
    path = case.image_paths[0]
    header = read_header(path, axes=_axes(case, path))
    if case.planes or case.spacing_mm is None:
        return header
    return replace(header, grid=_told(header, case.spacing_mm))


def read_case_image(case: CaseFiles) -> Volume:
    """Read the image of a case.

    Returns:
        The values as stored, shape (channel, y, x) or (channel, z, y, x), and their grid.

    Raises:
        DataError: A file cannot be read, or the files of one image do not fit each other.
    """
    if case.planes:
        return _stacked(case)
    axes = _axes(case, case.image)
    volume = read_volume(case.channels or case.image, axes=axes)
    if case.spacing_mm is None:
        return volume
    return replace(volume, grid=_told(volume, case.spacing_mm))


def _told(image: Placed, spacing_mm: tuple[float, ...]) -> Grid:
    grid = image.grid
    if len(spacing_mm) != grid.spatial_dims:
        raise DataError(
            f"{image.name}: it has {grid.spatial_dims} axes ({format_size(grid.size)}), but "
            f"{len(spacing_mm)} edges of a voxel were told: give one an axis, such as "
            f"{'1 x 1' if grid.spatial_dims == 2 else '1 x 1 x 1'}"
        )
    return Grid.of(grid.size, spacing_mm, grid.origin_mm, grid.direction)


def _axes(case: CaseFiles, path: Path) -> str | None:
    """Name the axes of a file whose images in time are channels."""
    if not case.frames_are_channels:
        return None
    return read_header(path).axes.replace("t", "c")


def _stacked(case: CaseFiles) -> Volume:
    """Lay slices on each other."""
    slices = [read_case_image(plane) for plane in case.planes]
    first = slices[0]
    for each in slices:
        if each.grid.spatial_dims != 2:
            raise DataError(f"{each.path}: it is no single slice: give 2D images")
        if each.values.shape != first.values.shape or each.values.dtype != first.values.dtype:
            raise DataError(
                f"{each.path}: it has shape {each.values.shape} of {each.values.dtype}, "
                f"{first.path.name} has {first.values.shape} of {first.values.dtype}: all slices "
                "of a stack must be alike"
            )
    values = np.stack([each.values for each in slices], axis=1)
    return Volume(values, Grid.of(values.shape[1:], case.spacing_mm), case.image)
