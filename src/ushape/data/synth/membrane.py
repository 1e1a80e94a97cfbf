"""Tissue as a transmission electron microscope shows it: dark membranes around neurites.

Modelled on the ISBI 2012 sections (label 0 = membrane, 255 = inside of a cell): membranes of
varying thickness and darkness that fade where they were cut at a slant, and dark things that are
not membranes: mitochondria, vesicles, synaptic densities.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ushape.data.synth.texture import (
    Bubbles,
    Mask,
    Plane,
    around,
    as_plane,
    film_grain,
    pick,
    pixel_grid,
    place_discs,
    press_together,
    smooth_noise,
    soft_step,
    warped_grid,
)
from ushape.sizes import Size

_BRIGHT = 0.66
_REACH = 40.0


def draw_membrane(rng: np.random.Generator, size: Size) -> tuple[Plane, NDArray[np.uint8]]:
    """Draw one section: brightness (y, x) and label values 0 and 255."""
    cells = _tessellate(rng, size)
    slant = soft_step(smooth_noise(rng, size, 16) - 1.35, 0.25)  # cut along the membrane here
    half_width = 2.2 + 0.35 * smooth_noise(rng, size, 12) + 3.2 * slant
    half_width = np.maximum(half_width, 1.3)
    picture = _cytoplasm(rng, size, cells)
    _add_mitochondria(rng, picture, cells)

    profile = np.exp(-((cells.depth / half_width) ** 2))
    fading = 1 - 0.55 * soft_step(smooth_noise(rng, size, 9) - 1.0, 0.3)
    darkness = 0.4 * fading * (1 - 0.3 * slant) + 0.035 * smooth_noise(rng, size, 5)
    halo = 0.06 * np.exp(-cells.depth / 6)
    picture = picture - darkness * profile - halo
    picture = picture - _densities(rng, size, cells)
    label = _clean_label(cells.depth < 1.1 * half_width)
    return _photograph(rng, picture), label


def _clean_label(membrane: Mask) -> NDArray[np.uint8]:
    """Drop specks, which are rounding errors of the tessellation, and give the file's values."""
    pieces, _ = ndimage.label(membrane)
    areas = np.bincount(pieces.ravel())
    return np.where(membrane & (areas[pieces] >= 60), 0, 255).astype(np.uint8)


def _tessellate(rng: np.random.Generator, size: Size) -> Bubbles:
    area = float(np.prod([edge + 80 for edge in size]))
    count = int(area / 300)
    radii = np.exp(rng.normal(2.35, 0.45, count)).clip(7, 60).astype(np.float32)
    num_large = max(1, int(area / 24000))
    radii[:num_large] = rng.uniform(30, 58, num_large)
    discs = place_discs(rng, size, radii, closeness=0.86, pad=40)
    # Neurites in one neighbourhood run the same way.
    padded = tuple(edge + 80 for edge in size)
    at = tuple((discs[:, :2].T + 40).astype(int).clip(0, np.array(padded)[:, None] - 1))
    angles = 1.2 * smooth_noise(rng, padded, 90)[at] + rng.uniform(0, np.pi)
    stretches = 1 + 1.6 * soft_step(smooth_noise(rng, padded, 70)[at] - 0.5, 0.5)
    stretches = stretches * np.exp(rng.normal(0, 0.15, len(discs)))
    grid_y, grid_x = warped_grid(rng, size, sigma=18, reach=5.0)
    fine_y, fine_x = smooth_noise(rng, size, 5), smooth_noise(rng, size, 5)
    grid = (grid_y + 0.9 * fine_y, grid_x + 0.9 * fine_x)
    return press_together(
        discs, grid, angles=angles, stretches=stretches.astype(np.float32), reach=_REACH
    )


