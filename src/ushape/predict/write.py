"""Where and in which format the prediction of a case is written: pictures, volumes, slices.

Pictures become PNG. A volume keeps the format of its image, so that the result lies on it; slices
of a stack become one picture each, under the slice's own name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ushape.data.io import (
    LABEL_SUFFIXES,
    WRITTEN_SUFFIXES,
    Grid,
    check_place,
    format_of,
    path_inside,
    suffix_of,
    write_label,
    write_label_volume,
    write_probabilities,
    write_volume,
)
from ushape.data.layouts import CaseFiles
from ushape.data.masks import MASK_VALUE, Masks, write_masks
from ushape.data.targets import paint_masks
from ushape.errors import ConfigError, unknown_name
from ushape.labels import Form, LabelTable

FORMATS = tuple(suffix[1:] for suffix in WRITTEN_SUFFIXES)

_PICTURES = ("PNG", "JPEG", "BMP", "TIFF")
_PARTNERS = {".mhd": ".mha", ".nhdr": ".nrrd"}
"""Written in place of what is read only."""


def check_format(format: str | None) -> None:
    """Refuse a format that is not written.

    Raises:
        ConfigError: It is none of `FORMATS`.
    """
    if format is not None and format not in FORMATS:
        raise ConfigError("--format: " + unknown_name("format", format, FORMATS))


def painted_folder(labels: LabelTable) -> str | None:
    """Name the folder of pictures of values beside masks that make such; None where none do."""
    if not labels.is_painted or written_form(labels) != "folders":
        return None
    taken = {name.casefold() for name in labels.names}
    return next(name for n in range(len(taken) + 1) if (name := "labels" + "_" * n) not in taken)


def written_form(labels: LabelTable) -> Form:
    """Say how predictions of these classes are written."""
    if not labels.writes_masks:
        return labels.form
    return "channels" if labels.form == "channels" else "folders"


@dataclass(frozen=True)
class CaseWriter:
    """Writes what was predicted of one case.

    Attributes:
        out: Folder.
        case: Names the files.
        grid: Where the image lies.
        suffix: Ending of the files.
        keep_place: The format was asked for, and must hold where the image lies.
        labels: The classes.
    """

    out: Path
    case: CaseFiles
    grid: Grid
    suffix: str
    keep_place: bool
    labels: LabelTable

    @property
    def is_sliced(self) -> bool:
        """Whether every slice of a stack is a file of its own."""
        return bool(self.case.planes) and self.suffix in LABEL_SUFFIXES

    def write_labels(self, values: npt.NDArray[Any]) -> tuple[Path, ...]:
        """Write label values, shape (*size)."""
        return tuple(
            self._write_values(path_inside(self.out, name + self.suffix), part)
            for name, part in self._parts(values)
        )

    def write_masks(self, masks: Masks) -> tuple[Path, ...]:
        """Write masks, shape (class, *size), in the form of the labels.

        Masks that make one picture of values are written as such besides.

        Returns:
            One file for each image: with a channel a class, or the mask of the first class.
        """
        if written_form(self.labels) == "channels":
            return tuple(self._write_channels(name, part) for name, part in self._parts(masks, 1))
        written = []
        for name, part in self._parts(masks, 1):
            paths = [
                path_inside(self.out / entry.name, name + self.suffix)
                for entry in self.labels.foreground
            ]
            for path, mask in zip(paths, part, strict=True):
                self._write_values(path, mask.astype(np.uint8) * np.uint8(MASK_VALUE))
            written.append(paths[0])
        folder = painted_folder(self.labels)
        if folder is not None:
            for name, part in self._parts(paint_masks(masks, self.labels)):
                self._write_values(path_inside(self.out / folder, name + self.suffix), part)
        return tuple(written)

    def write_probabilities(self, probabilities: npt.NDArray[np.float32]) -> None:
        """Write probabilities, shape (K, *size), float32, as NAME.probabilities."""
        for name, part in self._parts(probabilities, 1):
            stem = f"{name}.probabilities"
            if part.ndim == 3 and self.suffix in LABEL_SUFFIXES:
                write_probabilities(path_inside(self.out, f"{stem}.tif"), part)
            else:
                path = path_inside(self.out, stem + self.suffix)
                write_volume(path, part, self.grid, keep_place=self.keep_place)

    def _parts(
        self, values: npt.NDArray[Any], axis: int = 0
    ) -> Sequence[tuple[str, npt.NDArray[Any]]]:
        """Name what becomes one file: the whole, or every slice."""
        if not self.is_sliced:
            return [(self.case.id, values)]
        slices = np.moveaxis(values, axis, 0)
        return [(plane.id, part) for plane, part in zip(self.case.planes, slices, strict=True)]

    def _write_values(self, path: Path, values: npt.NDArray[Any]) -> Path:
        is_color = self.labels.is_color and not self.labels.writes_masks
        if values.ndim == 2 and self.suffix in LABEL_SUFFIXES:
            palette = () if self.labels.writes_masks else self.labels.palette
            write_label(path, values, is_color=is_color, palette=palette)
        else:
            write_label_volume(
                path, values, self.grid, is_color=is_color, keep_place=self.keep_place
            )
        return path

    def _write_channels(self, name: str, masks: Masks) -> Path:
        if masks.ndim == 3 and self.suffix in LABEL_SUFFIXES:
            path = path_inside(self.out, f"{name}.tif")
            write_masks(path, masks)
            return path
        path = path_inside(self.out, name + self.suffix)
        pixels = masks.astype(np.uint8) * np.uint8(MASK_VALUE)
        write_volume(path, pixels, self.grid, keep_place=self.keep_place)
        return path


def plan_writing(
    out: Path, case: CaseFiles, grid: Grid, labels: LabelTable, format: str | None
) -> tuple[CaseWriter, str]:
    """Choose the format of a case's prediction.

    Args:
        out: Folder.
        case: The case.
        grid: Of its image.
        labels: The classes.
        format: What was asked for; None for that of the image.

    Returns:
        The writer, and a sentence where the format is not the one that one would expect.

    Raises:
        DataError: The format cannot hold where the image lies.
    """
    suffix, note = (f".{format}", "") if format else _own_suffix(case, grid)
    writer = CaseWriter(out, case, grid, suffix, format is not None, labels)
    is_picture = grid.spatial_dims == 2 and suffix in LABEL_SUFFIXES
    if format and not is_picture and not writer.is_sliced:
        check_place(out / (case.id + suffix), grid)
    return writer, note


def _own_suffix(case: CaseFiles, grid: Grid) -> tuple[str, str]:
    """Find the ending for results beside an image."""
    if case.planes or (grid.spatial_dims == 2 and format_of(case.image) in _PICTURES):
        return ".png", ""
    ending = suffix_of(case.image)
    ending = _PARTNERS.get(ending, ending)
    if ending and (ending in WRITTEN_SUFFIXES or Path(ending).suffix in WRITTEN_SUFFIXES):
        return ending, ""
    return ".nii.gz", f"{format_of(case.image) or 'DICOM'} is not written: the results are .nii.gz"
