"""Write images and labels of any format, 2D and 3D, onto a given grid, atomically."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from PIL import Image

from ushape.data.io.formats import VOLUME_FORMATS, format_of, suffix_of
from ushape.data.io.grid import Grid
from ushape.data.io.itk import itk_reason, quiet_itk, to_itk
from ushape.data.io.ome_zarr import write_ome_zarr
from ushape.data.io.volume import Values
from ushape.data.io.write import write_label
from ushape.errors import DataError, StorageError
from ushape.files import atomic_path
from ushape.sizes import format_size

PLACED_SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".mha")
"""Endings that keep spacing, origin and direction."""

WRITTEN_SUFFIXES = (*PLACED_SUFFIXES, ".npz", ".npy", ".zarr", ".tif", ".tiff", ".png")

_IMAGE_IO = {"NIfTI": "NiftiImageIO", "NRRD": "NrrdImageIO", "MetaImage": "MetaImageIO"}
_TIFF_TYPES = ("u1", "u2", "u4", "i1", "i2", "i4", "f4", "f8")


def write_volume(path: str | Path, values: Values, grid: Grid, *, keep_place: bool = True) -> None:
    """Write an image.

    Several channels become a vector image (NIfTI, NRRD, MetaImage), a channel axis (TIFF,
    OME-Zarr, NumPy) or colours (PNG). Everything but .npy is compressed.

    Args:
        path: The file; its ending chooses the format.
        values: Shape (C, *size), any real type; bool becomes uint8 and float16 float32.
        grid: Where the voxels lie.
        keep_place: Refuse formats that would lose what the grid says. False writes what the
            format holds and drops the rest.

    Raises:
        DataError: The ending is not known, the format cannot hold the values or the place, or
            their shape does not fit the grid.
        StorageError: The disk refuses; an older file of that name is untouched.
    """
    path = Path(path)
    pixels = _prepared(path, np.asarray(values), grid)
    ending = suffix_of(path)
    kind = format_of(path)
    if kind not in _WRITERS or ending in (".nhdr", ".mhd", ".bmp", ".jpg", ".jpeg"):
        known = ", ".join(WRITTEN_SUFFIXES)
        raise DataError(f"cannot write {path}: {ending or 'no ending'} is not written; use {known}")
    if keep_place:
        check_place(path, grid)
    _WRITERS[str(kind)](path, pixels, grid)


def write_label_volume(
    path: str | Path,
    values: Values,
    grid: Grid,
    *,
    is_color: bool = False,
    keep_place: bool = True,
) -> None:
    """Write label values in the narrowest of uint8, uint16 and int32.

    Args:
        path: The file; its ending chooses the format.
        values: Shape (*size), integers of 0 or more.
        grid: Where the voxels lie.
        is_color: The values are packed colours: 2D pictures are written in colour.
        keep_place: As for `write_volume`.

    Raises:
        DataError: As for `write_volume`, or the values are no labels.
        StorageError: The disk refuses; an older file of that name is untouched.
    """
    path = Path(path)
    values = np.asarray(values)
    if values.shape != grid.size or values.dtype.kind not in "bui":
        raise DataError(
            f"cannot write labels to {path}: shape {values.shape} of {values.dtype}; labels are "
            f"integers of the size of the grid, {format_size(grid.size)}"
        )
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > 2**31 - 1:
        raise DataError(
            f"cannot write labels to {path}: values from {low} to {high}; "
            f"0 to {2**31 - 1} are allowed"
        )
    is_picture = grid.spatial_dims == 2 and grid.spacing_mm is None
    if is_picture and format_of(path) in ("PNG", "TIFF"):
        if keep_place:
            _check_kept(path, "PNG", grid)
        write_label(path, values.astype(np.int64, copy=False), is_color=is_color)
        return
    narrow = np.uint8 if high <= 0xFF else np.uint16 if high <= 0xFFFF else np.int32
    labels = values.astype(narrow, copy=False)[np.newaxis]
    write_volume(path, labels, grid, keep_place=keep_place)


def _prepared(path: Path, values: Values, grid: Grid) -> Values:
    """Check the shape, and bring the numbers to a type that files know."""
    if values.shape[1:] != grid.size or not len(values):
        raise DataError(
            f"cannot write {path}: shape {values.shape} is not (channels, "
            f"{', '.join(map(str, grid.size))}), the size of the grid"
        )
    if values.dtype.kind not in "buif" or values.dtype.itemsize > 8:
        raise DataError(f"cannot write {path}: {values.dtype} is no real number; convert it first")
    if values.dtype == np.bool_:
        return values.view(np.uint8)
    if values.dtype == np.float16:
        return values.astype(np.float32)
    return values.astype(values.dtype.newbyteorder("="), copy=False)


def check_place(path: str | Path, grid: Grid) -> None:
    """Refuse a format that would lose axes, spacing, origin or direction of a grid.

    Raises:
        DataError: As said, with the formats that keep them.
    """
    path = Path(path)
    kind = format_of(path)
    if kind == "PNG" and grid.spatial_dims == 3:
        raise DataError(
            f"cannot write {path}: PNG holds 2D images; use {', '.join(PLACED_SUFFIXES)} or .npz"
        )
    _check_kept(path, str(kind), grid)


def _check_kept(path: Path, kind: str, grid: Grid) -> None:
    lost = []
    is_turned = not np.array_equal(grid.direction, np.eye(grid.spatial_dims))
    if grid.spacing_mm is not None and kind in ("NPY", "PNG"):
        lost.append("spacing")
    if any(grid.origin_mm) and kind in ("NPY", "PNG", "TIFF"):
        lost.append("origin")
    if is_turned and kind in ("NPY", "PNG", "TIFF", "OME-Zarr"):
        lost.append("direction")
    if lost:
        raise DataError(
            f"cannot write {path}: {kind} cannot hold its {' and '.join(lost)}, so the result "
            f"would not lie on its scan; use {', '.join(PLACED_SUFFIXES)} or .npz"
        )


def _write_itk(path: Path, values: Values, grid: Grid) -> None:
    kind = VOLUME_FORMATS[suffix_of(path)]
    with atomic_path(path) as temporary, quiet_itk() as sitk:
        # SimpleITK chooses by the ending, which the temporary name does not have.
        working = temporary.with_name(temporary.name + suffix_of(path))
        writer = sitk.ImageFileWriter()
        writer.SetImageIO(_IMAGE_IO[kind])
        writer.SetFileName(str(working))
        writer.SetUseCompression(suffix_of(path) != ".nii")
        try:
            writer.Execute(to_itk(sitk, values, grid))
            working.replace(temporary)
        except RuntimeError as error:
            raise StorageError(
                f"cannot write {path}: {itk_reason(error)}; is the disk full? "
                "Nothing saved before is lost."
            ) from error
        finally:
            working.unlink(missing_ok=True)


def _write_npy(path: Path, values: Values, grid: Grid) -> None:
    if len(values) > 1 and grid.spatial_dims == 2:
        raise DataError(
            f"cannot write {path}: channels of a 2D image would read as slices; use .npz or .tif"
        )
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.save(file, values if len(values) > 1 else values[0], allow_pickle=False)


def _write_npz(path: Path, values: Values, grid: Grid) -> None:
    axes = ("c" if len(values) > 1 else "") + "zyx"[-grid.spatial_dims :]
    place: dict[str, Any] = {"origin_mm": grid.origin_mm, "direction": grid.direction, "axes": axes}
    if grid.spacing_mm is not None:
        place["spacing_mm"] = grid.spacing_mm
    arrays: dict[str, Any] = {name: np.asarray(value) for name, value in place.items()}
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, values=values if len(values) > 1 else values[0], **arrays)


def _write_tiff(path: Path, values: Values, grid: Grid) -> None:
    """Write OME-TIFF, which unlike ImageJ's kind holds every type, and units."""
    if values.dtype.str[1:] not in _TIFF_TYPES:
        raise DataError(f"cannot write {path}: TIFF holds no {values.dtype}; use .nii.gz or .npz")
    metadata: dict[str, Any] = {
        "axes": ("C" if len(values) > 1 else "") + "ZYX"[-grid.spatial_dims :]
    }
    if grid.spacing_mm is not None:
        for axis, edge in zip("ZYX"[-grid.spatial_dims :], grid.spacing_mm, strict=True):
            metadata |= {f"PhysicalSize{axis}": edge, f"PhysicalSize{axis}Unit": "mm"}
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        tifffile.imwrite(
            file,
            values if len(values) > 1 else values[0],
            ome=True,
            bigtiff=values.nbytes > 2**31,
            photometric="minisblack",
            planarconfig=None,
            compression="deflate",
            metadata=metadata,
        )


def _write_png(path: Path, values: Values, grid: Grid) -> None:
    is_grey = len(values) == 1 and values.dtype in (np.uint8, np.uint16)
    is_color = len(values) == 3 and values.dtype == np.uint8
    if grid.spatial_dims != 2 or not (is_grey or is_color):
        raise DataError(
            f"cannot write {path}: PNG holds 2D images with 1 channel of 8 or 16 bit or 3 of 8, "
            f"not shape {values.shape} of {values.dtype}; use .tif or .nii.gz"
        )
    buffer = io.BytesIO()
    pixels = values[0] if is_grey else np.ascontiguousarray(np.moveaxis(values, 0, -1))
    Image.fromarray(pixels).save(buffer, format="PNG")
    with atomic_path(path) as temporary:
        temporary.write_bytes(buffer.getbuffer())


_WRITERS: dict[str, Callable[[Path, Values, Grid], None]] = {
    "NIfTI": _write_itk,
    "NRRD": _write_itk,
    "MetaImage": _write_itk,
    "NPY": _write_npy,
    "NPZ": _write_npz,
    "TIFF": _write_tiff,
    "OME-Zarr": write_ome_zarr,
    "PNG": _write_png,
}
