"""The catalogue of networks as text for the terminal."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec
from typing import Any

import yaml

from ushape.errors import ConfigError
from ushape.nets import CatalogEntry, entries, make_spec
from ushape.nets.parameters import count_parameters


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
    """List every network with its size in parameters and what it is."""
    rows = []
    for entry in entries():
        count = _parameters(entry)
        dims = ", ".join(f"{dims}D" for dims in entry.spatial_dims)
        shown = "needs timm" if count is None else f"{count:,}"
        rows.append((entry.name, dims, shown, entry.summary))
    first, second, third = (max(len(row[n]) for row in rows) for n in range(3))
    lines = [f"{row[0]:{first}}  {row[1]:{second}}  {row[2]:>{third}}  {row[3]}" for row in rows]
    notes = ["", "Trainable parameters for one image channel and one class."]
    return [*lines, *notes, "ushape models NAME shows one as the figure in its paper."]


def list_json() -> dict[str, Any]:
    """Return the catalogue as plain data, by name; parameters are null where timm is needed."""
    return {
        entry.name: {
            "spatial_dims": entry.spatial_dims,
            "summary": entry.summary,
            "source": entry.source,
            "parameters": _parameters(entry),
            "options": [option.name for option in entry.options],
        }
        for entry in entries()
    }


def entry_lines(name: str) -> list[str]:
    """Say where a network comes from and what can be set."""
    entry: CatalogEntry = next(entry for entry in entries() if entry.name == name)
    lines = [f"Source: {entry.source}", f"Use: {entry.use}", "", "Options (--set option=value):"]
    width = max(len(option.name) for option in entry.options)
    lines += [
        f"  {option.name:{width}}  {option.doc}; {option.allowed} (default {option.default})"
        for option in entry.options
    ]
    return lines


def _parameters(entry: CatalogEntry) -> int | None:
    """Count an entry's parameters by arithmetic; None where its encoder's library is missing.

    The reason is not lost: showing that entry alone gives the whole message.
    """
    reads_library = any(option.name == "encoder" for option in entry.options)
    if reads_library and find_spec("timm") is None:  # asking the entry would import torch first
        return None
    try:
        spec = make_spec(entry.name)
    except ConfigError:
        return None
    return count_parameters(spec).trainable
