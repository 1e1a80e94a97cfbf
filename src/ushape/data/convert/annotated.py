"""From outlines over pictures to cases: find the pictures, number the classes, paint.

COCO, LabelMe and CVAT are read into `Picture` and `Stroke`; what follows is the same for all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from ushape.data.convert.canvas import VOID, Canvas, Label, LabelForm
from ushape.data.convert.pictures import find_picture, name_cases
from ushape.data.convert.shapes import Patch, Points, whole_patch
from ushape.data.convert.source import (
    ConvertWish,
    ImageFiles,
    Source,
    SourceCase,
    number_classes,
)
from ushape.data.io import Grid
from ushape.data.layouts import Problem
from ushape.errors import DataError
from ushape.sizes import Size, format_size

BACKGROUND_NAMES = ("background", "_background_")
VOID_NAMES = ("ignore", "__ignore__", "void")

MOST_OVERHANG = 1.0
"""Pixels that an outline may stick out of its picture without a word: drawing by hand does that."""


@dataclass(frozen=True)
class Stroke:
    """One annotation of a picture.

    Attributes:
        where: Which one, for messages.
        name: Its class; one of `BACKGROUND_NAMES` erases, one of `VOID_NAMES` says that nothing is
            known there.
        draw: Gives its parts for a picture of this size (y, x); None for a part outside. Raises
            DataError when it cannot be drawn.
        points: Its corners, where it has some, to tell what sticks out.
    """

    where: str
    name: str
    draw: Callable[[Size], Sequence[Patch | None]]
    points: Points | None = None


@dataclass(frozen=True)
class Picture:
    """A picture with its annotations.

    Attributes:
        file: The file of the annotations.
        name: Of the picture, as that file has it.
        size: Of the picture, (y, x), as that file has it; None where it does not say.
        strokes: In the order of painting.
        problems: Why the annotations are of no use.
        remarks: What was left out that matters little.
        folders: Where the picture may lie; the first that holds it gives it.
        title: The path that names the case; that of the picture by default.
        fallback: Gives a picture to take where none of that name is found. Raises DataError.
    """

    file: Path
    name: str
    size: Size | None
    strokes: tuple[Stroke, ...] = ()
    problems: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    folders: tuple[Path, ...] = ()
    title: str = ""
    fallback: Callable[[], Path] | None = None


def build_source(
    kind: str,
    pictures: Sequence[Picture],
    found: Sequence[str],
    wish: ConvertWish,
    problems: Sequence[Problem] = (),
) -> Source:
    """Make a source of annotated pictures.

    Args:
        kind: What the annotations are.
        pictures: With their annotations.
        found: All classes of the annotations, in the order of their numbers.
        wish: What a person says.
        problems: Found while reading.

    Raises:
        ConfigError: The classes do not get numbers.
    """
    used = {stroke.name for picture in pictures for stroke in picture.strokes}
    special = (*BACKGROUND_NAMES, *VOID_NAMES)
    classes = [name for name in dict.fromkeys(found) if name.lower() not in special]
    names = number_classes([name for name in classes if name in used], wish.labels)
    unused = [name for name in classes if name not in used and wish.labels is None]
    empty = [
        Problem(pictures[0].file, f"the class {name!r} has no annotations: left out", "warning")
        for name in unused
    ]
    numbers = {name: number for number, name in enumerate(names)}
    numbers |= {name: VOID for name in used if name.lower() in VOID_NAMES}
    numbers |= {name: 0 for name in used if name.lower() in BACKGROUND_NAMES}
    form = wish.form or "multiclass"
    cases, more = _cases(pictures, wish, partial(_paint, numbers=numbers, form=form))
    if form == "instances":
        names = (names[0], "object")
    return Source(kind, cases, names, form, (*problems, *empty, *more))


def _cases(
    pictures: Sequence[Picture],
    wish: ConvertWish,
    paint: Callable[..., tuple[Label, tuple[str, ...]]],
) -> tuple[tuple[SourceCase, ...], list[Problem]]:
    """Find all pictures; tell those that are missing, of no use, or of one name."""
    taken: dict[str, SourceCase] = {}
    problems: list[Problem] = []
    ids = name_cases([picture.title or picture.name for picture in pictures])
    for picture, case_id in zip(pictures, ids, strict=True):
        made = _case(picture, case_id, wish, partial(paint, picture))
        if isinstance(made, Problem):
            problems.append(made)
        elif case_id in taken:
            text = f"the name {case_id!r} stands twice, also in {taken[case_id].file.name}"
            problems.append(Problem(made.image.paths[0], f"{text}: rename one", "error"))
        else:
            problems += [Problem(picture.file, text, "warning") for text in picture.remarks]
            taken[case_id] = made
    return tuple(taken.values()), problems


def _case(
    picture: Picture,
    case_id: str,
    wish: ConvertWish,
    label: Callable[[Grid], tuple[Label, tuple[str, ...]]],
) -> SourceCase | Problem:
    """Find the picture of annotations."""
    if picture.problems:
        more = f" (and {len(picture.problems) - 1} more)" if len(picture.problems) > 1 else ""
        text = f"{picture.name}: {picture.problems[0]}{more}"
        return Problem(picture.file, text, "error")
    try:
        path = _image(picture, wish)
    except DataError as error:
        return Problem(picture.file, str(error), "error")
    return SourceCase(case_id, picture.file, ImageFiles((path,)), label)


def _image(picture: Picture, wish: ConvertWish) -> Path:
    try:
        return find_picture(picture.name, picture.folders, wish.images)
    except DataError:
        if picture.fallback is None:
            raise
        return picture.fallback()


def _paint(
    picture: Picture, grid: Grid, *, numbers: dict[str, int], form: LabelForm
) -> tuple[Label, tuple[str, ...]]:
    """Paint the annotations of a picture in their order.

    Raises:
        DataError: The picture has another size than the annotations say, or one cannot be drawn.
    """
    size = grid.size
    if grid.spatial_dims != 2:
        raise DataError(f"{picture.name} is no single picture but {format_size(size)}")
    if picture.size is not None and picture.size != size:
        turned = "; it looks turned" if picture.size == size[::-1] else ""
        raise DataError(
            f"{picture.name} has {format_size(size)} pixels (y x), the annotations are for "
            f"{format_size(picture.size)}{turned}: give the picture that was annotated"
        )
    canvas = Canvas(size, max(numbers.values(), default=0) + 1, form)
    warnings = []
    for stroke in picture.strokes:
        try:
            parts = stroke.draw(size)
        except DataError as error:
            raise DataError(f"{picture.name}: {stroke.where} ({stroke.name}): {error}") from error
        kept = [part for part in parts if part is not None and part.mask.any()]
        for part in _joined(kept) if form == "instances" else kept:
            canvas.paint(part, numbers[stroke.name])
        if not kept:
            warnings.append(f"{picture.name}: {stroke.where} ({stroke.name}) covers no pixel")
        elif stroke.points is not None and _overhang(stroke.points, size) > MOST_OVERHANG:
            far = _overhang(stroke.points, size)
            text = f"sticks out of the picture by {far:.0f} pixels: cut off there"
            warnings.append(f"{picture.name}: {stroke.where} ({stroke.name}) {text}")
    return canvas.label(), tuple(warnings)


def _overhang(points: Points, size: Size) -> float:
    """Measure how far points lie outside of a picture, in pixels."""
    return float(max(-points.min(), (points - size[::-1]).max()))


def _joined(parts: Sequence[Patch]) -> list[Patch]:
    """Join the parts of one object, so that it gets one number."""
    if len(parts) < 2:
        return list(parts)
    rows, columns = zip(*(part.window for part in parts), strict=True)
    top, left = min(s.start for s in rows), min(s.start for s in columns)
    shape = max(s.stop for s in rows) - top, max(s.stop for s in columns) - left
    mask = np.zeros(shape, np.bool_)
    for (row, column), part in parts:
        mask[row.start - top : row.stop - top, column.start - left : column.stop - left] |= part
    return [whole_patch(mask, top, left)]
