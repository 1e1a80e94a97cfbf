"""Sizes and durations as people type and read them. Standard library only.

A size is spatial: `(y, x)` in 2D, `(z, y, x)` in 3D.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from ushape.errors import ConfigError, unknown_name

Size = tuple[int, ...]

_PER_MM = {"nm": 1e6, "um": 1e3, "µm": 1e3, "μm": 1e3, "mm": 1.0}
_UNITS_S = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def parse_size(text: str) -> Size:
    """Read a size such as `572x572` (y, x) or `64x96x96` (z, y, x).

    >>> parse_size("64x96x128")
    (64, 96, 128)

    Raises:
        ConfigError: The text is not one to three positive integers joined by x.
    """
    parts = text.lower().replace("×", "x").split("x")
    if not 1 <= len(parts) <= 3 or not all(re.fullmatch(r"[1-9]\d{0,8}", part) for part in parts):
        raise ConfigError(
            f"size {text!r} is not understood: give positive integers joined by x, "
            "such as 512x512 (y, x) or 64x96x96 (z, y, x)"
        )
    return tuple(int(part) for part in parts)


def parse_spacing_mm(text: str) -> tuple[float, ...]:
    """Read voxel edges such as `50x4x4nm` (z, y, x) in nm, um or mm (the default), as mm.

    >>> parse_spacing_mm("4x1x1"), parse_spacing_mm("50x4x4nm")
    ((4.0, 1.0, 1.0), (5e-05, 4e-06, 4e-06))

    Raises:
        ConfigError: The text is not two or three positive numbers joined by x, with a unit or not.
    """
    return _edges_mm("spacing", text, (2, 3))


def parse_stack(text: str) -> tuple[float, float, float]:
    """Read the voxel edges of a stack of slices, z y x, as mm.

    >>> parse_stack("2.5x0.5x0.5"), parse_stack("50x4x4nm")
    ((2.5, 0.5, 0.5), (5e-05, 4e-06, 4e-06))

    Raises:
        ConfigError: The text is not three positive numbers joined by x, with a unit or not.
    """
    z, y, x = _edges_mm("stack", text, (3,))
    return z, y, x


def _edges_mm(what: str, text: str, counts: Sequence[int]) -> tuple[float, ...]:
    compact = re.sub(r"\s", "", text.lower()).replace("×", "x").replace(",", "x")
    number, unit = re.fullmatch(r"(.*?)([a-wyzµμ]*)", compact, re.DOTALL).groups()  # type: ignore[union-attr]
    try:
        edges = [float(part) for part in number.split("x")]
    except ValueError:
        edges = []
    if len(edges) not in counts or not all(0 < edge < math.inf for edge in edges):
        raise ConfigError(
            f"{what} {text!r} is not understood: give the edges of a voxel as z, y, x, each above "
            "0, in mm or with a unit, such as 2.5x0.5x0.5 or 50x4x4nm"
        )
    if unit and unit not in _PER_MM:
        raise ConfigError(f"{what} {text!r}: {unknown_name('unit', unit, ('nm', 'um', 'mm'))}")
    return tuple(edge / _PER_MM[unit or "mm"] for edge in edges)


def format_size(size: Sequence[int]) -> str:
    """Write a size the way people read it.

    >>> format_size((572, 572))
    '572 x 572'
    """
    return " x ".join(str(edge) for edge in size)


def format_count(count: int, noun: str) -> str:
    """Write a number of things.

    >>> format_count(1, "case"), format_count(52, "case")
    ('1 case', '52 cases')
    """
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def per_axis(value: int | Sequence[int], spatial_dims: int) -> Size:
    """Repeat one number for every axis, or check that there is one number an axis.

    >>> per_axis(3, 2), per_axis((1, 3, 3), 3)
    ((3, 3), (1, 3, 3))

    Raises:
        ConfigError: The sequence has another length than `spatial_dims`.
    """
    if isinstance(value, int):
        return (value,) * spatial_dims
    if len(value) != spatial_dims:
        raise ConfigError(
            f"{tuple(value)} has {len(value)} numbers for {spatial_dims} spatial axes: "
            f"give one number, or {spatial_dims}"
        )
    return tuple(value)


def parse_duration_s(text: str) -> float:
    """Read a duration such as `90s`, `10m`, `1h30m` or `2d`, in seconds.

    >>> parse_duration_s("1h30m")
    5400.0

    Raises:
        ConfigError: The text is not a duration, or it is not positive.
    """
    compact = text.strip().lower().replace(" ", "")
    pieces = re.findall(r"(\d+(?:\.\d+)?)([smhd])", compact)
    if not pieces or "".join(number + unit for number, unit in pieces) != compact:
        raise ConfigError(
            f"duration {text!r} is not understood: give a number and a unit, "
            "such as 90s, 10m, 1h30m or 2d"
        )
    seconds = sum(float(number) * _UNITS_S[unit] for number, unit in pieces)
    if seconds <= 0:
        raise ConfigError(f"duration {text!r} is not positive: give for example 10m")
    return seconds


def format_duration(seconds: float) -> str:
    """Write a duration with at most two units.

    >>> format_duration(5400), format_duration(75.4), format_duration(8)
    ('1h 30m', '1m 15s', '8s')
    """
    whole = round(seconds)
    for unit, smaller in (("d", "h"), ("h", "m"), ("m", "s")):
        length = int(_UNITS_S[unit])
        if whole >= length:
            rest = (whole % length) // int(_UNITS_S[smaller])
            return (
                f"{whole // length}{unit} {rest}{smaller}" if rest else f"{whole // length}{unit}"
            )
    return f"{whole}s"
