"""Convert a source, case by case; what is wrong with one leaves it out."""

from __future__ import annotations

import csv
import io
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ushape.data.convert.canvas import Label, LabelForm
from ushape.data.convert.checks import check_target, checked_regions, fitted
from ushape.data.convert.dataset_json import name_channels, void_number, write_dataset_json
from ushape.data.convert.find import read_source
from ushape.data.convert.from_layout import take_layout
from ushape.data.convert.source import ConvertWish, Look, Progress, Source, SourceCase, silent
from ushape.data.convert.write import (
    TargetLayout,
    Written,
    common_ending,
    write_case,
)
from ushape.data.layouts import Layout, Problem, list_problems
from ushape.errors import DataError
from ushape.files import make_folder, write_text


@dataclass(frozen=True)
class Conversion:
    """What was converted.

    Attributes:
        source: What the source was, such as `COCO`.
        out: The folder of the new data set.
        to: Its layout.
        cases: Its cases.
        form: What its labels are.
        labels: Its classes with their numbers, as in its `dataset.json`; lists for regions.
        ignore: The number of void pixels; None where there are none.
        problems: Cases that were left out (errors), and oddities (warnings).
        val: The file that names the cases which validate, where the source says so.
    """

    source: str
    out: Path
    to: TargetLayout
    cases: tuple[str, ...]
    form: LabelForm
    labels: dict[str, int | list[int]]
    ignore: int | None
    problems: tuple[Problem, ...]
    val: Path | None = None

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems that left cases out."""
        return tuple(problem for problem in self.problems if problem.severity == "error")

    @property
    def next_command(self) -> str:
        """What to do with it."""
        more = "" if self.form == "multiclass" else f" --target {self.form}"
        if self.form == "instances" and self.ignore is not None:
            more += f" --ignore {self.ignore}"
        if self.val is not None:
            more += f" --val {self.val}"
        return f"ushape plan {self.out}{more}"

    def to_json(self) -> dict[str, Any]:
        """Return plain data for a JSON file."""
        return {
            "source": self.source,
            "out": str(self.out),
            "to": self.to,
            "cases": list(self.cases),
            "target": self.form,
            "labels": self.labels,
            "ignore": self.ignore,
            "problems": [
                {"path": str(p.path), "message": p.message, "severity": p.severity}
                for p in self.problems
            ],
            "val": None if self.val is None else str(self.val),
            "next": self.next_command,
        }


def convert_dataset(
    source: str | Path,
    out: str | Path,
    *,
    to: TargetLayout = "images+labels",
    kind: str | None = None,
    wish: ConvertWish | None = None,
    progress: Progress | None = None,
) -> Conversion:
    """Convert annotations, or a data set in any known layout, to another layout.

    Args:
        source: A JSON or XML file of annotations, a folder with some, or a data set.
        out: A folder that is not there, or empty.
        to: The layout to write, one of `TARGET_LAYOUTS`.
        kind: What the source is, one of `SOURCE_KINDS`, instead of what is recognised.
        wish: What a person says.
        progress: Called after every case with the number done and the number of all.

    Raises:
        ConfigError: An option does not fit the source or the layout.
        DataError: The folder is not empty, or no case can be converted.
        StorageError: The disk refuses.
    """
    wish, out = wish or ConvertWish(), Path(out).expanduser()
    check_target(out, to)
    with tempfile.TemporaryDirectory() as scratch:
        steps = _Steps(progress or silent)
        found = read_source(
            Path(source).expanduser(),
            wish,
            kind=kind,
            scratch=Path(scratch),
            progress=steps.reading,
        )
        if wish.regions and not found.regions:
            found = replace(found, regions=checked_regions(wish, found))
        return _convert(fitted(found, to), out, to, wish, steps.writing)


def convert_layout(layout: Layout, out: str | Path, *, to: TargetLayout) -> Conversion:
    """Convert a data set whose cases are known.

    Raises:
        ConfigError: The layout cannot hold its labels.
        DataError: The folder is not empty, or no case can be converted.
        StorageError: The disk refuses.
    """
    out = Path(out).expanduser()
    check_target(out, to)
    source = fitted(take_layout(layout, ConvertWish()), to)
    return _convert(source, out, to, ConvertWish(), silent)


class _Steps:
    """Count reading the labels and writing the cases as halves of one progress."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._read = 0

    def reading(self, done: int, total: int) -> None:
        self._read = total
        self._progress(done, 2 * total)

    def writing(self, done: int, total: int) -> None:
        self._progress(self._read + done, self._read + total)


