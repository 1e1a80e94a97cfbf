"""The region of interest: find it in a coarse mask, cut it out enlarged, put the result back.

For two passes over one image: large structures on the whole, small ones in the region
(`serial` puts them together). 2D and 3D, NumPy and SciPy only. A box is whole pixels; resizing is
linear and half-pixel: pixel i covers [i, i + 1), so the corners of a cut are the corners of its
box, and nothing shifts on the way back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from ushape.errors import ConfigError, ShapeError, unknown_name
from ushape.sizes import Size, format_size
from ushape.tiling.components import largest_component
from ushape.tiling.region import (
    KINDS,
    Kind,
    Region,
    box_region,
    find_region,
    find_regions,
    jitter,
)
from ushape.tiling.resize import resize
from ushape.tiling.windows import Array

__all__ = [
    "KINDS",
    "Kind",
    "Region",
    "blank",
    "box_region",
    "cut",
    "cut_labels",
    "find_region",
    "find_regions",
    "jitter",
    "largest_component",
    "paste",
]

_LEAST_SHARE = 0.5
"""A pixel of a cut belongs to the object when at least so much of it does."""


def cut(image: Array, region: Region, size: Sequence[int]) -> Array:
    """Cut the region out of an image and resize it linearly.

    Where the box reaches beyond the image the outermost pixels are repeated. Where it is larger
    than `size` it is averaged, not sampled. With weights, an image is multiplied by them (without
    softness: pixels that lie less than half in the object become 0).

    Args:
        image: Shape (C, *region.image_size).
        region: From `find_region`.
        size: Of the result, usually the image's.

    Returns:
        Shape (C, *size), float32; float64 stays float64.

    Raises:
        ShapeError: The image has another size than the one that the region was found in.
    """
    _check_image(image, region)
    result = resize(_take(image, region), size)
    if region.weights is None:
        return result
    return np.asarray(result * _cut_weights(region, size), dtype=result.dtype)


def cut_labels(
    label: Array,
    region: Region,
    size: Sequence[int],
    *,
    method: Literal["nearest", "vote"] = "nearest",
    beyond: int = 0,
    outside: int | None = None,
) -> Array:
    """Cut the region out of a map of labels; no label appears that was not there.

    Args:
        label: Shape (*region.image_size), whole numbers or bool.
        region: From `find_region`.
        size: Of the result.
        method: `nearest` takes the pixel under the middle; `vote` the label that covers most,
            weighed as `cut` weighs pixels (the smaller one of equals).
        beyond: The label where the box reaches beyond the image, such as that of void pixels.
        outside: With a region of kind `mask`, the label of what `cut` blanks; None keeps labels.

    Returns:
        Shape (*size), of the same type.

    Raises:
        ShapeError: The map has another size than the one that the region was found in.
        ConfigError: The method is unknown.
    """
    _check_image(label[None], region)
    if method not in ("nearest", "vote"):
        raise ConfigError(unknown_name("method", method, ("nearest", "vote")))
    pads = [
        (max(0, -start), max(0, start + edge - n))
        for start, edge, n in zip(region.start, region.size, region.image_size, strict=True)
    ]
    part = np.pad(label[region.inside], pads, constant_values=beyond)
    result = _nearest(part, size) if method == "nearest" else _vote(part, size)
    if region.weights is not None and outside is not None:
        result[_cut_weights(region, size) == 0] = outside
    return result


def paste(
    probabilities: Array,
    region: Region,
    full_size: Sequence[int],
    fill: float | Sequence[float] = 0.0,
) -> Array:
    """Put what was computed on a cut back to its place and scale.

    Shrinking averages, so that thin structures fade and do not flicker. What the box holds beyond
    the image is dropped.

    Args:
        probabilities: Shape (K, *any size): that of the whole cut.
        region: The region of the cut.
        full_size: Of the image.
        fill: Of pixels outside the box, and outside the object of kind `mask`: one number, or one
            a channel.

    Returns:
        Shape (K, *full_size), float32; float64 stays float64.

    Raises:
        ShapeError: `full_size` is not the size of the region's image, or `fill` has another
            length than there are channels.
    """
    if tuple(full_size) != region.image_size:
        raise ShapeError(
            f"full_size {format_size(full_size)}: the region was found in an image of "
            f"{format_size(region.image_size)}; give that size"
        )
    part = resize(probabilities, region.size)
    result = blank(len(part), region.image_size, fill, part.dtype)
    kept = tuple(
        slice(side.start - start, side.stop - start)
        for side, start in zip(region.inside, region.start, strict=True)
    )
    target = result[(slice(None), *region.inside)]
    target[...] = part[(slice(None), *kept)]
    if region.weights is not None:
        is_blank = region.weights == 0
        result[:, is_blank] = blank(len(part), (1,), fill, part.dtype)
    return result


def _take(image: Array, region: Region) -> Array:
    """Cut the box; the outermost pixels are repeated beyond the image."""
    part: Array = image[(slice(None), *region.inside)]
    for axis, (start, edge, n) in enumerate(
        zip(region.start, region.size, region.image_size, strict=True), start=1
    ):
        if start < 0 or start + edge > n:
            places = np.clip(np.arange(start, start + edge), 0, n - 1) - max(0, start)
            part = np.take(part, places, axis=axis)
    return part


def _cut_weights(region: Region, size: Sequence[int]) -> Array:
    """Resize the weights of the box: 0 beyond the image; 0 or 1 where they are so in the image."""
    assert region.weights is not None
    weights = region.weights
    is_hard = bool(np.all((weights == 0) | (weights == 1)))
    square = replace(region, weights=None)
    pads = [
        (max(0, -start), max(0, start + edge - n))
        for start, edge, n in zip(region.start, region.size, region.image_size, strict=True)
    ]
    part: Array = resize(np.pad(weights[square.inside], pads)[None], size)[0]
    return (part >= _LEAST_SHARE).astype(np.float32) if is_hard else part


def _nearest(part: Array, size: Sequence[int]) -> Array:
    indices = [
        ((2 * np.arange(wanted) + 1) * length) // (2 * wanted)
        for wanted, length in zip(size, part.shape, strict=True)
    ]
    return np.ascontiguousarray(part[np.ix_(*indices)])


def _vote(part: Array, size: Sequence[int]) -> Array:
    labels = np.unique(part)
    winner = np.full(tuple(size), labels[0], dtype=part.dtype)
    most = np.full(tuple(size), -1.0)
    for label in labels:
        share = resize((part == label)[None].astype(np.float64), size)[0]
        # Equal shares differ by rounding; without the margin chance would choose among them.
        is_larger = share > most + 1e-9
        winner[is_larger], most[is_larger] = label, share[is_larger]
    return winner


def blank(count: int, size: Size, fill: float | Sequence[float], dtype: Any = np.float32) -> Array:
    """Give what `paste` gives where there is no region: shape (count, *size), filled.

    Raises:
        ShapeError: `fill` has another length than there are channels.
    """
    values = np.atleast_1d(np.asarray(fill, dtype=dtype))
    if values.shape not in ((1,), (count,)):
        raise ShapeError(
            f"fill has {values.size} numbers for {count} channels: give one, or {count}"
        )
    result = np.empty((count, *size), dtype=dtype)
    result[...] = values.reshape(-1, *(1,) * len(size))
    return result


def _check_image(image: Array, region: Region) -> None:
    if image.shape[1:] != region.image_size:
        raise ShapeError(
            f"an image of size {format_size(image.shape[1:])} and a region found in one of "
            f"{format_size(region.image_size)}: give the image of the mask"
        )
