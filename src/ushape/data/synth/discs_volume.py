"""A lumbar spine in T2-weighted magnetic resonance, as a stack of sagittal slices.

Axis z goes to the right, y down, x to the back. Label 0 = background, 1 = disc, 2 = vertebra,
3 = protrusion. Anatomy scales with the slices; what is seen in one is `discs` in 3D, simplified.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ushape.data.synth.discs import BACKGROUND, DISC, PROTRUSION, VERTEBRA
from ushape.data.synth.lattice import Lattice
from ushape.data.synth.texture import Plane, as_plane, soft_step

_DARK = 0.12  # cortical bone and ligament give no signal
_MARROW = 0.5


@dataclass(frozen=True)
class _Scan:
    """A scan in the making; all lengths are parts of the shorter edge of a slice.

    Attributes:
        picture: Brightness, painted in place.
        label: Label values, painted in place.
        side: Distance from the middle plane, to the right.
        across: Distance from the middle of the vertebrae, to the back.
        along: Position along the spine, downwards.
        grain: Texture of the tissues, unit deviation.
        scale: Units of one length.
        depth: Half of a vertebra's extent from front to back.
        width: Half of its extent from side to side.
    """

    picture: Plane
    label: NDArray[np.uint8]
    side: Plane
    across: Plane
    along: Plane
    grain: Plane
    scale: float
    depth: float
    width: float

    def paint(self, tone: Plane | float, rim: Plane, softness: float = 0.7) -> None:
        """Paint where `rim`, a distance from the surface, is positive; soft by some units."""
        cover = soft_step(rim * np.float32(self.scale), softness)
        self.picture[...] += cover * (as_plane(tone) - self.picture)

    def column(self, depth: float, width: float) -> Plane:
        """Return the distance inwards from the side of a pillar with an oval section."""
        squared = (self.across / depth) ** 2 + (self.side / width) ** 2
        return as_plane((1 - np.sqrt(squared + 1e-6)) * min(depth, width))


def draw_disc_volume(rng: np.random.Generator, lattice: Lattice) -> tuple[Plane, NDArray[np.uint8]]:
    """Draw one scan: brightness (z, y, x) and label values 0 to 3."""
    scan = _lay_out(rng, lattice)
    _surroundings(rng, lattice, scan)
    position = float(scan.along.min()) - rng.uniform(0, 2 * scan.depth)
    end = float(scan.along.max())
    while position < end:
        height = scan.depth * rng.uniform(1.4, 1.65)
        gap = scan.depth * rng.uniform(0.42, 0.6)
        _vertebra(rng, scan, position + height / 2, height)
        _disc(rng, scan, position + height + gap / 2, gap)
        position += height + gap
    return _receive(rng, lattice, scan), scan.label


def _lay_out(rng: np.random.Generator, lattice: Lattice) -> _Scan:
    """Bend the spine, lean it a little to one side, and place every voxel along and across it."""
    scale = float(min(lattice.extent[1:]))
    z, y, x = (axis / np.float32(scale) for axis in lattice.positions())
    thickness, height, width = (edge / scale for edge in lattice.extent)
    bend, turn = rng.uniform(0.035, 0.07) * height, rng.uniform(3.2, 4.4) / height
    phase, lean = rng.uniform(2.2, 3.4), rng.uniform(-0.1, 0.1)
    centre = 0.47 * width + rng.uniform(-0.05, 0.05)
    centre = centre + bend * np.sin(turn * y + phase) + lean * (y - height / 2)
    slope = bend * turn * np.cos(turn * y + phase) + lean
    across = (x - centre) / np.sqrt(1 + slope**2)
    side = (
        z - thickness / 2 - rng.uniform(-0.02, 0.02) - rng.uniform(-0.06, 0.06) * (y - height / 2)
    )
    tilt = rng.uniform(-0.08, 0.08)  # the patient does not lie quite straight
    wobble = 0.004
    half_depth = rng.uniform(0.11, 0.13)
    bent = across + wobble * lattice.noise(rng, scale / 30)
    return _Scan(
        picture=np.zeros(lattice.size, np.float32),
        label=np.zeros(lattice.size, np.uint8),
        side=as_plane(side + wobble * lattice.noise(rng, scale / 30)),
        across=as_plane(bent),
        along=as_plane(y + slope * bent + tilt * side + wobble * lattice.noise(rng, scale / 30)),
        grain=lattice.noise(rng, 1.0 + scale / 256),
        scale=scale,
        depth=half_depth,
        width=half_depth * rng.uniform(1.45, 1.7),
    )


def _surroundings(rng: np.random.Generator, lattice: Lattice, scan: _Scan) -> None:
    """Paint belly with its vessel, muscles beside and behind, canal with nerves, fat and skin."""
    across, side, depth, scale = scan.across, np.abs(scan.side), scan.depth, scan.scale
    patches = lattice.noise(rng, scale / 14)
    loops = soft_step(lattice.noise(rng, scale / 20) - 1.2, 0.15)
    scan.picture[...] = 0.2 + 0.07 * np.tanh(2 * patches) + 0.3 * loops
    scan.picture[...] *= soft_step(across + rng.uniform(0.42, 0.6), 0.05)  # air before the belly
    vessel = depth * 0.42 - np.hypot(across + depth * rng.uniform(1.7, 1.95), scan.side - 0.02)
    scan.paint(0.05, as_plane(vessel), 1.2)

    stripes = np.sin(scan.along * 90 + 60 * across + 2 * lattice.noise(rng, scale / 25))
    muscle = 0.25 + 0.05 * lattice.noise(rng, scale / 50) + 0.03 * stripes
    psoas = 0.75 * depth - np.hypot(across + 0.1 * depth, side - scan.width - 0.6 * depth)
    scan.paint(muscle, as_plane(psoas), 1.2)
    behind = across - depth
    canal = rng.uniform(0.065, 0.08)
    scan.paint(muscle, as_plane(behind - canal * soft_step(1.3 * depth - side, 0.03)))
    wave = np.cos(2 * np.pi * (scan.along - 0.55 * across) / (2 * depth) + rng.uniform(0, 6))
    spines = np.minimum(0.03 * (wave - 0.1), 0.06 - np.abs(behind - canal - 0.075))
    spines = as_plane(np.minimum(spines, 0.035 - side))  # thin, in the middle plane
    scan.paint(_DARK, spines + np.float32(0.008))
    scan.paint(0.42 + 0.05 * scan.grain, spines)
    fat = as_plane(behind - canal - rng.uniform(0.17, 0.22) - 0.012 * patches)
    scan.paint(0.76 + 0.05 * lattice.noise(rng, scale / 40), fat, 1.2)
    scan.paint(0.02, fat - np.float32(rng.uniform(0.09, 0.14)), 1.0)
    _canal(rng, lattice, scan, canal)


def _canal(rng: np.random.Generator, lattice: Lattice, scan: _Scan, canal: float) -> None:
    """Bright fluid with grey nerves in a tube behind the vertebrae, dark ligament around it."""
    middle = scan.across - scan.depth - canal / 2
    tube = 1 - np.hypot(middle / (canal / 2), scan.side / (0.55 * scan.width))
    tube = as_plane(tube * (canal / 2))
    scan.paint(_DARK, tube + np.float32(0.012))
    scan.paint(0.84 + 0.04 * lattice.noise(rng, scan.scale / 30), tube)
    taper = np.clip(0.75 - scan.along * rng.uniform(0.5, 0.9), 0.12, 0.5)
    cord = canal * taper * 0.6 - np.hypot(middle + 0.05 * canal, 0.6 * scan.side)
    scan.paint(0.45, as_plane(cord), 1.0)


def _vertebra(rng: np.random.Generator, scan: _Scan, centre: float, height: float) -> None:
    """Marrow of middle brightness in a dark rim, waisted all around."""
    v = scan.along - np.float32(centre) + np.float32(rng.normal(0, 0.04)) * scan.across
    waist = 0.09 * scan.depth * (1 - np.clip(2 * v / height, -1, 1) ** 2)
    sides = scan.column(scan.depth, scan.width) - as_plane(waist)
    ends = np.float32(height / 2) - np.abs(v)
    rim = _rounded(sides, as_plane(ends), 0.12 * height)
    marrow = rng.normal(_MARROW, 0.035) + 0.045 * scan.grain
    scan.paint(_DARK, rim + np.float32(0.006))
    scan.paint(marrow, rim - np.float32(0.008))
    if rng.random() < 0.6:  # the vein that enters from behind
        vein = np.maximum(np.abs(v), np.abs(scan.side) * 0.5)
        vein = np.minimum(0.009 - vein, scan.across - 0.4 * scan.depth)
        scan.paint(0.7, as_plane(np.minimum(vein, rim - 0.008)), 1.0)
    scan.label[rim > 0] = VERTEBRA


def _rounded(one: Plane, other: Plane, radius: float) -> Plane:
    """Cut two bodies with each other, given distances inwards, with a round edge."""
    a, b = np.float32(radius) - one, np.float32(radius) - other
    outer = np.hypot(np.maximum(a, 0), np.maximum(b, 0)) + np.minimum(np.maximum(a, b), 0)
    return as_plane(np.float32(radius) - outer)


def _disc(rng: np.random.Generator, scan: _Scan, centre: float, gap: float) -> None:
    """A dark ring of fibres around a nucleus, bright when young; sometimes it protrudes."""
    depth, width = scan.depth, scan.width
    v = scan.along - np.float32(centre) + np.float32(rng.normal(0, 0.06)) * scan.across
    health = rng.beta(1.6, 1.2)
    thickness = gap / 2 * (0.74 + 0.26 * health)
    sides = scan.column(1.03 * depth, 1.03 * width)
    swell = thickness * (1.02 + 0.12 * np.clip(sides / depth, 0, 1))
    rim = _rounded(sides, as_plane(swell - np.abs(v)), 0.7 * thickness)
    free = scan.label == BACKGROUND
    scan.paint(0.2 + 0.03 * scan.grain, np.where(free, rim, np.float32(-1)))
    part = 0.62
    oval = ((scan.across + 0.05 * depth) / depth) ** 2 + (scan.side / width) ** 2
    inner = np.sqrt(oval + (v / thickness) ** 2) / part
    tone = 0.24 + 0.5 * health + 0.04 * scan.grain
    nucleus = as_plane((1 - inner) * part * thickness)
    scan.paint(tone, nucleus, 1.4)
    cleft = np.minimum(0.003 - np.abs(v), nucleus - 0.01)
    scan.paint(tone - 0.16, as_plane(cleft), 1.0)
    scan.label[(rim > 0) & free] = DISC
    if rng.random() < 0.75 - 0.3 * health:
        _protrusion(rng, scan, v, thickness)


def _protrusion(rng: np.random.Generator, scan: _Scan, v: Plane, thickness: float) -> None:
    """A knob at the back of the disc, in the middle or to a side, that dents the fluid."""
    reach, slip = rng.uniform(0.03, 0.048), rng.normal(0, 0.2) * thickness
    half_height = rng.uniform(0.75, 1.0) * thickness
    half_width = rng.uniform(0.35, 0.6) * scan.width
    place = rng.normal(0, 0.2) * scan.width
    back = scan.depth * np.sqrt(max(1 - (place / scan.width) ** 2, 0.2))
    behind = scan.across - np.float32(back)
    squares = (behind / reach) ** 2 + ((v - slip) / half_height) ** 2
    knob = 1 - np.sqrt(squares + ((scan.side - place) / half_width) ** 2)
    knob = as_plane(knob * min(reach, half_height))
    knob = np.where(scan.label == VERTEBRA, np.float32(-1), knob)
    scan.paint(_DARK, np.where(behind > 0, knob + np.float32(0.006), np.float32(-1)))
    scan.paint(rng.uniform(0.3, 0.4) + 0.03 * scan.grain, knob, 0.9)
    scan.label[(knob > 0) & (behind > -0.3 * reach)] = PROTRUSION


def _receive(rng: np.random.Generator, lattice: Lattice, scan: _Scan) -> Plane:
    """Blur, the coil's falling sensitivity, and noise that never goes below zero."""
    picture = lattice.blur(scan.picture, rng.uniform(0.5, 0.8))
    picture = picture + 0.018 * scan.grain * soft_step(picture - np.float32(0.08), 0.05)
    coil = np.exp(0.75 * np.minimum(scan.across - 0.1, 0.25))
    coil = coil * (1 + 0.08 * lattice.noise(rng, scan.scale / 4))
    level = rng.uniform(0.014, 0.028)
    real = picture * coil + level * rng.standard_normal(lattice.size)
    noisy = np.hypot(real, level * rng.standard_normal(lattice.size))
    return as_plane(rng.uniform(0.85, 1.05) * noisy)