def _convert(
    source: Source,
    out: Path,
    to: TargetLayout,
    wish: ConvertWish,
    progress: Progress,
) -> Conversion:
    """Write all cases of a source; what is wrong with one leaves it out."""
    looks, problems = _look_at_all(source)
    written: dict[str, Written] = {}
    problems = [*source.problems, *problems]
    if looks:
        first = next(iter(looks.values()))
        ending = common_ending(list(looks.values()))
        channels = name_channels(first, wish.channels or source.channels)
        problems += _lost_places(source, looks, ending, to)
        make_folder(out)
    cases = [case for case in source.cases if case.id in looks]
    void = void_number(source)
    for done, case in enumerate(cases, start=1):
        try:
            label, warnings = case.label(looks[case.id].grid)
            problems += [Problem(case.file, text, "warning") for text in warnings]
            label = _with_void(case, label, void)
            written[case.id] = write_case(out, to, case, label, source.names, ending)
        except DataError as error:
            problems.append(_problem(case, error))
        progress(done, len(cases))
    if not written:
        listing = list_problems([p for p in problems if p.severity == "error"])
        raise DataError(f"no case can be converted. {listing or 'There is none'}")
    labels = write_dataset_json(out, to, source, written, ending, channels)
    kept = [case for case in cases if case.id in written]
    _write_groups(out, kept)
    has_void = any(each.has_void for each in written.values())
    ignore = void if has_void else None
    return Conversion(
        source.kind,
        out,
        to,
        tuple(written),
        source.form,
        labels,
        ignore,
        tuple(problems),
        _write_validation(out, kept),
    )


def _write_groups(out: Path, cases: Sequence[SourceCase]) -> None:
    """Keep the subjects of cases, where they are known, in a table that `--group` takes."""
    if any(case.group is not None for case in cases):
        table = io.StringIO()
        rows = csv.writer(table, lineterminator="\n")
        rows.writerow(("case", "group"))
        rows.writerows((case.id, case.group or case.id) for case in cases)
        write_text(out / "groups.csv", table.getvalue())


def _write_validation(out: Path, cases: Sequence[SourceCase]) -> Path | None:
    """Keep how a data set divides itself, in a file that `--val` takes."""
    names = [case.id for case in cases if case.validates]
    if not 0 < len(names) < len(cases):
        return None
    file = out / "val.txt"
    write_text(file, "\n".join(names) + "\n")
    return file


def _look_at_all(source: Source) -> tuple[dict[str, Look], list[Problem]]:
    """Read the headers of all images; leave out what is unlike the others."""
    looks: dict[str, Look] = {}
    problems: list[Problem] = []
    for case in source.cases:
        try:
            looks[case.id] = case.image.look()
        except DataError as error:
            problems.append(_problem(case, error))
    kinds = Counter(_kind(look) for look in looks.values())
    if len(kinds) < 2:
        return looks, problems
    usual, number = kinds.most_common(1)[0]
    for case in source.cases:
        if case.id in looks and _kind(looks[case.id]) != usual:
            dims, channels = _kind(looks.pop(case.id))
            text = (
                f"the image is {dims}D with {channels} channels, {number} of {kinds.total()} are "
                f"{usual[0]}D with {usual[1]}: one data set has one kind"
            )
            problems.append(Problem(case.image.paths[0], text, "error"))
    return looks, problems


def _kind(look: Look) -> tuple[int, int]:
    return look.grid.spatial_dims, look.num_channels


def _problem(case: SourceCase, error: DataError) -> Problem:
    """Say what is wrong with a case, and with which of its files."""
    text = str(error)
    if text.startswith(f"{case.file} does not lie"):  # on the grid of the image, named behind it
        return Problem(case.file, text.replace(str(case.file), "the label", 1), "error")
    path = next((each for each in case.image.paths if str(each) in text), case.file)
    text = text.removeprefix(f"cannot read {path}: ").removeprefix(f"{path}: ")
    return Problem(path, text, "error")


def _with_void(case: SourceCase, label: Label, void: int) -> Label:
    """Give void pixels their number.

    Raises:
        DataError: The number is an object's.
    """
    if label.void is None or label.values is None:
        return label
    if int(label.values.max()) >= void:
        raise DataError(f"{case.id}: {label.values.max()} objects: {void - 1} are the most")
    return replace(label, values=np.where(label.void, void, label.values))


def _lost_places(
    source: Source, looks: dict[str, Look], ending: str, to: TargetLayout
) -> list[Problem]:
    """Warn where the new files cannot hold what the old ones say of the place of voxels."""
    first = next(case for case in source.cases if case.id in looks)
    grid = looks[first.id].grid
    if ending == ".nii.gz":
        if grid.spacing_mm is None and to != "images+labels":
            text = "the images do not say their spacing: 1 mm is written"
            return [Problem(first.image.paths[0], text, "warning")]
        return []
    if (grid.spacing_mm is not None or grid.is_placed) and to != "images+labels":
        text = f"{ending} files do not keep spacing and place: they are lost"
        return [Problem(first.image.paths[0], text, "warning")]
    return []
