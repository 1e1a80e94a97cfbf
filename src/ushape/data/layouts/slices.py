"""Take pictures for the slices of stacks: which stack each belongs to, and its place in it."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from ushape.data.io import PICTURE_SUFFIXES, read_header
from ushape.data.layouts.cases import CaseFiles, Layout, Problem, natural_key
from ushape.data.layouts.listing import has_ending
from ushape.errors import DataError

_SLICE_ENDINGS = (*PICTURE_SUFFIXES, ".npy", ".npz", ".dcm")
_NUMBERED = re.compile(
    r"(?P<stack>.*?)[ _.-]*(?:z|slice|sec|section|s)?[ _.-]*(?P<number>\d+)", re.I
)
_ONE_STACK = "stack"


def as_slices(layout: Layout, stack_mm: tuple[float, float, float]) -> Layout:
    """Give every case the stack it belongs to (`group`) and its `position` there.

    The stack is the group that the layout knows (a folder, a column of the manifest), else what
    the name says before the number of the slice. Positions are these numbers in units of their
    smallest step; where all names of a group have none, their order.

    Args:
        layout: Of pictures.
        stack_mm: Voxel edges, z y x.

    Raises:
        DataError: The images are volumes; a name has no number; two have the same one.
    """
    _check_pictures(layout.cases)
    stacks: dict[str, list[CaseFiles]] = {}
    for case in layout.cases:
        group = case.group if case.group is not None else _stack_of(case)
        stacks.setdefault(group, []).append(replace(case, group=group, spacing_mm=None))
    cases: list[CaseFiles] = []
    problems = list(layout.problems)
    for group in sorted(stacks, key=natural_key):
        placed, step = _placed(group, stacks[group])
        cases += placed
        problems += _told(group, placed, step)
    return replace(
        layout,
        name=f"{layout.name}, slices",
        cases=tuple(cases),
        problems=tuple(problems),
        stack_mm=stack_mm,
    )


def _check_pictures(cases: Sequence[CaseFiles]) -> None:
    """Refuse volumes: by their endings, and where these do not tell, by the header of the first."""
    volumes = (
        case.image
        for case in cases
        if case.image.is_dir() or not has_ending(case.image, _SLICE_ENDINGS)
    )
    path = next(volumes, None)
    if path is None and _has_pages(cases[0].image):
        path = cases[0].image
    if path is not None:
        raise DataError(
            f"--stack: {path} is a volume by itself, not a slice: leave --stack out (files of "
            "volumes say their spacing; a manifest can, in a column spacing_mm)"
        )


def _has_pages(path: Path) -> bool:
    try:
        return read_header(path).grid.spatial_dims == 3
    except DataError:  # told where all images are read
        return False


def _stack_of(case: CaseFiles) -> str:
    found = _NUMBERED.fullmatch(case.id)
    if found is None:
        raise DataError(
            f"--stack: the name {case.id!r} does not end in the number of a slice: number the "
            "slices, put each stack into a folder of its own in both folders, or give a manifest "
            "with the columns group and slice"
        )
    return found["stack"] or _ONE_STACK


def _placed(group: str, slices: Sequence[CaseFiles]) -> tuple[list[CaseFiles], int]:
    """Sort the slices of a stack by number, and give each its position; with the step."""
    known = {case.id: _number(case) for case in slices}
    if all(number is None for number in known.values()):
        ordered = sorted(slices, key=lambda case: natural_key(case.id))
        return [replace(case, position=place) for place, case in enumerate(ordered)], 1
    unnumbered = next((name for name, number in known.items() if number is None), None)
    if unnumbered is not None:
        raise DataError(
            f"--stack: {unnumbered!r} of the stack {group!r} has no number, others have: "
            "number every slice"
        )
    numbers = {case.id: known[case.id] or 0 for case in slices}
    ordered = sorted(slices, key=lambda case: numbers[case.id])
    for before, after in pairwise(ordered):
        if numbers[before.id] == numbers[after.id]:
            raise DataError(
                f"--stack: {before.id!r} and {after.id!r} are both slice {numbers[after.id]} of "
                f"the stack {group!r}: remove or renumber one"
            )
    first = numbers[ordered[0].id]
    step = max(1, math.gcd(*(number - first for number in numbers.values())))
    return [replace(case, position=(numbers[case.id] - first) // step) for case in ordered], step


def _number(case: CaseFiles) -> int | None:
    if case.position is not None:
        return case.position
    found = _NUMBERED.fullmatch(case.id)
    return int(found["number"]) if found else None


def _told(group: str, placed: Sequence[CaseFiles], step: int) -> list[Problem]:
    """Tell gaps, where a stack is divided, and steps other than one."""
    places = [(case.position or 0, case) for case in placed]
    problems = []
    if step > 1:
        text = f"the slices of {group!r} are numbered in steps of {step}: taken for neighbours"
        problems.append(Problem(placed[0].image, text, "warning"))
    for (before, last), (after, case) in pairwise(places):
        if after > before + 1:
            number = after - before - 1
            text = (
                f"{number} slice{'s' * (number > 1)} of {group!r} missing between {last.id} and "
                f"{case.id}: the stack is divided there"
            )
            problems.append(Problem(case.image, text, "warning"))
    return problems
