"""The kinds of synthetic data, in 2D and in 3D, and how one case is drawn."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ushape.data.io import Grid
from ushape.data.synth.cells import draw_cells
from ushape.data.synth.cells_volume import draw_cell_volume
from ushape.data.synth.discs import draw_discs
from ushape.data.synth.discs_volume import draw_disc_volume
from ushape.data.synth.lattice import Lattice
from ushape.data.synth.lines import draw_lines
from ushape.data.synth.membrane import draw_membrane
from ushape.data.synth.texture import Plane, to_uint8
from ushape.data.synth.vessels import draw_vessels
from ushape.errors import ConfigError, unknown_name
from ushape.sizes import Size, format_size

SMALLEST_EDGE = 32
FEWEST_SLICES = 8
LARGEST_RATIO = 20.0
"""Of the longest edge of a voxel to its shortest."""

_BRIGHTNESS = 1000
"""Stored for brightness 1 in volumes, whose values have 16 bits, as scanners give them."""

_UPRIGHT = ((1, 0, 0), (0, 1, 0), (0, 0, 1))
_SAGITTAL = ((0, -1, 0), (0, 0, 1), (-1, 0, 0))
"""Columns are array axes: z runs to the right, y down, x to the back, as in a DICOM series, whose
axes are right-handed."""


@dataclass(frozen=True)
class Kind:
    """One kind of synthetic picture: how it is drawn, what it shows, what its labels mean."""

    draw: Callable[[np.random.Generator, Size], tuple[Plane, NDArray[np.uint8]]]
    summary: str
    labels: Mapping[str, int]

    @property
    def legend(self) -> str:
        """The meaning of the label values in one line."""
        return _legend(self.labels)


@dataclass(frozen=True)
class VolumeKind:
    """One kind of synthetic volume.

    Attributes:
        draw: Gives brightness and label values on a lattice.
        summary: What it shows.
        labels: The classes with their values, the background first.
        direction: Where the array axes point, as in `Grid`.
    """

    draw: Callable[[np.random.Generator, Lattice], tuple[Plane, NDArray[np.uint8]]]
    summary: str
    labels: Mapping[str, int]
    direction: tuple[tuple[int, ...], ...] = _UPRIGHT

    @property
    def legend(self) -> str:
        """The meaning of the label values in one line."""
        return _legend(self.labels)


def _legend(labels: Mapping[str, int]) -> str:
    ordered = sorted(labels.items(), key=lambda item: item[1])
    return ", ".join(f"{value} = {name}" for name, value in ordered)


_SPINE = {"background": 0, "disc": 1, "vertebra": 2, "protrusion": 3}

KINDS = {
    "membrane": Kind(
        draw_membrane,
        "neurites in an electron microscope",
        {"inside of a cell": 255, "membrane": 0},
    ),
    "cells": Kind(
        draw_cells,
        "touching nuclei in a fluorescence microscope",
        {"background": 0, "nucleus": 255},
    ),
    "discs": Kind(draw_discs, "a lumbar spine in magnetic resonance", _SPINE),
    "lines": Kind(
        draw_lines,
        "thin curved lines of low contrast on a textured background",
        {"background": 0, "line": 255},
    ),
}
"""Drawn in 2D."""

VOLUME_KINDS = {
    "cells": VolumeKind(
        draw_cell_volume,
        "touching nuclei in a confocal microscope",
        {"background": 0, "nucleus": 1},
    ),
    "vessels": VolumeKind(
        draw_vessels,
        "branching vessels in an angiogram",
        {"background": 0, "vessel": 1},
    ),
    "discs": VolumeKind(
        draw_disc_volume,
        "a lumbar spine in magnetic resonance, in sagittal slices",
        _SPINE,
        _SAGITTAL,
    ),
}
"""Drawn in 3D."""


def make_case(
    kind: str, size: Sequence[int] = (256, 256), seed: int = 0
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Draw one picture with its label.

    Args:
        kind: A name from `KINDS`.
        size: (y, x), 32 pixels at least.
        seed: 0 or larger; the same seed gives the same case.

    Returns:
        The image, shape (1, y, x), and the label values, shape (y, x).

    Raises:
        ConfigError: The kind is unknown, the size too small, or the seed negative.

    >>> image, label = make_case("cells", (64, 64), seed=3)
    >>> image.shape, sorted(set(label.ravel().tolist()))
    ((1, 64, 64), [0, 255])
    """
    return draw_picture(kind, tuple(size), (seed,))


