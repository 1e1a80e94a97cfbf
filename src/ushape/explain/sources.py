"""Read the images to explain, and their true masks where these are given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ushape.bundle import BundleHeader
from ushape.data.case_image import read_case_header
from ushape.data.fine import coarse_masks
from ushape.data.inputs import Spacing, understand_inputs
from ushape.data.io import format_of, split_channel
from ushape.data.layouts import (
    CaseFiles,
    ClassMask,
    Problem,
    case_name,
    find_cases,
    find_class_folders,
    join_files,
)
from ushape.data.preprocess import read_sample
from ushape.data.targets import class_masks, void_mask
from ushape.errors import DataError
from ushape.explain.response import Case

MOST_IMAGES = 16
"""More images are thinned out evenly: a table over sixteen says what one over all would."""


def find_chosen(
    images: Sequence[Path],
    header: BundleHeader,
    spatial_dims: int,
    spacing_mm: Spacing | None = None,
) -> tuple[tuple[CaseFiles, ...], int]:
    """Make cases of image files, and take at most `MOST_IMAGES`, evenly over the list.

    Args:
        images: Files and folders; channels of one image are joined, and for a model that takes
            volumes the pictures of a folder are slices of stacks.
        header: Of the model.
        spatial_dims: Axes of the images that it takes.
        spacing_mm: Voxel edges, z y x, of volumes and stacks whose files do not tell them.

    Returns:
        The cases, without labels, and how many there were.

    Raises:
        ConfigError: A spacing is given and the model takes pictures.
        DataError: An image lacks channels.
    """
    channels = header.preprocess.channels
    cases, _ = understand_inputs(
        join_files(images, num_channels=channels),
        spatial_dims=spatial_dims,
        num_channels=channels,
        spacing_mm=spacing_mm,
    )
    count = min(len(cases), MOST_IMAGES)
    return tuple(cases[number * len(cases) // count] for number in range(count)), len(cases)


def read_cases(
    images: Sequence[CaseFiles], truth: Path | None, header: BundleHeader, spatial_dims: int
) -> tuple[list[Case], list[Problem]]:
    """Read images as the network takes them, and the masks of their classes.

    Args:
        images: Without labels.
        truth: A label file for one image; a folder of label files of the images' names, or of one
            such folder a class; a data set. None: masks are not known.
        header: Of the model.
        spatial_dims: Axes of the images that it takes.

    Returns:
        The cases that can be used, and the problems of the others.

    Raises:
        DataError: There is no such file or folder.
    """
    cases: list[Case] = []
    problems: list[Problem] = []
    for files in images if truth is None else _pair(images, truth):
        if isinstance(files, Problem):
            problems.append(files)
            continue
        try:
            cases.append(_read(files, header, spatial_dims))
        except DataError as error:
            text = str(error)
            problems.append(Problem(files.image, text.removeprefix(f"{files.image}: "), "error"))
    return cases, problems


def _read(files: CaseFiles, header: BundleHeader, spatial_dims: int) -> Case:
    axes = 3 if files.planes else read_case_header(files).grid.spatial_dims
    if axes != spatial_dims:
        given, taken = ("a volume", "pictures") if axes == 3 else ("a picture", "volumes")
        raise DataError(f"{files.image}: it is {given}, this model takes {taken}: give such")
    sample = read_sample(files, header.labels, header.preprocess)
    if sample.target is None:
        return Case(sample.id, sample.image, spacing_mm=sample.spacing_mm)
    if header.fine is None:
        masks = class_masks(sample.target, header.labels)
    else:
        masks = coarse_masks(sample.target, header.labels, header.fine)
    void = void_mask(sample.target, header.labels)
    return Case(sample.id, sample.image, masks, void, sample.spacing_mm)


def _pair(images: Sequence[CaseFiles], truth: Path) -> list[CaseFiles | Problem]:
    if truth.is_file():
        if len(images) > 1:
            raise DataError(
                f"--label {truth}: one file for {len(images)} images: give the folder of the "
                "labels, with the names of the images"
            )
        return [replace(images[0], label=truth)]
    if not truth.is_dir():
        raise DataError(f"--label {truth}: there is no such file or folder; check the name")
    known = _in_folder(truth)
    return [_labelled(image, known, truth) for image in images]


def _labelled(image: CaseFiles, known: Mapping[str, CaseFiles], truth: Path) -> CaseFiles | Problem:
    """Give an image the label of its name; of a stack, every slice its own."""
    if image.planes:
        planes = [_labelled(plane, known, truth) for plane in image.planes]
        problem = next((plane for plane in planes if isinstance(plane, Problem)), None)
        found = tuple(plane for plane in planes if isinstance(plane, CaseFiles))
        return problem or replace(image, planes=found)
    # In a data set, the number of a channel (_0000) is no part of the name.
    label = known.get(image.id) or known.get(split_channel(image.image)[0])
    if label is None:
        return Problem(image.image, f"no label of this name in {truth}", "error")
    return replace(image, label=label.label, masks=label.masks)


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
                masks.setdefault(case_name(path), []).append(ClassMask(name, path))
        return {
            stem: CaseFiles(stem, truth, None, tuple(found))
            for stem, found in masks.items()
            if len(found) == len(folders)
        }
    return {case_name(path): CaseFiles(case_name(path), truth, path) for path in _labels(truth)}


def _labels(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.iterdir()
        if format_of(path) is not None and not path.name.startswith(".")
    )
