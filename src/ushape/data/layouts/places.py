"""Find the folders of images and labels of a data set, by their names."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from ushape.data.layouts.cases import Problem, Side
from ushape.data.layouts.listing import (
    content_of,
    folder_named,
    folders_named,
    has_images,
    inner_folders,
)
from ushape.errors import DataError

IMAGE_FOLDERS = ("images", "image", "imgs", "img", "scans", "volumes", "inputs", "input", "raw")
LABEL_FOLDERS = (
    *("labels", "masks", "label", "mask", "segmentations", "segmentation", "segs", "seg"),
    *("ground_truth", "groundtruth", "gt", "annotations", "annotation", "targets", "target"),
)
SIDES: dict[str, Side] = {
    **{"train": "train", "training": "train"},
    **{"val": "val", "valid": "val", "validation": "val"},
}
"""Folders by their name: cases to train on, and to measure with."""

NOT_SEEN = ("test", "testing")
"""Folders whose cases are for later."""

EXPECTED = (
    "expected are images/ (or image/) and labels/ (or masks/, label/, mask/), with equal names "
    "before the ending; in the folder itself or in its train/. Others: nnU-Net's imagesTr/ and "
    "labelsTr/, one folder a case, a manifest.csv"
)


@dataclass(frozen=True)
class Place:
    """A folder of images and the folder of their labels.

    Attributes:
        images: Holds images, or a folder of them for each channel.
        labels: Holds labels of the same names, or a folder of masks for each class.
        group: The subject or the stack that all its images belong to.
        side: Of the division that the data set makes itself.
    """

    images: Path
    labels: Path
    group: str | None = None
    side: Side | None = None


def find_places(root: Path, label_folder: str | None) -> tuple[list[Place], list[Problem]]:
    """Find all folders with images and their labels; none where there are no such folders.

    Raises:
        DataError: There is no folder of the name that was said.
    """
    for parent in (root, *folders_named(root, ("train", "training"))):
        place = _place(parent, label_folder)
        if place is None:
            continue
        problems = [] if label_folder is not None else _other_folders(parent, place.labels)
        sides = [place] if parent == root else _sides(root, place, label_folder)
        found = []
        for side in sides:
            inner, more = _expand(side)
            found += inner
            problems += more
        return found, problems
    if label_folder is not None:
        raise DataError(
            f"{root}: --label-folder {label_folder}: there is no such folder beside the images; "
            f"found: {content_of(root)}"
        )
    return [], []


def _sides(root: Path, train: Place, label_folder: str | None) -> list[Place]:
    """Add the folders of validation cases beside those of training cases, if there are any."""
    names = [name for name, side in SIDES.items() if side == "val"]
    found = [_place(folder, label_folder) for folder in folders_named(root, names)]
    val = [replace(place, side="val") for place in found if place is not None]
    return [replace(train, side="train"), *val] if val else [train]


def _place(parent: Path, label_folder: str | None) -> Place | None:
    images = _fullest(folders_named(parent, IMAGE_FOLDERS))
    if label_folder is None:
        labels = _fullest(folders_named(parent, LABEL_FOLDERS))
    else:
        labels = folder_named(parent, (label_folder.rstrip("/").lower(),))
    return None if images is None or labels is None else Place(images, labels)


def _fullest(found: list[Path]) -> Path | None:
    """Return the first folder that holds images, itself or in folders; else the first."""
    holding = (folder for folder in found if _holds_images(folder))
    return next(holding, found[0] if found else None)


def _holds_images(folder: Path) -> bool:
    return has_images(folder) or any(has_images(inner) for inner in inner_folders(folder))


def _expand(place: Place) -> tuple[list[Place], list[Problem]]:
    """Look for folders of equal names in both: subjects, stacks, or `train` and `val` of them."""
    if has_images(place.images) or has_images(place.labels):
        return [place], []
    inner = [folder for folder in inner_folders(place.images) if _holds_images(folder)]
    names = {folder.name.lower() for folder in inner}
    partners = {folder.name.lower(): folder for folder in inner_folders(place.labels)}
    if not names & partners.keys():
        return [place], []
    by_side = names & SIDES.keys() and names <= {*SIDES, *NOT_SEEN}
    found: list[Place] = []
    problems: list[Problem] = []
    for folder in inner:
        labels = partners.get(folder.name.lower())
        if by_side and folder.name.lower() in NOT_SEEN:
            continue
        if labels is None:
            text = f"there is no folder of this name in {place.labels.name}/"
            problems.append(Problem(folder, text, "error"))
        elif by_side:
            within, more = _expand(Place(folder, labels, side=SIDES[folder.name.lower()]))
            found += within
            problems += more
        else:
            found.append(replace(place, images=folder, labels=labels, group=folder.name))
    if by_side and {each.side for each in found} == {"train"}:
        found = [replace(each, side=None) for each in found]
    return found, problems


def _other_folders(parent: Path, used: Path) -> list[Problem]:
    others = [folder for folder in folders_named(parent, LABEL_FOLDERS) if folder != used]
    return [
        Problem(
            folder,
            f"not used: the labels are taken from {used.name}/ "
            f"(--label-folder {folder.name} changes it)",
            "warning",
        )
        for folder in others
        if _holds_images(folder)
    ]


def no_layout(root: Path, what: str) -> DataError:
    """Phrase that no layout is recognised."""
    return DataError(f"{root}: {what}; found: {content_of(root)}; {EXPECTED}")
