"""Read a data set in any layout that `find_cases` knows, to write it in another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ushape.data.convert.canvas import VOID, Label, LabelForm
from ushape.data.convert.source import (
    ConvertWish,
    ImageFiles,
    Progress,
    Source,
    SourceCase,
    silent,
)
from ushape.data.io import (
    Grid,
    LabelVolume,
    read_header,
    read_label_volume,
)
from ushape.data.label_grid import ImagePlace
from ushape.data.layouts import CaseFiles, Layout, Problem, find_cases, list_problems
from ushape.data.masks import CaseMasks, read_masks
from ushape.errors import ConfigError, DataError, unknown_name
from ushape.labels import LabelTable, LabelWish, choose_labels, choose_masks, join_wishes


def read_layout(root: Path, wish: ConvertWish, progress: Progress) -> Source:
    """Read what a data set holds: its cases, and its classes from all of its labels.

    Raises:
        DataError: No layout is recognised, or no label can be read.
        ConfigError: The wish does not fit the labels.
    """
    if wish.form == "instances":
        raise ConfigError("--target instances: numbers of objects have no classes; leave it out")
    layout = find_cases(root, label_folder=wish.label_folder, kind=wish.layout)
    return take_layout(layout, wish, progress)


def take_layout(layout: Layout, wish: ConvertWish, progress: Progress = silent) -> Source:
    """Read all labels of a data set once, to know its classes.

    Raises:
        DataError: No label can be read.
        ConfigError: The wish does not fit the labels.
    """
    said = LabelWish(wish.foreground, wish.labels, None, wish.ignore, wish.regions)
    joined = join_wishes(said, layout.wish)
    problems = list(layout.problems)
    cases, counts = [], []
    for done, files in enumerate(layout.cases, start=1):
        image = _image(files, layout)
        found = _survey(files, image, joined.ignore)
        if isinstance(found, Problem):
            problems.append(found)
        else:
            cases.append((files, image))
            counts.append(found)
        progress(done, len(layout.cases))
    if not counts:
        listing = list_problems(problems)
        raise DataError(f"{layout.root}: no label can be read. {listing or 'No case has labels'}")
    pooled: Counter[int] = Counter()
    for each in counts:
        pooled.update(each.values)
    if pooled:  # a file beside the data may name values that no label has; a person may not
        joined = join_wishes(said, layout.wish, pooled)
    table = _table(counts, pooled, joined)
    form: LabelForm = wish.form or ("multilabel" if table.is_overlapping else "multiclass")
    return Source(
        layout.name,
        tuple(
            SourceCase(
                f.id,
                f.label_paths[0],
                image,
                partial(_read_label, f, table, form),
                f.group,
                layout.split.get(f.id) == "val",
            )
            for f, image in cases
        ),
        table.names,
        form,
        tuple(problems),
        wish.channels or layout.channel_names,
        _regions(joined, table),
        joined.parts_only,
        _order(joined, table),
    )


class _Counts:
    """Pixels by value of one case's labels, or by mask."""

    def __init__(self, values: Mapping[int, int], masks: CaseMasks | None, *, color: bool) -> None:
        self.values = values
        self.is_color = color
        self.mask_names = masks.names if masks else ()
        depth = masks.masks.sum(axis=0) if masks else np.zeros(1)
        self.num_marked, self.num_overlap = int((depth > 0).sum()), int((depth > 1).sum())


def _regions(said: LabelWish, table: LabelTable) -> dict[str, tuple[str, ...]]:
    """Name the labels of regions, which may be given by value.

    Raises:
        ConfigError: There is no such label.
    """
    names = {entry.name: entry.name for entry in table.foreground}
    names |= {table.value_text(entry.value): entry.name for entry in table.foreground}
    regions = {}
    for region, parts in said.regions.items():
        for part in parts:
            if part not in names:
                raise ConfigError(f"--region {region}: " + unknown_name("label", part, names))
        regions[region] = tuple(dict.fromkeys(names[part] for part in parts))
    return regions


def _order(joined: LabelWish, table: LabelTable) -> dict[str, int]:
    """Say which class numbers the classes paint, in the order of painting.

    Empty where this is not known: a class was left out that painted last.
    """
    numbers = {value: number for number, value in enumerate(table.values)}
    if not set(joined.order.values()) <= set(numbers):
        return {}
    return {name: numbers[value] for name, value in joined.order.items()}


