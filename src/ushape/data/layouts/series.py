"""DICOM series a folder deeper than their case, as archives export them: `images/a/1.2.3/*.dcm`."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from ushape.data.io import split_channel
from ushape.data.layouts.cases import Problem
from ushape.data.layouts.listing import has_ending, images_in, inner_folders

_DEPTH = 2
"""Folders between a case and its files: of the study and of the series."""

_MAX_NAMED = 4


def find_series(
    folder: Path, known: Collection[str], endings: Collection[str]
) -> tuple[dict[str, list[Path]], list[Problem]]:
    """Collect the series of cases that have a folder around them, by the name of that folder.

    Args:
        folder: Of the images.
        known: Names of labels. Where no folder has such a name (also with the number of a channel),
            the folders mean something else, such as channels.
        endings: Of the images that are looked for.

    Returns:
        The series by case, and an error for every case that has several.
    """
    around = {each: series_in(each, endings) for each in inner_folders(folder)}
    found = {each.name: series for each, series in around.items() if series}
    if not any(name in known or split_channel(f"{name}.nii")[0] in known for name in found):
        return {}, []
    several = [each for each, series in around.items() if len(series) > 1]
    return found, [_too_many(each, around[each]) for each in several]


def series_in(folder: Path, endings: Collection[str], depth: int = _DEPTH) -> list[Path]:
    """List the DICOM series in a folder that has no other images; none where it has."""
    images = images_in(folder, endings)
    if any(not image.is_dir() or has_ending(image, (".zarr",)) for image in images):
        return []
    if depth > 1:
        for inner in inner_folders(folder):
            images += series_in(inner, endings, depth - 1)
    return images


def _too_many(folder: Path, series: Collection[Path]) -> Problem:
    names = [path.relative_to(folder).as_posix() for path in series]
    more = f" and {len(names) - _MAX_NAMED} more" if len(names) > _MAX_NAMED else ""
    text = f"it holds {len(names)} DICOM series ({', '.join(names[:_MAX_NAMED])}{more}): keep the "
    text += "one that the label was drawn on, or name its folder in a manifest.csv"
    return Problem(folder, text, "error")
