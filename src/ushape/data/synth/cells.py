"""Nuclei under a fluorescence microscope: bright, crowded, touching, on an uneven background.

Label 0 = background, 255 = nucleus. Between touching nuclei the label keeps a thin dark gap, so
that separate nuclei stay separate objects.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ushape.data.synth.texture import (
    Bubbles,
    Mask,
    Plane,
    as_plane,
    pick,
    place_discs,
    press_together,
    smooth_noise,
    soft_step,
    warped_grid,
)
from ushape.sizes import Size

_RADIUS = 10.0
_PAD = 24
_GAP = 0.9  # half of the dark line between touching nuclei, pixels


def draw_cells(rng: np.random.Generator, size: Size) -> tuple[Plane, NDArray[np.uint8]]:
    """Draw one field of view: brightness (y, x) and label values 0 and 255."""
    discs = _crowd(rng, size)
    stretches = rng.uniform(1.0, 1.7, len(discs)).astype(np.float32)
    angles = rng.uniform(0, np.pi, len(discs)).astype(np.float32)
    grid = warped_grid(rng, size, sigma=9, reach=1.6)
    nuclei = press_together(discs, grid, angles=angles, stretches=stretches, reach=12)
    mask = (nuclei.inside > 0) & (nuclei.depth > _GAP)
    glow = _glow(rng, nuclei, mask, len(discs))
    return _expose(rng, glow), np.where(mask, 255, 0).astype(np.uint8)


def _crowd(rng: np.random.Generator, size: Size) -> Plane:
    """Place nuclei where a smooth density is high, so that they form colonies."""
    padded = tuple(edge + 2 * _PAD for edge in size)
    density = smooth_noise(rng, padded, 45)
    density = soft_step(density - np.median(density), 0.5)
    count = int(np.prod(padded) / 260)
    radii = _RADIUS * np.exp(rng.normal(0, 0.2, count))
    discs = place_discs(rng, size, radii.clip(5, 17).astype(np.float32), closeness=0.86, pad=_PAD)
    y, x = np.clip((discs[:, :2] + _PAD).astype(int).T, 0, np.array(padded)[:, None] - 1)
    kept = rng.random(len(discs)) < density[y, x]
    middle = np.array(size) / 2
    kept[np.argmin(np.hypot(*(discs[:, :2] - middle).T))] = True  # no picture without a nucleus
    return as_plane(discs[kept])


def _glow(rng: np.random.Generator, nuclei: Bubbles, mask: Mask, count: int) -> Plane:
    """Light sent by the nuclei: each its own brightness, chromatin, nucleoli, some out of focus."""
    size = mask.shape
    light = np.exp(rng.normal(-0.95, 0.45, count))
    dividing = rng.random(count) < 0.05
    light[dividing] *= 1.9
    texture = 1 + 0.16 * smooth_noise(rng, size, 2.2) + 0.1 * smooth_noise(rng, size, 5)
    nucleoli = soft_step(smooth_noise(rng, size, 2.4) - 1.9, 0.3)
    texture = texture * (1 - 0.4 * nucleoli)
    dome = np.sqrt(np.clip(nuclei.inside / 6, 0, 1))  # thinner at the rim
    rim = soft_step(np.minimum(nuclei.inside, nuclei.depth - 0.5), 0.8)
    sent = pick(light, nuclei.owner) * texture * rim * (0.62 + 0.38 * dome)
    blurred = ndimage.gaussian_filter(sent, 3.0)
    haziness = pick(rng.beta(1.2, 3.0, count), nuclei.owner)
    haziness = ndimage.gaussian_filter(haziness, 2.0)
    seen = sent * (1 - haziness) + blurred * haziness
    return as_plane(seen + 0.22 * ndimage.gaussian_filter(sent, 14))


def _expose(rng: np.random.Generator, glow: Plane) -> Plane:
    """Add background, specks, the lens and the camera's photon noise."""
    size = glow.shape
    specks = (rng.random(size) < 0.00035).astype(np.float32) * rng.uniform(2, 9)
    background = 0.055 + 0.022 * smooth_noise(rng, size, 50) + 0.008 * smooth_noise(rng, size, 8)
    lamp = 1 + 0.16 * smooth_noise(rng, size, 130)
    light = (glow + ndimage.gaussian_filter(specks, 1.2)) * lamp + np.maximum(background, 0.01)
    light = ndimage.gaussian_filter(light, rng.uniform(0.7, 1.1))
    photons = rng.uniform(180, 420)
    counted = rng.poisson(np.maximum(light, 0) * photons) / photons
    return as_plane(counted + rng.normal(0, 0.008, size))
