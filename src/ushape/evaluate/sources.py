"""A side of an evaluation: its label files, and in which form they hold classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ushape.data.io import Header, read_header
from ushape.errors import DataError
from ushape.evaluate.read import PICTURES, LabelFiles, MaskForm, channel_axes
from ushape.labels import LabelTable, LabelWish

_PILES = ("TIFF stack", "NPY", "NPZ")
"""Formats that seldom say whether their first axis is z or the channels."""


@dataclass(frozen=True)
class LabelSource:
    """A folder of label files, or one file.

    Attributes:
        root: As it was given.
        form: How the files hold classes.
        files: By the name of their case.
        mask_names: The classes of folders, in their order.
        spatial_dims: 2 or 3; None where the first axis of the files may be z or the channels.
        header: Of the first file that can be read.
        num_masks: Channels of that file; 1 where it has none.
        table: The classes as `predictions.json` has them.
        wish: The classes as `dataset.json` has them.
        failed: What `ushape predict` could not predict.
        problems: Files that are left out.
    """

    root: Path
    form: MaskForm
    files: Mapping[str, LabelFiles]
    mask_names: tuple[str, ...] = ()
    spatial_dims: int | None = 2
    header: Header | None = None
    num_masks: int = 1
    table: LabelTable | None = None
    wish: LabelWish | None = None
    failed: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def size(self) -> tuple[int, ...] | None:
        """Size of the first case; None where its axes are not decided."""
        if self.header is None or self.spatial_dims is None:
            return None
        if self.form == "channels" and self.header.format in _PILES and "c" not in self.header.axes:
            return self.header.shape[1:]
        return self.header.grid.size

    @property
    def is_single(self) -> bool:
        """Whether `predictions.json` tells of one class."""
        return self.table is not None and len(self.table.foreground) == 1

    @property
    def kind(self) -> str:
        """Say how the classes are held, for people."""
        if self.form == "values":
            return "label values"
        return f"one {'folder' if self.form == 'folders' else 'channel'} a class"


def look_at(source: LabelSource) -> LabelSource:
    """Look at the first file that can be read: how many axes, and what they are."""
    for files in source.files.values():
        try:
            header = read_header(files.paths[0])
        except DataError:  # told when the case is read
            continue
        known = replace(source, header=header)
        return _understand(known, header, files.image)
    return source


def _understand(source: LabelSource, header: Header, image: Path | None) -> LabelSource:
    dims = header.grid.spatial_dims
    if header.format in PICTURES or source.form == "folders":
        return replace(source, spatial_dims=dims)
    if source.form == "channels" or header.num_channels > 1:
        if source.is_single and "c" not in header.axes:
            return replace(source, spatial_dims=dims)
        has_c = "c" in header.axes
        num_masks = header.num_channels if has_c else header.shape[0]
        dims = dims if has_c else len(header.axes) - 1
        return replace(source, form="channels", spatial_dims=dims, num_masks=num_masks)
    is_open = dims == 3 and header.format in _PILES and header.grid.spacing_mm is None
    if not is_open or source.table is not None:
        return replace(source, spatial_dims=dims)
    undecided = replace(source, spatial_dims=None)
    try:
        return undecided if image is None else settle(undecided, read_header(image).grid.size)
    except DataError:  # the image is not needed
        return undecided


def settle(source: LabelSource, size: tuple[int, ...] | None) -> LabelSource:
    """Decide which axes of the files are those of the image.

    Args:
        source: Perhaps undecided.
        size: Of an image or of the other side; None where neither is known.
    """
    header = source.header
    if header is None or (source.spatial_dims is not None and source.form != "channels"):
        return source
    dims = source.spatial_dims or (len(size) if size is not None else 3)
    if dims == len(header.axes):
        return replace(source, spatial_dims=dims)
    if size is not None and len(size) != dims:
        return source
    axes = channel_axes(header, dims, size) or header.axes
    num_masks = header.shape[axes.index("c")]
    return replace(source, form="channels", spatial_dims=dims, num_masks=num_masks)
