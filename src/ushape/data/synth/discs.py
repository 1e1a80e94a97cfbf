"""A lumbar spine cut lengthwise, as T2-weighted magnetic resonance shows it.

Label 0 = background, 1 = disc, 2 = vertebra, 3 = protrusion (the small part of a disc that bulges
into the spinal canal; about one disc in six has one, and about half of the pictures show one or
more). Anatomy scales with the picture.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ushape.data.synth.texture import Plane, as_plane, pixel_grid, smooth_noise, soft_step
from ushape.sizes import Size

BACKGROUND, DISC, VERTEBRA, PROTRUSION = 0, 1, 2, 3

_DARK_RIM = 0.12  # cortical bone and ligament give no signal
_MARROW = 0.5


@dataclass(frozen=True)
class _Slice:
    """A picture in the making; all lengths are parts of its shorter edge.

    Attributes:
        picture: Brightness, painted in place, (y, x).
        label: Label values, painted in place.
        across: Distance from the middle line of the vertebrae; the back is to the right.
        along: Position along the spine, downwards.
        grain: Texture of the tissues, unit deviation.
        scale: Pixels of one length.
        half_depth: Half of a vertebra's extent from front to back.
    """

    picture: Plane
    label: NDArray[np.uint8]
    across: Plane
    along: Plane
    grain: Plane
    scale: float
    half_depth: float

    def paint(self, tone: Plane | float, rim: Plane, softness: float = 0.7) -> None:
        """Paint where `rim`, a signed distance, is positive; soft by some pixels."""
        cover = soft_step(rim * self.scale, softness)
        self.picture[...] += cover * (tone - self.picture)


def draw_discs(rng: np.random.Generator, size: Size) -> tuple[Plane, NDArray[np.uint8]]:
    """Draw one slice: brightness (y, x) and label values 0 to 3."""
    canvas = _lay_out(rng, size)
    _surroundings(rng, canvas)
    depth = canvas.half_depth
    position = float(canvas.along.min()) - rng.uniform(0, 2 * depth)
    end = float(canvas.along.max())
    while position < end:
        height = depth * rng.uniform(1.4, 1.65)
        gap = depth * rng.uniform(0.4, 0.58)
        _vertebra(rng, canvas, position + height / 2, height)
        _disc(rng, canvas, position + height + gap / 2, gap)
        position += height + gap
    return _scan(rng, canvas), canvas.label


def _lay_out(rng: np.random.Generator, size: Size) -> _Slice:
    """Bend the spine like an S and give every pixel its place along and across it."""
    scale = float(min(size))
    y, x = (axis / scale for axis in pixel_grid(size))
    height, width = size[0] / scale, size[1] / scale
    bend, turn = rng.uniform(0.035, 0.075) * height, rng.uniform(3.2, 4.4) / height
    phase, lean = rng.uniform(2.2, 3.4), rng.uniform(-0.1, 0.1)
    middle = 0.47 * width + rng.uniform(-0.05, 0.05)
    centre = middle + bend * np.sin(turn * y + phase) + lean * (y - height / 2)
    slope = bend * turn * np.cos(turn * y + phase) + lean
    # Perpendicular to the middle line to first order: blocks are tilted, not sheared.
    across = (x - centre) / np.sqrt(1 + slope**2)
    along = y + slope * across
    wobble = 0.0035
    return _Slice(
        picture=np.zeros(size, np.float32),
        label=np.zeros(size, np.uint8),
        across=(across + wobble * smooth_noise(rng, size, scale / 40)).astype(np.float32),
        along=(along + wobble * smooth_noise(rng, size, scale / 40)).astype(np.float32),
        grain=smooth_noise(rng, size, 1.0 + scale / 256),
        scale=scale,
        half_depth=rng.uniform(0.085, 0.105),
    )


def _box(u: Plane, v: Plane, half_u: float, half_v: float, roundness: float) -> Plane:
    """Signed distance to the rim of a rounded box, positive inside."""
    radius = roundness * min(half_u, half_v)
    du, dv = np.abs(u) - (half_u - radius), np.abs(v) - (half_v - radius)
    corner = np.hypot(np.maximum(du, 0), np.maximum(dv, 0))
    return as_plane(radius - corner - np.minimum(np.maximum(du, dv), 0))


def _surroundings(rng: np.random.Generator, canvas: _Slice) -> None:
    """Paint everything but the spine's blocks: belly, canal with nerves, muscle, fat, air."""
    across, along, size = canvas.across, canvas.along, canvas.picture.shape
    depth, scale = canvas.half_depth, canvas.scale
    patches = smooth_noise(rng, size, scale / 14)
    belly = 0.2 + 0.08 * np.tanh(2 * patches) + 0.05 * smooth_noise(rng, size, scale / 50)
    loops = soft_step(smooth_noise(rng, size, scale / 22) - 1.2, 0.15)
    canvas.picture[...] = belly + 0.3 * loops * (patches > -0.3)
    canvas.picture[...] *= soft_step(across + rng.uniform(0.42, 0.6), 0.05)  # air before the belly
    vessel = depth * 0.42 - np.abs(across + depth * rng.uniform(1.75, 2.0) + 0.012 * patches)
    canvas.paint(0.05, vessel.astype(np.float32), 1.2)

    canal = across - depth
    canal_width = rng.uniform(0.06, 0.075)
    streaks = np.sin(across * rng.uniform(500, 650) + 2 * smooth_noise(rng, size, scale / 25))
    muscle = 0.26 + 0.06 * smooth_noise(rng, size, scale / 60) + 0.035 * streaks
    canvas.paint(muscle.astype(np.float32), (canal - canal_width).astype(np.float32))
    spacing = depth * 2.0
    wave = np.cos(2 * np.pi * (along - 0.55 * across) / spacing + rng.uniform(0, 6))
    processes = np.minimum(0.03 * (wave - 0.1), 0.055 - np.abs(canal - canal_width - 0.075))
    canvas.paint(_DARK_RIM, (processes + 0.008).astype(np.float32))
    canvas.paint((0.42 + 0.05 * canvas.grain).astype(np.float32), processes.astype(np.float32))
    fat = canal - canal_width - rng.uniform(0.17, 0.21) - 0.012 * patches
    lobes = 0.78 + 0.06 * smooth_noise(rng, size, scale / 40) - 0.12 * (streaks > 0.97)
    canvas.paint(lobes.astype(np.float32), fat.astype(np.float32), 1.2)
    skin = fat - rng.uniform(0.09, 0.14)
    canvas.paint(0.02, skin.astype(np.float32), 1.0)
    _canal(rng, canvas, canal, canal_width)


