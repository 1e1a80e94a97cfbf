"""A mixture written in one line, such as `"dice + 10*bce(weight=auto)"`, and how it is read.

mixture = term { "+" term }
term    = [ number "*" ] name [ "(" [ option "=" value { "," option "=" value } ] ")" ]
value   = number | "true" | "false" | "auto" | "[" number { "," number } "]"
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from ushape.errors import ConfigError, unknown_name
from ushape.losses.terms import TERMS, Form, Option

_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)|(?P<name>[A-Za-z_]\w*)|(?P<sign>[-+*(),=\[\]]))"
)


@dataclass(frozen=True)
class Line:
    """A line of text and where it stands, for errors.

    Attributes:
        text: The mixture.
        place: What to call its place, such as `loss` or `loss.lines.terms`.
    """

    text: str
    place: str = "loss"

    def fail(self, column: int, message: str) -> NoReturn:
        """Refuse what stands at a column, counted from 1."""
        raise ConfigError(f"{self.place} {self.text!r}, column {column}: {message}")


@dataclass(frozen=True)
class WeightedTerm:
    """One term of a mixture as it was written.

    Attributes:
        factor: What it is multiplied by.
        name: Which loss.
        options: Every option's value, written or not.
        column: Where its name stands in the line, from 1.
        columns: Where the values of the options stand that were written.
    """

    factor: float
    name: str
    options: Mapping[str, Any]
    column: int = field(default=1, compare=False)
    columns: Mapping[str, int] = field(default_factory=dict, compare=False)


def parse_mixture(text: str, *, place: str = "loss") -> tuple[WeightedTerm, ...]:
    """Read a mixture.

    Args:
        text: The line.
        place: What to call its place in errors.

    >>> [(t.factor, t.name, t.options["weight"]) for t in parse_mixture("10*bce(weight=auto)")]
    [(10.0, 'bce', 'auto')]

    Raises:
        ConfigError: With the place of the mistake, and the nearest right name.
    """
    return _Parser(Line(text, place)).mixture()


class _Parser:
    """Reads a mixture from left to right; every mistake is reported with its column."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.tokens = self._split()
        self.index = 0

    def mixture(self) -> tuple[WeightedTerm, ...]:
        terms: dict[str, WeightedTerm] = {}
        while True:
            factor = self.factor()
            word, kind, _ = self.peek()
            if kind != "name":
                self.fail(f"expected the name of a loss ({', '.join(TERMS)}), found {self.found()}")
            if word not in TERMS:
                self.fail(unknown_name("loss", word, TERMS))
            if word in terms:
                self.fail(f"{word} stands twice; add up its factors")
            terms[word] = self.term(factor)
            if self.peek()[1] == "end":
                return tuple(terms.values())
            self.expect("+", "expected + or the end")

    def factor(self) -> float:
        if self.peek()[1] != "number":
            return 1.0
        factor = self.number()
        if factor == 0:
            self.fail("a factor of 0 has no effect; leave the term out")
        self.take()
        self.expect("*", "expected * after the factor")
        return factor

    def term(self, factor: float) -> WeightedTerm:
        word, _, start = self.take()
        values = {name: option.default for name, option in TERMS[word].options.items()}
        columns: dict[str, int] = {}
        if self.peek()[0] == "(":
            self.take()
            written = self.options(word)
            values.update({name: value for name, (value, _) in written.items()})
            columns = {name: column for name, (_, column) in written.items()}
        return WeightedTerm(factor, word, values, start + 1, columns)

    def options(self, term: str) -> dict[str, tuple[Any, int]]:
        known = TERMS[term].options
        values: dict[str, tuple[Any, int]] = {}
        while values or self.peek()[0] != ")":
            name, kind, _ = self.peek()
            if kind != "name":
                self.fail(
                    f"expected an option of {term} ({', '.join(known)}), found {self.found()}"
                )
            if name not in known:
                self.fail(unknown_name(f"option of {term}", name, known))
            if name in values:
                self.fail(f"{name} stands twice")
            self.take()
            self.expect("=", f"expected = after {name}")
            column = self.peek()[2] + 1
            values[name] = self.value(f"{term}({name}=...)", known[name]), column
            if self.peek()[0] != ",":
                self.expect(")", "expected , or )")
                return values
            self.take()
        self.take()
        return values

    def value(self, place: str, option: Option) -> Any:
        word, kind, _ = self.peek()
        if word == "[" and "list" in option.forms:
            return self.numbers(place, option)
        if kind == "number" and {"number", "whole number"} & {*option.forms}:
            return self.bounded(place, option)
        if word == "auto" and "auto" in option.forms:
            return self.take()[0]
        if word in ("true", "false") and "true or false" in option.forms:
            return self.take()[0] == "true"
        return self.refuse(place, option)

    def numbers(self, place: str, option: Option) -> tuple[float, ...]:
        self.take()
        numbers: list[float] = []
        while True:
            if self.peek()[1] != "number":
                self.refuse(place, option)
            numbers.append(self.bounded(place, option))
            if self.peek()[0] != ",":
                self.expect("]", "expected , or ]")
                return tuple(numbers)
            self.take()

    def bounded(self, place: str, option: Option) -> float:
        number = self.number()
        is_whole = "whole number" in option.forms
        if not option.low <= number <= option.high or (is_whole and number != int(number)):
            self.refuse(place, option)
        self.take()
        return int(number) if is_whole else number

    def refuse(self, place: str, option: Option) -> NoReturn:
        spelt = [_spell(form, option) for form in option.forms]
        self.fail(f"{place} takes {' or '.join(spelt)}, found {self.found()}")

    def number(self) -> float:
        number = float(self.peek()[0])
        if not math.isfinite(number):
            self.fail(f"{self.found()} is too large")
        return number

    def expect(self, sign: str, message: str) -> None:
        if self.peek()[0] != sign:
            self.fail(f"{message}, found {self.found()}")
        self.take()

    def found(self) -> str:
        word, kind, _ = self.peek()
        return "the end" if kind == "end" else repr(word)

    def peek(self) -> tuple[str, str, int]:
        return self.tokens[self.index]

    def take(self) -> tuple[str, str, int]:
        token = self.tokens[self.index]
        self.index = min(self.index + 1, len(self.tokens) - 1)
        return token

    def fail(self, message: str) -> NoReturn:
        self.line.fail(self.peek()[2] + 1, message)

    def _split(self) -> list[tuple[str, str, int]]:
        text = self.line.text
        tokens: list[tuple[str, str, int]] = []
        position = 0
        while position < len(text.rstrip()):
            match = _TOKEN.match(text, position)
            if match is None:
                rest = text[position:].lstrip()
                self.line.fail(
                    len(text) - len(rest) + 1,
                    f"{rest[:1]!r} has no meaning here; "
                    "write for example dice + 10*bce(weight=auto)",
                )
            kind = match.lastgroup or ""
            tokens.append((match[kind], kind, match.start(kind)))
            position = match.end()
        return [*tokens, ("", "end", len(text))]


def _spell(form: Form, option: Option) -> str:
    if form in ("number", "whole number"):
        if math.isinf(option.high):
            return f"a {form} that is not negative"
        return f"a {form} from {option.low:g} to {option.high:g}"
    return "a list of numbers such as [1, 2]" if form == "list" else form
