"""Images to predict or to explain: what their files leave open, and pictures of one stack."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ushape.data.case_image import read_case_header
from ushape.data.io import Header
from ushape.data.layouts import CaseFiles
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

    For a model that takes volumes, the pictures of a folder become one stack, named as the folder,
    in their order. Images one after another in a file are channels, if the model takes as many.

    Args:
        cases: Images; those with `planes` are understood already.
        spatial_dims: Axes of the images that the model takes.
        num_channels: And their channels.
        spacing_mm: Voxel edges, z y x, of volumes and stacks whose files do not tell them.

    Returns:
        The cases, and one sentence for each stack.

    Raises:
        ConfigError: A spacing is given and the model takes pictures.
    """
    if spatial_dims == 2:
        if spacing_mm is not None:
            raise ConfigError("--spacing: this model takes pictures, whose spacing does not matter")
        return tuple(cases), ()
    headers = [None if case.planes else _look(case) for case in cases]
    are_pictures = [header is not None and header.grid.spatial_dims == 2 for header in headers]
    folders = {
        case.image.parent for case, is_one in zip(cases, are_pictures, strict=True) if is_one
    }
    found: list[CaseFiles | Path] = []
    stacks: dict[Path, list[CaseFiles]] = {}
    for case, header, is_picture in zip(cases, headers, are_pictures, strict=True):
        folder = case.image.parent
        # A file that cannot be read is a slice too: a stack without it would be another one.
        is_lost = header is None and not case.planes and folder in folders
        if not (is_picture or is_lost):
            found.append(_completed(case, header, num_channels, spacing_mm))
            continue
        if folder not in stacks:
            found.append(folder)
        stacks.setdefault(folder, []).append(case)
    notes = tuple(_say(folder, slices) for folder, slices in stacks.items())
    joined = (
        _stack(each, stacks[each], spacing_mm) if isinstance(each, Path) else each for each in found
    )
    return tuple(joined), notes


def _look(case: CaseFiles) -> Header | None:
    try:
        return read_case_header(case)
    except DataError:  # told of where the image is read
        return None


def _stack(folder: Path, slices: Sequence[CaseFiles], spacing_mm: Spacing | None) -> CaseFiles:
    name = folder.resolve().name
    return CaseFiles(name, slices[0].image, None, planes=tuple(slices), spacing_mm=spacing_mm)


def _say(folder: Path, slices: Sequence[CaseFiles]) -> str:
    first, last = slices[0].id, slices[-1].id
    if len(slices) == 1:
        return f"the picture {first} of {folder} is taken for a stack of one slice"
    return (
        f"the {len(slices)} pictures of {folder} are taken for the slices of one stack, "
        f"{first} to {last}"
    )


def _completed(
    case: CaseFiles, header: Header | None, num_channels: int, spacing_mm: Spacing | None
) -> CaseFiles:
    if case.spacing_mm is None and (header is None or header.grid.spacing_mm is None):
        case = replace(case, spacing_mm=spacing_mm)
    if header is not None and not case.channels and header.num_frames == num_channels > 1:
        case = replace(case, frames_are_channels=True)
    return case