def _canal(rng: np.random.Generator, canvas: _Slice, canal: Plane, width: float) -> None:
    """Bright fluid with the grey cord, thinning into nerve roots, between two dark ligaments."""
    middle = canal - width / 2
    canvas.paint(_DARK_RIM, (width / 2 + 0.012 - np.abs(middle)).astype(np.float32))
    fluid = 0.86 + 0.04 * smooth_noise(rng, canal.shape, canvas.scale / 30)
    canvas.paint(fluid.astype(np.float32), (width / 2 - np.abs(middle)).astype(np.float32))
    taper = np.clip(0.75 - canvas.along * rng.uniform(0.5, 0.9), 0.12, 0.5)
    cord = width * taper * 0.55 - np.abs(middle + 0.05 * width)
    canvas.paint(0.45, cord.astype(np.float32), 1.0)
    roots = np.sin(middle / width * 26 + 1.5 * smooth_noise(rng, canal.shape, canvas.scale / 20))
    strands = np.minimum(0.004 * (roots - 0.4), width * 0.4 - np.abs(middle))
    canvas.paint(0.6, strands.astype(np.float32), 1.0)


def _vertebra(rng: np.random.Generator, canvas: _Slice, centre: float, height: float) -> None:
    """Marrow of middle brightness in a dark cortical rim, waisted in front and behind."""
    u, v = canvas.across, canvas.along - centre + rng.normal(0, 0.04) * canvas.across
    waist = 0.09 * canvas.half_depth * (1 - np.clip(2 * v / height, -1, 1) ** 2)
    body = _box(u, v, canvas.half_depth, height / 2, rng.uniform(0.25, 0.4))
    rim = np.minimum(body, canvas.half_depth - waist - np.abs(u))
    marrow = rng.normal(_MARROW, 0.035) + 0.045 * canvas.grain
    canvas.paint(_DARK_RIM, rim + 0.005)
    canvas.paint(marrow.astype(np.float32), rim - 0.007)
    if rng.random() < 0.6:  # the vein that enters from behind
        vein = _box(u - 0.75 * canvas.half_depth, v, 0.3 * canvas.half_depth, 0.007, 1.0)
        canvas.paint(0.72, np.minimum(vein, rim - 0.007), 1.0)
    canvas.label[rim > 0] = VERTEBRA


