"""Which cases train and which measure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ushape.data.selection import choose_cases
from ushape.errors import ConfigError


@dataclass(frozen=True)
class Split:
    """Case ids of training and validation, and why."""

    train: tuple[str, ...]
    val: tuple[str, ...]
    reason: str


def split_cases(ids: Sequence[str], selection: str, *, seed: int = 0) -> Split:
    """Set validation cases aside.

    Args:
        ids: All usable cases.
        selection: What `--val` said: names, ranges, globs, a fraction, a text file of names;
            or `none`, to train on everything and measure nothing.
        seed: Of the random choice for a fraction.

    Raises:
        ConfigError: The selection names unknown cases, or leaves nothing to train on.
    """
    if selection == "none":
        return Split(tuple(ids), (), "no validation, as asked: nothing tells how good the model is")
    if len(ids) < 2:
        raise ConfigError(
            f"{len(ids)} case cannot be split: give two cases or more, "
            "or --val none to train without validation"
        )
    chosen = choose_cases(ids, selection, seed=seed)
    held = set(chosen.ids)
    return Split(tuple(i for i in ids if i not in held), chosen.ids, chosen.reason)
