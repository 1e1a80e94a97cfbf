"""Choose some of the cases by name, range, pattern, fraction, fold or list: what `--val` takes."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ushape.data.holdout import NOTHING_KNOWN, CaseFacts, hold_out_fold, hold_out_fraction
from ushape.data.io import PICTURE_SUFFIXES
from ushape.data.layouts import natural_key
from ushape.errors import ConfigError, nearest_name

_FORMS = (
    "give names, a range 24-29, a pattern b_*, a fraction 0.2 or 20%, fold 0 of 5, or a .txt file "
    "of names"
)
_FRACTION = re.compile(r"(?:0?\.\d+|\d+(?:\.\d+)?%)")
_FOLD = re.compile(r"fold\s+(\d+)\s+of\s+(\d+)", re.IGNORECASE)


class Selection(NamedTuple):
    """The chosen ids in natural order, and one sentence on how they were chosen."""

    ids: tuple[str, ...]
    reason: str


def is_fraction(selection: str) -> bool:
    """Tell whether a selection is a fraction and nothing else."""
    return _FRACTION.fullmatch(selection.strip()) is not None


def choose_cases(
    ids: Sequence[str], selection: str, *, seed: int = 0, facts: CaseFacts = NOTHING_KNOWN
) -> Selection:
    """Choose cases by what a person typed.

    Pieces joined by commas are united. A piece is, in this order: the name of a case; a text
    file of names, one a line (`#` starts a comment); a pattern with `*`, `?` or `[`; a fraction;
    a fold of several, such as `fold 0 of 5`; a range of numbers, such as `24-29` or
    `slice_24-slice_29`, both ends included. How fractions and folds are chosen stands in
    `ushape.data.holdout`.

    Args:
        ids: All cases; slices in the order of their places.
        selection: The text.
        seed: Changes what a fraction takes; folds have a seed of their own.
        facts: What fractions and folds respect: subjects, stacks, classes.

    Raises:
        ConfigError: A piece is not understood or matches nothing, or all cases are chosen.

    >>> choose_cases(["00", "01", "02", "03"], "2-3").ids
    ('02', '03')
    """
    pieces = [piece.strip() for piece in selection.split(",") if piece.strip()]
    if not pieces:
        raise ConfigError(f"the selection {selection!r} is empty: {_FORMS}")
    chosen: set[str] = set()
    reasons = []
    for piece in pieces:
        names, reason = _choose_piece(ids, piece, seed, facts)
        chosen.update(names)
        reasons.append(reason)
    if len(chosen) == len(set(ids)):
        raise ConfigError(
            f"the selection {selection!r} takes all {len(ids)} cases, so none is left: take fewer"
        )
    in_order = tuple(sorted(chosen, key=natural_key))
    return Selection(in_order, f"{len(in_order)} of {len(ids)} cases: {', '.join(reasons)}")


def _choose_piece(
    ids: Sequence[str], piece: str, seed: int, facts: CaseFacts
) -> tuple[Sequence[str], str]:
    name = _as_id(ids, piece)
    if name is not None:
        return [name], name
    path = Path(piece).expanduser()
    if path.suffix == ".txt" or path.is_file():
        return _from_file(ids, path)
    if any(mark in piece for mark in "*?["):
        matches = fnmatch.filter(ids, piece)
        if not matches:
            raise ConfigError(f"the pattern {piece!r} matches no case ({_some(ids)})")
        return matches, f"the pattern {piece}"
    if _FRACTION.fullmatch(piece):
        return hold_out_fraction(ids, piece, seed, facts)
    fold = _FOLD.fullmatch(piece)
    if fold is not None:
        return hold_out_fold(ids, int(fold[1]), int(fold[2]), facts)
    found = _choose_range(ids, piece)
    if found is None:
        raise ConfigError(_unknown_case(ids, piece))
    return found, f"the range {piece}"


def _as_id(ids: Sequence[str], name: str) -> str | None:
    """Return the id that a name means; the ending of a picture file may be written along."""
    if name in ids:
        return name
    stem, dot, ending = name.rpartition(".")
    return stem if dot and f".{ending.lower()}" in PICTURE_SUFFIXES and stem in ids else None


def _from_file(ids: Sequence[str], path: Path) -> tuple[list[str], str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise ConfigError(f"cannot read the list of cases {path}: {why}") from error
    names = []
    for number, line in enumerate(lines, start=1):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        name = _as_id(ids, text)
        if name is None:
            raise ConfigError(f"{path}, line {number}: {_unknown_case(ids, text)}")
        names.append(name)
    if not names:
        raise ConfigError(f"the list of cases {path} names none: write one name a line")
    return names, f"named in {path.name}"


def _choose_range(ids: Sequence[str], piece: str) -> list[str] | None:
    """Return the cases of a range, or None when the piece does not read as one."""
    match = re.fullmatch(r"(.*?)(\d+)\s*-\s*(.*?)(\d+)", piece)
    if match is None or match[3] not in ("", match[1]):
        return None
    prefix, first, last = match[1], int(match[2]), int(match[4])
    if first > last:
        raise ConfigError(f"the range {piece} runs backwards: write {match[4]}-{match[2]}")
    numbers = _numbers(ids, prefix, piece)
    found = [name for name, number in numbers.items() if first <= number <= last]
    if not found:
        raise ConfigError(f"no case has a number in the range {piece} ({_some(ids)})")
    return found


def _numbers(ids: Sequence[str], prefix: str, piece: str) -> dict[str, int]:
    """Number the cases: by the whole id where ids are numbers, else by the digits at their end."""
    if prefix:
        pattern = re.compile(re.escape(prefix) + r"(\d+)")
        return {name: int(m[1]) for name in ids if (m := pattern.fullmatch(name))}
    whole = {name: int(name) for name in ids if name.isdecimal()}
    if whole:
        return whole
    trailing = {name: int(m[1]) for name in ids if (m := re.search(r"(\d+)$", name))}
    seen: dict[int, str] = {}
    for name, number in trailing.items():
        if number in seen:
            raise ConfigError(
                f"the range {piece} is ambiguous: {seen[number]!r} and {name!r} have the same "
                f"number; write the names in full, such as {seen[number]}-..., or use a pattern"
            )
        seen[number] = name
    return trailing


def _unknown_case(ids: Sequence[str], name: str) -> str:
    near = nearest_name(name, ids)
    hint = f"did you mean {near!r}?" if near else f"({_some(ids)})"
    return f"there is no case {name!r}: {hint} {_FORMS[0].upper()}{_FORMS[1:]}"


def _some(ids: Sequence[str]) -> str:
    listed = sorted(ids, key=natural_key)
    text = ", ".join(listed) if len(listed) <= 6 else f"{', '.join(listed[:3])} .. {listed[-1]}"
    return f"cases: {text}"
