"""Decide what the values of label pictures mean, from how frequent they are and what was said."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ushape.errors import ConfigError, unknown_name
from ushape.labels.parse import Color, color_text, parse_value
from ushape.labels.table import LabelClass, LabelTable

BACKGROUND_SHARE = 1 / 3
"""Zero is the background unless fewer pixels than this fraction have the value zero."""


@dataclass(frozen=True)
class Values:
    """The values that were found, and how they are written."""

    found: Sequence[int]
    is_color: bool

    def text(self, value: int) -> str:
        """Write a value as people know it."""
        is_color = self.is_color or isinstance(value, Color)
        return color_text(value) if is_color else str(value)

    @property
    def listing(self) -> str:
        """All values, as people know them."""
        return ", ".join(self.text(value) for value in self.found)


def read_values(
    counts: Mapping[int, int],
    values: Values,
    foreground: str | None,
    names: Mapping[str, int],
) -> LabelTable:
    """Say which values are which classes; arguments and errors as of `choose_labels`."""
    found, is_color = values.found, values.is_color
    named = {value: name for name, value in names.items()}
    for name, value in names.items():
        if value not in found:
            raise ConfigError(
                f"--labels {name}={values.text(value)}: no label has that value "
                f"(found: {values.listing})"
            )
    if foreground is not None:
        return _one_foreground(values, foreground, names)
    if named:
        missing = [values.text(value) for value in found if value not in named]
        if missing:
            raise ConfigError(
                f"--labels names {len(named)} of {len(found)} values: also name "
                f"{', '.join(missing)}"
            )
        classes = tuple(LabelClass(name, int(value)) for name, value in names.items())
        reason = "as named by --labels or dataset.json, background first"
        return LabelTable(classes, is_color, reason)
    return _guess(counts, values)


def _guess(counts: Mapping[int, int], values: Values) -> LabelTable:
    """Decide from how frequent the values are."""
    found, is_color, text = values.found, values.is_color, values.text
    if len(found) == 2 and 0 in found:
        other = found[1]
        share = counts[0] / sum(counts.values())
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


def _one_foreground(values: Values, foreground: str, names: Mapping[str, int]) -> LabelTable:
    if foreground in names:
        value, name = names[foreground], foreground
    elif names and not re.fullmatch(r"#?[0-9a-fA-F]+", foreground):
        raise ConfigError("--foreground: " + unknown_name("label name", foreground, names))
    else:
        value = parse_value(foreground)
        name = {v: n for n, v in names.items()}.get(value, "foreground")
    if value not in values.found:
        raise ConfigError(
            f"--foreground {foreground}: no label has the value {values.text(value)} "
            f"(found: {values.listing})"
        )
    others = [entry for entry in values.found if entry != value]
    if len(others) != 1:
        raise ConfigError(
            f"--foreground {foreground}: the labels have {len(values.found)} values "
            f"({values.listing}); one foreground needs two. Name the classes with "
            "--labels name=value,..."
        )
    other_name = {v: n for n, v in names.items()}.get(others[0], "background")
    classes = (LabelClass(other_name, others[0]), LabelClass(name, int(value)))
    return LabelTable(classes, values.is_color, f"--foreground {foreground}")
