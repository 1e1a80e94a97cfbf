"""OME-Zarr images (versions 0.4 and 0.5): the finest level, in; one level, out. Needs `zarr`."""

from __future__ import annotations

import importlib
import math
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ushape.data.io.claims import check_claim, checked_grid, path_inside
from ushape.data.io.grid import Grid
from ushape.data.io.sniff import unreadable
from ushape.data.io.tiff_spacing import UNITS_MM
from ushape.data.io.volume import Header, Source, Values
from ushape.errors import DataError
from ushape.files import make_folder, storage_error

_MARKS = (".zgroup", ".zattrs", "zarr.json")
_CHUNK_VOXELS = 2**21


def is_zarr(path: Path) -> bool:
    """Tell whether a folder is a Zarr store."""
    return path.is_dir() and any((path / mark).is_file() for mark in _MARKS)


def _zarr(path: Path) -> Any:
    try:
        return importlib.import_module("zarr")
    except ImportError as error:
        raise DataError(
            f"cannot use {path}: OME-Zarr needs the package zarr; "
            'install it with pip install "ushape[zarr]"'
        ) from error


def open_ome_zarr(path: Path) -> Source:
    """Look at the finest level of an OME-Zarr image.

    Raises:
        DataError: It is no OME-Zarr image, it is damaged, or zarr is not installed.
    """
    zarr = _zarr(path)
    try:
        group = zarr.open_group(str(path), mode="r")
        attributes = dict(group.attrs)
        scales = attributes.get("ome", attributes)["multiscales"][0]
        level = scales["datasets"][0]
        name = path_inside(path, str(level["path"])).relative_to(path).as_posix()
        array = group[name]
        axes = _axes(scales, array.ndim)
        header = _header(path, array, axes, _transform(scales, level, axes))
    except DataError:
        raise
    except Exception as error:  # zarr fails in many ways, all meaning: no OME-Zarr image
        detail = " ".join(str(error).split())[:120] or type(error).__name__
        raise unreadable(
            path, f"it is no OME-Zarr image ({detail})", "give the folder of one image"
        ) from error
    check_claim(path, header.shape, header.num_bytes, 0, ratio=0)
    return Source(header, lambda: _load(header, array))


def _axes(scales: Mapping[str, Any], ndim: int) -> list[tuple[str, float | None]]:
    """Return name and millimetres a unit of every axis."""
    told = scales.get("axes") or [{"name": name} for name in "tczyx"[-ndim:]]
    axes = [axis if isinstance(axis, dict) else {"name": axis} for axis in told]
    return [(str(axis["name"]).lower(), UNITS_MM.get(str(axis.get("unit")))) for axis in axes]


def _transform(
    scales: Mapping[str, Any], level: Mapping[str, Any], axes: list[tuple[str, float | None]]
) -> tuple[list[float], list[float]]:
    """Combine the steps of a level, then those of the image: scale and translation per axis."""
    scale, shift = [1.0] * len(axes), [0.0] * len(axes)
    for step in [
        *level.get("coordinateTransformations", []),
        *scales.get("coordinateTransformations", []),
    ]:
        numbers = [float(value) for value in step.get(step["type"], [])]
        if step["type"] == "scale":
            scale = [a * b for a, b in zip(scale, numbers, strict=True)]
            shift = [a * b for a, b in zip(shift, numbers, strict=True)]
        elif step["type"] == "translation":
            shift = [a + b for a, b in zip(shift, numbers, strict=True)]
    return scale, shift


def _header(
    path: Path,
    array: Any,
    axes: list[tuple[str, float | None]],
    transform: tuple[list[float], list[float]],
) -> Header:
    names = "".join(name for name, _ in axes)
    shape = tuple(int(n) for n in array.shape)
    dtype = np.dtype(array.dtype).newbyteorder("=")
    space = [name for name in names if name in "zyx"]
    if space not in (["z", "y", "x"], ["y", "x"]) or set(names) - set("tczyx"):
        raise unreadable(path, f"its axes are {names}", "save it with the axes t, c, z, y, x")
    if dtype.kind not in "buif":
        raise unreadable(path, f"its numbers are {dtype}", "save real numbers")
    spatial = [place for place, name in enumerate(names) if name in "zyx"]
    units = [axes[place][1] for place in spatial]
    if all(unit is not None for unit in units):
        spacing, origin = (
            [values[place] * (axes[place][1] or 1.0) for place in spatial] for values in transform
        )
        grid = checked_grid(path, [shape[place] for place in spatial], spacing, origin)
    else:
        grid = checked_grid(path, [shape[place] for place in spatial])
    return Header(path, "OME-Zarr", names, shape, dtype, grid)


def _load(header: Header, array: Any) -> Values:
    try:
        values = np.asarray(array[...])
    except Exception as error:  # codecs fail in many ways, all meaning: not readable
        detail = " ".join(str(error).split())[:120] or type(error).__name__
        raise unreadable(
            header.path, f"it is truncated or damaged ({detail})", "copy it again or remove it"
        ) from error
    return values.astype(header.dtype, copy=False)


def write_ome_zarr(path: Path, values: Values, grid: Grid) -> None:
    """Write one level of an OME-Zarr 0.4 image, chunked and compressed.

    Args:
        path: A folder; an older image of that name is replaced once the new one is whole.
        values: Shape (C, *size).
        grid: Where the voxels lie; its direction must be the identity.

    Raises:
        StorageError: The disk refuses; an older image is untouched.
    """
    zarr = _zarr(path)
    names = ("c" if len(values) > 1 else "") + "zyx"[-grid.spatial_dims :]
    pixels = values if len(values) > 1 else values[0]
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    make_folder(path.parent)
    try:
        group = zarr.open_group(str(temporary), mode="w", zarr_format=2)
        array = group.create_array(
            "0",
            shape=pixels.shape,
            chunks=_chunks(pixels.shape, grid.spatial_dims),
            dtype=pixels.dtype,
            chunk_key_encoding={"name": "v2", "separator": "/"},
        )
        array[...] = pixels
        group.attrs["multiscales"] = [_metadata(names, grid)]
        _swap(temporary, path)
    except OSError as error:
        raise storage_error(path, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _chunks(shape: tuple[int, ...], dims: int) -> tuple[int, ...]:
    edge = max(1, math.floor(_CHUNK_VOXELS ** (1 / dims)))
    return (1,) * (len(shape) - dims) + tuple(min(edge, n) for n in shape[-dims:])


def _metadata(names: str, grid: Grid) -> dict[str, Any]:
    is_known = grid.spacing_mm is not None
    unit = {"unit": "millimeter"} if is_known else {}
    axes = [
        {"name": name, "type": "channel"}
        if name == "c"
        else {"name": name, "type": "space", **unit}
        for name in names
    ]
    lead = len(names) - grid.spatial_dims
    steps: list[dict[str, Any]] = [{"type": "scale", "scale": [1.0] * lead + list(grid.edges_mm)}]
    if any(grid.origin_mm):
        steps.append({"type": "translation", "translation": [0.0] * lead + list(grid.origin_mm)})
    level = {"path": "0", "coordinateTransformations": steps}
    return {"version": "0.4", "axes": axes, "datasets": [level]}


def _swap(temporary: Path, path: Path) -> None:
    """Put a finished folder in the place of an older one."""
    if not path.exists():
        temporary.replace(path)
        return
    older = path.with_name(f".{path.name}.{secrets.token_hex(4)}.old")
    path.replace(older)
    try:
        temporary.replace(path)
    except OSError:
        older.replace(path)
        raise
    shutil.rmtree(older, ignore_errors=True)
