"""MetaImage files, attached (.mha) and detached (.mhd).

Source of the format: https://itk.org/Wiki/ITK/MetaIO/Documentation
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ushape.data.io.claims import checked_grid, file_bytes
from ushape.data.io.detached import (
    HEADER_REMEDY,
    TextHeader,
    data_file,
    header_bytes,
    load_voxels,
)
from ushape.data.io.grid import Grid
from ushape.data.io.sniff import unreadable
from ushape.data.io.volume import Header, Source
from ushape.errors import DataError

_TYPES = {
    "CHAR": "i1", "UCHAR": "u1", "SHORT": "i2", "USHORT": "u2", "INT": "i4", "UINT": "u4",
    "LONG": "i4", "ULONG": "u4", "LONG_LONG": "i8", "ULONG_LONG": "u8", "FLOAT": "f4",
    "DOUBLE": "f8",
}  # fmt: skip
_NEEDED = ("NDims", "DimSize", "ElementType", "ElementDataFile")
_SWAPS = ("BinaryDataByteOrderMSB", "ElementByteOrderMSB")

Fields = dict[str, str]


def open_meta_image(path: Path) -> Source:
    """Look at a .mha or .mhd file.

    Raises:
        DataError: It cannot be read.
    """
    file_bytes(path)
    head = header_bytes(path, b"ElementDataFile")
    try:
        fields, end = _fields(path, head)
        text = _text_header(path, fields, end)
    except DataError:
        raise
    except (ValueError, KeyError, IndexError) as error:
        what = f"its MetaImage header is not understood ({error})"
        raise unreadable(path, what, HEADER_REMEDY) from error
    text.check()
    return Source(text.header, lambda: load_voxels(text))


def _fields(path: Path, head: bytes) -> tuple[Fields, int]:
    """Read `Name = value` lines up to ElementDataFile, which is the last; return where it ends."""
    fields: Fields = {}
    place = 0
    while "ElementDataFile" not in fields and place < len(head):
        end = head.find(b"\n", place)
        end = len(head) if end < 0 else end
        key, equals, value = head[place:end].decode("latin-1").partition("=")
        if not equals and key.strip():
            raise unreadable(path, "it is no MetaImage file", "give a .mha or .mhd file")
        fields[key.strip()] = value.strip()
        place = end + 1
    missing = [name for name in _NEEDED if name not in fields]
    if missing:
        raise unreadable(path, f"its header is cut off: it lacks {missing[0]}", HEADER_REMEDY)
    return fields, place


def _text_header(path: Path, fields: Fields, end: int) -> TextHeader:
    header = _header(path, fields)
    slope = float(fields.get("ElementToIntensityFunctionSlope", "1"))
    shift = float(fields.get("ElementToIntensityFunctionOffset", "0"))
    if not _is_true(fields.get("BinaryData", "True")) or (slope, shift) != (1.0, 0.0):
        raise unreadable(path, "its voxels are text or scaled", "save it as plain .mha")
    name = fields["ElementDataFile"]
    is_local = name.upper() == "LOCAL"
    data = path if is_local else data_file(path, name)
    is_deflated = _is_true(fields.get("CompressedData", "False"))
    skipped = int(fields.get("HeaderSize", "0"))
    if skipped < 0:  # the voxels end the file
        skipped = file_bytes(data) - header.num_bytes
    offset = end if is_local else max(0, skipped)
    told, there = int(fields.get("CompressedDataSize", "0")), file_bytes(data) - offset
    if is_deflated and there < told:
        what = f"it is truncated: {there:,} of {told:,} compressed bytes are there"
        raise unreadable(path, what, "copy it again or remove it")
    is_swapped = any(_is_true(fields.get(field, "False")) for field in _SWAPS)
    stored = header.dtype.newbyteorder(">" if is_swapped else "<")
    return TextHeader(header, data, offset, stored, is_deflated)


def _is_true(word: str) -> bool:
    return word[:1].upper() in ("T", "1", "Y")


def _header(path: Path, fields: Fields) -> Header:
    lengths = [int(edge) for edge in fields["DimSize"].split()]
    dims = int(fields["NDims"])
    if len(lengths) != dims or min(lengths) < 1:
        raise ValueError(f"DimSize {fields['DimSize']} for NDims {fields['NDims']}")
    if dims not in (2, 3, 4):
        raise unreadable(path, f"it has {dims} axes", "save one 2D or 3D image a file")
    channels = int(fields.get("ElementNumberOfChannels", "1"))
    if channels < 1:
        raise ValueError(f"ElementNumberOfChannels {channels}")
    dtype = np.dtype(_TYPES[fields["ElementType"].removeprefix("MET_").removesuffix("_ARRAY")])
    axes, shape = "tzyx"[-dims:], tuple(lengths[::-1])
    if channels > 1:
        axes, shape = axes + "c", (*shape, channels)
    return Header(path, "MetaImage", axes, shape, dtype, _grid(path, fields, lengths))


def _grid(path: Path, fields: Fields, lengths: list[int]) -> Grid:
    dims, space = len(lengths), min(len(lengths), 3)
    edges = _numbers(fields, ("ElementSpacing", "ElementSize"), dims)
    origin = _numbers(fields, ("Offset", "Origin", "Position"), dims)
    matrix = _numbers(fields, ("TransformMatrix", "Rotation", "Orientation"), dims * dims)
    direction = None
    if matrix is not None:  # each row is the direction of an axis
        direction = matrix.reshape(dims, dims)[:space, :space].T[::-1, ::-1]
    return checked_grid(
        path,
        lengths[:space][::-1],
        None if edges is None else edges[:space][::-1],
        None if origin is None else origin[:space][::-1],
        direction,
    )


def _numbers(fields: Fields, names: tuple[str, ...], count: int) -> NDArray[np.float64] | None:
    """Return the numbers of the first field that is there."""
    for name in names:
        if name in fields:
            numbers = np.array([float(word) for word in fields[name].split()])
            if len(numbers) != count:
                raise ValueError(f"{name} {fields[name]}")
            return numbers
    return None
