"""Hold cases out by number rather than by name: a fraction of them, or one fold of several.

Cases that belong together (scans of one subject, slices of one stack) stay together.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ushape.data.layouts import natural_key
from ushape.errors import ConfigError

FOLD_SEED = 12345
"""Folds are shuffled with this seed, whatever the seed of the run, as nnU-Net's are."""

MOST_SWAPS_TRIED = 64


@dataclass(frozen=True)
class CaseFacts:
    """What is known of the cases besides their names.

    Attributes:
        groups: By case id, the subject or the stack that it belongs to; others are on their own.
        classes: By case id, the foreground classes that it holds.
        is_stack: The cases are slices, and a group is a stack of them.
        are_volumes: The cases are volumes, so that consecutive numbers are no neighbours.
    """

    groups: Mapping[str, str] = field(default_factory=dict)
    classes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    is_stack: bool = False
    are_volumes: bool = False


NOTHING_KNOWN = CaseFacts()

Units = dict[str, list[str]]
"""Cases that are not divided, by the name of their group or their own."""


def fold_positions(count: int, number: int, of: int) -> list[int]:
    """Return which of `count` sorted things are held out in one fold of several.

    The same as the test indices of scikit-learn's `KFold(of, shuffle=True, random_state=12345)`,
    which nnU-Net divides its cases with.

    >>> fold_positions(5, 0, 5), fold_positions(5, 1, 5)
    ([0], [4])
    """
    shuffled = np.arange(count)
    np.random.RandomState(FOLD_SEED).shuffle(shuffled)  # scikit-learn's generator
    sizes = np.full(of, count // of)
    sizes[: count % of] += 1
    first = int(sizes[:number].sum())
    return sorted(shuffled[first : first + int(sizes[number])].tolist())


def hold_out_fold(
    ids: Sequence[str], number: int, of: int, facts: CaseFacts
) -> tuple[list[str], str]:
    """Hold out fold `number` of `of`, counted from 0; return the cases and how they were chosen.

    Raises:
        ConfigError: There is no such fold, or there are more folds than cases to divide.
    """
    if of < 2 or not 0 <= number < of:
        raise ConfigError(
            f"there is no fold {number} of {of}: give two folds or more, numbered from 0 to "
            f"{max(of, 2) - 1}"
        )
    name = f"fold {number} of {of}"
    units = _units(ids, facts)
    if facts.is_stack and len(units) < of:
        blocks = [_block(unit, number, of) for unit in units.values()]
        return [case for block in blocks for case in block], (
            f"{name}: a block of neighbouring slices {_of_stacks(len(units))}"
        )
    if len(units) < of:
        what = "cases" if len(units) == len(ids) else "subjects"
        raise ConfigError(f"{len(units)} {what} cannot be divided into {of} folds: give fewer")
    names = sorted(units)
    held = [
        case for place in fold_positions(len(names), number, of) for case in units[names[place]]
    ]
    together = _together(facts, len(units) < len(ids))
    return held, f"{name} over the sorted names (seed {FOLD_SEED}){together}"


def hold_out_fraction(
    ids: Sequence[str], piece: str, seed: int, facts: CaseFacts
) -> tuple[list[str], str]:
    """Hold out a fraction such as `0.2` or `20%`; return the cases and how they were chosen.

    Of stacks, one block of slices at the end of each. Of pictures that are numbered without a gap,
    the last block, as neighbours resemble each other. Else those cases (or subjects) whose hash
    with the seed is smallest, so that adding a case moves few of the others; then single ones are
    exchanged until every class, as far as two hold it, is on both sides.

    Raises:
        ConfigError: The fraction leaves none on one side.
    """
    fraction = float(piece[:-1]) / 100 if piece.endswith("%") else float(piece)
    if not 0 < fraction < 1 or len(ids) < 2:
        raise ConfigError(
            f"the fraction {piece} of {len(ids)} cases leaves none on one side: "
            "give a number between 0 and 1, and two cases or more"
        )
    count = _at_least_one(fraction, len(ids))
    units = _units(ids, facts)
    if facts.is_stack and max(map(len, units.values())) > 1:
        return _last_slices(units, fraction, piece)
    if not (facts.are_volumes or facts.groups) and _are_consecutive(ids):
        block = sorted(ids, key=int)[-count:]
        return block, (
            f"the last block {block[0]}-{block[-1]} ({piece}), since consecutive numbers look "
            "like neighbouring sections of one stack"
        )
    if len(units) < 2:
        raise ConfigError(
            f"all {len(ids)} cases belong to one subject, {next(iter(units))!r}, and cannot be "
            "divided by chance: name validation cases with --val"
        )
    held = _by_hash(units, count, seed)
    balanced = _balanced(units, held, facts, seed)
    reason = f"{piece} at random (seed {seed})"
    if balanced != held:
        reason += ", with every class on both sides where two cases hold it"
    reason += _together(facts, len(units) < len(ids))
    return [case for name in balanced for case in units[name]], reason


def _units(ids: Sequence[str], facts: CaseFacts) -> Units:
    units: Units = {}
    lone = "the stack" if facts.is_stack else None
    # Slices are given in the order of their places, which names need not have.
    for case in ids if facts.is_stack else sorted(ids, key=natural_key):
        units.setdefault(facts.groups.get(case) or lone or case, []).append(case)
    return units


def _block(unit: Sequence[str], number: int, of: int) -> list[str]:
    if len(unit) < of:
        raise ConfigError(
            f"a stack of {len(unit)} slices ({unit[0]} to {unit[-1]}) cannot be divided into {of} "
            "folds: give fewer"
        )
    return [str(case) for case in np.array_split(np.array(unit), of)[number]]


def _last_slices(units: Units, fraction: float, piece: str) -> tuple[list[str], str]:
    blocks = [unit[-_at_least_one(fraction, len(unit)) :] for unit in units.values() if unit[1:]]
    held = [case for block in blocks for case in block]
    which = f"the last block {held[0]}-{held[-1]}" if len(blocks) == 1 else "the last slices"
    return held, (
        f"{which} ({piece}) {_of_stacks(len(blocks))}, since neighbouring slices look alike"
    )


def _of_stacks(number: int) -> str:
    return "of the stack" if number == 1 else f"of each of {number} stacks"


def _together(facts: CaseFacts, is_grouped: bool) -> str:
    if not is_grouped:
        return ""
    return f", {'stacks' if facts.is_stack else 'subjects'} kept together"


def _at_least_one(fraction: float, count: int) -> int:
    return min(max(round(fraction * count), 1), count - 1)


def _are_consecutive(ids: Sequence[str]) -> bool:
    if not all(name.isdecimal() for name in ids):
        return False
    numbers = sorted(int(name) for name in ids)
    return numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def _in_order(units: Units, seed: int) -> list[str]:
    return sorted(units, key=lambda name: hashlib.sha256(f"{seed}:{name}".encode()).digest())


def _by_hash(units: Units, count: int, seed: int) -> list[str]:
    """Take units in the order of their hash until they hold as many cases as wanted, or nearly."""
    held: list[str] = []
    lacking = count
    for name in _in_order(units, seed):
        excess = len(units[name]) - lacking
        if lacking > 0 and excess <= lacking and len(held) < len(units) - 1:
            held.append(name)
            lacking -= len(units[name])
    return held or [min(units, key=lambda name: len(units[name]))]


def _balanced(units: Units, held: list[str], facts: CaseFacts, seed: int) -> list[str]:
    """Exchange units while that brings a class to a side that lacks it."""
    holds = {
        name: {c for case in cases for c in facts.classes.get(case, ())}
        for name, cases in units.items()
    }
    order = _in_order(units, seed)

    def lacks(chosen: Sequence[str]) -> set[tuple[int, bool]]:
        """Return (class, whether validation lacks it); a class that one unit holds trains."""
        inside = set(chosen)
        found = set()
        for each in sorted(set().union(*holds.values())):
            holders = [name for name in order if each in holds[name]]
            number = sum(name in inside for name in holders)
            if number == len(holders):
                found.add((each, False))
            elif not number and len(holders) > 1:
                found.add((each, True))
        return found

    missing = lacks(held)
    while missing:
        swaps = _swaps(order, held, holds, missing)
        best = min(swaps, key=lambda swap: len(lacks(swap)), default=held)
        if len(lacks(best)) >= len(missing):
            break
        held, missing = best, lacks(best)
    return held


def _swaps(
    order: Sequence[str],
    held: list[str],
    holds: Mapping[str, set[int]],
    missing: set[tuple[int, bool]],
) -> list[list[str]]:
    """List exchanges of one unit for another that move a missing class to where it is missing."""
    to_val = {each for each, is_val in missing if is_val}
    to_train = {each for each, is_val in missing if not is_val}
    swaps = []
    for coming in [name for name in order if name not in held]:
        for going in reversed(held):
            if holds[coming] & to_val or holds[going] & to_train:
                swaps.append([coming if name == going else name for name in held])
                if len(swaps) == MOST_SWAPS_TRIED**2:
                    return swaps
    return swaps
