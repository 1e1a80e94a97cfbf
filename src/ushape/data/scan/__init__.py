"""Read every image and label once: what the data set holds, and everything wrong with it.

`case` reads the files of one case, `label` its label, `measure` takes the figures; `findings` and
`geometry` compare the cases with each other; `threads` does several at a time.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ushape.data.layouts import CaseFiles, Layout, Problem, list_problems
from ushape.data.scan.case import CaseScan, scan_case
from ushape.data.scan.findings import leave_out_odd_cases, warn_of_cases, warn_of_set
from ushape.data.scan.geometry import outlier_ratio, warn_of_geometry
from ushape.data.scan.measure import Inside
from ushape.data.threads import machine_budget, map_in_threads
from ushape.errors import DataError
from ushape.labels import Form, LabelWish, Palette, pool_palettes

__all__ = ["CaseScan", "Inside", "Progress", "Scan", "outlier_ratio", "scan_cases"]

Progress = Callable[[int, int], None]
"""Called with the number of cases done and the number of all cases."""


@dataclass(frozen=True)
class Scan:
    """What a data set holds.

    Attributes:
        name: The layout, such as `images + labels`.
        root: The folder.
        cases: The usable cases, in natural order.
        problems: Errors (their cases are left out) and warnings, in the order of discovery.
        label_counts: Pixels of every label value over all usable cases, by rising value.
        is_color: The label values are packed 0xRRGGBB colours.
        labels: The folder of the labels.
        stack_mm: Edges of a voxel, z y x, where the cases are the slices of stacks.
        channel_names: Of the images, where a file beside the data names them.
    """

    name: str
    root: Path
    cases: tuple[CaseScan, ...]
    problems: tuple[Problem, ...]
    label_counts: dict[int, int]
    is_color: bool
    labels: Path | None = None
    stack_mm: tuple[float, float, float] | None = None
    channel_names: tuple[str, ...] = ()

    @property
    def form(self) -> Form:
        """How the label files hold classes."""
        return self.cases[0].form

    @property
    def mask_names(self) -> tuple[str, ...]:
        """The classes of masks; empty for other labels."""
        return self.cases[0].mask_names

    @property
    def overlap_fraction(self) -> float:
        """Share of the pixels in any mask that are in several."""
        size = sum(math.prod(case.size) - case.num_void for case in self.cases)
        marked = size - self.label_counts.get(0, 0)
        return sum(case.num_overlap for case in self.cases) / max(marked, 1)

    @property
    def palette(self) -> Palette | None:
        """The colours of label values that are indices; None where no file tells them."""
        labelled = (case for case in self.cases if case.label is not None)
        has_numbers = self.form == "instances"  # of objects, counted as classes, not as indices
        return pool_palettes(
            (str(case.label), case.palette, () if has_numbers else case.label_counts)
            for case in labelled
        )

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems that are errors."""
        return tuple(problem for problem in self.problems if problem.severity == "error")

    def to_json(self) -> dict[str, Any]:
        """Return plain data for a JSON file."""
        return {
            "name": self.name,
            "root": str(self.root),
            "is_color": self.is_color,
            "label_counts": {str(value): count for value, count in self.label_counts.items()},
            "cases": [case.to_json() for case in self.cases],
            "problems": [
                {"path": str(p.path), "message": p.message, "severity": p.severity}
                for p in self.problems
            ],
        }


def scan_cases(
    layout: Layout,
    *,
    wish: LabelWish | None = None,
    align: bool = False,
    progress: Progress | None = None,
) -> Scan:
    """Read all cases, in threads, and collect figures and problems.

    Args:
        layout: What `find_cases` found.
        wish: What a person says about the labels.
        align: Resample labels that lie on another grid than their image, instead of leaving
            their cases out.
        progress: Called after every case, from the calling thread.

    Raises:
        DataError: No usable case is left; the message lists the first problems.
    """
    budget = machine_budget()

    def scan_one(files: CaseFiles) -> CaseScan | Problem:
        return scan_case(files, wish, is_alignable=align, budget=budget)

    found = map_in_threads(scan_one, layout.cases, progress)
    problems = [*layout.problems, *(each for each in found if isinstance(each, Problem))]
    cases = [each for each in found if isinstance(each, CaseScan)]
    cases, odd = leave_out_odd_cases(cases, is_stack=layout.stack_mm is not None)
    problems += odd
    if not cases:
        raise _nothing_left(layout.root, problems)
    problems += warn_of_cases(cases)
    problems += warn_of_set(layout.root, cases)
    problems += warn_of_geometry(layout.root, cases)
    return Scan(
        name=layout.name,
        root=layout.root,
        cases=tuple(cases),
        problems=tuple(problems),
        label_counts=_pool(cases),
        is_color=any(case.has_label_colors for case in cases),
        labels=layout.labels,
        stack_mm=layout.stack_mm,
        channel_names=layout.channel_names,
    )


def _pool(cases: list[CaseScan]) -> dict[int, int]:
    pooled: Counter[int] = Counter()
    for case in cases:
        pooled.update(case.label_counts)
    return dict(sorted(pooled.items()))


def _nothing_left(root: Path, problems: list[Problem]) -> DataError:
    listed = list_problems(problems) or "There is no case"
    return DataError(f"{root}: no usable case is left. {listed}")
