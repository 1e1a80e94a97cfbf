"""Read the files of a case, in any form and format, as one mask a class."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ushape.data.io import (
    Grid,
    Header,
    LabelVolume,
    check_same_grid,
    read_header,
    read_label,
    read_label_volume,
    read_volume,
    turned_onto,
)
from ushape.data.io.values import whole_numbers
from ushape.data.targets import class_masks, encode_labels, void_mask
from ushape.errors import DataError
from ushape.evaluate.case import CaseLabels
from ushape.labels import LabelTable
from ushape.metrics.checks import Mask
from ushape.sizes import format_size

MaskForm = Literal["values", "folders", "channels"]
"""One file of label values; one folder of masks a class; one file with a mask a channel."""

PICTURES = ("PNG", "JPEG", "BMP", "TIFF")
"""Formats of `Header` whose channels are colours."""

SLAB = 1 << 20
"""Voxels that are translated at once: positions of a whole volume would fill the memory."""


@dataclass(frozen=True)
class LabelFiles:
    """The files that hold the classes of one case.

    Attributes:
        name: Of the case.
        paths: One file; of masks in folders one file a folder.
        planes: Where the case is a stack of pictures, its slices in order.
        image: Its image, where that is known.
        spacing_mm: Edges of a voxel, where something else than the files tells them.
    """

    name: str
    paths: tuple[Path, ...]
    planes: tuple[LabelFiles, ...] = ()
    image: Path | None = None
    spacing_mm: tuple[float, ...] | None = None

    @property
    def path(self) -> Path:
        """The file that stands for the case in messages."""
        return self.planes[0].path if self.planes else self.paths[0]


@dataclass(frozen=True)
class Reading:
    """How the files of one side are understood.

    Attributes:
        form: How they hold classes.
        spatial_dims: 2 for pictures, 3 for volumes.
        members: For every class that is scored what makes it up: positions among the foreground
            classes of `table`, or among the masks.
        table: What the values mean; None for masks.
        ignore: Value of void pixels in masks; values have it in their table.
        num_masks: How many masks a file of channels has to hold.
    """

    form: MaskForm
    spatial_dims: int
    members: tuple[tuple[int, ...], ...]
    table: LabelTable | None = None
    ignore: int | None = None
    num_masks: int = 0


def read_case(files: LabelFiles, reading: Reading, beside: Path | None = None) -> CaseLabels:
    """Read the classes of one case.

    Args:
        files: Of the case.
        reading: What they mean.
        beside: A file of the same case whose size tells which axis of an array holds channels.

    Raises:
        DataError: A file cannot be read, or holds something else; it is named.
    """
    if files.planes:
        found = _stack(files, replace(reading, spatial_dims=2))
    elif reading.form == "values":
        found = _from_values(files.paths[0], reading)
    elif reading.form == "channels":
        found = _from_channels(files.paths[0], reading, files.image or beside)
    else:
        found = _from_folders(files, reading)
    return found if files.spacing_mm is None else with_spacing(found, files.spacing_mm)


def with_spacing(labels: CaseLabels, edges: tuple[float, ...]) -> CaseLabels:
    """Give a case other edges of its voxels, in mm; slices of a stack have none of their own."""
    grid = labels.grid
    if len(edges) != grid.spatial_dims:
        return labels
    return replace(labels, grid=Grid.of(grid.size, edges, grid.origin_mm, grid.direction))


def read_values(path: Path, *, is_color: bool | None = None) -> LabelVolume:
    """Read label values of any format; `is_color` as of `ushape.data.io.read_label`.

    Raises:
        DataError: The file cannot be read, or holds no label values.
    """
    header = read_header(path)
    if header.format not in PICTURES:
        return read_label_volume(path)
    picture = read_label(path, is_color=is_color)
    return LabelVolume(picture.values, header.grid, path, picture.is_color, picture.palette)


def channel_axes(header: Header, spatial_dims: int, size: tuple[int, ...] | None) -> str | None:
    """Name the axes of a file that holds a mask a channel, where its own names are other ones.

    Channels come first, unless only the other end fits the size of the image.

    Raises:
        DataError: It has too many axes, or too few.
    """
    space, axes, shape = "zyx"[-spatial_dims:], header.axes, header.shape
    if len(axes) == spatial_dims:
        return None
    if len(axes) == spatial_dims + 1:
        is_bare = header.format in ("NPY", "NPZ")
        if is_bare and size is not None and shape[1:] != size and shape[:-1] == size:
            return space + "c"
        return None if "c" in axes else "c" + space
    raise DataError(
        f"{header.path}: it has {len(axes)} axes ({format_size(shape)}), masks of "
        f"{spatial_dims}D images by channel have {spatial_dims + 1}"
    )


def _from_values(path: Path, reading: Reading) -> CaseLabels:
    table = reading.table
    assert table is not None, "values have a table"
    label = read_values(path, is_color=table.is_color)
    _check_dims(path, label.grid, reading)
    try:
        masks, void = _translate(label.values, table)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    numbers = None
    if table.form == "instances" and reading.members[0] == (0,):
        numbers = label.values if void is None else np.where(void, 0, label.values)
    return CaseLabels(_unite(masks, reading.members), void, label.grid, path, numbers)


def _translate(values: npt.NDArray[Any], table: LabelTable) -> tuple[Mask, Mask | None]:
    """Give the mask of every foreground class of a table, and where the values are void."""
    masks = np.empty((len(table.foreground), *values.shape), bool)
    void = np.zeros(values.shape, bool)
    for slab in _slabs(values.shape, is_whole=table.form == "instances"):
        target = encode_labels(values[slab], table)
        masks[:, slab] = class_masks(target, table)
        ignored = void_mask(target, table)
        if ignored is not None:
            void[slab] = ignored
    return masks, void if void.any() else None


def _slabs(shape: tuple[int, ...], *, is_whole: bool) -> Iterator[slice]:
    """Cut the first axis; borders between objects are only found in the whole."""
    thickness = max(1, SLAB // max(1, int(np.prod(shape[1:]))))
    step = shape[0] if is_whole else thickness
    for start in range(0, shape[0], step):
        yield slice(start, start + step)


def _from_folders(files: LabelFiles, reading: Reading) -> CaseLabels:
    needed = sorted({number for group in reading.members for number in group})
    labels = {number: read_values(files.paths[number]) for number in needed}
    first = labels[needed[0]]
    _check_dims(first.path, first.grid, reading)
    labels = {number: turned_onto(label, first.grid) for number, label in labels.items()}
    for label in labels.values():
        check_same_grid(first, label, aligning="a tool of your choice: all masks of a case agree")
    values = [labels[number].values for number in needed]
    paths = [labels[number].path for number in needed]
    masks, void = _masks(values, [str(path) for path in paths], reading.ignore)
    place = {number: index for index, number in enumerate(needed)}
    members = tuple(tuple(place[number] for number in group) for group in reading.members)
    return CaseLabels(_unite(masks, members), void, first.grid, first.path)


def _from_channels(path: Path, reading: Reading, beside: Path | None) -> CaseLabels:
    header = read_header(path)
    if header.format in PICTURES and not (reading.num_masks == 1 and header.num_channels == 1):
        raise DataError(f"{path}: one picture, other files hold a mask a channel")
    size = None if beside is None else read_header(beside).grid.size
    volume = read_volume(path, axes=channel_axes(header, reading.spatial_dims, size))
    _check_dims(path, volume.grid, reading)
    if len(volume.values) != reading.num_masks:
        raise DataError(
            f"{path}: {len(volume.values)} channels of {format_size(volume.grid.size)}, the "
            f"classes are {reading.num_masks}: save one mask a class"
        )
    values = [whole_numbers(path, channel) for channel in volume.values]
    names = [f"{path}: channel {number}" for number in range(1, len(values) + 1)]
    masks, void = _masks(values, names, reading.ignore)
    return CaseLabels(_unite(masks, reading.members), void, volume.grid, path)


def _masks(
    values: list[npt.NDArray[Any]], names: list[str], ignore: int | None
) -> tuple[Mask, Mask | None]:
    """Turn values into masks: 0 and one other value each; `ignore` in any makes the pixel void."""
    void = None
    if ignore is not None:
        found = np.logical_or.reduce([each == ignore for each in values])
        void = found if found.any() else None
    masks = np.empty((len(values), *values[0].shape), bool)
    for mask, each, name in zip(masks, values, names, strict=True):
        np.not_equal(each, 0, out=mask)
        if void is not None:
            mask &= ~void
        highest = each.max(initial=0, where=mask)
        if np.any(mask & (each != highest)):
            lowest = each.min(initial=highest, where=mask)
            raise DataError(
                f"{name}: the mask holds the values {lowest} and {highest}: a mask has 0 and one "
                "other value; threshold it first"
            )
    return masks, void


def _unite(masks: Mask, members: tuple[tuple[int, ...], ...]) -> Mask:
    """Join the masks that make up every class; the same array where that changes nothing."""
    if members == tuple((number,) for number in range(len(masks))):
        return masks
    return np.stack([np.logical_or.reduce(masks[list(group)]) for group in members])


def _stack(files: LabelFiles, reading: Reading) -> CaseLabels:
    slices = [read_case(plane, reading) for plane in files.planes]
    first = slices[0]
    for each in slices:
        if each.grid.size != first.grid.size:
            raise DataError(
                f"{each.path}: size {format_size(each.grid.size)}, the slice {first.path.name} "
                f"has {format_size(first.grid.size)}: slices of a stack are alike"
            )
    void = None
    if any(each.void is not None for each in slices):
        none = np.zeros(first.grid.size, bool)
        void = np.stack([none if each.void is None else each.void for each in slices])
    # Numbers of slices are not those of the stack: its objects are the pieces of the masks.
    masks = np.stack([each.masks for each in slices], axis=1)
    return CaseLabels(masks, void, Grid.of(masks.shape[1:]), first.path)


def _check_dims(path: Path, grid: Grid, reading: Reading) -> None:
    if grid.spatial_dims != reading.spatial_dims:
        raise DataError(
            f"{path}: it has {grid.spatial_dims} axes ({format_size(grid.size)}), other cases "
            f"have {reading.spatial_dims}: score pictures and volumes apart"
        )
