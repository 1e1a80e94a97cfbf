"""NRRD files, attached (.nrrd) and detached (.nhdr).

Source of the format: http://teem.sourceforge.net/nrrd/format.html
"""

from __future__ import annotations

import re
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
    "char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1", "short": "i2", "int16": "i2",
    "ushort": "u2", "uint16": "u2", "int": "i4", "int32": "i4", "uint": "u4", "uint32": "u4",
    "longlong": "i8", "int64": "i8", "ulonglong": "u8", "uint64": "u8", "float": "f4",
    "double": "f8",
}  # fmt: skip
_DOMAINS = ("domain", "space", "time", "???", "none", "")
_SIGNS = {
    "right-anterior-superior": (-1.0, -1.0, 1.0),
    "ras": (-1.0, -1.0, 1.0),
    "left-anterior-superior": (1.0, -1.0, 1.0),
    "las": (1.0, -1.0, 1.0),
}
"""What brings a world to left, posterior, superior, which other spaces are taken to be."""

Fields = dict[str, str]


def open_nrrd(path: Path) -> Source:
    """Look at an NRRD file.

    Raises:
        DataError: It cannot be read.
    """
    file_bytes(path)
    head = header_bytes(path, b"\n\n")
    if not head.startswith(b"NRRD000"):
        raise unreadable(path, "it is no NRRD file", "give a .nrrd or .nhdr file")
    try:
        text = _text_header(path, head)
    except DataError:
        raise
    except (ValueError, KeyError, IndexError) as error:
        what = f"its NRRD header is not understood ({error})"
        raise unreadable(path, what, HEADER_REMEDY) from error
    text.check()
    return Source(text.header, lambda: load_voxels(text))


def _text_header(path: Path, head: bytes) -> TextHeader:
    end = re.search(rb"\r?\n\r?\n", head)
    lines = head[: end.start() if end else len(head)].decode("latin-1").splitlines()
    pairs = (line.split(":", 1) for line in lines if ":" in line and not line.startswith("#"))
    fields = {key.strip().lower(): value.strip() for key, value in pairs if value[:1] != "="}
    encoding = fields["encoding"].lower()
    if encoding not in ("raw", "gzip", "gz"):
        raise unreadable(path, f"its encoding is {encoding}", "save it as raw or gzip")
    if any(int(fields.get(name, "0")) for name in ("byte skip", "line skip", "byteskip")):
        raise unreadable(path, "it skips bytes of its data file", "save it as one .nrrd file")
    header, order = _header(path, fields), fields.get("endian", "little").lower()
    name = fields.get("data file", fields.get("datafile"))
    if name is None and end is None:
        raise unreadable(path, "its header is cut off", HEADER_REMEDY)
    data = path if name is None else data_file(path, name)
    offset = end.end() if end and name is None else 0
    stored = header.dtype.newbyteorder(">" if order == "big" else "<")
    return TextHeader(header, data, offset, stored, encoding != "raw")


def _header(path: Path, fields: Fields) -> Header:
    lengths = [int(word) for word in fields["sizes"].split()]
    if min(lengths) < 1 or len(lengths) != int(fields["dimension"]):
        raise ValueError(f"sizes {fields['sizes']} for dimension {fields['dimension']}")
    kinds = [kind.lower() for kind in fields.get("kinds", "").split()] or [""] * len(lengths)
    if len(kinds) != len(lengths):
        raise ValueError(f"kinds {fields['kinds']} for dimension {fields['dimension']}")
    names = iter("xyzt")
    letters = []
    for kind in kinds:
        letter = next(names, "?") if kind in _DOMAINS else "c"
        letters.append("t" if kind == "time" else letter)
    spatial = [place for place, letter in enumerate(letters) if letter in "xyz"]
    axes = "".join(letters)[::-1]
    if "?" in axes or len(spatial) < 2 or axes.count("t") > 1:
        raise unreadable(path, f"it has {len(lengths)} axes", "save one 2D or 3D image a file")
    words = fields["type"].lower().replace("unsigned ", "u").replace("signed ", "")
    dtype = np.dtype(_TYPES[re.sub(r"(?<=[a-z]) int$|_t$| ", "", words)])
    grid, remarks = _grid(path, fields, lengths, spatial)
    return Header(path, "NRRD", axes, tuple(lengths[::-1]), dtype, grid, remarks)


def _grid(
    path: Path, fields: Fields, lengths: list[int], spatial: list[int]
) -> tuple[Grid, tuple[str, ...]]:
    size = [lengths[place] for place in spatial][::-1]
    dims = len(size)
    if "space directions" in fields:
        words = re.findall(r"none|\([^)]*\)", fields["space directions"].lower())
        count = sum(word != "none" for word in words)
        vectors = np.array([_vector(words[place]) for place in spatial])
        if vectors.shape != (dims, count):
            raise ValueError(f"space directions {fields['space directions']} for {dims} axes")
        vectors = vectors[:, :dims]  # time may be an axis of the space too
        spacing = np.linalg.norm(vectors, axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):  # zero spacing is told by the grid
            direction = (vectors / spacing[:, np.newaxis]).T
        origin = _vector(fields.get("space origin", f"({','.join(['0'] * count)})"))[:dims]
        signs = np.array(_SIGNS.get(fields.get("space", "").lower(), (1.0,) * 3))[:dims]
        grid = checked_grid(
            path,
            size,
            spacing[::-1],
            (origin * signs)[::-1],
            (direction * signs[:, np.newaxis])[::-1, ::-1],
        )
        units = {unit for unit in re.findall(r'"([^"]*)"', fields.get("space units", "")) if unit}
        odd = units - {"mm", "millimeter", "millimeters", "???"}
        remark = f"its units are {', '.join(sorted(odd))}: taken for mm, as SimpleITK does"
        return grid, (remark,) if odd else ()
    edges = [float(word) for word in fields.get("spacings", "").split()]
    told = [edges[place] for place in spatial][::-1] if edges else None
    return checked_grid(path, size, None if told is None or np.isnan(told).all() else told), ()


def _vector(word: str) -> NDArray[np.float64]:
    return np.array([float(part) for part in word.strip("()").split(",")])
