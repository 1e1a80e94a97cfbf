"""Nuclei in a confocal stack: crowded balls, blurred more along z, dimmer with depth.

Label 0 = background, 1 = nucleus. Between touching nuclei the label keeps a thin gap, as far as
the voxels can show it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ushape.data.synth.lattice import Lattice
from ushape.data.synth.texture import Plane, as_plane, pick, soft_step

_RADIUS = 7.5
_REACH = 8.0
_PAD = 10.0
_GAP = 0.9
_FAR = np.float32(1e6)


def draw_cell_volume(rng: np.random.Generator, lattice: Lattice) -> tuple[Plane, NDArray[np.uint8]]:
    """Draw one stack: brightness (z, y, x) and label values 0 and 1."""
    balls = _crowd(rng, lattice)
    nearest, second, owner = _press(rng, lattice, balls)
    inside, depth = -nearest, (second - nearest) / 2
    label = (inside > 0) & (depth > _GAP)
    light = pick(as_plane(np.exp(rng.normal(-0.75, 0.4, len(balls)))), owner)
    chromatin = 1 + 0.2 * lattice.noise(rng, 1.6) + 0.12 * lattice.noise(rng, 4)
    chromatin = chromatin * (1 - 0.45 * soft_step(lattice.noise(rng, 2.0) - 1.8, 0.3))
    rim = soft_step(np.minimum(inside, depth - as_plane(0.4)), 0.8)
    return _expose(rng, lattice, light * chromatin * rim), label.astype(np.uint8)


def _crowd(rng: np.random.Generator, lattice: Lattice) -> Plane:
    """Throw balls into the volume, dense in colonies; rows of z, y, x, radius."""
    extent = lattice.extent + 2 * _PAD
    count = int(np.prod(extent) / 900) + 8
    radii = np.sort(_RADIUS * np.exp(rng.normal(0, 0.18, count)))[::-1].clip(4.5, 11)
    colonies = rng.uniform(-_PAD, extent - _PAD, (max(2, round(np.prod(extent) / 1.5e5)), 3))
    spread = rng.uniform(20, 36, len(colonies))
    placed = np.empty((count + 1, 4), np.float32)
    placed[0] = (*lattice.extent * rng.uniform(0.35, 0.65, 3), _RADIUS)  # never an empty volume
    number = 1
    for radius in radii:
        for _ in range(6):
            place = rng.uniform(-_PAD, extent - _PAD)
            away = np.sqrt(((colonies - place) ** 2).sum(axis=1)) / spread
            others = placed[:number]
            room = 0.88 * (others[:, 3] + radius)
            is_free = np.all(((others[:, :3] - place) ** 2).sum(axis=1) >= room**2)
            if is_free and rng.random() < np.exp(-0.7 * away.min() ** 2) + 0.03:
                placed[number] = (*place, radius)
                number += 1
                break
    return placed[:number]


def _press(
    rng: np.random.Generator, lattice: Lattice, balls: Plane
) -> tuple[Plane, Plane, NDArray[np.int32]]:
    """Divide space between balls that are a little long: distances to the nearest rims, owner."""
    bent = [axis + 1.3 * lattice.noise(rng, 7) for axis in lattice.positions()]
    nearest = np.full(lattice.size, _FAR, np.float32)
    second = np.full(lattice.size, _FAR, np.float32)
    owner = np.zeros(lattice.size, np.int32)
    for index, (*centre, radius) in enumerate(balls.tolist()):
        axis = rng.standard_normal(3)
        axis /= np.linalg.norm(axis)
        stretch = rng.uniform(1.0, 1.5)
        window = lattice.around(centre, radius * stretch + _REACH)
        steps = [b[window] - np.float32(c) for b, c in zip(bent, centre, strict=True)]
        along = sum(step * np.float32(part) for step, part in zip(steps, axis, strict=True))
        squares = steps[0] ** 2 + steps[1] ** 2 + steps[2] ** 2
        across = np.maximum(squares - along**2, 0) * np.float32(stretch ** (2 / 3))
        rim = np.sqrt(along**2 / np.float32(stretch ** (4 / 3)) + across) - np.float32(radius)
        first = nearest[window]
        second[window] = np.minimum(second[window], np.maximum(rim, first))
        owner[window] = np.where(rim < first, np.int32(index), owner[window])
        nearest[window] = np.minimum(rim, first)
    return nearest, np.minimum(second, nearest + 40), owner


def _expose(rng: np.random.Generator, lattice: Lattice, sent: Plane) -> Plane:
    """Add the microscope: light from other planes, dimming with depth, photon noise."""
    hazy = [5 * (2.5 if axis == 0 else 1) / edge for axis, edge in enumerate(lattice.edges)]
    seen = sent + 0.3 * ndimage.gaussian_filter(sent, hazy)
    sharp = [0.8 * (3 if axis == 0 else 1) / edge for axis, edge in enumerate(lattice.edges)]
    seen = ndimage.gaussian_filter(seen, sharp)
    depth = lattice.positions()[0] / max(float(lattice.extent[0]), 1.0)
    seen = seen * np.exp(-rng.uniform(0.2, 0.7) * depth)
    light = seen + 0.05 + 0.012 * lattice.noise(rng, 30)
    photons = rng.uniform(150, 350)
    counted = rng.poisson(np.maximum(light, 0.005) * photons) / photons
    return as_plane(counted + rng.normal(0, 0.008, lattice.size))
