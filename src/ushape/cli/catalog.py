"""The catalogue of networks as text for the terminal."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import yaml

from ushape.errors import ConfigError
from ushape.nets import CatalogEntry, describe, entries, make_spec


def parse_options(assignments: Iterable[str]) -> dict[str, Any]:
    """Read `--set option=value` for a network; values are YAML, lists for tuples.

    Raises:
        ConfigError: There is no equals sign, or the value is not YAML.
    """
    options: dict[str, Any] = {}
    for text in assignments:
        key, equals, value = text.partition("=")
        if not equals:
            raise ConfigError(f"--set {text!r}: write option=value, such as width=32")
        try:
            parsed = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise ConfigError(f"--set {text!r}: the value is not valid YAML") from error
        options[key.strip().removeprefix("model.options.")] = parsed
    return options


def list_lines() -> list[str]:
    """List every network with its size in parameters and its paper."""
    rows = []
    for entry in entries():
        figure = describe(make_spec(entry.name, in_channels=1, classes=1), None)
        dims = ", ".join(f"{dims}D" for dims in entry.spatial_dims)
        rows.append((entry.name, dims, f"{figure.trainable_parameters:,}", entry.summary))
    first, second, third = (max(len(row[n]) for row in rows) for n in range(3))
    lines = [f"{row[0]:{first}}  {row[1]:{second}}  {row[2]:>{third}}  {row[3]}" for row in rows]
    return [*lines, "", "ushape models NAME shows one as the figure in its paper."]


def list_json() -> dict[str, Any]:
    """Return the catalogue as plain data, by name."""
    return {
        entry.name: {
            "spatial_dims": entry.spatial_dims,
            "summary": entry.summary,
            "source": entry.source,
            "options": [option.name for option in entry.options],
        }
        for entry in entries()
    }


def entry_lines(name: str) -> list[str]:
    """Say where a network comes from and what can be set."""
    entry: CatalogEntry = next(entry for entry in entries() if entry.name == name)
    lines = [f"Source: {entry.source}", "", "Options (--set option=value):"]
    width = max(len(option.name) for option in entry.options)
    lines += [
        f"  {option.name:{width}}  {option.doc}; {option.allowed} (default {option.default})"
        for option in entry.options
    ]
    return lines
