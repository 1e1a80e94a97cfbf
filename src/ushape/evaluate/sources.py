"""Find the files of an evaluation and read them as class indices."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ushape.data.io import PICTURE_SUFFIXES, read_label
from ushape.data.layouts import find_cases, natural_key
from ushape.data.targets import encode_labels
from ushape.errors import DataError
from ushape.evaluate.evaluation import LabelMap
from ushape.labels import LabelTable, choose_labels
from ushape.metrics.checks import Mask

RECORD = "predictions.json"


@dataclass(frozen=True)
class LabelFile:
    """One label file as it is compared.

    Attributes:
        index: Class indices, shape (*size); background where ignored.
        ignored: True where the file holds the ignored value; None where it does nowhere.
        spacing_mm: Edges of a voxel, z y x, if the file tells.
    """

    index: LabelMap
    ignored: Mask | None = None
    spacing_mm: tuple[float, ...] | None = None


Reader = Callable[[Path, LabelTable, int | None], LabelFile]
"""Reads a label file: its path, the classes, the ignored value."""


def read_picture(path: Path, labels: LabelTable, ignore: int | None = None) -> LabelFile:
    """Read a label picture. Pictures do not tell their spacing.

    Without `ignore`, the value that the label table ignores is ignored.

    Raises:
        DataError: The file cannot be read, or holds a value of no class.
    """
    values = read_label(path, is_color=labels.is_color).values
    ignore = labels.ignore if ignore is None else ignore
    ignored = None if ignore is None else values == ignore
    if ignored is not None:
        values = np.where(ignored, labels.values[0], values)
    try:
        index = encode_labels(values, labels)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    return LabelFile(index, ignored if ignored is not None and ignored.any() else None)


def read_truths(
    paths: Mapping[str, Path], labels: LabelTable, ignore: int | None, read: Reader
) -> Iterator[LabelFile]:
    """Read, one after the other, the truths that can be read; the others are reported later."""
    for path in paths.values():
        try:
            yield read(path, labels, ignore)
        except DataError:
            continue


def find_labels(
    predictions: Path,
    truths: Mapping[str, Path],
    foreground: str | None,
    names: Mapping[str, int] | None,
    ignore: int | None,
) -> LabelTable:
    """Take the classes from `predictions.json`, or choose them from the values of the truth."""
    record = predictions / RECORD
    if foreground is None and not names and record.is_file():
        try:
            return LabelTable.from_json(json.loads(record.read_text(encoding="utf-8"))["labels"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"{record}: damaged ({error}); delete it and give --labels") from error
    counts: Counter[int] = Counter()
    is_color = False
    for path in truths.values():
        picture = read_label(path)
        is_color = picture.is_color
        values, number = np.unique(picture.values, return_counts=True)
        counts.update(dict(zip(values.tolist(), number.tolist(), strict=True)))
    if ignore is not None:
        del counts[ignore]
    return choose_labels(counts, is_color=is_color, foreground=foreground, names=names)


def failed_before(predictions: Path) -> list[str]:
    """Tell which images `ushape predict` could not predict."""
    record = predictions / RECORD
    if not record.is_file():
        return []
    try:
        failed = json.loads(record.read_text(encoding="utf-8")).get("failed", {})
    except (OSError, ValueError):
        return []
    return [f"{path}: was not predicted ({message})" for path, message in failed.items()]


def find_truths(folder: Path) -> dict[str, Path]:
    """Find label pictures by name, in a data set or in a folder of nothing else."""
    try:
        layout = find_cases(folder)
    except DataError:
        if folder.is_dir() and not _pictures_in(folder):
            raise
        return find_pictures(folder)
    return {case.id: case.label for case in layout.cases if case.label is not None}


def find_pictures(folder: Path) -> dict[str, Path]:
    """Find label pictures by name.

    Raises:
        DataError: There is no such folder, or nothing in it, or one name twice.
    """
    if not folder.is_dir():
        what = "this is a file" if folder.exists() else "there is no such folder"
        raise DataError(f"{folder}: {what}; give a folder of label pictures")
    found = _pictures_in(folder)
    if not found:
        raise DataError(f"{folder}: holds no PNG, BMP, TIFF or JPEG picture")
    return found


def name_some(names: Mapping[str, Path]) -> str:
    """List the first names."""
    listed = sorted(names, key=natural_key)[:3]
    return ", ".join(listed) + (" ..." if len(names) > 3 else "")


def _pictures_in(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        is_hidden = path.name.startswith(".") or path.stem.endswith(".probabilities")
        if is_hidden or path.suffix.lower() not in PICTURE_SUFFIXES:
            continue
        if path.stem in found:
            raise DataError(
                f"{path}: the name stands twice, also as {found[path.stem].name}; remove one of "
                "them, or put them into two folders"
            )
        found[path.stem] = path
    return found
