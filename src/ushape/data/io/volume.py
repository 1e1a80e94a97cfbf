"""What reading gives: a header, an image or a label, each with its grid.

`Source` is what every format module returns: the header, and a function that loads the values.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ushape.data.io.grid import Grid
from ushape.data.io.sniff import unreadable
from ushape.errors import ConfigError

Values = NDArray[Any]


@dataclass(frozen=True)
class Header:
    """What a file says of itself, read without its voxels.

    Attributes:
        path: The file or folder.
        format: Such as "NIfTI".
        axes: One letter a stored axis, slowest first: c channel, t time, z, y, x, or q unknown.
        shape: Length of each of these axes.
        dtype: Type of the numbers as `read_volume` gives them.
        grid: Where the voxels lie.
        remarks: What is odd but can be read, one sentence each.
    """

    path: Path
    format: str
    axes: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    grid: Grid
    remarks: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The file, for messages."""
        return str(self.path)

    @property
    def num_channels(self) -> int:
        """Length of all channel axes together."""
        return math.prod(n for n, axis in zip(self.shape, self.axes, strict=True) if axis == "c")

    @property
    def num_frames(self) -> int:
        """Length of the time axis; 1 for a single image."""
        return math.prod(n for n, axis in zip(self.shape, self.axes, strict=True) if axis == "t")

    @property
    def num_bytes(self) -> int:
        """Memory that the values take."""
        return math.prod(self.shape) * self.dtype.itemsize


@dataclass(frozen=True)
class Source:
    """A file that was looked at and can be loaded.

    Attributes:
        header: What it says of itself.
        load: Gives the values, in the order of `header.axes`.
    """

    header: Header
    load: Callable[[], Values]


@dataclass(frozen=True)
class Volume:
    """An image, 2D or 3D.

    Attributes:
        values: Shape (C, *size), the type that the file stores.
        grid: Where the voxels lie.
        path: Where it was read from.
    """

    values: Values
    grid: Grid
    path: Path

    @property
    def name(self) -> str:
        """The file, for messages."""
        return str(self.path)

    @property
    def num_channels(self) -> int:
        """Number of channels."""
        return len(self.values)


@dataclass(frozen=True)
class LabelVolume:
    """Label values, 2D or 3D.

    Attributes:
        values: Shape (*size); uint8, uint16 or int32, never negative.
        grid: Where the voxels lie.
        path: Where it was read from.
        is_color: The values are packed colours 0xRRGGBB of a picture.
        palette: Of a palette picture, packed colours by index; the values are indices. Else empty.
    """

    values: Values
    grid: Grid
    path: Path
    is_color: bool = False
    palette: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        """The file, for messages."""
        return str(self.path)


def relabel(header: Header, axes: str) -> Header:
    """Take the stored axes for what the caller says they are.

    Args:
        header: Of the file.
        axes: One of c, t, z, y, x for every stored axis, slowest first, such as `cyx`.

    Raises:
        ConfigError: The letters are no such axes.
        DataError: Their number is not that of the file.
    """
    wanted = axes.lower()
    space = "".join(axis for axis in wanted if axis in "zyx")
    if set(wanted) - set("ctzyx") or sorted(space) not in (["x", "y"], ["x", "y", "z"]):
        raise ConfigError(
            f"axes {axes!r} are not understood: name each stored axis once, slowest first, with "
            "c, t, z, y and x, such as zyx, cyx or czyx"
        )
    if len(wanted) != len(header.axes):
        raise unreadable(
            header.path,
            f"it has {len(header.axes)} axes ({' x '.join(map(str, header.shape))})",
            f"axes {axes!r} name {len(wanted)}: name every one",
        )
    if spatial(wanted) == spatial(header.axes):
        return replace(header, axes=wanted)
    sizes = dict(zip(wanted, header.shape, strict=True))
    known = dict(zip(_names(header.grid), header.grid.spacing_mm or (), strict=False))
    names = [axis for axis in "zyx" if axis in wanted]
    edges = [known[axis] for axis in names if axis in known]
    grid = Grid.of([sizes[axis] for axis in names], edges if len(edges) == len(names) else None)
    return replace(header, axes=wanted, grid=grid)


def spatial(axes: str) -> tuple[tuple[int, str], ...]:
    """List the spatial axes with their places."""
    return tuple((place, axis) for place, axis in enumerate(axes) if axis in "zyx")


def _names(grid: Grid) -> str:
    return "zyx"[-grid.spatial_dims :]


def arrange(header: Header, values: Values) -> Values:
    """Bring loaded values to (C, *size), z y x.

    Raises:
        DataError: The file holds several images one after another, or axes of no known meaning.
    """
    check_one_image(header)
    axes = header.axes
    keep = [place for place, axis in enumerate(axes) if axis in "czyx"]
    values = values.reshape([header.shape[place] for place in keep])
    axes = "".join(axes[place] for place in keep)
    order = sorted(range(len(axes)), key=lambda place: ("czyx".index(axes[place]), place))
    return np.ascontiguousarray(
        values.transpose(order).reshape(header.num_channels, *header.grid.size)
    )


def check_one_image(header: Header) -> None:
    """Refuse a time series, and axes whose meaning the file does not say.

    Raises:
        DataError: As said; the message names the lengths and the remedy.
    """
    lengths = " x ".join(f"{n}{axis}" for n, axis in zip(header.shape, header.axes, strict=True))
    if header.num_frames > 1:
        as_channels = header.axes.replace("t", "c")
        raise unreadable(
            header.path,
            f"it holds {header.num_frames} images one after another ({lengths})",
            "save each as its own file; if they are the channels of one image, name the channels "
            "in dataset.json beside the data (docs/layouts.md), or read it in Python with "
            f'axes="{as_channels}"',
        )
    if any(n > 1 for n, axis in zip(header.shape, header.axes, strict=True) if axis == "q"):
        raise unreadable(
            header.path,
            f"it does not say what its axes mean ({lengths.replace('q', '?')})",
            "save it in a format that says so, such as OME-TIFF or .nii.gz, or read it in Python "
            'with their names, slowest first, such as axes="czyx"',
        )
