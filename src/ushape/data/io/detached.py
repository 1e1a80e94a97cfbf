"""Voxels behind a header of text, in the same file or one beside it: NRRD and MetaImage.

Not left to SimpleITK, which takes some damaged files for whole, and crashes on others.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ushape.data.io.claims import DEFLATE_RATIO, check_claim, file_bytes, path_inside
from ushape.data.io.sniff import unreadable
from ushape.data.io.volume import Header, Values
from ushape.errors import DataError

HEADER_REMEDY = "copy it again, or convert it again from its source"
_MAX_HEADER_BYTES = 2**20
_HEADER_BYTES = 2**14
_PIECE_BYTES = 2**20
_COPY_AGAIN = "copy it again or remove it"


@dataclass(frozen=True)
class TextHeader:
    """The text in front of voxels, with all that is needed to load them.

    Attributes:
        header: What it says, for everyone.
        data: The file with the voxels: the same, or one beside it.
        offset: Where they start.
        stored: Type of the numbers on disk, with byte order.
        is_deflated: They are compressed, with zlib or gzip.
    """

    header: Header
    data: Path
    offset: int
    stored: np.dtype[Any]
    is_deflated: bool

    def check(self) -> None:
        """Refuse sizes that cannot be true.

        Raises:
            DataError: The header claims more than the file can hold.
        """
        stored = max(0, file_bytes(self.data) - self.offset)
        ratio = DEFLATE_RATIO if self.is_deflated else 1
        check_claim(self.header.path, self.header.shape, self.header.num_bytes, stored, ratio=ratio)


def header_bytes(path: Path, end: bytes) -> bytes:
    """Read the beginning of a file, at least up to the mark that ends its header."""
    with path.open("rb") as file:
        head = file.read(_HEADER_BYTES)
        return head if end in head else head + file.read(_MAX_HEADER_BYTES)


def data_file(path: Path, name: str) -> Path:
    """Return the one file with voxels that a header names.

    Raises:
        DataError: It lies outside the header's folder, or the voxels are spread over several.
    """
    if name.split()[0].upper() == "LIST" or "%" in name:
        raise unreadable(
            path, "its voxels are spread over several files", "save it as one file, such as .nrrd"
        )
    try:
        return path_inside(path.parent, name)
    except DataError as error:
        raise unreadable(
            path,
            f"its voxels are said to be in {name!r}, outside its folder",
            "move them beside it and write the bare name into its header",
        ) from error


def load_voxels(text: TextHeader) -> Values:
    """Load the voxels behind a text header, in the order of its axes.

    Raises:
        DataError: They are truncated or damaged.
    """
    path = text.header.path
    values = np.empty(text.header.shape, text.stored)
    view = memoryview(values.reshape(-1).view(np.uint8))  # type: ignore[arg-type]
    with text.data.open("rb") as file:
        file.seek(text.offset)
        try:
            num_read = _inflate(file, view) if text.is_deflated else file.readinto(view)
        except zlib.error as error:
            what = f"it is truncated or damaged ({error})"
            raise unreadable(path, what, _COPY_AGAIN) from error
    if num_read != len(view):
        what = f"it is truncated: {num_read:,} of {len(view):,} bytes of voxels are there"
        raise unreadable(path, what, _COPY_AGAIN)
    native = text.header.dtype
    return values if text.stored.isnative else values.byteswap(inplace=True).view(native)


def _inflate(file: BinaryIO, view: memoryview) -> int:
    """Decompress in pieces; the check sum is compared where the stream ends."""
    stream = zlib.decompressobj(47)  # zlib or gzip, as the stream says
    place = 0
    while not stream.eof:
        packed = stream.unconsumed_tail or file.read(_PIECE_BYTES)
        if not packed:
            raise zlib.error("the compressed voxels end too early")
        piece = stream.decompress(packed, _PIECE_BYTES)
        if place + len(piece) > len(view):
            raise zlib.error("more voxels than the header says")
        view[place : place + len(piece)] = piece
        place += len(piece)
    return place
