"""Channels of one image in several files: `NAME_0000`, `NAME_0001`, or a folder a channel."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from ushape.data.io import split_channel
from ushape.data.layouts.cases import Problem, natural_key
from ushape.data.layouts.listing import by_name

Joined = tuple[dict[str, list[Path]], dict[str, tuple[Path, ...]], list[Problem]]
"""Case -> its first file, or two files where it is not known which one is meant; case -> all its
files where there are several channels; problems."""


def join_numbered(
    images: Mapping[str, Sequence[Path]], labels: Collection[str], *, is_certain: bool
) -> Joined:
    """Collect the files of every case whose names end in the number of a channel.

    Args:
        images: Files by name.
        labels: Names of labels. A name that a label has too is a case, not a channel.
        is_certain: Every other number is a channel's, as in nnU-Net's layout; else only those of
            cases that a label names.
    """
    numbered: dict[str, dict[int, Path]] = {}
    problems: list[Problem] = []
    doubtful: dict[str, list[Path]] = {}
    for name, paths in images.items():
        case, number = (name, None) if name in labels else split_channel(f"{name}.nii")
        if number is not None and not is_certain and case not in labels:
            case, number = name, None
        if (number or 0) in numbered.setdefault(case, {}):
            text = f"case {case!r} has this channel twice: keep one of them"
            problems.append(Problem(paths[0], text, "error"))
            doubtful[case] = [numbered[case][number or 0], paths[0]]
        if len(paths) > 1:  # told of already
            doubtful[case] = list(paths)
        numbered[case][number or 0] = paths[0]
    complete = {case: found for case, found in numbered.items() if case not in doubtful}
    joined, several, more = _complete(complete)
    return joined | doubtful, several, problems + more


def _complete(numbered: Mapping[str, Mapping[int, Path]]) -> Joined:
    """Keep the cases that have all channels."""
    most = max((len(found) for found in numbered.values()), default=0)
    joined: dict[str, list[Path]] = {}
    several: dict[str, tuple[Path, ...]] = {}
    problems = []
    for case, found in numbered.items():
        if sorted(found) != list(range(most)):
            has = ", ".join(found[number].name for number in sorted(found))
            text = f"case {case!r} has {len(found)} of {most} channels ({has}): add the others"
            problems.append(Problem(found[min(found)], text, "error"))
            continue
        joined[case] = [found[0]]
        if most > 1:
            several[case] = tuple(found[number] for number in range(most))
    return joined, several, problems


def join_folders(folders: Sequence[Path], endings: Collection[str]) -> Joined:
    """Collect the files of equal names from folders that hold a channel each, in their order."""
    found: dict[str, dict[Path, Path]] = {}
    problems: list[Problem] = []
    doubtful: dict[str, list[Path]] = {}
    for folder in folders:
        images, more = by_name(folder, endings)
        problems += more
        for name, paths in images.items():
            found.setdefault(name, {})[folder] = paths[0]
            if len(paths) > 1:
                doubtful[name] = list(paths)
    joined: dict[str, list[Path]] = {}
    several: dict[str, tuple[Path, ...]] = {}
    for name in sorted(found.keys() - doubtful.keys(), key=natural_key):
        missing = [folder.name for folder in folders if folder not in found[name]]
        channels = tuple(found[name][folder] for folder in folders if folder in found[name])
        if missing:
            text = f"case {name!r} is not in {', '.join(missing)}/: add that channel"
            problems.append(Problem(channels[0], text, "error"))
            continue
        joined[name] = [channels[0]]
        if len(folders) > 1:
            several[name] = channels
    return joined | doubtful, several, problems
