"""Which cases train and which measure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ushape.data.holdout import CaseFacts
from ushape.data.selection import choose_cases, is_fraction
from ushape.errors import ConfigError


@dataclass(frozen=True)
class Split:
    """Case ids of training and validation, and why."""

    train: tuple[str, ...]
    val: tuple[str, ...]
    reason: str


def split_cases(
    ids: Sequence[str],
    selection: str,
    *,
    seed: int = 0,
    groups: Mapping[str, str] | None = None,
    classes: Mapping[str, tuple[int, ...]] | None = None,
    is_stack: bool = False,
    are_volumes: bool = False,
) -> Split:
    """Set validation cases aside.

    Args:
        ids: All usable cases.
        selection: What `--val` said: names, ranges, globs, a fraction, a fold, a text file of
            names; or `none`, to train on everything and measure nothing.
        seed: Of the random choice for a fraction.
        groups: By case id, the subject or stack that it belongs to; a fraction or a fold does not
            divide subjects.
        classes: By case id, the foreground classes that it holds; a fraction has all of them on
            both sides, as far as two cases hold them.
        is_stack: The cases are slices of stacks: a fraction is a block at the end of each.
        are_volumes: The cases are volumes: consecutive numbers mean nothing.

    Raises:
        ConfigError: The selection names unknown cases, or leaves nothing to train on.
    """
    if selection == "none":
        return Split(tuple(ids), (), "no validation, as asked: nothing tells how good the model is")
    if len(ids) == 1 and is_fraction(selection):
        return Split(tuple(ids), (), "one case cannot be divided, and trains")
    if len(ids) < 2:
        raise ConfigError(
            f"{len(ids)} case cannot be split: give two cases or more, "
            "or --val none to train without validation"
        )
    facts = CaseFacts(groups or {}, classes or {}, is_stack, are_volumes)
    chosen = choose_cases(ids, selection, seed=seed, facts=facts)
    held = set(chosen.ids)
    return Split(tuple(i for i in ids if i not in held), chosen.ids, chosen.reason)
