"""Thin curved lines of low contrast over a textured background full of edges.

Like vessels in a fundus picture or the contours of a jaw in a radiograph. Label 0 = background,
255 = line; the lines take less than two per cent of the pixels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ushape.data.synth.texture import (
    Mask,
    Plane,
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

_LARGEST_SHARE = 0.018
_HALF_WIDTH = 0.95  # of the label, pixels


def draw_lines(rng: np.random.Generator, size: Size) -> tuple[Plane, NDArray[np.uint8]]:
    """Draw one picture: brightness (y, x) and label values 0 and 255."""
    background = _background(rng, size)
    line = np.zeros(size, np.float32)
    label = np.zeros(size, bool)
    for _ in range(max(2, round(np.prod(size) / 15000))):
        profile, drawn = _line(rng, size)
        together = label | drawn
        if together.mean() <= _LARGEST_SHARE or not label.any():  # small pictures hold one line
            label = together
            line = np.maximum(line, profile)
    contrast = 0.16 * (1 + 0.25 * smooth_noise(rng, size, 30)).clip(0.45, 1.6)
    sharp = as_plane(background + contrast * line)
    picture = film_grain(
        rng, ndimage.gaussian_filter(sharp, rng.uniform(0.5, 0.8)), amount=0.03, sigma=0.6
    )
    return picture, np.where(label, 255, 0).astype(np.uint8)


def _line(rng: np.random.Generator, size: Size) -> tuple[Plane, Mask]:
    """Draw one curve, sometimes with a branch: its soft profile and its label."""
    y, x = pixel_grid(size)
    angle = rng.uniform(0, 2 * np.pi)
    center_y, center_x = rng.uniform(0.1, 0.9) * size[0], rng.uniform(0.1, 0.9) * size[1]
    along = (x - center_x) * np.cos(angle) + (y - center_y) * np.sin(angle)
    across = (y - center_y) * np.cos(angle) - (x - center_x) * np.sin(angle)
    reach = int(np.hypot(size[0], size[1])) + 2
    course = _course(rng, 2 * reach)
    half_length = rng.uniform(0.3, 0.55) * float(min(size))
    distance, ends = _distance(along, across, course, reach), half_length - np.abs(along)
    if rng.random() < 0.5:
        start = rng.uniform(-0.6, 0.3) * half_length
        opening = np.maximum(np.arange(2 * reach) - reach - start, 0)
        lean = rng.choice([-1, 1]) * rng.uniform(0.35, 0.8)
        branch = course + lean * opening * np.exp(-opening / (2.5 * half_length))
        branch = branch + 0.4 * (_course(rng, 2 * reach) * np.minimum(opening / 40, 1))
        stop = start + rng.uniform(0.5, 0.9) * half_length
        branch_ends = np.minimum(along - start, stop - along)
        branch_distance = _distance(along, across, branch, reach)
        use = (branch_distance < distance) & (branch_ends > 0)
        distance = np.where(use, branch_distance, distance)
        ends = np.where(use, branch_ends, ends)
    visible = soft_step(ends - 4, 4.0)
    width = rng.uniform(0.75, 1.15)
    profile = np.exp(-((distance / width) ** 2)) * visible * rng.uniform(0.75, 1.25)
    return profile.astype(np.float32), (distance < _HALF_WIDTH) & (ends > 3)


def _course(rng: np.random.Generator, length: int) -> Plane:
    """A smooth wandering curve: distance from a straight line, pixel by pixel."""
    steps = rng.standard_normal(length + 1)
    course = sum(
        height * sigma**0.5 * ndimage.gaussian_filter1d(steps, sigma)[:-1]
        for sigma, height in ((45.0, 26.0), (14.0, 4.0))
    )
    return np.asarray(course) - float(np.asarray(course)[length // 2])


def _distance(along: Plane, across: Plane, course: Plane, reach: int) -> Plane:
    """Approximate distance to the curve across = course(along), in pixels."""
    at = along + reach
    positions = np.arange(len(course))
    offset = across - np.interp(at, positions, course)
    slope = np.interp(at, positions, np.gradient(course))
    return np.asarray(np.abs(offset) / np.sqrt(1 + slope**2))


def _background(rng: np.random.Generator, size: Size) -> Plane:
    """Patches of tissue with soft and hard edges, broad bands, spots and fine texture."""
    radii = rng.uniform(25, 60, int(np.prod(size) / 1500) + 4).astype(np.float32)
    discs = place_discs(rng, size, radii, closeness=0.8, pad=40)
    count = len(discs)
    patches = press_together(
        discs,
        warped_grid(rng, size, sigma=22, reach=9),
        angles=rng.uniform(0, np.pi, count).astype(np.float32),
        stretches=rng.uniform(1, 2.5, count).astype(np.float32),
        reach=60,
    )
    tones = pick(rng.normal(0.42, 0.085, count), patches.owner)
    hard, soft = ndimage.gaussian_filter(tones, 0.9), ndimage.gaussian_filter(tones, 7)
    hardness = soft_step(smooth_noise(rng, size, 35), 0.4)
    picture = hard * hardness + soft * (1 - hardness)
    ridge = smooth_noise(rng, size, 32)
    away = np.abs(ridge) / np.maximum(np.hypot(*np.gradient(ridge)), 0.01)  # pixels
    bands = np.exp(-((away / 5) ** 2))
    picture = picture + 0.11 * bands * soft_step(smooth_noise(rng, size, 40), 0.4)
    spots = ndimage.gaussian_filter((rng.random(size) < 0.0006).astype(np.float32), 1.6)
    picture = picture + 1.2 * spots + 0.07 * smooth_noise(rng, size, 70)
    fine = 0.02 * smooth_noise(rng, size, 1.3) + 0.028 * smooth_noise(rng, size, 3.5)
    return as_plane(picture + fine * (0.7 + 0.5 * hardness))
