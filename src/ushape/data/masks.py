"""Read and write labels that are not one picture of values: masks by class, NumPy arrays.

A mask holds 0 and one other value. Masks come as one file with a channel a class (TIFF, NumPy) or
as one picture or volume a class in folders (`ushape.data.layouts`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile

from ushape.data.io import PICTURE_SUFFIXES, Grid, LabelPicture, read_label, write_label
from ushape.data.io.tiff_samples import is_grey
from ushape.data.io.volume import Values
from ushape.data.label_grid import (
    ImagePlace,
    image_place,
    is_picture,
    read_label_channels,
    read_labels,
    wrong_size,
)
from ushape.data.layouts import CaseFiles
from ushape.errors import DataError
from ushape.files import atomic_path, make_folder

Masks = npt.NDArray[np.bool_]

MASK_VALUE = 255
"""Written where a mask is true: visible in every viewer."""


@dataclass(frozen=True)
class CaseMasks:
    """The masks of one case.

    Attributes:
        names: Of the classes; `class_1` and so on where channels have no names.
        masks: Shape (class, *size), bool; false where void.
        void: Shape (*size), where any mask holds the ignored value; None where none does.
    """

    names: tuple[str, ...]
    masks: Masks
    void: Masks | None


def read_masks(
    files: CaseFiles,
    where: ImagePlace | Grid | Sequence[int],
    *,
    ignore: int | None = None,
) -> CaseMasks | None:
    """Read the masks of a case.

    Args:
        files: Of the case; of a stack, the masks of its slices are laid on each other.
        where: Place of its image, or grid, or bare size.
        ignore: The value of void pixels.

    Returns:
        The masks, in the order of the files' axes, or None where the label is one picture (or
        volume) of values.

    Raises:
        DataError: A file cannot be read, lies elsewhere, or is no mask.
    """
    place = image_place(where)
    if files.planes:
        return _join([read_masks(p, place.grid.size[1:], ignore=ignore) for p in files.planes])
    if files.masks:
        planes = [(mask.path, _read_plane(mask.path, place)) for mask in files.masks]
        names = tuple(mask.name for mask in files.masks)
    else:
        assert files.label is not None
        path = files.label
        channels = _read_channels(path, place)
        if channels is None:
            return None
        planes = [(path, channel) for channel in channels]
        names = tuple(f"class_{number}" for number in range(1, len(planes) + 1))
    masks = np.stack(
        [_as_mask(path, name, v, ignore) for (path, v), name in zip(planes, names, strict=True)]
    )
    void = None
    if ignore is not None:
        void = np.logical_or.reduce([values == ignore for _, values in planes])
        masks &= ~void
    return CaseMasks(names, masks, void if void is not None and void.any() else None)


def read_values(path: Path, *, is_color: bool | None = None) -> LabelPicture:
    """Read the values of a label as `read_labels` does; of a picture, also how it stores them."""
    if is_picture(path):
        return read_label(path, is_color=is_color)
    label = read_labels(path, is_color=is_color)
    return LabelPicture(label.values, label.is_color)


def write_masks(path: Path, masks: Masks) -> None:
    """Write masks as one TIFF file with a page (or volume) a class, 0 and 255.

    Args:
        path: Ends in .tif.
        masks: Shape (class, *size).

    Raises:
        StorageError: The disk refuses; an older file of that name is untouched.
    """
    pixels = masks.astype(np.uint8) * np.uint8(MASK_VALUE)
    with atomic_path(path) as temporary:
        tifffile.imwrite(
            temporary,
            pixels,
            photometric="minisblack",
            compression="deflate",
            software="ushape",
            metadata={"axes": "CYX" if pixels.ndim == 3 else "CZYX"},
        )


def write_class_folders(
    out: Path, stem: str, names: Sequence[str], masks: Masks, *, suffix: str = ".png"
) -> tuple[Path, ...]:
    """Write masks as one picture a class, OUT/CLASS/STEM.png, 0 and 255.

    Raises:
        StorageError: The disk refuses.
    """
    paths = []
    for name, mask in zip(names, masks, strict=True):
        path = make_folder(out / name) / f"{stem}{suffix}"
        write_label(path, mask.astype(np.uint8) * np.uint8(MASK_VALUE))
        paths.append(path)
    return tuple(paths)


def _join(slices: Sequence[CaseMasks | None]) -> CaseMasks | None:
    """Lay the masks of slices on each other."""
    found = [masks for masks in slices if masks is not None]
    if len(found) < len(slices):
        return None
    first = found[0]
    void = None
    if any(each.void is not None for each in found):
        nothing = np.zeros(first.masks.shape[1:], np.bool_)
        void = np.stack([nothing if each.void is None else each.void for each in found])
    return CaseMasks(first.names, np.stack([each.masks for each in found], axis=1), void)


def _read_plane(path: Path, place: ImagePlace) -> Values:
    label = read_labels(path)
    if label.is_color:
        raise DataError(f"{path}: the mask has colours: save it with 0 and one other value")
    return place.lay(label)


def _read_channels(path: Path, place: ImagePlace) -> Values | list[Values] | None:
    """Read a file with a mask a channel, channels first; None where it holds values."""
    suffix = path.suffix.lower()
    size = place.grid.size
    if suffix not in (".npy", ".tif", ".tiff"):
        if suffix in PICTURE_SUFFIXES:
            return None
        channels = read_label_channels(path)
        return None if channels is None else [place.lay(channel) for channel in channels]
    array = _load(path) if suffix == ".npy" else _tiff_channels(path, len(size))
    if array is None or array.ndim == len(size):
        return None
    if array.ndim == len(size) + 1 and array.shape[1:] == tuple(size):
        return _whole(path, array)
    if array.ndim == len(size) + 1 and array.shape[:-1] == tuple(size):
        return np.moveaxis(_whole(path, array), -1, 0)
    raise wrong_size(path, array.shape, size)


def _tiff_channels(path: Path, num_axes: int) -> npt.NDArray[Any] | None:
    """Read a TIFF file of grey channels; None where it is one picture, or of colours."""
    try:
        with tifffile.TiffFile(path) as file:
            series = file.series[0]
            if not is_grey(file.pages[0]) or len(series.shape) != num_axes + 1:
                return None
            return np.asarray(series.asarray())
    except Exception:  # whatever is wrong, the reader of pictures says it in its own words
        return None


def _load(path: Path) -> npt.NDArray[Any]:
    try:
        return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
    except (OSError, ValueError, EOFError) as error:
        reason = " ".join(str(error).split())[:120]
        raise DataError(
            f"cannot read {path}: {reason}; save an array of whole numbers with numpy.save"
        ) from error


def _whole(path: Path, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Check label values, and bring them to an unsigned or int32 type."""
    kind = array.dtype.kind
    if kind not in "buif":
        raise DataError(f"cannot read {path}: its numbers are {array.dtype}; save whole numbers")
    if kind == "f" and not (np.isfinite(array).all() and (array == np.rint(array)).all()):
        raise DataError(f"cannot read {path}: the label holds fractions; threshold it first")
    if array.size and (array.min() < 0 or array.max() > np.iinfo(np.int32).max):
        raise DataError(
            f"cannot read {path}: values from {array.min():g} to {array.max():g}; "
            "label values are 0 or larger"
        )
    return array.astype(np.uint8 if kind == "b" else np.int32)


def _as_mask(path: Path, name: str, values: npt.NDArray[Any], ignore: int | None) -> Masks:
    marked = values[values != 0]
    if ignore is not None:
        marked = marked[marked != ignore]
    if marked.size and marked.min() != marked.max():
        raise DataError(
            f"{path}: the mask of {name} holds the values {marked.min()} and {marked.max()}: "
            "a mask has 0 and one other value; threshold it first"
        )
    return np.asarray(values != 0)
