"""Whether the files of an image's channels come in the order that a model was trained on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from ushape.data.io import stem_of
from ushape.data.layouts import CaseFiles
from ushape.errors import DataError


def check_channels(case: CaseFiles, names: Sequence[str]) -> None:
    """Refuse channels whose files bear the names of other channels.

    A file bears a name as its own (`t1.nii.gz`), at its end (`case_3-t1.nii.gz`) or as that of its
    folder (`t1/case_3.nii.gz`). Files that bear none, or all the same, say nothing.

    Args:
        case: To predict.
        names: Of the model's channels, in order; empty where nobody named them.

    Raises:
        DataError: A channel stands in the place of another.
    """
    for each in case.planes or (case,):
        if len(each.channels) == len(names):
            _check(each.channels, [name.lower() for name in names], names)


def _check(paths: Sequence[Path], wanted: Sequence[str], names: Sequence[str]) -> None:
    found = [{wanted.index(word) for word in _words(path) if word in wanted} for path in paths]
    for place, (path, meant) in enumerate(zip(paths, found, strict=True)):
        others = set().union(*(found[:place] + found[place + 1 :]))
        if place not in meant and meant - others:
            raise DataError(
                f"{path}: by its name this is the channel {names[min(meant - others)]}, but it "
                f"stands in the place of {names[place]}: the model takes {', '.join(names)} in "
                "this order; name the files so, or number them _0000, _0001, ..."
            )


def _words(path: Path) -> set[str]:
    stem = stem_of(path).lower()
    return {stem, re.split(r"[\s_.-]", stem)[-1], path.parent.name.lower()}
