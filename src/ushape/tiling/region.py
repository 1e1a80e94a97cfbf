"""The region of interest: a box in an image, around the largest object of a mask or around each.

2D and 3D, NumPy and SciPy only. `roi` cuts the box out and puts results back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from ushape.errors import ConfigError, unknown_name
from ushape.sizes import Size
from ushape.tiling.components import (
    LEAST_FRACTION,
    Mask,
    find_objects,
    largest_component,
    object_mask,
)

Kind = Literal["square", "mask"]
KINDS: tuple[Kind, ...] = ("square", "mask")
"""`square`: all that lies in the box; `mask`: what lies outside the object is blanked as well."""


@dataclass(frozen=True)
class Region:
    """A box in an image.

    Attributes:
        start: Its first pixel; negative where the image is smaller than the box.
        size: Its edges in pixels.
        image_size: Of the image that it lies in.
        weights: How much of each pixel of the image is kept, shape (*image_size), float32 from 0
            to 1; None keeps all of the box (kind `square`).
    """

    start: tuple[int, ...]
    size: Size
    image_size: Size
    weights: npt.NDArray[np.float32] | None = field(default=None, compare=False, repr=False)

    @property
    def kind(self) -> Kind:
        """Whether pixels outside the object are blanked."""
        return "square" if self.weights is None else "mask"

    @property
    def inside(self) -> tuple[slice, ...]:
        """The part of the image that the box covers."""
        return tuple(
            slice(max(0, start), min(n, start + edge))
            for start, edge, n in zip(self.start, self.size, self.image_size, strict=True)
        )


def find_region(
    mask: Mask,
    *,
    kind: Kind = "square",
    margin_fraction: float = 0.1,
    spacing_mm: Sequence[float] | None = None,
    proportions: Sequence[float] | None = None,
    least_edge: int = 1,
    softness_pixels: float = 0.0,
) -> Region | None:
    """Put a box around the largest object of a mask.

    The box has equal edges, lies around the middle of the object's bounding box, and is shifted
    to lie inside the image. Along axes where the image is smaller it reaches out on both sides.

    Args:
        mask: Shape (*size). Pixels that touch at a corner belong together.
        kind: `square`, or `mask` to blank what lies outside the object.
        margin_fraction: Added on every side, as a fraction of the object's longest edge.
        spacing_mm: Edges of a voxel: the box is a cube in millimetres. None: in pixels.
        proportions: Of the box's edges; give the image's size where cuts are resized to it and
            shapes shall not be stretched. None: equal edges.
        least_edge: No edge is shorter, in pixels.
        softness_pixels: With `mask`, the width outside the object in which an image fades.

    Returns:
        The region, or None where the mask is empty.

    Raises:
        ConfigError: An unknown kind, or a number that is not allowed.

    >>> mask = np.zeros((9, 9), dtype=bool)
    >>> mask[2:4, 3:7] = True
    >>> find_region(mask, margin_fraction=0)
    Region(start=(1, 3), size=(4, 4), image_size=(9, 9))
    """
    _check_kind(kind)
    _check_not_negative(softness_pixels=softness_pixels)
    mask = np.asarray(mask, dtype=bool)
    component = largest_component(mask)
    box = None if component is None else ndimage.find_objects(component.astype(np.uint8))[0]
    region = box_region(
        box or (slice(0, 1),) * mask.ndim,
        mask.shape,
        margin_fraction=margin_fraction,
        spacing_mm=spacing_mm,
        proportions=proportions,
        least_edge=least_edge,
    )
    if component is None:
        return None
    return replace(region, weights=_weights(component, softness_pixels) if kind == "mask" else None)


def box_region(
    box: Sequence[slice],
    image_size: Size,
    *,
    margin_fraction: float = 0.1,
    spacing_mm: Sequence[float] | None = None,
    proportions: Sequence[float] | None = None,
    least_edge: int = 1,
) -> Region:
    """Enlarge the bounding box of an object to a region of kind `square`, as `find_region` does.

    Args:
        box: From the first to behind the last pixel of the object, along each axis.
        image_size: Of the image.
        margin_fraction: This and the others are those of `find_region`.
    """
    spacing, shape = (
        _per_axis("spacing_mm", spacing_mm, len(box)),
        _per_axis("proportions", proportions, len(box)),
    )
    _check_not_negative(margin_fraction=margin_fraction)
    if least_edge < 1:
        raise ConfigError(f"least_edge={least_edge}: give 1 or more")
    lengths = [side.stop - side.start for side in box]
    # Edges relative to the box's form; the longest decides for all.
    longest = max(n * mm / p for n, mm, p in zip(lengths, spacing, shape, strict=True))
    edges = [
        longest * (1 + 2 * margin_fraction) * p / mm for mm, p in zip(spacing, shape, strict=True)
    ]
    size = tuple(max(least_edge, int(np.ceil(edge - 1e-9))) for edge in edges)
    doubled = [side.start + side.stop for side in box]
    starts = [(middle - edge) // 2 for middle, edge in zip(doubled, size, strict=True)]
    return Region(_shifted_inside(starts, size, image_size), size, tuple(image_size))


def find_regions(
    mask: Mask,
    *,
    kind: Kind = "square",
    margin_fraction: float = 0.1,
    proportions: Sequence[float] | None = None,
    least_fraction: float = LEAST_FRACTION,
    most: int | None = None,
) -> tuple[Region, ...]:
    """Put a box around every object of a mask, the largest object first.

    Args:
        mask: Shape (*size). Pixels that touch at a corner belong together.
        kind: `square`, or `mask` to blank what lies outside each object, other objects too.
        margin_fraction: This and `proportions` are those of `find_region`.
        least_fraction: Objects with a smaller fraction of the largest one's pixels are specks:
            they are left out.
        most: So many objects at most; a poor mask has thousands of specks of one size.

    Raises:
        ConfigError: An unknown kind, or a number that is not allowed.

    >>> mask = np.zeros((9, 9), dtype=bool)
    >>> mask[1, 1:3] = mask[5:7, 4:7] = True
    >>> [region.start for region in find_regions(mask, margin_fraction=0)]
    [(4, 4), (0, 1)]
    """
    _check_kind(kind)
    mask = np.asarray(mask, dtype=bool)
    found = []
    for entry in find_objects(mask, least_fraction=least_fraction)[:most]:
        region = box_region(
            entry.box, mask.shape, margin_fraction=margin_fraction, proportions=proportions
        )
        if kind == "mask":
            weights = np.zeros(mask.shape, np.float32)
            weights[entry.box] = object_mask(mask[entry.box], entry)
            region = replace(region, weights=weights)
        found.append(region)
    return tuple(found)


def jitter(region: Region, generator: np.random.Generator, amount: float) -> Region:
    """Move and scale a box by chance, for training.

    Boxes around true masks are better than those around predicted ones will be: a network that
    has seen only perfect boxes fails on the others. The object's weights stay where they are.

    Args:
        region: From `find_region`.
        generator: Of all chance; the same state gives the same box.
        amount: The largest shift as a fraction of an edge, along every axis by itself, and the
            largest change of the edges: a factor from 1 / (1 + amount) to 1 + amount. 0 changes
            nothing.

    Returns:
        A region inside the image, as `find_region` places it.

    Raises:
        ConfigError: `amount` is negative.
    """
    _check_not_negative(amount=amount)
    factor = (1 + amount) ** generator.uniform(-1, 1)
    shifts = generator.uniform(-amount, amount, len(region.size))
    size = tuple(max(1, round(edge * factor)) for edge in region.size)
    starts = [
        round(start + before / 2 - after / 2 + shift * before)
        for start, before, after, shift in zip(region.start, region.size, size, shifts, strict=True)
    ]
    return replace(region, start=_shifted_inside(starts, size, region.image_size), size=size)


def _weights(component: Mask, softness: float) -> npt.NDArray[np.float32]:
    if softness == 0:
        return component.astype(np.float32)
    distance = ndimage.distance_transform_edt(~component)
    return np.clip(1 - distance / (softness + 1), 0, 1).astype(np.float32)


def _shifted_inside(starts: Sequence[int], size: Size, image_size: Size) -> tuple[int, ...]:
    return tuple(
        min(max(0, start), n - edge) if edge <= n else -((edge - n) // 2)
        for start, edge, n in zip(starts, size, image_size, strict=True)
    )


def _check_kind(kind: str) -> None:
    if kind not in KINDS:
        raise ConfigError(unknown_name("kind of region", kind, KINDS))


def _per_axis(name: str, values: Sequence[float] | None, dims: int) -> tuple[float, ...]:
    if values is None:
        return (1.0,) * dims
    if len(values) != dims or not all(0 < value < np.inf for value in values):
        raise ConfigError(f"{name}={tuple(values)}: give {dims} positive numbers, one an axis")
    return tuple(float(value) for value in values)


def _check_not_negative(**values: float) -> None:
    for name, value in values.items():
        if not 0 <= value < np.inf:
            raise ConfigError(f"{name}={value}: give 0 or more")
