"""Read the images to explain, and their true masks where these are given."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ushape.bundle import BundleHeader
from ushape.data.layouts import (
    LABEL_FILE_SUFFIXES,
    CaseFiles,
    ClassMask,
    Problem,
    find_cases,
    find_class_folders,
)
from ushape.data.preprocess import read_sample
from ushape.data.targets import class_masks, void_mask
from ushape.errors import DataError
from ushape.explain.response import Case

MOST_IMAGES = 16
"""More images are thinned out evenly: a table over sixteen says what one over all would."""


def thin_out(images: Sequence[Path]) -> tuple[Path, ...]:
    """Take at most `MOST_IMAGES`, evenly over the list."""
    count = min(len(images), MOST_IMAGES)
    return tuple(images[number * len(images) // count] for number in range(count))


def read_cases(
    images: Sequence[Path], truth: Path | None, header: BundleHeader
) -> tuple[list[Case], list[Problem]]:
    """Read images as the network takes them, and the masks of their classes.

    Args:
        images: Files.
        truth: A label file for one image; a folder of label files of the images' names, or of one
            such folder a class; a data set. None: masks are not known.
        header: Of the model.

    Returns:
        The cases that can be used, and the problems of the others.

    Raises:
        DataError: There is no such file or folder.
    """
    cases: list[Case] = []
    problems: list[Problem] = []
    for files in _pair(images, truth):
        if isinstance(files, Problem):
            problems.append(files)
            continue
        try:
            sample = read_sample(files, header.labels, header.preprocess)
        except DataError as error:
            text = str(error)
            problems.append(Problem(files.image, text.removeprefix(f"{files.image}: "), "error"))
            continue
        if sample.target is None:
            cases.append(Case(sample.id, sample.image))
        else:
            masks = class_masks(sample.target, header.labels)
            void = void_mask(sample.target, header.labels)
            cases.append(Case(sample.id, sample.image, masks, void))
    return cases, problems


def _pair(images: Sequence[Path], truth: Path | None) -> list[CaseFiles | Problem]:
    if truth is None:
        return [CaseFiles(image.stem, image, None) for image in images]
    if truth.is_file():
        if len(images) > 1:
            raise DataError(
                f"--label {truth}: one file for {len(images)} images: give the folder of the "
                "labels, with the names of the images"
            )
        return [CaseFiles(images[0].stem, images[0], truth)]
    if not truth.is_dir():
        raise DataError(f"--label {truth}: there is no such file or folder; check the name")
    known = _in_folder(truth)
    return [
        CaseFiles(image.stem, image, known[image.stem].label, known[image.stem].masks)
        if image.stem in known
        else Problem(image, f"no label of this name in {truth}", "error")
        for image in images
    ]


def _in_folder(truth: Path) -> dict[str, CaseFiles]:
    """List the labels of a folder by name; the images in the result are not used."""
    folders = find_class_folders(truth)
    try:
        return {case.id: case for case in find_cases(truth).cases}
    except DataError:
        if not folders and not any(truth.iterdir()):
            raise
    if folders:
        masks: dict[str, list[ClassMask]] = {}
        for name, folder in folders.items():
            for path in _labels(folder):
                masks.setdefault(path.stem, []).append(ClassMask(name, path))
        return {
            stem: CaseFiles(stem, truth, None, tuple(found))
            for stem, found in masks.items()
            if len(found) == len(folders)
        }
    return {path.stem: CaseFiles(path.stem, truth, path) for path in _labels(truth)}


def _labels(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in LABEL_FILE_SUFFIXES and not path.name.startswith(".")
    )
