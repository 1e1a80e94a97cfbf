"""`ushape data check`: read every file of a data set once, and show what is in it, case by case."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Unpack

import numpy as np

from ushape.data.layouts import CaseFiles, Layout, Problem
from ushape.data.scan import CaseScan, Scan
from ushape.data.scan.case import COPIES
from ushape.data.threads import machine_budget, map_in_threads
from ushape.errors import UshapeError
from ushape.labels import LabelTable
from ushape.plan import Fingerprint
from ushape.report.check_page import CheckContent, Finding, Tile, write_check_page
from ushape.report.thumbnails import draw_thumbnail, jpeg_uri
from ushape.sizes import format_size
from ushape.workflow.case_slice import cut_case
from ushape.workflow.data_facts import data_facts, format_lengths
from ushape.workflow.read_data import read_data
from ushape.workflow.wishes import Asks, read_wishes

MOST_TILES = 500
"""Cases that the page shows: it stays below about 10 MB."""

THUMBNAIL_EDGE = 136

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Checked:
    """A data set that was read.

    Attributes:
        layout: Its files.
        scan: Every case, and all problems.
        found: All of it summed up.
        align: Labels on other grids are resampled.
    """

    layout: Layout
    scan: Scan
    found: Fingerprint
    align: bool = False


def check(data: str | Path, *, progress: Progress | None = None, **asks: Unpack[Asks]) -> Checked:
    """Read every file of a data set once.

    Args:
        data: As of `ushape.train`.
        progress: Called with (cases read, cases in all).
        **asks: What `ushape.train` takes to understand a data set: `labels`, `foreground`,
            `target`, `ignore`, `regions`, `label_folder`, `layout`, `stack`, `align`.

    Raises:
        DataError: No case is usable.
        ConfigError: The labels make no classes; the message says what to give.
    """
    wishes = read_wishes([], asks)
    layout, scan, found = read_data(data, wishes, progress)
    return Checked(layout, scan, found, wishes.request.align)


def write_check(path: str | Path, checked: Checked, *, progress: Progress | None = None) -> None:
    """Write one self-contained page: what was understood, all problems, a picture of every case.

    Args:
        path: Of the page, .html.
        checked: What `check` gave.
        progress: Called with (pictures drawn, pictures in all).

    Raises:
        StorageError: The page cannot be written.
    """
    scan, found = checked.scan, checked.found
    files = {case.id: case for case in checked.layout.cases}
    of_case, of_set = _sort_problems(scan, files)
    budget = machine_budget()

    def tile(case: CaseScan) -> Tile:
        num_bytes = math.prod(case.size) * case.num_channels * np.dtype(case.dtype).itemsize
        with budget.hold(num_bytes * COPIES):
            return _tile(case, files[case.id], found.labels, of_case[case.id], align=checked.align)

    shown = scan.cases[:MOST_TILES]
    content = CheckContent(
        title=found.name,
        subtitle=f"{len(scan.cases)} cases of {found.layout}",
        created=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        facts=data_facts(found, scan),
        findings=of_set,
        class_names=found.labels.names,
        tiles=tuple(map_in_threads(tile, shown, progress)),
        note=_note(found, len(shown), len(scan.cases)),
    )
    write_check_page(path, content)


def _note(found: Fingerprint, num_shown: int, num_cases: int) -> str:
    what = "Each picture"
    if found.spatial_dims == 3 and not found.is_stack:
        what += " is the plane of finest pixels with half of the foreground below it. It"
    text = f"{what} shows the outlines of the classes."
    if num_shown < num_cases:
        text += f" The first {num_shown} of {num_cases} cases are shown."
    return text


def _sort_problems(
    scan: Scan, files: dict[str, CaseFiles]
) -> tuple[dict[str, tuple[Finding, ...]], tuple[Finding, ...]]:
    """Give the problems of every usable case by its id, and all others."""
    owners = {
        path: (case.id, what)
        for case in scan.cases
        for what, paths in _parts(files[case.id])
        for path in paths
    }
    of_case: dict[str, list[Finding]] = {case.id: [] for case in scan.cases}
    rest = []
    for problem in scan.problems:
        finding = _finding(problem, scan.root)
        if problem.path not in owners or finding.is_error:
            rest.append(finding)
        else:
            case, what = owners[problem.path]
            of_case[case].append(replace(finding, where=what))
    return {case: tuple(found) for case, found in of_case.items()}, tuple(rest)


def _parts(files: CaseFiles) -> tuple[tuple[str, tuple[Path, ...]], ...]:
    return ("label", files.label_paths), ("image", files.image_paths)


def _finding(problem: Problem, root: Path) -> Finding:
    path = problem.path
    inside = str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
    where = "the whole set" if path == root else inside
    return Finding(where, problem.message, problem.severity == "error")


def _tile(
    case: CaseScan,
    files: CaseFiles,
    labels: LabelTable,
    findings: tuple[Finding, ...],
    *,
    align: bool,
) -> Tile:
    lines = list(_lines(case, labels))
    try:
        cut = cut_case(files, labels, align=align)
    except UshapeError as error:  # the file changed since the scan, or holds a value of no class
        return Tile(
            case.id, tuple(lines), findings=(*findings, Finding("files", str(error), is_error=True))
        )
    if cut.plane:
        lines.insert(0, f"plane {cut.plane}")
    pixels = draw_thumbnail(cut.image, cut.masks, longest=THUMBNAIL_EDGE, edges=cut.edges)
    height, width, _ = pixels.shape
    return Tile(case.id, tuple(lines), jpeg_uri(pixels), width, height, findings)


def _lines(case: CaseScan, labels: LabelTable) -> tuple[str, ...]:
    size = format_size(case.size)
    if case.spacing_mm is not None:
        size += f" of {format_lengths(case.spacing_mm)}"
    values = f"{case.dtype}, {case.percentile_0_5:.4g} to {case.percentile_99_5:.4g} (99 %)"
    total = max(1, math.prod(case.size) - case.num_void)
    shares = []
    for entry in labels.foreground:
        count = sum(case.label_counts.get(value, 0) for value in entry.members)
        shares.append(f"{entry.name} {count / total:.2%}" if count else f"no {entry.name}")
    group = [f"of {case.group}"] if case.group is not None else []
    return (size, values, ", ".join(shares), *group)
