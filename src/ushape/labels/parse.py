"""Read what people write about labels: values, names, regions."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ushape.errors import ConfigError


class Color(int):
    """A label value that was written as `#rrggbb`: the packed number 0xRRGGBB."""


def color_text(color: int) -> str:
    """Write a packed colour as #rrggbb."""
    return f"#{color:06x}"


def parse_value(text: str) -> int:
    """Read a label value: a number, or a colour `#rrggbb`, which is a `Color`.

    >>> parse_value("255"), parse_value("#ff0000")
    (255, 16711680)
    """
    cleaned = text.strip()
    if re.fullmatch(r"#[0-9a-fA-F]{6}", cleaned):
        return Color(int(cleaned[1:], 16))
    if not re.fullmatch(r"\d{1,9}", cleaned):
        raise ConfigError(
            f"label value {text!r} is not understood: give a whole number or a colour #rrggbb"
        )
    return int(cleaned)


def parse_names(text: str) -> dict[str, int]:
    """Read `--labels name=value,...`.

    >>> parse_names("background=0,disc=1,vertebra=2")
    {'background': 0, 'disc': 1, 'vertebra': 2}
    """
    names: dict[str, int] = {}
    for piece in text.split(","):
        name, equals, value = piece.partition("=")
        if not equals or not name.strip():
            raise ConfigError(f"--labels {text!r}: {piece!r} is not name=value")
        if name.strip() in names:
            raise ConfigError(f"--labels {text!r}: the name {name.strip()!r} stands twice")
        names[name.strip()] = parse_value(value)
    return names


def parse_regions(texts: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Read `--region name=label+label`, names or values of labels.

    >>> parse_regions(["whole=disc+protrusion"])
    {'whole': ('disc', 'protrusion')}
    """
    regions: dict[str, tuple[str, ...]] = {}
    for text in texts:
        name, equals, rest = text.partition("=")
        parts = tuple(piece.strip() for piece in rest.split("+"))
        if not equals or not name.strip() or not all(parts):
            raise ConfigError(f"--region {text!r}: write name=label+label, such as whole=disc+knob")
        if name.strip() in regions:
            raise ConfigError(f"--region {text!r}: the name {name.strip()!r} stands twice")
        regions[name.strip()] = parts
    return regions
