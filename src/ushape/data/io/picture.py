"""2D pictures in the form of volumes: PNG, JPEG, BMP and single-page TIFF."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

from ushape.data.io.claims import checked_grid
from ushape.data.io.decode import orientation_of, quiet_decoders
from ushape.data.io.read import read_image
from ushape.data.io.sniff import check_pixels, sniff, unreadable
from ushape.data.io.tiff_spacing import Spacing
from ushape.data.io.volume import Header, Source
from ushape.errors import DataError

_MODES = {
    "1": (1, "u1"), "L": (1, "u1"), "LA": (1, "u1"), "P": (3, "u1"), "RGB": (3, "u1"),
    "RGBA": (3, "u1"), "I;16": (1, "u2"), "I;16B": (1, "u2"), "I": (1, "f4"), "F": (1, "f4"),
}  # fmt: skip
_TURNED = range(5, 9)  # EXIF orientations that exchange height and width
_NOTES = (b"Raw profile type exif", b"XML:com.adobe.xmp")
"""Texts of a PNG that may hold an orientation, as its chunk eXIf may."""


def open_picture(path: Path, spacing: Spacing | None = None) -> Source:
    """Look at a picture.

    Args:
        path: The file.
        spacing: Millimetres by axis letter, where something tells them.

    Raises:
        DataError: It cannot be read.
    """
    kind = sniff(path)
    shape, dtype = _tiff(path) if kind == "TIFF" else _other(path)
    told = spacing or {}
    edges = [told[axis] for axis in "yx"] if {"y", "x"} <= set(told) else None
    grid = checked_grid(path, shape[1:], edges)
    header = Header(path, kind, "cyx", shape, dtype, grid)
    return Source(header, lambda: read_image(path))


def _other(path: Path) -> tuple[tuple[int, int, int], np.dtype[np.generic]]:
    try:
        with quiet_decoders(), Image.open(path) as picture:
            check_pixels(path, picture.width * picture.height)
            channels, name = _MODES.get(picture.mode, (0, ""))
            size = (picture.height, picture.width)
            if picture.format == "PNG" and _has_notes_behind(path):
                picture.load()
            is_turned = orientation_of(picture) in _TURNED
            mode = picture.mode
    except DataError:
        raise
    except Exception as error:  # decoders fail in dozens of ways, all meaning: not readable
        detail = " ".join(str(error).split())[:120]
        raise unreadable(
            path, f"it is truncated or damaged ({detail})", "copy it again or remove it"
        ) from error
    if not channels:
        raise unreadable(path, f"colour mode {mode}", "save it as grey or RGB")
    height, width = size[::-1] if is_turned else size
    return (channels, height, width), np.dtype(name)


def _has_notes_behind(path: Path) -> bool:
    """Look whether a PNG keeps an orientation behind its pixels, where only decoding finds it."""
    is_behind = False
    with path.open("rb") as file:
        file.seek(8)
        while len(head := file.read(8)) == 8:
            length, kind = struct.unpack(">I4s", head)
            is_behind |= kind == b"IDAT"
            start = b""
            if is_behind and kind in (b"tEXt", b"zTXt", b"iTXt"):
                start = file.read(min(length, max(map(len, _NOTES))))
            if is_behind and (kind == b"eXIf" or start.startswith(_NOTES)):
                return True
            file.seek(length - len(start) + 4, 1)
    return False


def _tiff(path: Path) -> tuple[tuple[int, int, int], np.dtype[np.generic]]:
    with quiet_decoders(), tifffile.TiffFile(path) as tif:
        page = tif.pages.first
        check_pixels(path, page.imagewidth * page.imagelength)
        is_palette = page.photometric == tifffile.PHOTOMETRIC.PALETTE
        samples = 3 if is_palette or page.samplesperpixel > 2 else 1
        stored = np.dtype(page.dtype)
        keeps = stored in (np.uint8, np.uint16)
        dtype = np.dtype(np.uint8) if is_palette or page.bitspersample == 1 else stored
        dtype = dtype if keeps or dtype == np.uint8 else np.dtype(np.float32)
        return (samples, page.imagelength, page.imagewidth), dtype.newbyteorder("=")
