"""What every kind of annotation becomes before it is written: cases with an image and labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ushape.data.convert.canvas import LABEL_FORMS, Label, LabelForm
from ushape.data.io import Grid, Volume, read_header, read_stack, read_volume
from ushape.data.io.claims import checked_grid
from ushape.data.layouts import Problem
from ushape.errors import ConfigError, unknown_name

BACKGROUND = "background"

Progress = Callable[[int, int], None]
"""Called with the number done and the number of all."""


def silent(done: int, total: int) -> None:
    """Take progress without a word."""
    del done, total


@dataclass(frozen=True)
class ConvertWish:
    """What a person says about a conversion.

    Attributes:
        images: Folder of the pictures that annotations name.
        labels: Class names with their numbers (annotations) or their values in files (layouts),
            the background first.
        form: `multiclass`, `multilabel` or `instances`; None lets the data decide.
        foreground: Of layouts: the value that is the one foreground class.
        ignore: Of layouts: the value of void pixels.
        regions: Further classes, made of labels; only nnU-Net's layout holds them.
        label_folder: Of layouts: name of the folder of the labels.
        layout: Of layouts: the kind, instead of what is recognised.
        line_width: Of lines, in pixels; None refuses lines.
        point_radius: Of points, in pixels; None refuses points.
        channels: Names of the image's channels.
    """

    images: Path | None = None
    labels: Mapping[str, int] | None = None
    form: LabelForm | None = None
    foreground: str | None = None
    ignore: int | None = None
    regions: Mapping[str, Sequence[str]] = field(default_factory=dict)
    label_folder: str | None = None
    layout: str | None = None
    line_width: float | None = None
    point_radius: float | None = None
    channels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.form is not None and self.form not in LABEL_FORMS:
            raise ConfigError("--target: " + unknown_name("kind of target", self.form, LABEL_FORMS))
        for option, value in (
            ("--line-width", self.line_width),
            ("--point-radius", self.point_radius),
        ):
            if value is not None and not 0.5 <= value <= 1e4:
                raise ConfigError(f"{option} {value:g}: give pixels, 0.5 to 10000")


@dataclass(frozen=True)
class Look:
    """What is known of an image before it is loaded."""

    grid: Grid
    num_channels: int
    dtype: np.dtype[np.generic]


@dataclass(frozen=True)
class ImageFiles:
    """The image of a case.

    Attributes:
        paths: One file; or its channels; or the slices of a stack.
        axes: What the stored axes are, where the file does not say.
        is_stack: The files are slices.
        spacing_mm: Of a stack, or of a file that does not tell it.
    """

    paths: tuple[Path, ...]
    axes: str | None = None
    is_stack: bool = False
    spacing_mm: tuple[float, ...] | None = None

    @property
    def is_plain(self) -> bool:
        """Whether one file is the image, and stays so when it is copied."""
        told = self.axes is not None or self.spacing_mm is not None
        return len(self.paths) == 1 and not told and self.paths[0].is_file()

    def look(self) -> Look:
        """Read headers only.

        Raises:
            DataError: A file cannot be read.
        """
        headers = [read_header(path, axes=self.axes) for path in self.paths]
        first = headers[0]
        if self.is_stack:
            grid = Grid.of((len(headers), *first.grid.size), self.spacing_mm)
            return Look(grid, first.num_channels, first.dtype)
        num_channels = sum(header.num_channels for header in headers)
        return Look(self._placed(first.grid), num_channels, first.dtype)

    def load(self) -> Volume:
        """Read the image.

        Raises:
            DataError: A file cannot be read, or files do not fit together.
        """
        if self.is_stack:
            return read_stack(self.paths, spacing_mm=self.spacing_mm)
        volume = read_volume(self.paths if len(self.paths) > 1 else self.paths[0], axes=self.axes)
        return replace(volume, grid=self._placed(volume.grid))

    def _placed(self, grid: Grid) -> Grid:
        """Give a grid the spacing that its file does not tell."""
        if self.spacing_mm is None:
            return grid
        direction = np.array(grid.direction)
        return checked_grid(self.paths[0], grid.size, self.spacing_mm, grid.origin_mm, direction)


@dataclass(frozen=True)
class SourceCase:
    """One case that can be converted.

    Attributes:
        id: Its name, and that of its files.
        file: Of its labels, named in problems.
        image: Its image.
        label: Gives its labels for an image of this grid, with warnings. Raises DataError.
        group: The subject that it belongs to.
        validates: The data set sets it aside for validation.
    """

    id: str
    file: Path
    image: ImageFiles
    label: Callable[[Grid], tuple[Label, tuple[str, ...]]]
    group: str | None = None
    validates: bool = False


@dataclass(frozen=True)
class Source:
    """A data set that can be converted.

    Attributes:
        kind: What it is, such as `COCO`.
        cases: Its cases.
        names: Its classes by number, the background first.
        form: What its labels are.
        problems: Cases that are no use (errors), and oddities (warnings).
        channels: Names of the image's channels, where the source knows them.
        regions: Classes made of others: name -> names.
        parts_only: Classes that are parts of regions only, and are not told as classes.
        order: By class or region, in the order in which they are painted over each other, the
            class number that each paints; empty where the source does not say.
    """

    kind: str
    cases: tuple[SourceCase, ...]
    names: tuple[str, ...]
    form: LabelForm
    problems: tuple[Problem, ...] = ()
    channels: tuple[str, ...] = ()
    regions: Mapping[str, Sequence[str]] = field(default_factory=dict)
    parts_only: tuple[str, ...] = ()
    order: Mapping[str, int] = field(default_factory=dict)


def number_classes(found: Sequence[str], labels: Mapping[str, int] | None) -> tuple[str, ...]:
    """Number the classes of annotations.

    Args:
        found: Class names in the order of the source, without the background.
        labels: Names with their numbers, as a person says; may name classes that do not occur.

    Returns:
        The names by number, the background first.

    Raises:
        ConfigError: A class has no number, or the numbers have gaps.
    """
    if labels is None:
        return (BACKGROUND, *found)
    missing = [name for name in found if name not in labels]
    if missing:
        raise ConfigError(f"--labels does not name {', '.join(missing)}; add NAME=NUMBER for each")
    by_number = {number: name for name, number in labels.items()}
    if sorted(by_number) != list(range(len(labels))):
        raise ConfigError(
            f"--labels: the numbers are {sorted(labels.values())}; for annotations they count from "
            f"0, the background, to {len(labels) - 1}, each once"
        )
    return tuple(by_number[number] for number in range(len(labels)))
