"""Turn arrays into what a page can hold: PNG as data URI, outlines as SVG paths, error maps.

Outlines are vectors, so they stay thin and sharp at every zoom, and the image below them is stored
only once. The colours are those of Okabe and Ito (2008), told apart with any colour vision.
"""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

Labels = npt.NDArray[np.integer[Any]]
Mask = npt.NDArray[np.bool_]

MAX_EDGE = 720
"""Longer edges are shown scaled down, to keep the page small; counts use every pixel."""

CLASS_COLORS = ("#f0e442", "#56b4e9", "#e69f00", "#cc79a7", "#2fbf94", "#d55e00", "#a6c8ff")
"""For classes 1, 2, ...; they repeat after the last."""

CORRECT, FALSE_ALARM, MISSED, CONFUSED = 1, 2, 3, 4
"""What an error map holds; 0 is background, rightly predicted."""

ERROR_COLORS = {CORRECT: "#e8e8e8", FALSE_ALARM: "#56b4e9", MISSED: "#d55e00", CONFUSED: "#cc79a7"}
ERROR_NAMES = {
    CORRECT: "correct",
    FALSE_ALARM: "false alarm (fp)",
    MISSED: "missed (fn)",
    CONFUSED: "wrong class",
}


def class_color(index: int) -> str:
    """Give the colour of a class; the background (index 0) has none."""
    return CLASS_COLORS[(index - 1) % len(CLASS_COLORS)]


def shown_size(size: tuple[int, int]) -> tuple[int, int]:
    """Choose the size (y, x) at which a picture is stored: never larger than it is.

    >>> shown_size((512, 512)), shown_size((1000, 2000))
    ((512, 512), (360, 720))
    """
    factor = min(1.0, MAX_EDGE / max(size))
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))


def shrink_labels(label_map: Labels) -> Labels:
    """Scale a label map (y, x) to its shown size by taking the nearest pixels."""
    rows, columns = (
        ((np.arange(shown) + 0.5) * edge / shown).astype(np.intp)
        for shown, edge in zip(shown_size(_size(label_map)), label_map.shape, strict=True)
    )
    return label_map[np.ix_(rows, columns)]


def image_png(image: npt.NDArray[Any]) -> str:
    """Encode an image (channels, y, x) as the data URI of a PNG at its shown size.

    One channel is shown grey, three as colours, of any other number the first. Pictures of 8 bits
    are shown as they are; for all others half a percent of the values may be lost at either end.
    """
    channels = image if len(image) == 3 else image[:1]
    pixels = np.moveaxis(_to_bytes(channels), 0, -1).squeeze(-1 if len(channels) == 1 else ())
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    shown_y, shown_x = shown_size(_size(image[0]))
    if picture.size != (shown_x, shown_y):
        picture = picture.resize((shown_x, shown_y), Image.Resampling.LANCZOS)
    return _data_uri(picture)


def compare(truth: Labels, prediction: Labels) -> Labels:
    """Say of every pixel how the prediction fares there: CORRECT, FALSE_ALARM, ... or 0.

    >>> compare(np.array([[0, 0, 1, 1, 1]]), np.array([[0, 1, 0, 1, 2]])).tolist()
    [[0, 2, 3, 1, 4]]
    """
    is_object, is_predicted = truth > 0, prediction > 0
    outcome = np.select(
        [is_object & (truth == prediction), is_predicted & ~is_object, is_object & ~is_predicted],
        [CORRECT, FALSE_ALARM, MISSED],
        default=0,
    )
    return np.where(is_object & is_predicted & (truth != prediction), CONFUSED, outcome)


def errors_png(outcome: Labels) -> str:
    """Encode what `compare` gave, at its shown size, as a transparent PNG."""
    picture = Image.fromarray(shrink_labels(outcome).astype(np.uint8), mode="P")
    palette = ["#000000", *(ERROR_COLORS[code] for code in sorted(ERROR_COLORS))]
    picture.putpalette(b"".join(bytes.fromhex(color[1:]) for color in palette))
    return _data_uri(picture, transparency=0)


def outline_path(mask: Mask) -> str:
    """Trace the border of a mask (y, x) as the data of an SVG path, in half pixels.

    The path runs half a pixel outside the centres of the border pixels, closed, with holes running
    the other way; scaled by 0.5 it lies on a picture whose pixel (0, 0) covers the unit square. An
    empty mask gives an empty text.
    """
    from skimage.measure import find_contours

    if not mask.any():
        return ""
    # The frame of zeros closes the outlines of objects that touch the picture's border. In the
    # framed mask the borders lie between pixel centres, so doubled they are whole numbers.
    framed = np.pad(mask, 1).astype(np.float32)
    contours = find_contours(framed, 0.5)  # type: ignore[no-untyped-call]
    return "".join(_closed_path(np.rint(2 * contour).astype(int) - 1) for contour in contours)


def _closed_path(vertices: npt.NDArray[np.int_]) -> str:
    """Write (y, x) vertices, the last equal to the first, as moves; straight runs are merged."""
    moves = np.diff(vertices, axis=0)
    is_corner = np.concatenate([[True], (moves[1:] != moves[:-1]).any(axis=1)])
    corners = np.concatenate([vertices[:-1][is_corner], vertices[-1:]])
    start_y, start_x = corners[0]
    steps = " ".join(f"{x} {y}" for y, x in np.diff(corners, axis=0)[:-1].tolist())
    return f"M{start_x} {start_y}l{steps}z".replace(" -", "-")


def _to_bytes(image: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    if image.dtype == np.uint8:
        return image
    values = image.astype(np.float64)
    finite = values[np.isfinite(values)]
    if finite.size == 0:
        return np.zeros(image.shape, np.uint8)
    low, high = np.percentile(finite, [0.5, 99.5])
    scaled = (np.nan_to_num(values, nan=low, posinf=high, neginf=low) - low) / max(
        high - low, 1e-12
    )
    levels: npt.NDArray[np.uint8] = np.rint(255 * np.clip(scaled, 0, 1)).astype(np.uint8)
    return levels


def _size(picture: npt.NDArray[Any]) -> tuple[int, int]:
    rows, columns = picture.shape
    return rows, columns


def _data_uri(picture: Image.Image, **options: Any) -> str:
    stream = io.BytesIO()
    picture.save(stream, format="PNG", optimize=True, **options)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode("ascii")
