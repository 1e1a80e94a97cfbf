"""Read a manifest: a table, CSV or JSON, that names the files of every case."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PureWindowsPath

from ushape.data.io import path_inside
from ushape.data.layouts.cases import CaseFiles, ClassMask, Layout, Problem, Side, natural_key
from ushape.data.layouts.channel_order import true_names
from ushape.data.layouts.dataset_json import read_description
from ushape.data.layouts.listing import is_image, name_of, split_name
from ushape.data.layouts.manifest_rows import Row, Table, header_of, names_images, read_rows
from ushape.data.layouts.places import NOT_SEEN, SIDES
from ushape.errors import ConfigError, DataError, unknown_name
from ushape.sizes import parse_spacing_mm

MANIFESTS = ("manifest.csv", "manifest.json", "manifest.tsv")
MAYBE_MANIFEST = "dataset.csv"
"""Taken for a manifest if a column names images: other tables have this name too."""

_MAX_LISTED = 5


def find_manifest(folder: Path, *, is_said: bool = False) -> Path | None:
    """Find the one manifest of a folder.

    Args:
        folder: Of the data set.
        is_said: A person says that there is one.

    Raises:
        DataError: There are several; or none, though a person says so.
    """
    found = [folder / name for name in MANIFESTS if (folder / name).is_file()]
    maybe = folder / MAYBE_MANIFEST
    if maybe.is_file() and (is_said or names_images(header_of(maybe))):
        found.append(maybe)
    if len(found) > 1:
        names = " and ".join(path.name for path in found)
        raise DataError(f"{folder}: it holds {names}: give the one that is meant, {found[0]}")
    if not found and is_said:
        known = ", ".join((*MANIFESTS, MAYBE_MANIFEST))
        raise DataError(f"{folder}: it holds no manifest ({known}): give the file itself")
    return found[0] if found else None


def read_manifest(path: Path, root: Path, *, needs_labels: bool = True) -> Layout:
    """Read the cases that a manifest names; a row that is of no use is told and left out.

    Args:
        path: The file. Names in it are relative to its folder, and must not leave it.
        root: What was given: the file, or its folder.
        needs_labels: A row without labels is of no use; else labels are not looked at.

    Raises:
        DataError: It cannot be read, or no row is of use.
    """
    table = read_rows(path)
    described = table.description or read_description(path.parent)
    reader = _Reader(path, needs_labels)
    for row in table.rows:
        reader.read(row)
    cases, sides = _named(reader)
    problems = [*_unused(path, table), *reader.problems]
    if not cases:
        found = "; ".join(str(problem) for problem in problems[:_MAX_LISTED])
        raise DataError(f"{path}: no row is of use. {found or 'There is no row'}")
    return Layout(
        f"manifest {path.name}",
        root,
        tuple(cases),
        tuple(problems),
        path.parent,
        "manifest",
        described.wish if described else None,
        true_names(described.channel_names if described else (), _channel_names(table.rows)),
        split=sides,
    )


def _unused(path: Path, table: Table) -> list[Problem]:
    if not table.unused:
        return []
    return [Problem(path, f"columns not used: {', '.join(table.unused)}", "warning")]


def _channel_names(rows: Sequence[Row]) -> tuple[str, ...]:
    names = tuple(rows[0].images)
    return () if all(name == "" or name.isdecimal() for name in names) else names


@dataclass(frozen=True)
class _Named:
    """A row whose files are there."""

    row: Row
    case: CaseFiles
    side: Side | None


@dataclass
class _Reader:
    """Goes through rows; keeps what is of use, and the problems."""

    path: Path
    needs_labels: bool
    found: list[_Named] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    num_unseen: int = 0
    _lines: dict[Path, str] = field(default_factory=dict)
    _channels: tuple[str, ...] | None = None

    def read(self, row: Row) -> None:
        """Take one row."""
        try:
            split = row.values.get("split", "").lower()
            if split in NOT_SEEN:
                self._leave_out(row)
                return
            if split and split not in SIDES:
                choices = (*SIDES, *NOT_SEEN)
                raise ConfigError(unknown_name("split", split, choices))
            self.found.append(_Named(row, self._case(row), SIDES.get(split)))
        except (DataError, ConfigError) as error:
            self.problems.append(Problem(self.path, f"{row.where}: {error}", "error"))

    def _leave_out(self, row: Row) -> None:
        """Tell once that rows are for later."""
        if not self.num_unseen:
            text = f"{row.where}: rows with split {row.values['split']} are not used"
            self.problems.append(Problem(self.path, text, "warning"))
        self.num_unseen += 1

    def _case(self, row: Row) -> CaseFiles:
        images = [self._file(name, "image") for name in row.images.values()]
        self._check_channels(row)
        labels = self._labels(row) if self.needs_labels else {}
        is_plain = "" in labels
        case = CaseFiles(
            row.values.get("id", ""),
            images[0],
            labels.get(""),
            () if is_plain else tuple(ClassMask(name, path) for name, path in labels.items()),
            tuple(images) if len(images) > 1 else (),
            group=row.values.get("group"),
            spacing_mm=_spacing(row),
            position=_position(row),
            sampling_weight=_sampling_weight(row),
        )
        for image in images:
            before = self._lines.setdefault(image, row.where)
            if before != row.where:
                raise DataError(f"{image.name} is the image of {before} already: remove one")
        return case

    def _labels(self, row: Row) -> dict[str, Path]:
        if not row.labels:
            raise DataError("no column names labels: add label, or label_CLASS for each mask")
        return {name: self._file(text, "label") for name, text in row.labels.items()}

    def _check_channels(self, row: Row) -> None:
        """Refuse a row of a JSON file that names other channels than the first."""
        names = tuple(row.images)
        if self._channels is None:
            self._channels = names
        elif names != self._channels:
            told = ", ".join(name or "one without a name" for name in names)
            raise DataError(
                f"its channels are {told}; those of other cases are "
                f"{', '.join(name or 'one without a name' for name in self._channels)}"
            )

    def _file(self, text: str, kind: str) -> Path:
        """Find a file that the manifest names.

        Raises:
            DataError: There is none, or its name leads out of the folder.
        """
        if not text:
            remedy = ": where a class is not, save an empty mask" if kind == "label" else ""
            raise DataError(f"no {kind} is named{remedy}")
        folder = self.path.parent
        path_inside(folder, text)
        path = folder.joinpath(*PureWindowsPath(text).parts)
        shown = text if text.isprintable() else ascii(text)
        if not _is_there(path):
            raise DataError(f"there is no {kind} {shown[:200]}; names are relative to {folder}")
        if not is_image(path):
            raise DataError(f"the {kind} {shown} is in no known format")
        return path


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # the name is too long for any file
        return False


def _spacing(row: Row) -> tuple[float, ...] | None:
    text = row.values.get("spacing_mm")
    return None if text is None else parse_spacing_mm(text)


def _sampling_weight(row: Row) -> float:
    text = row.values.get("sampling_weight", "1")
    try:
        weight = float(text)
    except ValueError:
        weight = math.nan
    if not 0 < weight < math.inf:
        raise DataError(f"the sampling_weight {text!r} is no number above 0")
    return weight


def _position(row: Row) -> int | None:
    text = row.values.get("slice")
    if text is None:
        return None
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not number.is_integer():
        raise DataError(f"the slice {text!r} is no whole number")
    return int(number)


def _named(reader: _Reader) -> tuple[list[CaseFiles], dict[str, Side]]:
    """Give cases without an id the name of their image; tell names that stand twice."""
    names = _names(reader)
    counts = Counter(names)
    cases: list[CaseFiles] = []
    sides: dict[str, Side] = {}
    first: dict[str, str] = {}
    for each, name in zip(reader.found, names, strict=True):
        first.setdefault(name, each.row.where)
        bad = _bad_name(name)
        if counts[name] > 1 or bad:
            twice = f"the id {name!r} stands {counts[name]} times, first in {first[name]}"
            text = f"{each.row.where}: {bad or twice + ': give each case its own'}"
            reader.problems.append(Problem(reader.path, text, "error"))
            continue
        cases.append(replace(each.case, id=name))
        if each.side is not None:
            sides[name] = each.side
    return sorted(cases, key=lambda case: natural_key(case.id)), sides


def _names(reader: _Reader) -> list[str]:
    """Name cases: by id, by the image, or by its path where images have equal names."""
    folder = reader.path.parent
    cases = [each.case for each in reader.found]
    stems = [split_name(c.image)[0] if c.channels else name_of(c.image) for c in cases]
    unsaid = Counter(stem for stem, case in zip(stems, cases, strict=True) if not case.id)
    if any(count > 1 for count in unsaid.values()):
        parents = [case.image.relative_to(folder).parent.parts for case in cases]
        is_same = len(unsaid) == 1  # a/ct.nii.gz, b/ct.nii.gz: `ct` says nothing
        stems = [
            "_".join(parts if is_same and parts else (*parts, stem))
            for parts, stem in zip(parents, stems, strict=True)
        ]
    return [case.id or stem for case, stem in zip(cases, stems, strict=True)]


def _bad_name(name: str) -> str:
    """Say what is wrong with an id, which becomes the name of files; empty if nothing is."""
    is_plain = name.isprintable() and not re.search(r"[/\\]", name)
    if is_plain and name not in ("", ".", "..") and name[0] not in ".~":
        return ""
    return f"the id {name!r} cannot be the name of a file: use letters, digits, _ and -"
