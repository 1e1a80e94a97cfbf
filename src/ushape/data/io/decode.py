"""Turn a picture file into stored numbers, or into an error of one line.

Pillow reads PNG, JPEG and BMP, and TIFF with the compressions that tifffile leaves to optional
libraries; tifffile reads all other TIFF.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from PIL import Image, ImageOps, UnidentifiedImageError

from ushape.data.io.quiet import quietly
from ushape.data.io.sniff import FORMATS, check_pixels, sniff, unreadable
from ushape.errors import DataError

PICTURE_SUFFIXES = tuple(FORMATS)
"""Endings of the files that can be read, in lower case."""

_TIFF_LOG = logging.getLogger("tifffile")
_ORIENTATION = 0x0112
_DAMAGED = "it is truncated or damaged"
_COPY_AGAIN = "copy it again or remove it"


@dataclass(frozen=True)
class Raster:
    """The numbers of one picture as the file stores them.

    Attributes:
        samples: Shape (y, x, samples); 1 grey or index, 3 colour; without alpha.
        palette: Colours by index, shape (n, 3), or None when samples are intensities.
        is_opaque: No pixel of the file is transparent.
    """

    samples: np.ndarray[Any, Any]
    palette: np.ndarray[Any, Any] | None = None
    is_opaque: bool = True


def decode(path: Path) -> Raster:
    """Read a picture file.

    One-bit pictures give 0 and 255, "white is zero" TIFF comes as it is displayed, and the
    orientation that cameras note in EXIF is applied.

    Raises:
        DataError: The file cannot be read; the message names it and the remedy.
    """
    kind = sniff(path)
    try:
        with quiet_decoders():
            return _decode_tiff(path) if kind == "TIFF" else _decode_pillow(path)
    except DataError:
        raise
    except MemoryError as error:
        raise unreadable(path, "it does not fit into memory", "cut it into parts") from error
    except Exception as error:  # decoders fail in dozens of ways, all meaning: not readable
        detail = " ".join(str(error).split())[:120] or type(error).__name__
        raise unreadable(path, f"{_DAMAGED} ({detail})", _COPY_AGAIN) from error


@contextmanager
def quiet_decoders() -> Iterator[None]:
    """Silence the decoders and lift Pillow's size limit; `check_pixels` has its own."""
    with quietly():
        limit, disabled = Image.MAX_IMAGE_PIXELS, _TIFF_LOG.disabled
        Image.MAX_IMAGE_PIXELS, _TIFF_LOG.disabled = None, True
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS, _TIFF_LOG.disabled = limit, disabled


def _decode_pillow(path: Path) -> Raster:
    with Image.open(path) as opened:
        check_pixels(path, opened.width * opened.height)
        opened.load()
        picture = _upright(opened)
        info, mode = dict(opened.info), picture.mode
        if mode == "P":
            colors = np.array(picture.getpalette("RGB"), np.uint8).reshape(-1, 3)
            return _indexed(np.asarray(picture), colors, _alpha_table(info.get("transparency")))
        if mode not in ("1", "L", "LA", "RGB", "RGBA", "I", "F", "I;16", "I;16B"):
            raise unreadable(path, f"colour mode {mode}", "save it as grey or RGB")
        values = np.asarray(picture)
    if mode == "1":
        values = values.astype(np.uint8) * np.uint8(255)
    raster = _split_alpha(values.reshape(*values.shape[:2], -1))
    key = info.get("transparency")  # one grey value or colour that stands for "transparent"
    if key is not None and mode in ("L", "RGB", "I;16"):
        hidden = bool(np.any(np.all(raster.samples == np.asarray(key), axis=-1)))
        return Raster(raster.samples, is_opaque=not hidden)
    return raster


def orientation_of(picture: Image.Image) -> int:
    """Read how a picture has to be turned (EXIF's 1 to 8) from what is read of its file so far."""
    try:
        # A PNG's own method decodes all pixels first.
        return int(Image.Image.getexif(picture).get(_ORIENTATION, 1))
    except Exception:  # damaged camera notes must not hide a good picture
        return 1


def _upright(picture: Image.Image) -> Image.Image:
    is_turned = orientation_of(picture) in range(2, 9)
    return ImageOps.exif_transpose(picture) if is_turned else picture


