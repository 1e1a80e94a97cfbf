"""Mixtures of losses, written in one line: `"dice + 10*bce(weight=auto)"`.

mixture = term { "+" term }
term    = [ number "*" ] name [ "(" [ option "=" value { "," option "=" value } ] ")" ]
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import torch
from torch import Tensor

from ushape.errors import ConfigError, unknown_name
from ushape.losses.terms import TERMS, Function, Option

_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)|(?P<name>[A-Za-z_]\w*)|(?P<sign>[-+*(),=]))"
)


@dataclass(frozen=True)
class WeightedTerm:
    """One term of a mixture as it was written: factor, name, and every option's value."""

    factor: float
    name: str
    options: Mapping[str, Any]


@dataclass(frozen=True)
class LossValue:
    """The sum, and each term's own value before its factor (for the log)."""

    total: Tensor
    parts: Mapping[str, Tensor]


@dataclass(frozen=True)
class Mixture:
    """A sum of weighted losses, callable on logits and a target of the same shape."""

    terms: tuple[tuple[float, str, Function], ...]

    def __call__(self, logits: Tensor, target: Tensor) -> LossValue:
        """Compute the loss.

        Args:
            logits: Shape (batch, channel, *space), any float type.
            target: Same shape, 0 or 1.
        """
        total = torch.zeros((), device=logits.device)
        parts: dict[str, Tensor] = {}
        for factor, name, function in self.terms:
            value = function(logits, target)
            total = total + factor * value
            parts[name] = value.detach()
        return LossValue(total, parts)


def build_loss(text: str, *, num_logits: int, class_fractions: Sequence[float]) -> Mixture:
    """Make the loss that a line of text describes.

    Args:
        text: The mixture.
        num_logits: Channels of the network's output.
        class_fractions: Share of the pixels of each logit channel's class in the training
            data, for `weight=auto`.

    Raises:
        ConfigError: The text is wrong (the place is named), or a term does not fit the target.
    """
    if len(class_fractions) != num_logits:
        raise ConfigError(f"{num_logits} logit channels but {len(class_fractions)} class fractions")
    terms = []
    for term in parse_mixture(text):
        kind = TERMS[term.name]
        if num_logits == 1 and not kind.for_binary:
            raise ConfigError(
                f"loss {text!r}: {term.name} is for several classes, the target is binary; use bce"
            )
        terms.append((term.factor, term.name, kind.build(term.options, class_fractions)))
    return Mixture(tuple(terms))


def parse_mixture(text: str) -> tuple[WeightedTerm, ...]:
    """Read a mixture.

    >>> [(t.factor, t.name, t.options["weight"]) for t in parse_mixture("10*bce(weight=auto)")]
    [(10.0, 'bce', 'auto')]

    Raises:
        ConfigError: With the place of the mistake, and the nearest right name.
    """
    return _Parser(text).mixture()


class _Parser:
    """Reads a mixture from left to right; every mistake is reported with its column."""

    def __init__(self, text: str) -> None:
        self.text = text
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
        word = self.take()[0]
        values = {name: option.default for name, option in TERMS[word].options.items()}
        if self.peek()[0] == "(":
            self.take()
            values.update(self.options(word))
        return WeightedTerm(factor, word, values)

    def options(self, term: str) -> dict[str, Any]:
        known = TERMS[term].options
        values: dict[str, Any] = {}
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
            values[name] = self.value(f"{term}({name}=...)", known[name])
            if self.peek()[0] != ",":
                self.expect(")", "expected , or )")
                return values
            self.take()
        self.take()
        return values

    def value(self, place: str, option: Option) -> Any:
        word, kind, _ = self.peek()
        if option.allows_auto and word == "auto":
            return self.take()[0]
        if option.kind is float and kind == "number":
            number = self.number()
            self.take()
            return number
        if option.kind is bool and word in ("true", "false"):
            return self.take()[0] == "true"
        allowed = "true or false" if option.kind is bool else "a number that is not negative"
        allowed = "" if option.kind is str else allowed
        choices = " or ".join(filter(None, (allowed, "auto" if option.allows_auto else None)))
        return self.fail(f"{place} takes {choices}, found {self.found()}")

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
        column = self.peek()[2] + 1
        raise ConfigError(f"loss {self.text!r}, column {column}: {message}")

    def _split(self) -> list[tuple[str, str, int]]:
        tokens: list[tuple[str, str, int]] = []
        position = 0
        while position < len(self.text.rstrip()):
            match = _TOKEN.match(self.text, position)
            if match is None:
                rest = self.text[position:].lstrip()
                column = len(self.text) - len(rest) + 1
                raise ConfigError(
                    f"loss {self.text!r}, column {column}: {rest[:1]!r} has no meaning here; "
                    "write for example dice + 10*bce(weight=auto)"
                )
            kind = match.lastgroup or ""
            tokens.append((match[kind], kind, match.start(kind)))
            position = match.end()
        return [*tokens, ("", "end", len(self.text))]
