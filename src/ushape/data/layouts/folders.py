"""Pair images and labels of equal names in two folders: `images/ + labels/`, `imagesTr/`, ..."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ushape.data.layouts.cases import (
    CaseFiles,
    Layout,
    Problem,
    Side,
    list_problems,
    natural_key,
)
from ushape.data.layouts.channel_order import true_names
from ushape.data.layouts.channels import Joined, join_folders, join_numbered
from ushape.data.layouts.class_masks import find_class_folders, join_masks
from ushape.data.layouts.dataset_json import Description, read_description
from ushape.data.layouts.listing import (
    by_name,
    content_of,
    folder_named,
    has_images,
    inner_folders,
    is_image_folder,
    unpaired,
)
from ushape.data.layouts.places import Place, find_places, no_layout
from ushape.data.layouts.series import find_series
from ushape.errors import DataError

NNUNET_FOLDERS = "imagesTr", "labelsTr"
"""Of nnU-Net and of the Medical Segmentation Decathlon."""


@dataclass(frozen=True)
class Paired:
    """The cases of one place.

    Attributes:
        place: Where they lie.
        cases: In natural order.
        problems: Files without partner.
        channel_names: Of folders of channels.
        class_names: Of folders of masks.
        num_images: Images found, with a label or without.
    """

    place: Place
    cases: tuple[CaseFiles, ...]
    problems: tuple[Problem, ...]
    channel_names: tuple[str, ...]
    class_names: tuple[str, ...]
    image_names: tuple[str, ...]


def find_in_folders(
    root: Path, endings: Collection[str], *, label_folder: str | None = None
) -> Layout | None:
    """Read `images/ + labels/`, also in `train/`, also with a folder for each subject or stack.

    Returns:
        The cases, or None where there are no such folders.

    Raises:
        DataError: There is no image, or none with a label.
    """
    places, problems = find_places(root, label_folder)
    if not places:
        return None
    return _joined(root, places, problems, endings, is_numbered=False)


def find_in_nnunet(
    root: Path, endings: Collection[str], *, kind: str | None = None
) -> Layout | None:
    """Read `imagesTr/ + labelsTr/` with `dataset.json`, as nnU-Net and the Decathlon have it.

    Args:
        root: The folder of the data set.
        endings: Of images and labels.
        kind: `nnunet` or `msd`, where a person says it.

    Returns:
        The cases, or None where there are no such folders.

    Raises:
        DataError: There is no image, or none with a label; `dataset.json` is damaged.
    """
    images, labels = (folder_named(root, (name.lower(),)) for name in NNUNET_FOLDERS)
    if images is None or labels is None:
        return None
    place = Place(images, labels)
    return _joined(root, [place], [], endings, is_numbered=True, kind=kind)


def _joined(
    root: Path,
    places: Sequence[Place],
    problems: list[Problem],
    endings: Collection[str],
    *,
    is_numbered: bool,
    kind: str | None = None,
) -> Layout:
    described = read_description(root)
    paired = [_pair(place, endings, is_numbered=is_numbered) for place in places]
    for each in paired:
        problems += each.problems
    if not any(each.image_names for each in paired):
        folder = places[0].images
        told = f"{folder.name}/ holds no image of a known format but {content_of(folder)}"
        raise no_layout(root, told)
    cases, sides = _named_apart(paired)
    if not cases:
        found = list_problems(problems)
        raise DataError(f"{root}: no image has a label of the same name. {found}")
    chosen = kind or _kind(described, is_numbered=is_numbered)
    if chosen == "msd":
        cases = [replace(case, frames_are_channels=not case.channels) for case in cases]
    return Layout(
        _name(root, paired),
        root,
        tuple(cases),
        tuple(problems),
        places[0].labels if len(places) == 1 else places[0].labels.parent,
        chosen,
        described.wish if described else None,
        true_names(described.channel_names if described else (), paired[0].channel_names),
        split=sides,
    )


def _kind(described: Description | None, *, is_numbered: bool) -> str:
    if not is_numbered:
        return "folders"
    return "msd" if described is not None and described.is_decathlon else "nnunet"


def _pair(place: Place, endings: Collection[str], *, is_numbered: bool) -> Paired:
    """Pair the images and labels of one place."""
    class_folders = find_class_folders(place.labels)
    labels: dict[str, list[Path]] = {}
    label_problems: list[Problem] = []
    if class_folders:
        known = {name for folder in class_folders.values() for name in by_name(folder, endings)[0]}
    else:
        labels, label_problems = by_name(place.labels, endings)
        known = set(labels)
    (images, channels, problems), names = _images(place, endings, known, is_certain=is_numbered)
    if not images:
        return Paired(place, (), tuple(problems), (), (), ())
    if class_folders:
        masks, more = join_masks(images, class_folders, place.labels, endings)
        cases = [CaseFiles(name, images[name][0], None, found) for name, found in masks.items()]
    else:
        cases = [
            CaseFiles(name, images[name][0], labels[name][0])
            for name in sorted(images, key=natural_key)
            if len(images[name]) == 1 and len(labels.get(name, ())) == 1
        ]
        more = [*label_problems, *unpaired(images, labels, place.labels, place.images)]
    return Paired(
        place,
        tuple(
            replace(case, channels=channels.get(case.id, ()), group=place.group) for case in cases
        ),
        (*problems, *more),
        names,
        tuple(class_folders),
        tuple(images),
    )


def _images(
    place: Place, endings: Collection[str], known: Collection[str], *, is_certain: bool
) -> tuple[Joined, tuple[str, ...]]:
    """Collect the images of a place, and the names of channels that have folders."""
    images, problems = by_name(place.images, endings)
    series, more = find_series(place.images, known, endings)
    problems += more
    for name, paths in series.items():
        if name in images:
            text = f"the name {name!r} stands twice, also as {images[name][0].name}: keep one"
            problems.append(Problem(paths[0], text, "error"))
        images.setdefault(name, []).extend(paths)
    if images:
        joined, channels, more = join_numbered(images, known, is_certain=is_certain)
        return (joined, channels, problems + more), ()
    folders = [each for each in inner_folders(place.images) if has_images(each, endings)]
    joined, channels, more = join_folders(folders, endings)
    return (joined, channels, problems + more), tuple(folder.name for folder in folders)


def _named_apart(paired: Sequence[Paired]) -> tuple[list[CaseFiles], dict[str, Side]]:
    """Join places; where a name stands in several, all names get that of their folder in front.

    Where that stands in several sides too, all names get that of their side as well.
    """
    counts = Counter(name for each in paired for name in each.image_names)
    is_apart = any(count > 1 for count in counts.values())
    folders = Counter(each.place.group or each.place.side for each in paired)
    is_twice = any(count > 1 for count in folders.values())
    cases, sides = [], {}
    for each in paired:
        place = each.place
        folder = place.group or place.side or ""
        if is_twice and place.group and place.side:
            folder = f"{place.side}_{place.group}"
        for case in each.cases:
            name = f"{folder}_{case.id}" if is_apart else case.id
            cases.append(replace(case, id=name))
            if place.side is not None:
                sides[name] = place.side
    return sorted(cases, key=lambda case: natural_key(case.id)), sides


def _name(root: Path, paired: Sequence[Paired]) -> str:
    """Name the folders."""
    first = paired[0].place
    images, labels = (path.relative_to(root).as_posix() for path in (first.images, first.labels))
    if first.group is not None:
        parents = (
            path.parent.relative_to(root).as_posix() for path in (first.images, first.labels)
        )
        images, labels = (f"{parent}/*" for parent in parents)
    name = f"{images} + {labels}"
    if paired[0].class_names:
        name += f"/ ({', '.join(paired[0].class_names)})"
    if paired[0].channel_names:
        name = f"{images}/ ({', '.join(paired[0].channel_names)}) + {labels}"
    if any(each.place.side == "val" for each in paired):
        name += ", val"
    return name


def of_pictures_themselves(root: Path, names: Collection[str]) -> bool:
    """Tell whether a person gave the folder of images or labels instead of its parent."""
    return root.name.lower() in names and has_images(root) and not is_image_folder(root)
