"""TIFF files with more than one page: stacks, hyperstacks, OME, BigTIFF."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from PIL import Image

from ushape.data.io.claims import DEFLATE_RATIO, check_claim, checked_grid, file_bytes
from ushape.data.io.quiet import quietly
from ushape.data.io.sniff import sniff, unreadable
from ushape.data.io.tiff_samples import holds_channels
from ushape.data.io.tiff_spacing import Spacing, missing_edges, spacing_of
from ushape.data.io.volume import Header, Source, Values
from ushape.errors import DataError

_LOG = logging.getLogger("tifffile")
_COPY_AGAIN = "copy it again or remove it"
_AXES = {"S": "c", "I": "q", "R": "q", "Q": "q"}
_RATIOS = {"NONE": 1, "ADOBE_DEFLATE": DEFLATE_RATIO, "DEFLATE": DEFLATE_RATIO, "PACKBITS": 128}


def open_tiff(path: Path) -> Source | Spacing:
    """Look at a TIFF file.

    Returns:
        A source for a stack or for a picture with channels that are no colours; for a picture,
        which the reader of pictures knows better, only its spacing.

    Raises:
        DataError: It is damaged, or claims more than it has.
    """
    sniff(path)
    with _opened(path) as tif:
        pages = [page for page in tif.pages if not page.keyframe.is_reduced]
        series, page = tif.series[0], pages[0]
        is_single = len(pages) == len(tif.series) == 1
        if is_single and math.prod(series.shape) == math.prod(page.shape):
            is_known = page.samplesperpixel in (1, 3) or len(page.extrasamples) == 1
            is_picture = is_known and not holds_channels(page) and page.imagedepth == 1
            if "Z" not in series.axes and is_picture:
                return spacing_of(tif)
        if len(tif.series) > 1 and len({(each.shape, each.dtype) for each in tif.series}) > 1:
            sizes = ", ".join(" x ".join(map(str, each.shape)) for each in tif.series[:4])
            raise unreadable(
                path,
                f"its pages differ in size or type ({sizes})",
                "save each image as its own file",
            )
        header = _header(path, tif, series)
        _check_stored(path, header, series)
    return Source(header, lambda: _load(header))


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open a file; what tifffile would only log as an error becomes one."""
    heard = _Heard()
    try:
        with quietly():
            _LOG.addHandler(heard)
            propagate, _LOG.propagate = _LOG.propagate, False
            try:
                with tifffile.TiffFile(path) as tif:
                    yield tif
            finally:
                _LOG.removeHandler(heard)
                _LOG.propagate = propagate
    except DataError:
        raise
    except MemoryError as error:
        raise unreadable(path, "it does not fit into memory", "cut it into parts") from error
    except Exception as error:  # decoders fail in dozens of ways, all meaning: not readable
        raise _damaged(path, str(error) or type(error).__name__) from error
    if heard.errors:
        raise _damaged(path, heard.errors[0])


def _damaged(path: Path, detail: str) -> DataError:
    text = " ".join(detail.split())[:120]
    return unreadable(path, f"it is truncated or damaged ({text})", _COPY_AGAIN)


class _Heard(logging.Handler):
    """Keeps the errors that tifffile logs."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.errors: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.errors.append(record.getMessage())


def _header(path: Path, tif: Any, series: Any) -> Header:
    num_alike = len(tif.series)
    axes = "".join(_AXES.get(axis, axis.lower()) for axis in series.axes)
    shape = tuple(int(n) for n in series.shape)
    if num_alike > 1:  # pages saved one by one, each a series of its own
        axes, shape = "q" + axes, (num_alike, *shape)
    other = set(axes) - set("qctzyx")
    if other:
        raise unreadable(
            path, f"its axes are {series.axes}", "save one image with the axes C, Z, Y and X"
        )
    if axes.count("q") == 1 and "z" not in axes:
        axes = axes.replace("q", "z")
    spacing = spacing_of(tif)
    space = [axis for axis in axes if axis in "zyx"]
    sizes = [n for n, axis in zip(shape, axes, strict=True) if axis in "zyx"]
    edges = [spacing[axis] for axis in space if axis in spacing]
    ordered = sorted(range(len(space)), key=lambda place: "zyx".index(space[place]))
    grid = checked_grid(
        path,
        [sizes[place] for place in ordered],
        [edges[place] for place in ordered] if len(edges) == len(space) else None,
    )
    missing = missing_edges(spacing, "".join(space[place] for place in ordered))
    dtype = np.dtype(series.dtype).newbyteorder("=")
    remarks = () if missing is None else (missing,)
    return Header(path, "TIFF stack", axes, shape, dtype, grid, remarks)


def _check_stored(path: Path, header: Header, series: Any) -> None:
    size = file_bytes(path)
    name = getattr(series.keyframe.compression, "name", "")
    bits = series.keyframe.bitspersample / (8 * header.dtype.itemsize)
    packed = math.ceil(header.num_bytes * min(bits, 1.0))
    check_claim(path, header.shape, packed, size, ratio=_RATIOS.get(name, 0))
    check_claim(path, header.shape, header.num_bytes, 0, ratio=0)
    pages = [page for page in series.pages if page is not None]
    last = max(
        (
            o + n
            for page in pages
            for o, n in zip(page.dataoffsets, page.databytecounts, strict=False)
        ),
        default=0,
    )
    if last > size:
        raise unreadable(
            path, f"it is truncated: its pixels end at byte {last:,} of {size:,}", _COPY_AGAIN
        )


def _load(header: Header) -> Values:
    path = header.path
    with _opened(path) as tif:
        _check_photometric(path, tif.series[0].keyframe)
        try:
            many = len(tif.series) > 1
            values = np.stack([s.asarray() for s in tif.series]) if many else tif.asarray(series=0)
        except (ValueError, KeyError) as error:
            if "imagecodecs" not in str(error):
                raise
            values = _decode_pages(path, tif.series[0])
    values = values.reshape(header.shape)
    native = values.dtype.newbyteorder("=")
    return np.asarray(values if values.dtype.isnative else values.astype(native))


def _check_photometric(path: Path, page: Any) -> None:
    if page.photometric in (tifffile.PHOTOMETRIC.MINISWHITE, tifffile.PHOTOMETRIC.PALETTE):
        raise unreadable(
            path,
            f"its pages are stored as {page.photometric.name.lower()}",
            "save the stack as plain grey values",
        )


def _decode_pages(path: Path, series: Any) -> Values:
    """Read compressions that tifffile leaves to an optional library with Pillow, page by page."""
    page = series.keyframe
    if page.samplesperpixel > 1 or page.bitspersample not in (8, 16):
        name = getattr(page.compression, "name", str(page.compression))
        raise unreadable(
            path, f"it is compressed with {name}", "save it uncompressed or with deflate"
        )
    planes = np.empty((len(series.pages), *page.shape), page.dtype)
    with Image.open(path) as picture:
        for number in range(len(planes)):
            picture.seek(number)
            planes[number] = np.asarray(picture)
    return planes
