"""Read the label of one case: which values it holds, where they lie, and whether they fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ushape.data.io import Grid, LabelPicture, LabelVolume, Turn, read_header
from ushape.data.label_grid import ImagePlace, is_picture, read_labels
from ushape.data.layouts import CaseFiles, Problem
from ushape.data.masks import CaseMasks, read_masks, read_values
from ushape.data.scan.measure import SLAB, Inside, Values, measure_by_mask, measure_by_value
from ushape.data.targets import VOID, encode_labels
from ushape.errors import DataError
from ushape.labels import Colors, Form, LabelWish, instance_table
from ushape.sizes import Size, format_size

MAX_LABEL_VALUES = 256
"""More different values than this are instance numbers or grey levels, not classes."""


@dataclass(frozen=True)
class LabelFacts:
    """What a case's label files hold; the attributes are those of `CaseScan`."""

    label_counts: dict[int, int]
    inside: Mapping[int, Inside] = field(default_factory=dict)
    has_label_colors: bool = False
    num_label_channels: int = 1
    form: Form = "values"
    mask_names: tuple[str, ...] = ()
    num_overlap: int = 0
    num_void: int = 0
    is_label_float: bool = False
    is_aligned: bool = False
    palette: Colors = ()


@dataclass(frozen=True)
class _Read:
    """Values of one label file on the canonical grid, and what is to be said of the file."""

    picture: LabelPicture
    is_float: bool = False
    is_aligned: bool = False


def scan_label(
    files: CaseFiles, image: Values, turn: Turn, wish: LabelWish, *, is_alignable: bool
) -> LabelFacts | Problem:
    """Read and measure the label of a case; a problem is returned when it is of no use.

    Args:
        files: Of the case.
        image: Its image on the canonical grid, shape (channel, *size).
        turn: How it was brought there.
        wish: What a person says about the labels.
        is_alignable: A label on another grid is resampled, not refused.
    """
    paths = files.label_paths
    if not paths:
        return LabelFacts({})
    place = ImagePlace(
        turn.old, str(files.image), is_alignable, files.spacing_mm, outside=wish.void or 0
    )
    try:
        found = read_masks(files, place, ignore=wish.void)
        if found is not None:
            form: Form = "folders" if files.masks else "channels"
            return _mask_facts(image, _turned(found, turn), form)
        read = _read(paths[0], place, turn)
        if isinstance(read, Problem):
            return read
        if wish.has_instances and not read.picture.is_color:
            return _instance_facts(image, read, wish)
    except DataError as error:
        return file_problem(paths, error, what="label")
    return _value_facts(paths[0], image, read, wish)


def _read(path: Path, place: ImagePlace, turn: Turn) -> _Read | Problem:
    """Read a file of label values onto the grid of its image."""
    is_plain = is_picture(path)
    if is_plain:
        picture = read_values(path)
        grid = Grid.of(picture.values.shape)
        label = LabelVolume(picture.values, grid, path, picture.is_color)
    else:
        label = read_labels(path)
        picture = LabelPicture(label.values, label.is_color)
    if place.grid.spatial_dims == 2 and not place.is_alignable:
        wrong = _with_size(path, label.grid.size, place.grid.size)
        if wrong is not None:
            return wrong
    label = place.turn(label)  # which is not resampling: no value changes
    laid = place.lay(label)
    return _Read(
        replace(picture, values=laid if turn.is_identity else turn.apply(laid)),
        is_float=not is_plain and read_header(path).dtype.kind == "f",
        is_aligned=laid is not label.values,
    )


def _value_facts(path: Path, image: Values, read: _Read, wish: LabelWish) -> LabelFacts | Problem:
    picture = read.picture
    counts = count_values(picture.values)
    if len(counts) > MAX_LABEL_VALUES:
        return _too_many_values(path, len(counts))
    return LabelFacts(
        counts,
        measure_by_value(image, np.ascontiguousarray(picture.values), counts),
        picture.is_color,
        picture.num_channels,
        num_void=0 if wish.void is None else counts.get(wish.void, 0),
        is_label_float=read.is_float,
        is_aligned=read.is_aligned,
        palette=read.picture.palette,
    )


