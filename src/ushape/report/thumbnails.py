"""Small pictures of a case: an image with the outlines of its classes, at a size that is asked."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from ushape.report.pictures import class_color

Pixels = npt.NDArray[np.uint8]
"""Shape (y, x, 3)."""


def draw_thumbnail(
    image: npt.NDArray[Any],
    masks: npt.NDArray[np.bool_],
    *,
    longest: int,
    edges: Sequence[float] = (1.0, 1.0),
    window: tuple[float, float] | None = None,
) -> Pixels:
    """Draw an image and the outlines of its classes.

    Args:
        image: Shape (channel, y, x). Three channels are shown as colours, of any other number the
            first.
        masks: Of every class but the background, shape (class, y, x).
        longest: Pixels of the longer edge of the picture.
        edges: Lengths of a pixel, y x: the picture has the shape of what it shows.
        window: Values shown black and white; by default the type's whole range for bytes, else the
            0.5 and 99.5 percentiles of the values.

    Returns:
        Shape (y, x, 3).
    """
    size = _drawn_size(image.shape[1:], edges, longest)
    channels = image if len(image) == 3 else image[:1]
    levels = np.moveaxis(_to_levels(channels, window), 0, -1).repeat(3 // len(channels), axis=-1)
    picture = Image.fromarray(np.ascontiguousarray(levels))
    drawn = np.array(picture.resize(size[::-1], Image.Resampling.BICUBIC, reducing_gap=3.0))
    for index, mask in enumerate(masks, start=1):
        drawn[outline(_nearest(mask, size))] = _rgb(class_color(index))
    return drawn


def outline(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Mark the pixels of a mask that touch its outside; the border of the picture is no outside."""
    framed = np.pad(mask, 1, mode="edge")
    inner = framed[:-2, 1:-1] & framed[2:, 1:-1] & framed[1:-1, :-2] & framed[1:-1, 2:]
    return mask & ~inner


def jpeg_uri(pixels: Pixels) -> str:
    """Encode a picture (y, x, 3) as the data URI of a JPEG with colours of full sharpness."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="JPEG", quality=75, subsampling=0, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode("ascii")


def _drawn_size(size: Sequence[int], edges: Sequence[float], longest: int) -> tuple[int, int]:
    lengths = [number * edge for number, edge in zip(size, edges, strict=True)]
    height, width = (max(1, round(longest * length / max(lengths))) for length in lengths)
    return height, width


def _to_levels(values: npt.NDArray[Any], window: tuple[float, float] | None) -> Pixels:
    if window is None:
        if values.dtype == np.uint8:
            return values
        low, high = np.percentile(values, [0.5, 99.5])
        window = (float(low), float(high))
    span = max(window[1] - window[0], 1e-12)
    scaled = (values.astype(np.float32) - window[0]) * (255.0 / span)
    return np.asarray(np.rint(scaled.clip(0.0, 255.0)), np.uint8)


def _nearest(mask: npt.NDArray[np.bool_], size: tuple[int, int]) -> npt.NDArray[np.bool_]:
    rows, columns = (
        ((np.arange(drawn) + 0.5) * given / drawn).astype(np.intp)
        for drawn, given in zip(size, mask.shape, strict=True)
    )
    return mask[np.ix_(rows, columns)]


def _rgb(color: str) -> tuple[int, int, int]:
    red, green, blue = bytes.fromhex(color[1:])
    return red, green, blue
