"""NumPy files: .npy and .npz, never unpickled. Read here, written by `write_volume`.

An .npz may hold the place beside the values: `spacing_mm`, `origin_mm`, `direction` (z y x), and
`axes` as a string; so does every .npz that ushape writes.
"""

from __future__ import annotations

import math
import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy

from ushape.data.io.claims import DEFLATE_RATIO, check_claim, checked_grid, file_bytes
from ushape.data.io.quiet import quietly
from ushape.data.io.sniff import unreadable
from ushape.data.io.volume import Header, Source, Values
from ushape.errors import DataError, unknown_name

PLACE_NAMES = ("spacing_mm", "origin_mm", "direction", "axes")
_AXES = {2: "yx", 3: "zyx", 4: "czyx"}
_COPY_AGAIN = "copy it again or remove it"
_MAX_SMALL_BYTES = 4096
_Claimed = tuple[tuple[int, ...], bool, np.dtype[Any], int]


def open_npy(path: Path) -> Source:
    """Look at a .npy file: y x, z y x, or channel z y x.

    Raises:
        DataError: It is damaged, holds objects, or claims more than it has.
    """
    size = file_bytes(path)
    with path.open("rb") as file:
        claimed = _claimed(path, file)
    shape, _, dtype, offset = claimed
    check_claim(path, shape, math.prod(shape) * dtype.itemsize, size - offset)
    header = _header(path, "NPY", shape, dtype, {})

    def load() -> Values:
        with path.open("rb") as file:
            return _read(path, file)

    return Source(header, load)


def open_npz(path: Path, array: str | None) -> Source:
    """Look at one array of a .npz file.

    Args:
        path: The file.
        array: Name of the array; None takes the only one that is not a place.

    Raises:
        DataError: It is damaged, holds objects or claims more than it has, or no array or
            several could be meant.
    """
    size = file_bytes(path)
    try:
        with zipfile.ZipFile(path) as archive:
            name = _choose(path, archive, array)
            info = archive.getinfo(f"{name}.npy")
            with archive.open(info) as file:
                shape, _, dtype, offset = _claimed(path, file)
            num_bytes = math.prod(shape) * dtype.itemsize
            stored = min(info.compress_size, size)
            is_raw = info.compress_type == zipfile.ZIP_STORED
            is_deflate = info.compress_type == zipfile.ZIP_DEFLATED
            stored -= offset if is_raw else 0
            ratio = 1 if is_raw else DEFLATE_RATIO if is_deflate else 0
            check_claim(path, shape, num_bytes, stored, ratio=ratio)
            check_claim(path, shape, num_bytes, info.file_size - offset)
            place = {each: _small(path, archive, each) for each in PLACE_NAMES}
    except DataError:
        raise
    except Exception as error:  # a damaged archive fails in many ways
        raise _damaged(path, error) from error
    header = _header(path, "NPZ", shape, dtype, place)
    return Source(header, lambda: _load_member(path, name))


def _load_member(path: Path, name: str) -> Values:
    try:
        with zipfile.ZipFile(path) as archive, archive.open(f"{name}.npy") as file:
            return _read(path, file)
    except DataError:
        raise
    except Exception as error:  # a damaged archive fails in many ways
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> DataError:
    detail = " ".join(str(error).split())[:120] or type(error).__name__
    return unreadable(path, f"it is truncated or damaged ({detail})", _COPY_AGAIN)


def _choose(path: Path, archive: zipfile.ZipFile, array: str | None) -> str:
    members = [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
    candidates = [name for name in members if name not in PLACE_NAMES]
    if array is not None:
        if array not in members:
            raise unreadable(path, unknown_name("array", array, candidates), "name one of these")
        return array
    if len(candidates) != 1:
        held = ", ".join(candidates) or "none"
        raise unreadable(
            path, f"it holds {len(candidates)} arrays ({held})", "name the one that is meant"
        )
    return candidates[0]


def _claimed(path: Path, file: IO[bytes]) -> _Claimed:
    """Read the header in front of an array: shape, whether transposed, type, its own length."""
    try:
        version = npy.read_magic(file)
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        with quietly():  # of headers that Python 2 wrote
            shape, is_fortran, dtype = read(file)
    except Exception as error:  # the header is Python text: its parser fails in many ways
        detail = " ".join(str(error).split())[:120]
        raise unreadable(path, f"it is no NumPy array ({detail})", _COPY_AGAIN) from error
    if dtype.hasobject:
        raise unreadable(
            path,
            "it holds Python objects, which could run code when read",
            "save a plain array of numbers",
        )
    return shape, is_fortran, dtype, file.tell()


def _read(path: Path, file: IO[bytes]) -> Values:
    try:
        values = npy.read_array(file, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise _damaged(path, error) from error
    return np.asarray(values.astype(values.dtype.newbyteorder("="), copy=False))


def _small(path: Path, archive: zipfile.ZipFile, name: str) -> Values | None:
    """Read a small array beside the values, if there is one."""
    try:
        info = archive.getinfo(f"{name}.npy")
    except KeyError:
        return None
    if info.file_size > _MAX_SMALL_BYTES:
        raise unreadable(path, f"its array {name!r} is too large for a place", "rename that array")
    with archive.open(info) as file:
        return _read(path, file)


def _header(
    path: Path, kind: str, shape: tuple[int, ...], dtype: np.dtype[Any], place: dict[str, Any]
) -> Header:
    if dtype.kind not in "buif":
        raise unreadable(path, f"its numbers are {dtype}", "save real numbers")
    if len(shape) not in _AXES or 0 in shape:
        raise unreadable(
            path, f"its shape is {shape}", "save y x, z y x, or channel z y x, without empty axes"
        )
    told = place.get("axes")
    axes = _AXES[len(shape)] if told is None else str(told)
    if sorted(axes.replace("z", "").replace("c", "")) != ["x", "y"] or len(axes) != len(shape):
        raise unreadable(path, f"its axes are {axes!r} for shape {shape}", "correct its 'axes'")
    size = [n for n, axis in zip(shape, axes, strict=True) if axis in "zyx"]
    grid = checked_grid(
        path, size, place.get("spacing_mm"), place.get("origin_mm"), place.get("direction")
    )
    return Header(path, kind, axes, shape, dtype.newbyteorder("="), grid)
