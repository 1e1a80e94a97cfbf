"""Write label pictures and probabilities, atomically."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from PIL import Image

from ushape.errors import DataError
from ushape.files import atomic_path

LABEL_SUFFIXES = (".png", ".tif", ".tiff")
"""Endings that labels can be written to: the formats that keep every value."""


def write_label(
    path: str | Path,
    values: np.ndarray[Any, Any],
    *,
    is_color: bool = False,
    palette: Sequence[int] = (),
) -> None:
    """Write label values to a PNG or TIFF file.

    Args:
        path: The file; its ending chooses the format.
        values: Shape (y, x), integers of 0 or more; packed 0xRRGGBB when `is_color`.
        is_color: Write an RGB picture. Else 8 bit where that is enough, or 16 (TIFF: or 32).
        palette: Packed colours by index: write a palette picture, where it has all the values.

    Raises:
        DataError: The values or the ending cannot be written without loss.
        StorageError: The disk refuses; an older file of that name is untouched.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in LABEL_SUFFIXES:
        raise DataError(
            f"cannot write labels to {path}: {suffix or 'no ending'} does not keep label values; "
            f"use {', '.join(LABEL_SUFFIXES)}"
        )
    limit = 0xFFFFFF if is_color else 0xFFFF if suffix == ".png" else 0xFFFFFFFF
    pixels = _pixels(path, np.asarray(values), limit, is_color=is_color)
    has_palette = not is_color and int(pixels.max()) < min(len(palette), 256)
    colors = _unpacked(palette[:256]) if has_palette else None
    with atomic_path(path) as temporary:
        if suffix != ".png":
            _write_tiff(temporary, pixels, **_kind_of_tiff(colors, is_color=is_color))
            return
        # Encoded in memory first: Pillow's own writer hides why a disk refuses.
        buffer = io.BytesIO()
        picture = Image.fromarray(pixels)
        if colors is not None:
            picture.putpalette(colors.tobytes())
        picture.save(buffer, format="PNG")
        temporary.write_bytes(buffer.getbuffer())


def write_probabilities(path: str | Path, probabilities: np.ndarray[Any, Any]) -> None:
    """Write class probabilities to a float32 TIFF file, one page a class.

    Args:
        path: The file, ending in .tif or .tiff.
        probabilities: Shape (K, y, x).

    Raises:
        DataError: The ending or the shape is another one.
        StorageError: The disk refuses; an older file of that name is untouched.
    """
    path = Path(path)
    if path.suffix.lower() not in (".tif", ".tiff"):
        raise DataError(f"cannot write probabilities to {path}: the name must end in .tif or .tiff")
    if probabilities.ndim != 3:
        raise DataError(
            f"cannot write probabilities to {path}: shape {probabilities.shape} is not (K, y, x)"
        )
    with atomic_path(path) as temporary:
        pages = probabilities.astype(np.float32, copy=False)
        # Page by page: a whole array one pixel wide would be taken for one with a channel axis.
        with tifffile.TiffWriter(temporary) as file:
            for page in pages:
                file.write(
                    page,
                    photometric="minisblack",
                    compression="deflate",
                    software="ushape",
                    metadata=None,
                )


def _unpacked(palette: Sequence[int]) -> np.ndarray[Any, Any]:
    """Unpack colours to shape (n, 3)."""
    packed = np.asarray(palette, np.uint32)
    return np.stack([(packed >> shift) & 255 for shift in (16, 8, 0)], -1).astype(np.uint8)


def _kind_of_tiff(colors: np.ndarray[Any, Any] | None, *, is_color: bool) -> dict[str, Any]:
    """Say how pixels are meant; a TIFF file has 256 colours of 16 bits."""
    if colors is None:
        return {"photometric": "rgb" if is_color else "minisblack"}
    table = np.zeros((3, 256), np.uint16)
    table[:, : len(colors)] = colors.T.astype(np.uint16) * 257
    return {"photometric": "palette", "colormap": table}


def _write_tiff(path: Path, pixels: np.ndarray[Any, Any], **options: Any) -> None:
    tifffile.imwrite(path, pixels, compression="deflate", software="ushape", **options)


def _pixels(
    path: Path, values: np.ndarray[Any, Any], limit: int, *, is_color: bool
) -> np.ndarray[Any, Any]:
    """Bring label values to the narrowest type that holds them, or to RGB."""
    if values.ndim != 2 or values.size == 0 or values.dtype.kind not in "ui":
        raise DataError(
            f"cannot write labels to {path}: shape {values.shape} of {values.dtype}; "
            "labels are integers of shape (y, x)"
        )
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > limit:
        raise DataError(
            f"cannot write labels to {path}: values from {low} to {high}; "
            f"0 to {limit} are allowed for this kind of file"
        )
    if is_color:
        packed = values.astype(np.uint32)
        return np.stack([(packed >> shift) & 255 for shift in (16, 8, 0)], -1).astype(np.uint8)
    return values.astype(np.uint8 if high <= 0xFF else np.uint16 if high <= 0xFFFF else np.uint32)
