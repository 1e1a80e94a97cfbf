"""Images to predict or to explain: what their files leave open, and which pictures make a stack."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ushape.data.case_image import read_case_header
from ushape.data.io import Header
from ushape.data.layouts import CaseFiles, Layout
from ushape.data.layouts.slices import as_slices
from ushape.data.stacks import join_slices
from ushape.errors import ConfigError, DataError

Spacing = tuple[float, float, float]


def understand_inputs(
    cases: Sequence[CaseFiles],
    *,
    spatial_dims: int,
    num_channels: int,
    spacing_mm: Spacing | None = None,
) -> tuple[tuple[CaseFiles, ...], tuple[str, ...]]:
    """Complete what the files of images do not say, by what the model takes.

    For a model that takes volumes, the pictures of a folder become stacks as they do in training:
    by the part of their names before the number, and divided where numbers are missing. A single
    stack is named as the folder. DICOM slices become the series of their folder, in its own order.
    Images one after another in a file are channels, if the model takes as many.

    Args:
        cases: Images; those with `planes` are understood already.
        spatial_dims: Axes of the images that the model takes.
        num_channels: And their channels.
        spacing_mm: Voxel edges, z y x, of volumes and stacks whose files do not tell them.

    Returns:
        The cases, and one sentence for each folder of slices.

    Raises:
        ConfigError: A spacing is given and the model takes pictures.
    """
    if spatial_dims == 2:
        if spacing_mm is not None:
            raise ConfigError("--spacing: this model takes pictures, whose spacing does not matter")
        return tuple(cases), ()
    headers = [None if case.planes else _look(case) for case in cases]
    slices = _find_slices(cases, headers)
    are_slices = {case for group in slices.values() for case in group}
    done: set[Path] = set()
    found: list[CaseFiles] = []
    notes: list[str] = []
    for case, header in zip(cases, headers, strict=True):
        folder = case.image.parent
        if case not in are_slices:
            found.append(_completed(case, header, num_channels, spacing_mm))
        elif folder not in done:
            done.add(folder)
            stacks, note = _joined(folder, slices[folder], spacing_mm, header)
            found += stacks
            notes.append(note)
    return tuple(found), tuple(notes)


def _find_slices(
    cases: Sequence[CaseFiles], headers: Sequence[Header | None]
) -> dict[Path, list[CaseFiles]]:
    """Collect the pictures of every folder, in their order.

    A file that cannot be read is a picture too where others are: a stack without it would be
    another one.
    """
    pairs = list(zip(cases, headers, strict=True))
    folders = {c.image.parent for c, h in pairs if h is not None and h.grid.spatial_dims == 2}
    found: dict[Path, list[CaseFiles]] = {}
    for case, header in pairs:
        is_slice = not case.planes and (header is None or header.grid.spatial_dims == 2)
        if is_slice and case.image.parent in folders:
            found.setdefault(case.image.parent, []).append(case)
    return found


def _look(case: CaseFiles) -> Header | None:
    try:
        return read_case_header(case)
    except DataError:  # told of where the image is read
        return None


def _joined(
    folder: Path, slices: Sequence[CaseFiles], spacing_mm: Spacing | None, header: Header | None
) -> tuple[list[CaseFiles], str]:
    """Make cases of the slices of a folder, and a sentence that says so."""
    name = folder.resolve().name
    if header is not None and header.format == "DICOM":
        note = f"the DICOM slices of {folder} are read as the series of that folder"
        return [CaseFiles(name, folder, None)], note
    runs = _stacks(folder, slices)
    if len(runs) == 1:
        runs = [replace(runs[0], id=name)]
    first, last = runs[0].planes[0].id, runs[-1].planes[-1].id
    if len(slices) == 1:
        note = f"the picture {first} of {folder} is taken for a stack of one slice"
    else:
        several = f"{len(runs)} stacks" if len(runs) > 1 else "one stack"
        note = (
            f"the {len(slices)} pictures of {folder} are taken for the slices of {several}, "
            f"{first} to {last}"
        )
    return [replace(run, spacing_mm=spacing_mm) for run in runs], note


def _stacks(folder: Path, slices: Sequence[CaseFiles]) -> list[CaseFiles]:
    """Join slices as training does; all of them, in their order, where names do not tell."""
    edges = (1.0, 1.0, 1.0)  # of no matter here
    try:
        numbered = as_slices(Layout("", folder, tuple(slices), (), folder), edges).cases
    except DataError:
        numbered = tuple(replace(each, group="", position=None) for each in slices)
    return list(join_slices(numbered, {each.id for each in slices}, edges))


def _completed(
    case: CaseFiles, header: Header | None, num_channels: int, spacing_mm: Spacing | None
) -> CaseFiles:
    if case.spacing_mm is None and (header is None or header.grid.spacing_mm is None):
        case = replace(case, spacing_mm=spacing_mm)
    if header is not None and not case.channels and header.num_frames == num_channels > 1:
        case = replace(case, frames_are_channels=True)
    return case
