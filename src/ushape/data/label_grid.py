"""Label values of any file on the grid of their image: refused, or resampled, where they are not.

A label with the voxels of its image in another order of axes is turned, which changes no value.
Pictures are compared by their size alone: what a TIFF file says of its resolution is seldom meant.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ushape.data.io import (
    PICTURE_SUFFIXES,
    Grid,
    LabelVolume,
    align,
    check_same_grid,
    read_header,
    read_label,
    read_label_volume,
    read_volume,
    turned_onto,
)
from ushape.data.io.values import whole_numbers
from ushape.data.io.volume import Values
from ushape.errors import DataError
from ushape.sizes import format_size

_TIFF = (".tif", ".tiff")


@dataclass(frozen=True)
class ImagePlace:
    """Where an image lies, and what is done with labels that lie elsewhere.

    Attributes:
        grid: Of the image, in the order of its file.
        name: The image, for messages.
        is_alignable: Labels on another grid are resampled, not refused.
        spacing_mm: Edges of the voxels of labels too, where the files do not tell them.
        outside: Value of voxels that a resampled label does not cover.
        aligning: What a person can say to have labels resampled, for messages.
    """

    grid: Grid
    name: str = "its image"
    is_alignable: bool = False
    spacing_mm: tuple[float, ...] | None = None
    outside: int = 0
    aligning: str = "--align"

    def turn(self, label: LabelVolume) -> LabelVolume:
        """Bring a label to the order of axes of this grid where that is all it takes.

        Returns:
            The label on this grid; as it was where it lies elsewhere, and of pictures.
        """
        if self.spacing_mm is not None:
            grid = label.grid
            if grid.spatial_dims == len(self.spacing_mm):
                placed = Grid.of(grid.size, self.spacing_mm, grid.origin_mm, grid.direction)
                label = replace(label, grid=placed)
        return label if self._is_flat(label) else turned_onto(label, self.grid)

    def lay(self, label: LabelVolume) -> Values:
        """Return the values of a label on this grid.

        Raises:
            DataError: It lies elsewhere; or is to be resampled, and cannot be.
        """
        label = self.turn(label)
        mine, its, is_picture = self.grid, label.grid, self._is_flat(label)
        if mine.size == its.size if is_picture else mine.is_same(its):
            return label.values
        if self.is_alignable:
            return align(label, mine, outside=self.outside).values
        if is_picture or mine.spacing_mm is None or its.spacing_mm is None:
            raise wrong_size(label.path, its.size, mine.size)
        check_same_grid(self, label, aligning=self.aligning)
        raise AssertionError("grids that differ are refused")

    def _is_flat(self, label: LabelVolume) -> bool:
        return 2 in (self.grid.spatial_dims, label.grid.spatial_dims)


def image_place(where: ImagePlace | Grid | Sequence[int]) -> ImagePlace:
    """Take a place, a grid or a bare size as a place."""
    if isinstance(where, ImagePlace):
        return where
    return ImagePlace(where if isinstance(where, Grid) else Grid.of(where))


def wrong_size(path: Path, given: Sequence[int], size: Sequence[int]) -> DataError:
    """Phrase that a label has another size than its image."""
    return DataError(
        f"{path}: the label has {format_size(given)} pixels, its image {format_size(size)}: "
        "both must have the same size"
    )


def is_picture(path: Path) -> bool:
    """Tell whether a file is one 2D picture, by its name or, of TIFF files, by its pages."""
    suffix = path.suffix.lower()
    if suffix in _TIFF:
        return read_header(path).format == "TIFF"
    return suffix in PICTURE_SUFFIXES


def read_labels(path: Path, *, is_color: bool | None = None) -> LabelVolume:
    """Read label values, and where they lie, from a file of any format.

    Args:
        path: A picture, a volume, or a NumPy array.
        is_color: As `read_label` takes it, for pictures.

    Raises:
        DataError: The file cannot be read, or holds other numbers.
    """
    if is_picture(path):
        picture = read_label(path, is_color=is_color)
        return LabelVolume(picture.values, Grid.of(picture.values.shape), path, picture.is_color)
    if is_color:
        raise DataError(f"{path}: the label is grey, the others are colours: save all in one way")
    return read_label_volume(path)


def read_label_channels(path: Path) -> list[LabelVolume] | None:
    """Read a volume file with a mask a channel (or an image in time); None where it has one."""
    header = read_header(path)
    if header.num_channels * header.num_frames == 1:
        return None
    axes = header.axes.replace("t", "c") if header.num_frames > 1 else None
    volume = read_volume(path, axes=axes)
    return [
        LabelVolume(whole_numbers(path, channel), volume.grid, path) for channel in volume.values
    ]