def _instance_facts(image: Values, read: _Read, wish: LabelWish) -> LabelFacts:
    """Count the pixels of objects (1) and of the borders between them (2)."""
    index = encode_labels(read.picture.values, instance_table(wish))
    every = count_values(index)
    counts = {value: count for value, count in every.items() if value != VOID}
    return LabelFacts(
        counts,
        measure_by_value(image, np.ascontiguousarray(index), counts),
        num_label_channels=read.picture.num_channels,
        form="instances",
        num_void=every.get(VOID, 0),
        is_label_float=read.is_float,
        is_aligned=read.is_aligned,
        palette=read.picture.palette,
    )


def _mask_facts(image: Values, found: CaseMasks, form: Form) -> LabelFacts:
    """Count the pixels of masks."""
    depth = found.masks.sum(axis=0, dtype=np.uint8)
    num_void = 0 if found.void is None else int(np.count_nonzero(found.void))
    counts = {number: int(np.count_nonzero(m)) for number, m in enumerate(found.masks, start=1)}
    all_counts = {0: int(np.count_nonzero(depth == 0)) - num_void, **counts}
    return LabelFacts(
        {value: count for value, count in all_counts.items() if count},
        measure_by_mask(image, found.masks, counts),
        form=form,
        mask_names=found.names,
        num_overlap=int(np.count_nonzero(depth > 1)),
        num_void=num_void,
    )


def _turned(found: CaseMasks, turn: Turn) -> CaseMasks:
    if turn.is_identity:
        return found
    void = None if found.void is None else turn.apply(found.void)
    return CaseMasks(found.names, turn.apply(found.masks), void)


def count_values(values: npt.NDArray[np.integer]) -> dict[int, int]:
    """Count the pixels of every label value, by rising value."""
    if values.dtype.itemsize <= 2:
        counts = np.zeros(1 << (8 * values.dtype.itemsize), np.int64)
        flat = values.reshape(-1)
        for start in range(0, flat.size, SLAB):  # bincount copies to 64 bits
            found = np.bincount(flat[start : start + SLAB])
            counts[: len(found)] += found
        present = np.flatnonzero(counts)
        return {int(value): int(counts[value]) for value in present}
    found, numbers = np.unique(values, return_counts=True)
    return {int(value): int(count) for value, count in zip(found, numbers, strict=True)}


def _too_many_values(path: Path, number: int) -> Problem:
    is_jpeg = path.suffix.lower() in (".jpg", ".jpeg")
    cause = "JPEG compression invents values" if is_jpeg else "they look like instance numbers"
    text = f"the label has {number} different values: {cause} or grey levels, not classes"
    remedy = "save one value a class, as PNG"
    remedy += "" if is_jpeg else "; numbers of objects are read with --target instances"
    return Problem(path, f"{text}; {remedy}", "error")


def _with_size(path: Path, given: Size, size: Size) -> Problem | None:
    """Refuse a label of another size than its image."""
    if given == size:
        return None
    text = f"the label has {format_size(given)} pixels, its image {format_size(size)}"
    turned = " (turned?)" if given == size[::-1] else ""
    return Problem(path, f"{text}{turned}: both must have the same size", "error")


def file_problem(paths: tuple[Path, ...], error: DataError, *, what: str) -> Problem:
    """Find the file that an error is about among those of a case.

    Args:
        paths: The files.
        error: Which one of them is named in.
        what: They are, such as `label`.
    """
    text = str(error)
    for path in paths:
        if text.startswith(f"{path}: "):
            return Problem(path, text.removeprefix(f"{path}: "), "error")
        if text.startswith(f"{path} does not lie"):
            return Problem(path, f"the {what}{text.removeprefix(str(path))}", "error")
    about = next((path for path in paths if text.startswith(f"cannot read {path}: ")), paths[0])
    return Problem(about, f"unreadable: {text.removeprefix(f'cannot read {about}: ')}", "error")
