"""The kinds of value that options of catalogue entries take, and how they are checked.

An entry is a function whose keyword arguments are annotated with a kind and a line of
documentation; the list that `ushape models NAME` prints and the checks are read from there, so
that a name, a default or a limit stands in one place.
"""

# ruff: noqa: D102 (the protocol says what `text` and `accept` mean)

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, get_type_hints

from ushape.errors import ConfigError, nearest_name


class Kind(Protocol):
    """A kind of value: what is allowed, in words, and the check."""

    @property
    def text(self) -> str:
        """What is allowed, such as `3 to 6`."""

    def accept(self, value: Any) -> Any:
        """Return the value in its stored form; raise TypeError or ValueError if not allowed."""


@dataclass(frozen=True)
class Whole:
    """A whole number from `low` to `high`."""

    low: int
    high: int

    @property
    def text(self) -> str:
        return f"a whole number from {self.low} to {self.high}"

    def accept(self, value: Any) -> int:
        return _whole(value, self.low, self.high)


@dataclass(frozen=True)
class Wholes:
    """A list of `fewest` to `most` whole numbers."""

    fewest: int
    most: int
    low: int
    high: int

    @property
    def text(self) -> str:
        return f"{self.fewest} to {self.most} whole numbers from {self.low} to {self.high}"

    def accept(self, value: Any) -> tuple[int, ...]:
        if isinstance(value, str) or not self.fewest <= len(value) <= self.most:
            raise ValueError
        return tuple(_whole(entry, self.low, self.high) for entry in value)


@dataclass(frozen=True)
class Edge:
    """A whole number among `choices`, or one of them for every spatial axis."""

    choices: tuple[int, ...]

    @property
    def text(self) -> str:
        return f"{_listing(self.choices)}, or one of them for each axis"

    def accept(self, value: Any) -> int | tuple[int, ...]:
        entries = value if isinstance(value, list | tuple) else [value]
        if not entries or any(type(e) is not int or e not in self.choices for e in entries):
            raise ValueError
        return tuple(entries) if isinstance(value, list | tuple) else entries[0]


@dataclass(frozen=True)
class Choice:
    """One of a few names or numbers."""

    choices: tuple[str | int, ...]

    @property
    def text(self) -> str:
        return _listing(self.choices)

    def accept(self, value: Any) -> str | int:
        if isinstance(value, bool) or value not in self.choices:
            raise ValueError
        return self.choices[self.choices.index(value)]


@dataclass(frozen=True)
class Fraction:
    """A number from 0 to below 1."""

    @property
    def text(self) -> str:
        return "a number from 0 to below 1"

    def accept(self, value: Any) -> float:
        if isinstance(value, bool | str) or not 0 <= float(value) < 1:
            raise ValueError
        return float(value)


@dataclass(frozen=True)
class Flag:
    """True or false."""

    @property
    def text(self) -> str:
        return "true or false"

    def accept(self, value: Any) -> bool:
        if not isinstance(value, bool):
            raise TypeError
        return value


@dataclass(frozen=True)
class Text:
    """A word, described by `text`."""

    text: str

    def accept(self, value: Any) -> str:
        if not isinstance(value, str) or not value:
            raise ValueError
        return value


@dataclass(frozen=True)
class Option:
    """The annotation of an entry's argument.

    Attributes:
        kind: Allowed values.
        doc: One line for `ushape models NAME`.
        replaces: Options that cannot be given together with this one.
        is_inner: The name of a network to which unknown options are passed on.
    """

    kind: Kind
    doc: str
    replaces: tuple[str, ...] = ()
    is_inner: bool = False


@dataclass(frozen=True)
class OptionInfo:
    """One option of a catalogue entry, for people and programs that list them."""

    name: str
    default: Any
    allowed: str
    doc: str
    choices: tuple[str | int, ...] = ()


def list_options(entry: Callable[..., Any]) -> tuple[OptionInfo, ...]:
    """List an entry's options, in the order of its arguments."""
    defaults = inspect.signature(entry).parameters
    return tuple(
        OptionInfo(
            name,
            defaults[name].default,
            option.kind.text,
            option.doc,
            option.kind.choices if isinstance(option.kind, Choice) else (),
        )
        for name, option in _options(entry).items()
    )


def inner_option(entry: Callable[..., Any]) -> OptionInfo | None:
    """Return the option that names the network to which further options go, if there is one."""
    names = [name for name, option in _options(entry).items() if option.is_inner]
    return next((info for info in list_options(entry) if info.name in names), None)


def accept_options(
    place: str,
    entry: Callable[..., Any],
    given: Mapping[str, Any],
    *,
    inner: Callable[..., Any] | None = None,
) -> dict[str, Any]:
    """Check the options given for an entry, and return them in their stored form.

    None is taken where it is the default, and means that the option is not used.

    Args:
        inner: An entry whose options are known too.

    Raises:
        ConfigError: An option is unknown, its value not allowed, or another one replaces it.
    """
    known = (_options(inner) if inner else {}) | _options(entry)
    unused = _without_value(entry) | (_without_value(inner) if inner else set())
    accepted: dict[str, Any] = {}
    for name, value in given.items():
        if name not in known:
            near = nearest_name(name, known)
            hint = f": did you mean {near!r}?" if near else "."
            raise ConfigError(
                f"unknown option {name!r} of {place}{hint} (known: {', '.join(known)})"
            )
        if value is None and name in unused:
            accepted[name] = None
            continue
        kind = known[name].kind
        try:
            accepted[name] = kind.accept(value)
        except (TypeError, ValueError) as error:
            raise ConfigError(
                f"{name}={value!r} of {place} is not allowed: give {kind.text}"
            ) from error
        both = [other for other in known[name].replaces if other in given]
        if both and value is not False:
            raise ConfigError(
                f"{place}: {name} replaces {' and '.join(both)}: give one or the other"
            )
    return accepted


def _without_value(entry: Callable[..., Any]) -> set[str]:
    parameters = inspect.signature(entry).parameters
    return {name for name, parameter in parameters.items() if parameter.default is None}


def _options(entry: Callable[..., Any]) -> dict[str, Option]:
    hints = get_type_hints(entry, include_extras=True)
    found = {}
    for name, hint in hints.items():
        for note in getattr(hint, "__metadata__", ()):
            if isinstance(note, Option):
                found[name] = note
    return found


def _whole(value: Any, low: int, high: int) -> int:
    if type(value) is not int or not low <= value <= high:
        raise ValueError
    return value


def _listing(choices: tuple[str | int, ...]) -> str:
    *others, last = map(str, choices)
    return f"{', '.join(others)} or {last}" if others else last