def _split_alpha(samples: np.ndarray[Any, Any]) -> Raster:
    """Take a trailing alpha off two or four samples."""
    num_samples = samples.shape[-1]
    if num_samples not in (2, 4):
        return Raster(samples)
    alpha = samples[..., -1]
    full = np.iinfo(alpha.dtype).max if np.issubdtype(alpha.dtype, np.integer) else 1.0
    return Raster(samples[..., :-1], is_opaque=bool(np.all(alpha == full)))


def _alpha_table(transparency: Any) -> np.ndarray[Any, Any]:
    """Return the alpha of every palette index: from a byte each, or one transparent index."""
    alpha = np.full(256, 255, np.uint8)
    if isinstance(transparency, bytes):
        alpha[: len(transparency)] = np.frombuffer(transparency, np.uint8)
    elif isinstance(transparency, int):
        alpha[transparency] = 0
    return alpha


def _indexed(
    indices: np.ndarray[Any, Any], colors: np.ndarray[Any, Any], alpha: np.ndarray[Any, Any]
) -> Raster:
    palette = np.zeros((max(len(colors), int(indices.max()) + 1), 3), np.uint8)
    palette[: len(colors)] = colors
    used = np.flatnonzero(np.bincount(indices.ravel()))
    is_opaque = bool(np.all(alpha[used[used < len(alpha)]] == 255))
    return Raster(indices[..., np.newaxis], palette, is_opaque=is_opaque)


def _decode_tiff(path: Path) -> Raster:
    with tifffile.TiffFile(path) as tif:
        every: list[Any] = list(tif.pages)
        pages = [page for page in every if not page.keyframe.is_reduced]
        page = pages[0]
        check_pixels(path, page.imagewidth * page.imagelength * page.imagedepth)
        num_planes = max(len(pages), int(np.prod(tif.series[0].shape) // np.prod(page.shape)))
        if num_planes > 1 or page.imagedepth > 1:
            raise unreadable(
                path,
                f"it is a stack of {max(num_planes, page.imagedepth)} pages",
                "this release reads single pictures: save every page as its own file",
            )
        try:
            values = page.asarray()
        except (ValueError, KeyError) as error:
            if "imagecodecs" not in str(error):
                raise
            return _decode_compressed(path, page)
    return _arrange_tiff(path, page, values)


def _decode_compressed(path: Path, page: Any) -> Raster:
    """Read a compression that tifffile does not know by itself (LZW, JPEG, ...) with Pillow."""
    compression = getattr(page.compression, "name", str(page.compression))
    remedy = "save it uncompressed or with deflate"
    if page.bitspersample > 8 and page.samplesperpixel > 1:
        raise unreadable(path, f"16-bit colour TIFF compressed with {compression}", remedy)
    try:
        return _decode_pillow(path)
    except UnidentifiedImageError as error:
        raise unreadable(path, f"TIFF compression {compression} is not known", remedy) from error


def _arrange_tiff(path: Path, page: Any, values: np.ndarray[Any, Any]) -> Raster:
    """Order the axes of a page as (y, x, samples) and resolve palette, polarity and alpha."""
    if page.axes == "SYX":
        values = np.moveaxis(values, 0, -1)
    elif page.axes not in ("YX", "YXS"):
        raise unreadable(path, f"its axes are {page.axes}", "save it as one grey or RGB picture")
    if page.bitspersample == 1:
        values = values.astype(np.uint8) * np.uint8(255)
    photometric = int(page.photometric)
    if photometric == tifffile.PHOTOMETRIC.PALETTE:
        colors = (np.asarray(page.colormap).T >> 8).astype(np.uint8)
        return _indexed(values, colors, _alpha_table(None))
    if photometric == tifffile.PHOTOMETRIC.MINISWHITE and values.dtype.kind == "u":
        values = np.iinfo(values.dtype).max - values
    samples = values.reshape(*values.shape[:2], -1)
    has_alpha = samples.shape[-1] in (2, 4) and len(page.extrasamples) == 1
    is_known = photometric in (0, 1, 2) and (samples.shape[-1] in (1, 3) or has_alpha)
    if not is_known:
        kind = getattr(page.photometric, "name", str(photometric))
        raise unreadable(
            path, f"{samples.shape[-1]} channels of kind {kind}", "save it as grey or RGB"
        )
    return _split_alpha(samples)
