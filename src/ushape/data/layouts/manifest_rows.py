"""Read the rows of a manifest, CSV or JSON, as text; nothing is looked for on disk."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ushape.data.layouts.dataset_json import Description, describe
from ushape.errors import DataError, nearest_name

MANIFEST_SUFFIXES = (".csv", ".tsv", ".json")

_ONE_NAME = {
    "id": "id", "case": "id", "group": "group", "subject": "group", "patient": "group",
    "split": "split", "slice": "slice", "spacing_mm": "spacing_mm",
    "sampling_weight": "sampling_weight",
}  # fmt: skip
COLUMNS = (
    "image (or image_NAME for each channel), label (or label_CLASS for each mask), id, group (or "
    "subject), split, slice, spacing_mm, sampling_weight"
)


@dataclass(frozen=True)
class Row:
    """What a manifest says of one case.

    Attributes:
        where: `line 7`, or `case 3` of a JSON file.
        images: Channel name -> file, in order; the only one may have no name.
        labels: Class name -> file; or "" -> the one label.
        values: Of the other columns, those that are not empty.
    """

    where: str
    images: Mapping[str, str]
    labels: Mapping[str, str]
    values: Mapping[str, str]


@dataclass(frozen=True)
class Table:
    """A manifest as written.

    Attributes:
        rows: In order.
        unused: Columns that mean nothing here.
        description: What a JSON manifest says of labels and channels.
    """

    rows: tuple[Row, ...]
    unused: tuple[str, ...] = ()
    description: Description | None = None


@dataclass
class _Columns:
    """Columns by what they hold: column -> channel, class or value."""

    images: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=dict)
    unused: list[str] = field(default_factory=list)


def read_rows(path: Path) -> Table:
    """Read a manifest.

    Raises:
        DataError: It is neither CSV nor JSON, damaged, or names no images.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: it is no UTF-8 text: save it as UTF-8") from error
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}; allow it with chmod") from error
    if path.suffix.lower() == ".json":
        return _of_json(path, text)
    if path.suffix.lower() in (".csv", ".tsv"):
        return _of_csv(path, text)
    raise DataError(
        f"{path}: this is a file; give the folder of the data set, or a manifest that ends in "
        f".csv or .json with the columns {COLUMNS}"
    )


def header_of(path: Path) -> tuple[str, ...]:
    """Return the column names of a CSV file; none where it cannot be read."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            line = file.readline(1 << 16)
        cells = next(csv.reader([line], delimiter=_delimiter(line)), ())
    except (OSError, UnicodeDecodeError, csv.Error):
        return ()
    return tuple(name.strip() for name in cells)


def names_images(columns: Sequence[str]) -> bool:
    """Tell whether some column names images."""
    return any(_is_of(name, "image") for name in columns)


def _is_of(column: str, kind: str) -> bool:
    return column.lower() == kind or column.lower().startswith(f"{kind}_")


def _delimiter(line: str) -> str:
    return max(",;\t", key=line.count)


def _of_csv(path: Path, text: str) -> Table:
    lines = text.splitlines()
    reader = csv.reader(io.StringIO(text), delimiter=_delimiter(lines[0] if lines else ""))
    try:
        header = [name.strip() for name in next(reader, [])]
        columns = _sort(path, header)
        rows = []
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            where = f"line {reader.line_num}"
            if len(cells) > len(header):
                raise DataError(
                    f"{path}, {where}: {len(cells)} cells for {len(header)} columns: put names "
                    "with commas into quotes"
                )
            row = dict(zip(header, (cell.strip() for cell in cells), strict=False))
            rows.append(_row(where, row, columns))
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: it is no CSV ({error})") from error
    return Table(tuple(rows), tuple(columns.unused))


def _sort(path: Path, header: Sequence[str]) -> _Columns:
    """Tell what each column holds.

    Raises:
        DataError: A column stands twice, none names images, or labels are named in two ways.
    """
    columns = _Columns()
    for name in header:
        lower = name.lower()
        if name and header.count(name) > 1:
            raise DataError(f"{path}: the column {name!r} stands twice: keep one of them")
        if _is_of(name, "image"):
            columns.images[name] = name[len("image_") :]
        elif _is_of(name, "label"):
            columns.labels[name] = name[len("label_") :]
        elif lower in _ONE_NAME:
            columns.values[name] = _ONE_NAME[lower]
        elif name:
            columns.unused.append(name)
    if len(set(columns.values.values())) < len(columns.values):
        raise DataError(f"{path}: {', '.join(columns.values)}: two columns mean the same; keep one")
    for kind, found in (("image", columns.images), ("label", columns.labels)):
        if "" in found.values() and len(found) > 1:
            names = ", ".join(found)
            raise DataError(f"{path}: the columns {names}: give {kind}, or {kind}_NAME for each")
    if not columns.images:
        near = next(
            (name for name in columns.unused if nearest_name(name.lower(), ["image"])), None
        )
        hint = f"; is {near!r} the one?" if near else ""
        raise DataError(
            f"{path}: no column names images (found: {', '.join(header) or 'nothing'}){hint} "
            f"Columns are {COLUMNS}"
        )
    return columns


def _row(where: str, cells: Mapping[str, str], columns: _Columns) -> Row:
    return Row(
        where,
        {name: cells.get(column, "") for column, name in columns.images.items()},
        {name: cells.get(column, "") for column, name in columns.labels.items()},
        {name: cells[column] for column, name in columns.values.items() if cells.get(column)},
    )


def _of_json(path: Path, text: str) -> Table:
    try:
        content = json.loads(text)
    except ValueError as error:
        raise DataError(f"{path}: it is no JSON ({error})") from error
    listed = content.get("cases") if isinstance(content, dict) else content
    if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
        raise DataError(
            f'{path}: it is no manifest: give a list of objects, or {{"cases": [...]}}, each with '
            f"{COLUMNS}"
        )
    flat = [_flat(path, f"case {number}", each) for number, each in enumerate(listed, start=1)]
    rows, unused = [], {}
    for number, cells in enumerate(flat, start=1):
        columns = _sort(path, list(cells))
        unused.update(dict.fromkeys(columns.unused))
        rows.append(_row(f"case {number}", cells, columns))
    return Table(tuple(rows), tuple(unused), _description(path, content))


def _flat(path: Path, where: str, case: Mapping[str, Any]) -> dict[str, str]:
    """Write lists and objects of files as columns."""
    cells: dict[str, str] = {}
    for key, value in case.items():
        if key == "image" and isinstance(value, list) and len(value) > 1:
            cells |= {f"image_{number}": str(each) for number, each in enumerate(value)}
        elif key in ("image", "label") and isinstance(value, dict):
            cells |= {f"{key}_{name}": str(each) for name, each in value.items()}
        elif key == "spacing_mm" and isinstance(value, list):
            cells[key] = "x".join(str(each) for each in value)
        elif isinstance(value, list) and len(value) == 1:
            cells[key] = str(value[0])
        elif isinstance(value, list | dict):
            if key in ("image", "label") or key.lower() in _ONE_NAME:
                raise DataError(f"{path}, {where}: {key!r} is {value!r}: give one text")
            cells[key] = ""
        else:
            cells[key] = "" if value is None else str(value)
    return cells


def _description(path: Path, content: Any) -> Description | None:
    if not isinstance(content, dict) or not {"labels", "channel_names"} & content.keys():
        return None
    try:
        return describe(content)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DataError(
            f"{path}: its labels or channels cannot be understood ({error}): give them as nnU-Net "
            "describes dataset.json"
        ) from error
