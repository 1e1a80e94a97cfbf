"""What the values in label pictures mean: the table between files and classes.

Files hold whatever values their maker chose (0 and 255, gaps, colours); networks speak of class
indices 0, 1, 2, ... where 0 is the background. A `LabelTable` is stored with every model, so that
predictions are written in the values that the labels came in. Standard library only; the arrays
are translated in `ushape.data.targets`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ushape.errors import ConfigError, unknown_name

Target = Literal["binary", "multiclass"]

BACKGROUND_SHARE = 1 / 3
"""Zero is the background unless fewer pixels than this fraction have the value zero."""


@dataclass(frozen=True)
class LabelClass:
    """One class: its name, and the value that stands for it in label files.

    Colours of RGB labels are packed into one number, 0xRRGGBB.
    """

    name: str
    value: int


@dataclass(frozen=True)
class LabelTable:
    """The classes of a data set, background first.

    Attributes:
        classes: Index 0 is the background.
        is_color: The label files are RGB pictures; values are packed 0xRRGGBB colours.
        reason: One sentence that says why the values were understood this way.
    """

    classes: tuple[LabelClass, ...]
    is_color: bool = False
    reason: str = ""

    def __post_init__(self) -> None:
        values = [entry.value for entry in self.classes]
        names = [entry.name for entry in self.classes]
        if len(self.classes) < 2:
            raise ConfigError(
                f"labels need two different values at least, found {values}: "
                "a data set with one value everywhere teaches nothing"
            )
        for kind, seen in (("value", [str(value) for value in values]), ("name", names)):
            twice = sorted({item for item in seen if seen.count(item) > 1})
            if twice:
                raise ConfigError(f"label {kind} {', '.join(twice)} is given to two classes")
        if len(self.classes) > 255:
            raise ConfigError(
                f"{len(self.classes)} different label values: more than 255 classes look like "
                "instance numbers or grey levels, not classes. Give label pictures with one "
                "value a class"
            )

    @property
    def target(self) -> Target:
        """Binary for one foreground class, else multiclass."""
        return "binary" if len(self.classes) == 2 else "multiclass"

    @property
    def num_logits(self) -> int:
        """Channels that the network gives: 1 for binary, one a class (background too) else."""
        return 1 if self.target == "binary" else len(self.classes)

    @property
    def values(self) -> tuple[int, ...]:
        """The values in files, by class index."""
        return tuple(entry.value for entry in self.classes)

    @property
    def names(self) -> tuple[str, ...]:
        """The names, by class index."""
        return tuple(entry.name for entry in self.classes)

    @property
    def foreground(self) -> tuple[LabelClass, ...]:
        """Every class but the background."""
        return self.classes[1:]

    def value_text(self, value: int) -> str:
        """Write a value as people know it: a number, or #rrggbb for colours."""
        return f"#{value:06x}" if self.is_color else str(value)

    def describe(self) -> str:
        """Say the table in one line, such as `0 = background, 255 = cell`."""
        return ", ".join(f"{self.value_text(entry.value)} = {entry.name}" for entry in self.classes)

    def to_json(self) -> dict[str, Any]:
        """Return plain data for a JSON or YAML file."""
        return {
            "classes": [{"name": entry.name, "value": entry.value} for entry in self.classes],
            "is_color": self.is_color,
            "reason": self.reason,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> LabelTable:
        """Read back what `to_json` wrote."""
        classes = tuple(LabelClass(str(c["name"]), int(c["value"])) for c in data["classes"])
        return cls(classes, bool(data.get("is_color", False)), str(data.get("reason", "")))


def parse_value(text: str) -> int:
    """Read a label value: a number, or a colour `#rrggbb`.

    >>> parse_value("255"), parse_value("#ff0000")
    (255, 16711680)
    """
    cleaned = text.strip()
    if re.fullmatch(r"#[0-9a-fA-F]{6}", cleaned):
        return int(cleaned[1:], 16)
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


def choose_labels(
    counts: Mapping[int, int],
    *,
    is_color: bool = False,
    foreground: str | None = None,
    names: Mapping[str, int] | None = None,
) -> LabelTable:
    """Decide which values are which classes.

    Args:
        counts: Pixels of every value found in the label files.
        is_color: The values are packed colours.
        foreground: The value (or a name from `names`) that is the one foreground class of a
            binary data set; every other value is then background.
        names: Class names with their values; the first one is the background, and values
            that are found but not named are refused.

    Returns:
        The table, with the reason for it.

    Raises:
        ConfigError: A value is asked for that no file holds, or the values make no classes.
    """
    found = sorted(value for value, count in counts.items() if count > 0)

    def text(value: int) -> str:
        return f"#{value:06x}" if is_color else str(value)

    listing = ", ".join(text(value) for value in found)
    named = {value: name for name, value in (names or {}).items()}
    for name, value in (names or {}).items():
        if value not in found:
            raise ConfigError(
                f"--labels {name}={text(value)}: no label has that value (found: {listing})"
            )
    if named and foreground is None:
        missing = [text(value) for value in found if value not in named]
        if missing:
            raise ConfigError(
                f"--labels names {len(named)} of {len(found)} values: also name "
                f"{', '.join(missing)}"
            )
        classes = tuple(LabelClass(name, value) for name, value in (names or {}).items())
        return LabelTable(classes, is_color, "named on the command line, background first")
    if foreground is not None:
        return _one_foreground(found, listing, text, is_color, foreground, names or {})

    total = sum(counts.values())
    if len(found) == 2 and 0 in found:
        other = found[1]
        share = counts[0] / total
        if share < BACKGROUND_SHARE:
            reason = (
                f"two values, and the thin one is {text(0)} ({share:.1%} of the pixels): it is the "
                f"foreground; --foreground {text(other)} inverts"
            )
            return _binary(other, 0, is_color, reason)
        reason = f"two values; {text(0)} is the background ({share:.1%} of the pixels)"
        return _binary(0, other, is_color, reason)
    background = 0 if 0 in found else max(found, key=lambda value: counts[value], default=0)
    rest = [value for value in found if value != background]
    if len(rest) == 1:
        reason = f"two values; the more frequent, {text(background)}, is the background"
        return _binary(background, rest[0], is_color, reason)
    others = (LabelClass(f"class_{text(value).lstrip('#')}", value) for value in rest)
    classes = (LabelClass("background", background), *others)
    why = "has the value 0" if background == 0 else "is the most frequent value"
    return LabelTable(classes, is_color, f"{len(found)} values; the background {why}")


def _binary(background: int, foreground: int, is_color: bool, reason: str) -> LabelTable:
    classes = (LabelClass("background", background), LabelClass("foreground", foreground))
    return LabelTable(classes, is_color, reason)


def _one_foreground(
    found: Sequence[int],
    listing: str,
    text: Any,
    is_color: bool,
    foreground: str,
    names: Mapping[str, int],
) -> LabelTable:
    if foreground in names:
        value, name = names[foreground], foreground
    elif names and not re.fullmatch(r"#?[0-9a-fA-F]+", foreground):
        raise ConfigError("--foreground: " + unknown_name("label name", foreground, names))
    else:
        value = parse_value(foreground)
        name = {v: n for n, v in names.items()}.get(value, "foreground")
    if value not in found:
        raise ConfigError(
            f"--foreground {foreground}: no label has the value {text(value)} (found: {listing})"
        )
    others = [entry for entry in found if entry != value]
    if len(others) != 1:
        raise ConfigError(
            f"--foreground {foreground}: the labels have {len(found)} values ({listing}); "
            "one foreground needs two. Name the classes with --labels name=value,..."
        )
    other_name = {v: n for n, v in names.items()}.get(others[0], "background")
    classes = (LabelClass(other_name, others[0]), LabelClass(name, value))
    return LabelTable(classes, is_color, f"--foreground {foreground}")
