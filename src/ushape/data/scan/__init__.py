"""Read every image and label once: what the data set holds, and everything wrong with it.

`case` reads one pair of files, `findings` compares the cases with each other.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ushape.data.layouts import Layout, Problem
from ushape.data.scan.case import CaseScan, scan_case
from ushape.data.scan.findings import leave_out_odd_cases, warn_of_cases, warn_of_set
from ushape.errors import DataError
from ushape.labels import Form, LabelWish

__all__ = ["CaseScan", "Progress", "Scan", "scan_cases"]

Progress = Callable[[int, int], None]
"""Called with the number of cases done and the number of all cases."""

_MAX_LISTED = 5


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
    """

    name: str
    root: Path
    cases: tuple[CaseScan, ...]
    problems: tuple[Problem, ...]
    label_counts: dict[int, int]
    is_color: bool
    labels: Path | None = None

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
    layout: Layout, *, wish: LabelWish | None = None, progress: Progress | None = None
) -> Scan:
    """Read all cases, one at a time, and collect figures and problems.

    Args:
        layout: What `find_cases` found.
        wish: What a person says about the labels.
        progress: Called after every case.

    Raises:
        DataError: No usable case is left; the message lists the first problems.
    """
    problems = list(layout.problems)
    cases: list[CaseScan] = []
    for number, files in enumerate(layout.cases, start=1):
        result = scan_case(files, wish)
        if isinstance(result, Problem):
            problems.append(result)
        else:
            cases.append(result)
        if progress is not None:
            progress(number, len(layout.cases))
    cases, odd = leave_out_odd_cases(cases)
    problems += odd
    if not cases:
        raise _nothing_left(layout.root, problems)
    problems += warn_of_cases(cases)
    problems += warn_of_set(layout.root, cases)
    return Scan(
        name=layout.name,
        root=layout.root,
        cases=tuple(cases),
        problems=tuple(problems),
        label_counts=_pool(cases),
        is_color=any(case.has_label_colors for case in cases),
        labels=layout.labels,
    )


def _pool(cases: list[CaseScan]) -> dict[int, int]:
    pooled: Counter[int] = Counter()
    for case in cases:
        pooled.update(case.label_counts)
    return dict(sorted(pooled.items()))


def _nothing_left(root: Path, problems: list[Problem]) -> DataError:
    listed = "; ".join(str(problem) for problem in problems[:_MAX_LISTED])
    num_more = len(problems) - _MAX_LISTED
    more = f"; and {num_more} more" if num_more > 0 else ""
    return DataError(f"{root}: no usable case is left. {listed or 'There is no case'}{more}")