def _disc(rng: np.random.Generator, canvas: _Slice, centre: float, gap: float) -> None:
    """A dark ring of fibres around a nucleus, bright when young; sometimes it protrudes."""
    depth = canvas.half_depth
    v = canvas.along - centre + rng.normal(0, 0.06) * canvas.across
    u = canvas.across - rng.uniform(0, 0.05) * depth
    health = rng.beta(1.6, 1.2)
    thickness = gap / 2 * (0.72 + 0.28 * health)
    lens = thickness * (1 + 0.12 * np.cos(np.pi * np.clip(u / depth, -1, 1)))
    rim = np.minimum(_box(u, v, 1.02 * depth, 1.12 * thickness, 0.75), lens - np.abs(v))
    free = canvas.label == BACKGROUND
    fibres = 0.2 + 0.03 * canvas.grain
    canvas.paint(fibres.astype(np.float32), np.where(free, rim, -1).astype(np.float32))
    nucleus = _box(u + 0.05 * depth, v, 0.62 * depth, 0.5 * thickness, 0.95)
    tone = 0.24 + 0.5 * health + 0.04 * canvas.grain
    canvas.paint(tone.astype(np.float32), nucleus, 1.6)
    cleft = 0.0025 * canvas.scale - np.abs(v) * canvas.scale
    canvas.paint(
        (tone - 0.16).astype(np.float32),
        np.minimum(cleft / canvas.scale, nucleus - 0.01).astype(np.float32),
        1.0,
    )
    canvas.label[(rim > 0) & free] = DISC
    if rng.random() < 0.3 - 0.25 * health:
        _protrusion(rng, canvas, u - depth, v, thickness)


def _protrusion(
    rng: np.random.Generator, canvas: _Slice, behind: Plane, v: Plane, thickness: float
) -> None:
    """A knob at the back of the disc that dents the fluid; its root lies inside the disc."""
    reach, slip = rng.uniform(0.022, 0.042), rng.normal(0, 0.25) * thickness
    half_height = rng.uniform(0.65, 0.95) * thickness
    u = behind - 0.15 * reach
    knob = 1 - np.hypot(u / reach, (v - slip - 0.25 * u) / half_height)
    knob = (knob * min(reach, half_height)).astype(np.float32)
    knob = np.where(canvas.label == VERTEBRA, np.float32(-1), knob)
    tone = rng.uniform(0.3, 0.4) + 0.03 * canvas.grain
    canvas.paint(_DARK_RIM, np.where(behind > 0, knob + 0.006, -1).astype(np.float32))
    canvas.paint(tone.astype(np.float32), knob, 0.9)
    canvas.label[knob > 0] = PROTRUSION


def _scan(rng: np.random.Generator, canvas: _Slice) -> Plane:
    """Blur, the coil's falling sensitivity, and noise that never goes below zero."""
    size = canvas.picture.shape
    picture = ndimage.gaussian_filter(canvas.picture, rng.uniform(0.5, 0.8) * canvas.scale / 256)
    picture = picture + 0.018 * canvas.grain * soft_step(picture - 0.08, 0.05)
    coil = np.exp(0.75 * np.minimum(canvas.across - 0.1, 0.25))
    coil = coil * (1 + 0.08 * smooth_noise(rng, size, canvas.scale / 4))
    level = rng.uniform(0.014, 0.028)
    real = picture * coil + level * rng.standard_normal(size)
    noisy = np.hypot(real, level * rng.standard_normal(size))
    return as_plane(rng.uniform(0.85, 1.05) * noisy)