def _cytoplasm(rng: np.random.Generator, size: Size, cells: Bubbles) -> Plane:
    """Fill the cells: each its own grey, granular, some full of vesicles."""
    count = int(cells.owner.max()) + 1
    base = pick(rng.normal(_BRIGHT, 0.035, count), cells.owner)
    granular = pick(rng.uniform(0.5, 1.3, count), cells.owner)
    clouds = 0.03 * smooth_noise(rng, size, 14) + 0.035 * smooth_noise(rng, size, 4)
    texture = clouds + 0.05 * smooth_noise(rng, size, 1.5)
    picture = (base + granular * texture).astype(np.float32)
    rate = pick(np.where(rng.random(count) < 0.45, 0.006, 0.001), cells.owner)
    deep = cells.depth > 5
    for y, x in np.argwhere((rng.random(size) < rate) & deep):
        _stamp(picture, _vesicle(rng.uniform(2.2, 5.0)) * rng.uniform(0.6, 1.5), y, x)
    dots = ((rng.random(size) < 0.0015) & deep).astype(np.float32)
    return as_plane(picture - 2.8 * ndimage.gaussian_filter(dots, 1.1))


def _vesicle(radius: float) -> Plane:
    """A dark rim around a slightly brighter middle."""
    edge = int(radius) + 3
    y, x = pixel_grid((2 * edge + 1, 2 * edge + 1))
    distance = np.hypot(y - edge, x - edge)
    rim = np.exp(-(((distance - radius) / 0.9) ** 2))
    return as_plane(0.02 * (distance < radius) - 0.2 * rim)


def _stamp(picture: Plane, mark: Plane, y: int, x: int) -> None:
    """Add a small mark centred at (y, x), cut at the border of the picture."""
    edge = len(mark) // 2
    low_y, low_x = max(y - edge, 0), max(x - edge, 0)
    target = picture[low_y : y + edge + 1, low_x : x + edge + 1]
    first_y, first_x = low_y - (y - edge), low_x - (x - edge)
    target += mark[first_y : first_y + target.shape[0], first_x : first_x + target.shape[1]]


def _add_mitochondria(rng: np.random.Generator, picture: Plane, cells: Bubbles) -> None:
    """Put dark striped ellipses into cells that have room for them."""
    room = cells.depth.copy()
    grid_y, grid_x = warped_grid(rng, picture.shape, sigma=12, reach=1.8)
    wave, grain = smooth_noise(rng, picture.shape, 7), smooth_noise(rng, picture.shape, 1.5)
    for _ in range(int(np.ceil(picture.size / 22000))):
        candidates = np.flatnonzero(room > 12)
        if len(candidates) == 0:
            return
        y, x = np.unravel_index(rng.choice(candidates), picture.shape)
        radius = min(float(room[y, x]) * rng.uniform(0.75, 0.95), rng.uniform(12, 32))
        angle, stretch = rng.uniform(0, np.pi), rng.uniform(1.0, 1.8)
        window = around(picture.shape, y, x, radius + 12)
        dy, dx = grid_y[window] - float(y), grid_x[window] - float(x)
        along = dx * np.cos(angle) + dy * np.sin(angle)
        across = dy * np.cos(angle) - dx * np.sin(angle)
        rim = radius - np.sqrt(along**2 + (across * stretch) ** 2)
        body = soft_step(rim, 0.8)
        stripes = np.sin(along * rng.uniform(0.8, 1.1) + rng.uniform(0, 6) + 2.2 * wave[window])
        matrix = rng.uniform(0.38, 0.48) + 0.1 * stripes + 0.03 * grain[window]
        outline = np.exp(-((rim / 1.5) ** 2))
        picture[window] = picture[window] * (1 - body) + matrix * body - 0.2 * outline
        room[window][rim > -8] = 0


def _densities(rng: np.random.Generator, size: Size, cells: Bubbles) -> Plane:
    """Darken a few places beside membranes, as synapses do."""
    centres = (rng.random(size) < 0.00022) & (cells.depth < 3)
    blots = ndimage.gaussian_filter(centres.astype(np.float32), 5.0) * (2 * np.pi * 25)
    return as_plane(0.3 * np.minimum(blots, 1) * (0.7 + 0.3 * smooth_noise(rng, size, 2.5)))


def _photograph(rng: np.random.Generator, picture: Plane) -> Plane:
    size = picture.shape
    picture = ndimage.gaussian_filter(picture, rng.uniform(0.6, 0.9))
    contrast = rng.uniform(0.95, 1.2) * (1 + 0.06 * smooth_noise(rng, size, 100))
    shading = 0.045 * smooth_noise(rng, size, 60) + rng.normal(0, 0.02)
    picture = 0.55 + contrast * (picture - 0.55) + shading
    return film_grain(rng, picture.astype(np.float32), amount=0.056, sigma=0.85)
