"""Read images with their labels beside them: `a.png` and `a_mask.png`, in one folder or several."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from ushape.data.layouts.case_folder import LABEL_WORDS
from ushape.data.layouts.cases import CaseFiles, Layout, Problem, natural_key
from ushape.data.layouts.dataset_json import read_description
from ushape.data.layouts.listing import by_name, has_images, inner_folders
from ushape.data.layouts.places import SIDES

_LABEL = re.compile(rf"(?P<image>.+?)[ _.-](?P<word>{'|'.join(LABEL_WORDS)})", re.IGNORECASE)


@dataclass(frozen=True)
class _Pair:
    """An image and its label, by the name of the image."""

    name: str
    image: Path
    label: Path
    folder: str | None


def find_pairs(root: Path, endings: Collection[str]) -> Layout | None:
    """Read a data set whose labels lie beside their images, called as they are and `_mask` or so.

    Such files may lie in the folder itself; or in one folder for each subject, whose cases then
    are one group; or in `train` and `val`.

    Returns:
        The cases; None where no image has such a label.
    """
    folders = [root] if has_images(root, endings) else inner_folders(root)
    sides = {folder.name: SIDES.get(folder.name.lower()) for folder in folders}
    if any(sides.values()):  # whatever else is there, such as test/, is for later
        folders = [folder for folder in folders if sides[folder.name] is not None]
    pairs: list[_Pair] = []
    problems: list[Problem] = []
    for place in folders:
        found, more = _pairs_in(place, endings, folder=None if place == root else place.name)
        pairs += found
        problems += more if found else []
    if not pairs:
        return None
    counts = Counter(pair.name for pair in pairs)
    is_apart = any(count > 1 for count in counts.values())
    cases, split = [], {}
    for pair in pairs:
        name = f"{pair.folder}_{pair.name}" if is_apart else pair.name
        side = sides.get(pair.folder or "")
        group = None if side is not None else pair.folder
        cases.append(CaseFiles(name, pair.image, pair.label, group=group))
        if side is not None:
            split[name] = side
    words = Counter(pair.label.stem.removeprefix(pair.name).split(".")[0] for pair in pairs)
    described = read_description(root)
    inner = "" if folders == [root] else "*/"
    return Layout(
        f"{inner}NAME + {inner}NAME{words.most_common(1)[0][0]}",
        root,
        tuple(sorted(cases, key=lambda case: natural_key(case.id))),
        tuple(problems),
        root,
        "pairs",
        described.wish if described else None,
        described.channel_names if described else (),
        split=split if len(set(split.values())) == 2 else {},
    )


def _pairs_in(
    place: Path, endings: Collection[str], *, folder: str | None
) -> tuple[list[_Pair], list[Problem]]:
    """Pair the files of one folder; tell those that are left."""
    files, problems = by_name(place, endings)
    labels: dict[str, list[Path]] = {}
    for name, paths in files.items():
        match = _LABEL.fullmatch(name)
        if match is not None and match["image"] in files:
            labels.setdefault(match["image"], []).extend(paths)
    used = {path for paths in labels.values() for path in paths}
    pairs = []
    for name, (image, *others) in files.items():
        if image in used or others:
            continue
        found = labels.get(name, [])
        if len(found) == 1:
            pairs.append(_Pair(name, image, found[0], folder))
        else:
            several = ", ".join(path.name for path in found)
            text = f"several labels ({several}): keep one" if found else "no label beside it"
            problems.append(Problem(image, text, "error"))
    return pairs, problems
