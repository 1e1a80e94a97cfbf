"""Branching vessels in an angiogram: bright tubes that fork and thin out, and bright spots besides.

Label 0 = background, 1 = vessel. At a fork the cubes of the radii add up (Murray 1926).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ushape.data.synth.lattice import Lattice
from ushape.data.synth.texture import Plane, as_plane, soft_step

Vector = NDArray[np.float64]

_STEP = 1.6
_THINNEST = 1.1
_MOST_PIECES = 900
_FORKS = 0.05
_LEAST_SHARE = 0.3  # of a voxel that is vessel, for the voxel to be one


def draw_vessels(rng: np.random.Generator, lattice: Lattice) -> tuple[Plane, NDArray[np.uint8]]:
    """Draw one scan: brightness (z, y, x) and label values 0 and 1."""
    fine = lattice.refined()
    distance = np.full(fine.size, 1e3, np.float32)
    count = max(2, round(float(np.prod(lattice.extent)) / 250_000))
    for _ in range(count):
        for piece in _grow(rng, lattice):
            _add_tube(fine, distance, *piece)
    # Thin vessels look paler: a voxel holds part of them and part of what is around.
    cover = lattice.gather(soft_step(-distance, 0.75))
    label = lattice.gather(as_plane(distance < 0)) > _LEAST_SHARE
    return _scan(rng, lattice, cover), label.astype(np.uint8)


def _grow(rng: np.random.Generator, lattice: Lattice) -> list[tuple[Vector, Vector, float]]:
    """Grow a tree from a face of the volume: pieces with both ends and a radius."""
    extent = lattice.extent
    axis, is_far = int(rng.choice([1, 2])), bool(rng.random() < 0.5)
    start = rng.uniform(0.25, 0.75, 3) * extent
    start[axis] = extent[axis] + 1 if is_far else -1.0
    heading = 0.35 * rng.standard_normal(3)
    heading[axis] = -1.0 if is_far else 1.0
    tips = [(start, heading / np.linalg.norm(heading), rng.uniform(3.0, 4.4))]
    pieces: list[tuple[Vector, Vector, float]] = []
    while tips and len(pieces) < _MOST_PIECES:
        place, heading, radius = tips.pop(0)
        bend = rng.standard_normal(3) * 0.16
        bend -= 0.12 * (place > 0.85 * extent) - 0.12 * (place < 0.15 * extent)
        heading = heading + bend
        heading /= np.linalg.norm(heading)
        end = place + _STEP * heading
        pieces.append((place, end, radius))
        radius *= rng.uniform(0.985, 1.0)
        if np.any(end < -6) or np.any(end > extent + 6):
            continue
        if rng.random() < _FORKS and radius > 1.35:
            tips += _fork(rng, end, heading, radius)
        elif radius > _THINNEST:
            tips.append((end, heading, radius))
    return pieces


def _fork(
    rng: np.random.Generator,
    place: Vector,
    heading: Vector,
    radius: float,
) -> list[tuple[Vector, Vector, float]]:
    """Divide a vessel in two; the thinner one turns off more."""
    share = rng.uniform(0.15, 0.5)
    side = np.cross(heading, rng.standard_normal(3))
    side /= max(float(np.linalg.norm(side)), 1e-9)
    tips = []
    for part, sign in ((share, 1.0), (1 - share, -1.0)):
        angle = sign * rng.uniform(0.9, 1.3) * (1 - part)
        turned = np.cos(angle) * heading + np.sin(angle) * side
        tips.append((place, turned, radius * part ** (1 / 3)))
    return [tip for tip in tips if tip[2] > _THINNEST]


def _add_tube(
    lattice: Lattice,
    distance: Plane,
    start: Vector,
    end: Vector,
    radius: float,
) -> None:
    """Lower the distance to the wall, negative inside, where this piece is the nearest."""
    window = lattice.around((start + end) / 2, radius + _STEP + 5)
    whole = lattice.positions()
    z, y, x = (
        axis[tuple(w if n > 1 else slice(None) for w, n in zip(window, axis.shape, strict=True))]
        - np.float32(origin)
        for axis, origin in zip(whole, start, strict=True)
    )
    dz, dy, dx = (np.float32(part) for part in end - start)
    share = np.clip((z * dz + y * dy + x * dx) / np.float32(_STEP**2), 0, 1)
    away = (z - share * dz) ** 2 + (y - share * dy) ** 2 + (x - share * dx) ** 2
    part = distance[window]
    np.minimum(part, np.sqrt(away) - np.float32(radius), out=part)


def _scan(rng: np.random.Generator, lattice: Lattice, cover: Plane) -> Plane:
    """Paint organs, bright spots that are no vessels, the vessels, and a scanner's noise."""
    organ = soft_step(lattice.noise(rng, 26) + 0.2, 0.08)
    fat = soft_step(lattice.noise(rng, 16) - 1.1, 0.1)
    tissue = 0.2 + 0.13 * organ - 0.1 * fat + 0.025 * lattice.noise(rng, 6)
    tissue = tissue + 0.015 * lattice.noise(rng, 1.5)
    spots = soft_step(lattice.noise(rng, 3.2) - 2.7, 0.12)
    tissue = tissue + 0.3 * spots
    flow = rng.uniform(0.58, 0.72) + 0.07 * lattice.noise(rng, 12)
    picture = tissue + cover * (flow - tissue)
    picture = lattice.blur(picture, 0.45)
    shading = 1 + 0.08 * lattice.noise(rng, 45)
    level = rng.uniform(0.025, 0.04)
    real = picture * shading + level * rng.standard_normal(lattice.size)
    return as_plane(np.hypot(real, level * rng.standard_normal(lattice.size)))
