"""What all synthetic pictures share: smooth noise, warped coordinates, bubbles, film grain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ushape.sizes import Size

Plane = NDArray[np.floating[Any]]
Mask = NDArray[np.bool_]

_FAR = np.float32(1e6)


def as_plane(values: Any) -> Plane:
    """Return values as the single-precision array that all drawing is done in."""
    return np.asarray(values, np.float32)


def smooth_noise(rng: np.random.Generator, size: Size, sigma: float) -> Plane:
    """Draw Gaussian noise with zero mean, unit deviation and features about `sigma` pixels wide.

    Wide features are drawn on a coarser grid and enlarged, so the cost does not grow with sigma.
    """
    step = max(1, int(sigma / 4))
    width = sigma / step
    coarse = rng.standard_normal([edge // step + 3 for edge in size]).astype(np.float32)
    coarse = ndimage.gaussian_filter(coarse, width, mode="wrap")
    coarse *= 2 * np.sqrt(np.pi) * width  # the filter's known loss of deviation
    if step > 1:
        axes = [np.arange(edge, dtype=np.float32) / step for edge in size]
        grid = np.meshgrid(*axes, indexing="ij")
        coarse = ndimage.map_coordinates(coarse, grid, order=1)
    return coarse[: size[0], : size[1]]


def pixel_grid(size: Size) -> tuple[Plane, Plane]:
    """Return the y and x coordinate of every pixel."""
    y, x = np.indices(size, dtype=np.float32)
    return y, x


def warped_grid(
    rng: np.random.Generator, size: Size, *, sigma: float, reach: float
) -> tuple[Plane, Plane]:
    """Return pixel coordinates, bent by smooth noise of about `reach` pixels."""
    y, x = pixel_grid(size)
    return y + reach * smooth_noise(rng, size, sigma), x + reach * smooth_noise(rng, size, sigma)


def around(size: Size, y: float, x: float, far: float) -> tuple[slice, slice]:
    """Return the part of a picture within `far` pixels of a point, as slices."""
    low = [int(max(centre - far, 0)) for centre in (y, x)]
    high = [int(max(centre + far, 0)) + 1 for centre in (y, x)]
    return slice(low[0], min(high[0], size[0])), slice(low[1], min(high[1], size[1]))


def soft_step(values: Plane, width: float = 1.0) -> Plane:
    """Rise from 0 to 1 around zero, over about `width` on either side."""
    return as_plane(0.5 + 0.5 * np.tanh(values / np.float32(width)))


def pick(values: Plane, owner: NDArray[np.int32]) -> Plane:
    """Give every pixel the value of the bubble that owns it."""
    return values.astype(np.float32)[owner]


def to_uint8(picture: Plane) -> NDArray[np.uint8]:
    """Turn brightness from 0 to 1 into 8 bits, clipping what lies outside."""
    return np.clip(np.rint(picture * 255), 0, 255).astype(np.uint8)


def film_grain(rng: np.random.Generator, picture: Plane, *, amount: float, sigma: float) -> Plane:
    """Add noise with a little correlation between neighbours, as scanners and cameras do."""
    fine = rng.standard_normal(picture.shape).astype(np.float32)
    grain = ndimage.gaussian_filter(fine, sigma) * (2 * np.sqrt(np.pi) * max(sigma, 0.28))
    return as_plane(picture + amount * grain)


@dataclass(frozen=True)
class Bubbles:
    """Discs that press against each other, like cells in a tissue.

    Attributes:
        owner: Index of the bubble that each pixel belongs to, (y, x).
        depth: Distance to the border between two bubbles, in pixels, (y, x).
        inside: How far a pixel lies within the free outline of its bubble; negative outside.
    """

    owner: NDArray[np.int32]
    depth: Plane
    inside: Plane


def place_discs(
    rng: np.random.Generator,
    size: Size,
    radii: Plane,
    *,
    closeness: float,
    pad: float = 0.0,
) -> Plane:
    """Throw discs into the picture, large ones first; drop those that find no room.

    Args:
        rng: Source of the positions.
        size: Of the picture; centres lie up to `pad` pixels outside.
        radii: Of the discs to try.
        closeness: Smallest distance of two centres, as a part of the sum of their radii.
        pad: Border around the picture that also receives discs.

    Returns:
        Rows of y, x, radius.
    """
    placed = np.empty((len(radii), 3), np.float32)
    count = 0
    for radius in np.sort(radii)[::-1]:
        for _ in range(12):
            y, x = rng.uniform(-pad, size[0] + pad), rng.uniform(-pad, size[1] + pad)
            others = placed[:count]
            room = closeness * (others[:, 2] + radius)
            if np.all((others[:, 0] - y) ** 2 + (others[:, 1] - x) ** 2 >= room**2):
                placed[count] = (y, x, radius)
                count += 1
                break
    return placed[:count]


def press_together(
    discs: Plane,
    grid: tuple[Plane, Plane],
    *,
    angles: Plane,
    stretches: Plane,
    reach: float,
) -> Bubbles:
    """Divide the plane between discs: each pixel goes to the disc whose rim is nearest.

    Borders between discs of unlike radius are curved, the smaller one bulging (an additively
    weighted Voronoi diagram).

    Args:
        discs: Rows of y, x, radius.
        grid: Coordinates of the pixels, possibly warped.
        angles: Direction in which each disc is long.
        stretches: How many times longer than wide it is.
        reach: How far beyond its rim a disc may own pixels; larger than any gap.
    """
    grid_y, grid_x = grid
    nearest = np.full(grid_y.shape, _FAR, np.float32)
    second = np.full(grid_y.shape, _FAR, np.float32)
    owner = np.zeros(grid_y.shape, np.int32)
    for index, ((y, x, radius), angle, stretch) in enumerate(
        zip(discs, angles, stretches, strict=True)
    ):
        far = (radius + reach) * float(stretch) ** 0.5
        window = around(grid_y.shape, y, x, far + reach)
        dy, dx = grid_y[window] - y, grid_x[window] - x
        along = (dx * np.cos(angle) + dy * np.sin(angle)) / np.sqrt(stretch)
        across = (dy * np.cos(angle) - dx * np.sin(angle)) * np.sqrt(stretch)
        rim = np.sqrt(along**2 + across**2) - radius
        first = nearest[window]
        second[window] = np.minimum(second[window], np.maximum(rim, first))
        owner[window] = np.where(rim < first, np.int32(index), owner[window])
        nearest[window] = np.minimum(rim, first)
    gap = np.minimum(second - nearest, np.float32(4 * reach))
    slope = np.hypot(*np.gradient(gap))
    # The gap grows by about two a pixel away from a border, less or more where discs are long.
    depth = gap / np.clip(slope, 0.7, 4.0)
    return Bubbles(owner, depth.astype(np.float32), -nearest)