def make_volume(
    kind: str,
    size: Sequence[int] = (32, 96, 96),
    seed: int = 0,
    *,
    spacing_mm: Sequence[float] = (1.0, 1.0, 1.0),
) -> tuple[NDArray[np.int16], NDArray[np.uint8], Grid]:
    """Draw one volume with its label and the place of its voxels.

    Structures are drawn in units of the finest voxel edge, so they are round in millimetres.

    Args:
        kind: A name from `VOLUME_KINDS`.
        size: (z, y, x), 8 slices of 32 x 32 at least.
        seed: 0 or larger; the same seed gives the same case.
        spacing_mm: Edges of a voxel, z y x.

    Returns:
        The image, shape (1, z, y, x), the label values, shape (z, y, x), and their grid.

    Raises:
        ConfigError: The kind is unknown, the size too small, the seed negative, or the spacing
            no spacing.

    >>> image, label, grid = make_volume("vessels", (8, 32, 32), spacing_mm=(4, 1, 1))
    >>> image.shape, label.shape, grid.spacing_mm
    ((1, 8, 32, 32), (8, 32, 32), (4.0, 1.0, 1.0))
    """
    return draw_volume(kind, tuple(size), (seed,), tuple(spacing_mm))


def draw_picture(
    kind: str, size: Size, seeds: tuple[int, ...]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Draw the picture of some seeds; see `make_case`."""
    check_wish(kind, size, seeds, None)
    rng = np.random.default_rng([zlib.crc32(kind.encode()), *seeds])
    picture, label = KINDS[kind].draw(rng, size)
    return to_uint8(picture)[np.newaxis], label


def draw_volume(
    kind: str, size: Size, seeds: tuple[int, ...], spacing_mm: tuple[float, ...]
) -> tuple[NDArray[np.int16], NDArray[np.uint8], Grid]:
    """Draw the volume of some seeds; see `make_volume`."""
    check_wish(kind, size, seeds, spacing_mm)
    rng = np.random.default_rng([zlib.crc32(f"{kind} in 3D".encode()), *seeds])
    brightness, label = VOLUME_KINDS[kind].draw(rng, Lattice.of(size, spacing_mm))
    values = np.rint(brightness * _BRIGHTNESS).clip(0, 32767).astype(np.int16)
    direction = np.array(VOLUME_KINDS[kind].direction, np.float64)
    # The middle of the volume is the origin of the world.
    middle = direction @ ((np.array(size) - 1) / 2 * spacing_mm)
    return values[np.newaxis], label, Grid.of(size, spacing_mm, -middle, direction)


def check_wish(
    kind: str, size: Size, seeds: tuple[int, ...], spacing_mm: tuple[float, ...] | None
) -> None:
    """Check what is to be drawn.

    Raises:
        ConfigError: See `make_case` and `make_volume`.
    """
    _check_kind(kind, len(size))
    _check_size(size)
    if min(seeds) < 0:
        raise ConfigError(f"seed {min(seeds)} is negative: give 0 or more")
    if spacing_mm is None:
        return
    text = " x ".join(f"{edge:g}" for edge in spacing_mm)
    if len(size) == 2:
        raise ConfigError(f"spacing {text}: pictures have none; give a size of three edges")
    is_fine = len(spacing_mm) == 3 and all(0 < edge < 1e6 for edge in spacing_mm)
    if not is_fine or max(spacing_mm) > LARGEST_RATIO * min(spacing_mm):
        raise ConfigError(
            f"spacing {text} is not possible: give three edges above 0 mm, z y x, the longest at "
            f"most {LARGEST_RATIO:g} times the shortest, such as 4x1x1"
        )


def _check_kind(kind: str, dims: int) -> None:
    known: Mapping[str, Any] = VOLUME_KINDS if dims == 3 else KINDS
    if kind in known:
        return
    if kind in KINDS or kind in VOLUME_KINDS:
        other = "pictures, of two edges" if kind in KINDS else "volumes, of three edges"
        raise ConfigError(
            f"{kind} is drawn as {other} only; there are {', '.join(KINDS)} in 2D and "
            f"{', '.join(VOLUME_KINDS)} in 3D"
        )
    raise ConfigError(unknown_name("kind of synthetic data", kind, {**KINDS, **VOLUME_KINDS}))


def _check_size(size: Size) -> None:
    if len(size) == 3 and size[0] >= FEWEST_SLICES and min(size[1:]) >= SMALLEST_EDGE:
        return
    if len(size) == 2 and min(size) >= SMALLEST_EDGE:
        return
    raise ConfigError(
        f"size {format_size(size)} is not possible: synthetic pictures have two edges of "
        f"{SMALLEST_EDGE} pixels or more, such as 256x256, and volumes {FEWEST_SLICES} slices or "
        "more of such pictures, such as 32x96x96"
    )
