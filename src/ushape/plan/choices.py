"""The settings of a plan while they are being chosen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from ushape.plan.usual import BY_HAND

T = TypeVar("T")


class Choices:
    """Collects choices; what a person set wins over what a rule says."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self.given = given
        self.values: dict[str, Any] = {}
        self.reasons: dict[str, str] = {}

    def choose(self, key: str, value: T, reason: str = "") -> T:
        """Take what a person set, or else the value; return it.

        Args:
            key: Of the setting.
            value: What a rule says.
            reason: Why; unless it is given, `usual` has one.
        """
        if key in self.given:
            value, reason = self.given[key], BY_HAND
        self.values[key] = value
        if reason:
            self.reasons[key] = reason
        return value

    def tree(self) -> dict[str, Any]:
        """Return all that was chosen and set, by section."""
        tree: dict[str, Any] = {}
        for key, value in {**self.values, **self.given}.items():
            section, dot, name = key.partition(".")
            if not dot:
                tree[section] = value
            elif "." not in name:
                tree.setdefault(section, {})[name] = value
        return tree
