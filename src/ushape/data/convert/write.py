"""Write the files of cases as folders, nnU-Net and the Medical Segmentation Decathlon have them."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ushape.data.convert.canvas import Label
from ushape.data.convert.source import Look, SourceCase
from ushape.data.io import (
    READ_FORMATS,
    Grid,
    Volume,
    suffix_of,
    write_label_volume,
    write_volume,
)
from ushape.data.io.itk import itk_reason, quiet_itk, to_itk
from ushape.errors import StorageError
from ushape.files import atomic_path

TargetLayout = Literal["images+labels", "nnunet", "msd"]
TARGET_LAYOUTS: tuple[TargetLayout, ...] = ("images+labels", "nnunet", "msd")

MASK_VALUE, MASK_VOID = 255, 128
"""In masks: the class, and pixels of which nothing is known."""

_OF_TWO_FILES = (".mhd", ".nhdr")

IMAGE_FOLDER = {"images+labels": "images", "nnunet": "imagesTr", "msd": "imagesTr"}
LABEL_FOLDER = {"images+labels": "labels", "nnunet": "labelsTr", "msd": "labelsTr"}


@dataclass(frozen=True)
class Written:
    """How one case was written.

    Attributes:
        image: Its files, below the data set's folder.
        label: Its label files, likewise.
        has_void: Whether parts of it are void.
    """

    image: tuple[str, ...]
    label: tuple[str, ...]
    has_void: bool


def common_ending(looks: Sequence[Look]) -> str:
    """Choose the ending of all files of a data set: NIfTI for volumes, PNG where it holds all."""
    if looks[0].grid.spatial_dims == 3:
        return ".nii.gz"
    return ".png" if all(_fits_png(look) for look in looks) else ".tif"


def write_case(
    out: Path,
    to: TargetLayout,
    case: SourceCase,
    label: Label,
    names: Sequence[str],
    ending: str,
) -> Written:
    """Write the image and the labels of one case.

    Args:
        out: The folder of the new data set.
        to: Its layout.
        case: The case.
        label: Its labels; void pixels have their number already.
        names: Of the classes, the background first.
        ending: Of all files; folders keep the image's own file where it can be copied.

    Raises:
        DataError: The image cannot be read, or its format cannot hold it.
        StorageError: The disk refuses.
    """
    images = out / IMAGE_FOLDER[to]
    if to == "images+labels" and _can_copy(case):
        files = [images / f"{case.id}{suffix_of(case.image.paths[0])}"]
        with atomic_path(files[0]) as temporary:
            shutil.copyfile(case.image.paths[0], temporary)
        grid = case.image.look().grid
    else:
        volume = case.image.load()
        grid = volume.grid
        files = _write_image(images, to, case, volume, ending)
    if to == "images+labels":  # beside a copied image, which may be of another kind
        ending = ".nii.gz" if grid.spatial_dims == 3 or grid.is_placed else ".png"
    labels = _write_label(out / LABEL_FOLDER[to], case, label, names, grid, ending)
    return Written(
        tuple(path.relative_to(out).as_posix() for path in files),
        tuple(path.relative_to(out).as_posix() for path in labels),
        label.void is not None,
    )


def _can_copy(case: SourceCase) -> bool:
    ending = suffix_of(case.image.paths[0])
    return case.image.is_plain and ending in READ_FORMATS and ending not in _OF_TWO_FILES


def _fits_png(look: Look) -> bool:
    is_grey = look.num_channels == 1 and look.dtype in (np.uint8, np.uint16)
    return (is_grey or _is_color(look)) and not look.grid.is_placed


def _is_color(look: Look) -> bool:
    return look.num_channels == 3 and look.dtype == np.uint8


def _write_image(
    folder: Path, to: TargetLayout, case: SourceCase, volume: Volume, ending: str
) -> list[Path]:
    """Write an image: nnU-Net has a file a channel (but colours), the Decathlon a 4D file."""
    values, grid = volume.values, _plain(volume.grid, ending)
    colors = ending == ".png" and len(values) == 3
    if to == "nnunet" and not colors:
        paths = [folder / f"{case.id}_{number:04d}{ending}" for number in range(len(values))]
        for path, channel in zip(paths, values, strict=True):
            write_volume(path, channel[np.newaxis], grid, keep_place=ending == ".nii.gz")
        return paths
    path = folder / (f"{case.id}_0000{ending}" if to == "nnunet" else f"{case.id}{ending}")
    if to == "msd" and ending == ".nii.gz" and len(values) > 1:
        _write_series(path, values, grid)
    else:
        write_volume(path, values, grid, keep_place=ending == ".nii.gz")
    return [path]


def _plain(grid: Grid, ending: str) -> Grid:
    """Drop what a picture file cannot hold."""
    return Grid.of(grid.size) if ending == ".png" else grid


def _write_series(path: Path, values: np.ndarray[Any, Any], grid: Grid) -> None:
    """Write channels as the images of a 4D NIfTI file, as the Decathlon has them.

    Raises:
        StorageError: The disk refuses.
    """
    with atomic_path(path) as temporary, quiet_itk() as sitk:
        working = temporary.with_name(temporary.name + ".nii.gz")
        try:
            joined = sitk.JoinSeries(
                [to_itk(sitk, channel[np.newaxis], grid) for channel in values]
            )
            sitk.WriteImage(joined, str(working), useCompression=True)
            working.replace(temporary)
        except RuntimeError as error:
            raise StorageError(f"cannot write {path}: {itk_reason(error)}") from error
        finally:
            working.unlink(missing_ok=True)


def _write_label(
    folder: Path, case: SourceCase, label: Label, names: Sequence[str], grid: Grid, ending: str
) -> list[Path]:
    """Write labels as one file of values, or one folder of masks a class."""
    grid = _plain(grid, ending)
    keep = ending == ".nii.gz"
    if label.masks is None:
        assert label.values is not None
        path = folder / f"{case.id}{ending}"
        write_label_volume(path, label.values, grid, keep_place=keep)
        return [path]
    paths = [folder / name / f"{case.id}{ending}" for name in names[1:]]
    for path, mask in zip(paths, label.masks, strict=True):
        values = mask.astype(np.uint8) * np.uint8(MASK_VALUE)
        if label.void is not None:
            values[label.void] = MASK_VOID
        write_label_volume(path, values, grid, keep_place=keep)
    return paths
