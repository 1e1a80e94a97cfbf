"""Read images and labels of any format, 2D and 3D, with the place of their voxels.

`read_header` looks without loading; `read_volume` and `read_label_volume` load once, in the type
that the file stores: memory peaks at the values themselves, and at twice that where channels
have to be brought to the front or slope and intercept applied.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ushape.data.io.arrays import open_npy, open_npz
from ushape.data.io.dicom import is_dicom, open_dicom
from ushape.data.io.formats import format_of, known_format
from ushape.data.io.grid import Grid, check_same_grid
from ushape.data.io.meta_image import open_meta_image
from ushape.data.io.nifti import open_nifti
from ushape.data.io.nrrd import open_nrrd
from ushape.data.io.ome_zarr import is_zarr, open_ome_zarr
from ushape.data.io.picture import open_picture
from ushape.data.io.read import read_label
from ushape.data.io.sniff import FORMATS, unreadable
from ushape.data.io.stack import open_tiff
from ushape.data.io.values import check_finite, whole_numbers
from ushape.data.io.volume import (
    Header,
    LabelVolume,
    Source,
    Volume,
    arrange,
    check_one_image,
    relabel,
)

_PICTURES = frozenset(FORMATS.values())


def read_header(path: str | Path, *, axes: str | None = None, array: str | None = None) -> Header:
    """Read what a file says of itself, without its voxels.

    Args:
        path: A file, a folder with a DICOM series, or an OME-Zarr folder.
        axes: What the stored axes are, slowest first, where the file does not say or is wrong:
            letters of c, t, z, y, x, such as `czyx` for a 4D file whose images are channels.
        array: Name of the array in a .npz file.

    Raises:
        DataError: It cannot be read, or claims more than it can hold.
    """
    return _open(Path(path), axes, array).header


def read_volume(
    source: str | Path | Sequence[str | Path],
    *,
    axes: str | None = None,
    array: str | None = None,
    allow_nan: bool = False,
) -> Volume:
    """Read an image.

    Args:
        source: As for `read_header`; or several files, which become the channels of one image.
        axes: As for `read_header`.
        array: As for `read_header`.
        allow_nan: Keep nan and infinity instead of refusing them.

    Returns:
        The values (C, *size) in the stored type, and their grid.

    Raises:
        DataError: A file cannot be read, holds nan, holds a time series, or the files of one
            image do not lie on one grid.
    """
    if not isinstance(source, str | Path):
        return _join(
            [read_volume(each, axes=axes, array=array, allow_nan=allow_nan) for each in source]
        )
    path = Path(source)
    opened = _open(path, axes, array)
    check_one_image(opened.header)
    values = arrange(opened.header, opened.load())
    if not allow_nan:
        check_finite(path, values)
    return Volume(values, opened.header.grid, path)


def read_label_volume(
    path: str | Path, *, axes: str | None = None, array: str | None = None
) -> LabelVolume:
    """Read label values.

    Args:
        path: As for `read_header`.
        axes: As for `read_header`.
        array: As for `read_header`.

    Returns:
        Whole numbers (*size), and their grid. Floats within 0.001 of a whole number are rounded.
        Pictures are read as `read_label` does: palettes give the index, colours are packed.

    Raises:
        DataError: The file cannot be read, has several channels, or holds other numbers.
    """
    path = Path(path)
    opened = _open(path, axes, array)
    header = opened.header
    check_one_image(header)
    if header.format in _PICTURES and axes is None:
        picture = read_label(path)
        return LabelVolume(picture.values, header.grid, path, picture.is_color)
    if header.num_channels != 1:
        raise unreadable(
            path,
            f"the label has {header.num_channels} channels",
            "save one whole number a voxel, or each channel as its own file",
        )
    values = arrange(header, opened.load())[0]
    return LabelVolume(whole_numbers(path, values), header.grid, path)


def read_stack(paths: Sequence[str | Path], *, spacing_mm: Sequence[float] | None = None) -> Volume:
    """Read pictures, one a slice, as one volume.

    Args:
        paths: The slices, from the first z to the last.
        spacing_mm: z, y, x; None when it is not known.

    Raises:
        DataError: A file cannot be read, is no 2D image, or differs in size, channels or type.
    """
    volumes = [read_volume(path) for path in paths]
    first = volumes[0]
    for each in volumes:
        if each.grid.spatial_dims != 2:
            raise unreadable(each.path, "it is no single slice", "give 2D images")
        if each.values.shape != first.values.shape or each.values.dtype != first.values.dtype:
            raise unreadable(
                each.path,
                f"it has shape {each.values.shape} of {each.values.dtype}, "
                f"{first.path.name} has {first.values.shape} of {first.values.dtype}",
                "all slices of a stack must be alike",
            )
    values = np.stack([each.values for each in volumes], axis=1)
    return Volume(values, Grid.of(values.shape[1:], spacing_mm), first.path.parent)


def _open(path: Path, axes: str | None, array: str | None) -> Source:
    source = _look(path, array)
    if axes is None:
        return source
    return Source(relabel(source.header, axes), source.load)


def _look(path: Path, array: str | None) -> Source:
    if path.is_dir():
        is_store = path.suffix.lower() == ".zarr" or is_zarr(path)
        return open_ome_zarr(path) if is_store else open_dicom(path)
    if format_of(path) is None and is_dicom(path):  # scanners give names such as IM0001
        return open_dicom(path)
    kind = known_format(path)
    if kind == "NIfTI":
        return open_nifti(path)
    if kind == "NRRD":
        return open_nrrd(path)
    if kind == "MetaImage":
        return open_meta_image(path)
    if kind == "DICOM":
        return open_dicom(path)
    if kind == "NPY":
        return open_npy(path)
    if kind == "NPZ":
        return open_npz(path, array)
    if kind == "OME-Zarr":
        return open_ome_zarr(path)
    if kind == "TIFF":
        found = open_tiff(path)
        return found if isinstance(found, Source) else open_picture(path, found)
    return open_picture(path)


def _join(volumes: list[Volume]) -> Volume:
    """Make the channels of one image from several files."""
    if not volumes:
        raise unreadable(Path(), "no files are given", "give one file or more")
    first = volumes[0]
    for each in volumes[1:]:
        tool = "a tool of your choice: channels are not aligned"
        check_same_grid(first, each, what="channel", aligning=tool)
    kinds = {each.values.dtype for each in volumes}
    dtype = kinds.pop() if len(kinds) == 1 else np.dtype(np.float32)
    values = np.concatenate([each.values for each in volumes], dtype=dtype, casting="unsafe")
    return Volume(values, first.grid, first.path)