def _survey(files: CaseFiles, image: ImageFiles, ignore: int | None) -> _Counts | Problem:
    """Count the values of one case's labels."""
    if not files.label_paths:
        return Problem(files.image, "no label: left out", "error")
    try:
        place = _place(files, image.look().grid)
        masks = None if files.planes else read_masks(files, place, ignore=ignore)
        if masks is not None:
            return _Counts({}, masks, color=False)
        label = _load_values(files)
        found, counts = np.unique(label.values, return_counts=True)
        return _Counts(
            dict(zip(found.tolist(), counts.tolist(), strict=True)), None, color=label.is_color
        )
    except DataError as error:
        return Problem(files.label_paths[0], str(error), "error")


def _table(counts: list[_Counts], pooled: Mapping[int, int], joined: LabelWish) -> LabelTable:
    """Decide the classes, without regions: those are made of classes."""
    names = Counter(each.mask_names for each in counts)
    (usual, _), *others = names.most_common()
    if others:
        raise DataError(
            f"labels are of several kinds: masks {', '.join(usual) or 'none'} in "
            f"{names[usual]} cases, other masks or values in {sum(n for _, n in others)}"
        )
    plain = replace(joined, regions={})
    if usual:
        overlap = sum(each.num_overlap for each in counts)
        share = overlap / max(sum(each.num_marked for each in counts), 1)
        return choose_masks(usual, form="folders", overlap_fraction=share, wish=plain)
    table = choose_labels(
        dict(sorted(pooled.items())),
        is_color=any(each.is_color for each in counts),
        foreground=joined.foreground,
        names=joined.names,
        ignore=joined.ignore,
    )
    if sorted(table.values) == list(range(len(table.values))) and table.values[0] == 0:
        by_value = sorted(table.classes, key=lambda entry: entry.value)
        return replace(table, classes=tuple(by_value))  # numbers without gaps stay as they are
    return table


def _image(files: CaseFiles, layout: Layout) -> ImageFiles:
    """Say how the image of a case is read."""
    if files.planes:
        return ImageFiles(files.image_paths, is_stack=True, spacing_mm=layout.stack_mm)
    axes = _frames_as_channels(files.image) if files.frames_are_channels else None
    return ImageFiles(files.image_paths, axes, spacing_mm=files.spacing_mm)


def _frames_as_channels(path: Path) -> str | None:
    """Take the images of a 4D file for channels, as the Medical Segmentation Decathlon has it."""
    try:
        header = read_header(path)
    except DataError:  # told when it is converted
        return None
    return header.axes.replace("t", "c") if header.num_frames > 1 else None


def _load_values(files: CaseFiles) -> LabelVolume:
    """Read labels of values; those of a stack slice by slice."""
    if not files.planes:
        assert files.label is not None
        return read_label_volume(files.label)
    slices = [_load_values(plane) for plane in files.planes]
    values = np.stack([each.values for each in slices])
    return LabelVolume(
        values, Grid.of(values.shape), slices[0].path, any(each.is_color for each in slices)
    )


def _place(files: CaseFiles, grid: Grid) -> ImagePlace:
    tool = "a tool of your choice: nothing is aligned here"
    return ImagePlace(grid, str(files.image), spacing_mm=files.spacing_mm, aligning=tool)


def _read_label(
    files: CaseFiles, table: LabelTable, form: LabelForm, grid: Grid
) -> tuple[Label, tuple[str, ...]]:
    """Read labels as class numbers or masks, on the grid of their image.

    Raises:
        DataError: They cannot be read, or lie elsewhere.
    """
    place = _place(files, grid)
    masks = None if files.planes else read_masks(files, place, ignore=table.ignore)
    if masks is not None and form == "multilabel":
        return Label(None, masks.masks, masks.void), ()
    if masks is not None:
        values = np.zeros(grid.size, np.int32)
        for number, mask in enumerate(masks.masks, start=1):
            values[mask] = number
        return Label(values, None, masks.void), ()
    label = place.lay(_load_values(files))
    numbers = {value: k for k, entry in enumerate(table.classes) for value in entry.members}
    if table.ignore is not None:
        numbers[table.ignore] = VOID
    values = _translate(label, numbers)
    void = values == VOID
    values = np.where(void, 0, values)
    label_void = void if void.any() else None
    if form == "multilabel":
        kept = np.stack([values == number for number in range(1, len(table.classes))])
        return Label(None, kept, label_void), ()
    return Label(values, None, label_void), ()


def _translate(values: NDArray[Any], numbers: Mapping[int, int]) -> NDArray[np.int32]:
    """Turn file values into class numbers.

    Raises:
        DataError: A value is in no class.
    """
    known = np.array(sorted(numbers))
    position = np.searchsorted(known, values).clip(0, len(known) - 1)
    if not np.array_equal(known[position], values):
        strange = sorted(set(np.unique(values).tolist()) - set(numbers))
        raise DataError(f"the value {strange[0]} is in no class; name all with --labels")
    by_position = np.array([numbers[int(value)] for value in known], np.int32)
    return np.asarray(by_position[position])
