"""The cases of a data set as files, before any is opened."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

from ushape.labels import LabelWish

Side = Literal["train", "val"]

LAYOUT_KINDS = ("folders", "nnunet", "msd", "case-folders", "pairs", "manifest")
"""Of data sets: `images/ + labels/`; nnU-Net's raw data; the Medical Segmentation Decathlon; one
folder a case; labels beside their images; a table of the files."""

_MAX_NAMED = 3

_VARYING = re.compile(r"[^ ]*[/\\][^ ]*|-?\d[\d.e+-]*")
"""Parts of a message that are another in every case: paths and numbers."""


@dataclass(frozen=True)
class Problem:
    """Something wrong with a file: an error leaves its case out, a warning does not."""

    path: Path
    message: str
    severity: Literal["error", "warning"]

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


def list_problems(problems: Sequence[Problem], most: int = 5) -> str:
    """Phrase problems in one line: the first of those alike, in full, and how many more there are.

    Alike are messages that differ only in numbers and in words with a folder in them.

    Args:
        problems: In the order in which they are told.
        most: Kinds of problems that are told.
    """
    kinds: dict[str, list[Problem]] = {}
    for problem in problems:
        kinds.setdefault(_VARYING.sub("#", problem.message), []).append(problem)
    told = []
    for first, *others in list(kinds.values())[:most]:
        names = ", ".join(other.path.name for other in others[:_MAX_NAMED])
        names += ", ..." if len(others) > _MAX_NAMED else ""
        told.append(f"{first}" + (f" (and {len(others)} more: {names})" if others else ""))
    num_more = sum(map(len, list(kinds.values())[most:]))
    return "; ".join(told) + (f"; and {num_more} more" if num_more else "")


class ClassMask(NamedTuple):
    """The mask of one class, where every class has a folder of its own."""

    name: str
    path: Path


@dataclass(frozen=True)
class CaseFiles:
    """The files of one case; a labelled case has a `label` or `masks`, one of every class.

    Attributes:
        id: Its name: the common name of its files without ending and channel number.
        image: The image; the first of several files; a folder for a DICOM series or OME-Zarr.
        label: File with label values or with a mask a channel.
        masks: One file a class.
        channels: Where the image's channels lie in several files, all of them in order.
        planes: Where the case is a stack of pictures, its slices in order, each a 2D case.
        group: The subject that it belongs to; cases of one subject are not divided by a split.
        spacing_mm: Voxel edges in array order, where the files do not tell them but something else
            did.
        position: Of a slice in its stack: neighbours differ by one.
        sampling_weight: How many times as often as by itself training patches are cut here.
        frames_are_channels: If the image is a 4D file, its images are channels, as the Medical
            Segmentation Decathlon has it.
    """

    id: str
    image: Path
    label: Path | None
    masks: tuple[ClassMask, ...] = ()
    channels: tuple[Path, ...] = ()
    planes: tuple[CaseFiles, ...] = ()
    group: str | None = None
    spacing_mm: tuple[float, ...] | None = None
    position: int | None = None
    sampling_weight: float = 1.0
    frames_are_channels: bool = False

    @property
    def image_paths(self) -> tuple[Path, ...]:
        """All files that hold the image."""
        if self.planes:
            return tuple(path for plane in self.planes for path in plane.image_paths)
        return self.channels or (self.image,)

    @property
    def label_paths(self) -> tuple[Path, ...]:
        """All files that hold labels."""
        if self.planes:
            return tuple(path for plane in self.planes for path in plane.label_paths)
        return tuple(mask.path for mask in self.masks) or ((self.label,) if self.label else ())


@dataclass(frozen=True)
class Layout:
    """The cases of a data set.

    Attributes:
        name: What was recognised, such as `images + labels`.
        root: What was given: the folder of the data set, or its manifest.
        cases: In natural order of their ids (2 before 10).
        problems: Files that found no partner, or too many.
        labels: The folder of the labels; the root where they lie beside the images.
        kind: One of `LAYOUT_KINDS`.
        wish: What a file beside the data (`dataset.json`) says of the labels; what a person
            says wins over it.
        channel_names: Of the image's channels, where such a file names them, such as `("CT",)`.
        stack_mm: Edges of a voxel, z y x, where the cases are the slices of a stack (one a group).
        split: Case id -> `train` or `val`, where the data set says so itself; else empty.
    """

    name: str
    root: Path
    cases: tuple[CaseFiles, ...]
    problems: tuple[Problem, ...]
    labels: Path
    kind: str = "folders"
    wish: LabelWish | None = None
    channel_names: tuple[str, ...] = ()
    stack_mm: tuple[float, float, float] | None = None
    split: Mapping[str, Side] = field(default_factory=dict)


def natural_key(text: str) -> tuple[tuple[int, int, str], ...]:
    """Return a sorting key that orders numbers inside names by value.

    >>> sorted(["b10", "b2", "a"], key=natural_key)
    ['a', 'b2', 'b10']
    """
    parts = re.split(r"(\d+)", text)
    return tuple((0, int(p), p) if p.isdecimal() else (1, 0, p.casefold()) for p in parts if p)
