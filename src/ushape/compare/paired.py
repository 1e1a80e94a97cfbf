"""Compare two methods case by case, for every score that both have."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ushape.compare.scores import Column, ScoreTable, metric_of
from ushape.errors import ConfigError, DataError
from ushape.metrics import Metric, PairedDifference, paired_difference, parse_metrics

_MAX_LISTED = 5
_AT_TOLERANCE = ("nsd", "boundary_f")


@dataclass(frozen=True)
class Row:
    """One score of one class, compared.

    Attributes:
        class_name: The class; empty for a score of the whole case.
        column: The score as in tables, with its unit.
        metric: What it is.
        first: Values of A, one a case; nan where undefined.
        second: Values of B.
        difference: B - A, and whether it can be told from chance.
    """

    class_name: str
    column: str
    metric: Metric
    first: tuple[float, ...]
    second: tuple[float, ...]
    difference: PairedDifference


@dataclass(frozen=True)
class Comparison:
    """Two methods compared on the same cases.

    Attributes:
        first: Where A comes from.
        second: Where B comes from.
        cases: The cases that both have.
        rows: One for each score.
        only_first: Cases that only A has; they do not count.
        only_second: Cases that only B has.
        left_out: Scores that cannot be compared, and why.
    """

    first: str
    second: str
    cases: tuple[str, ...]
    rows: tuple[Row, ...]
    only_first: tuple[str, ...] = ()
    only_second: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return plain data, undefined values as null."""
        return {
            "a": self.first,
            "b": self.second,
            "cases": list(self.cases),
            "only_a": list(self.only_first),
            "only_b": list(self.only_second),
            "left_out": list(self.left_out),
            "rows": [_row_json(row) for row in self.rows],
        }


def compare_tables(
    first: ScoreTable,
    second: ScoreTable,
    *,
    metrics: str | None = None,
    use_common: bool = False,
    group_of: Callable[[str], str] | None = None,
    seed: int = 0,
) -> Comparison:
    """Compare two methods by the cases that both were scored on.

    Args:
        first: Scores of A.
        second: Scores of B.
        metrics: Names of metrics or groups of them; all that both have by default.
        use_common: Leave out the cases that only one of them has, instead of refusing.
        group_of: Gives the subject of a case; by default what the evaluations recorded.
        seed: Of the bootstrap.

    Raises:
        DataError: The cases differ, nothing can be compared, or recorded subjects disagree.
        ConfigError: There is no such metric, or not in both.
    """
    only_first = tuple(case for case in first.cases if case not in set(second.cases))
    only_second = tuple(case for case in second.cases if case not in set(first.cases))
    cases = tuple(case for case in first.cases if case in set(second.cases))
    _check_cases(first, second, cases, only_first, only_second, use_common=use_common)
    groups = _groups(first, second, cases, group_of)
    shared, left_out = _shared_columns(first, second)
    if metrics is not None:
        shared = _asked(shared, parse_metrics(metrics), left_out)
    if not shared:
        why = f": {'; '.join(left_out)}" if left_out else ""
        raise DataError(f"{first.source} and {second.source} have no score in common{why}")
    rows = []
    for column in shared:
        before = tuple(first.scores[column].get(case, math.nan) for case in cases)
        after = tuple(second.scores[column].get(case, math.nan) for case in cases)
        metric = metric_of(column)
        difference = paired_difference(
            before, after, better=metric.better, groups=groups, seed=seed
        )
        rows.append(Row(*column, metric, before, after, difference))
    return Comparison(
        first.source, second.source, cases, tuple(rows), only_first, only_second, tuple(left_out)
    )


def _check_cases(
    first: ScoreTable,
    second: ScoreTable,
    cases: tuple[str, ...],
    only_first: tuple[str, ...],
    only_second: tuple[str, ...],
    *,
    use_common: bool,
) -> None:
    if not cases:
        raise DataError(
            f"no case of {first.source} ({_some(first.cases)}) is in {second.source} "
            f"({_some(second.cases)}): compare evaluations of the same cases"
        )
    if use_common or not (only_first or only_second):
        return
    lists = [
        f"{len(names)} {'case is' if len(names) == 1 else 'cases are'} in {which} only "
        f"({_some(names)})"
        for names, which in ((only_first, "A"), (only_second, "B"))
        if names
    ]
    raise DataError(
        f"{' and '.join(lists)}: evaluate both on the same cases, or give --common to compare "
        f"the {len(cases)} that both have"
    )


def _groups(
    first: ScoreTable,
    second: ScoreTable,
    cases: tuple[str, ...],
    group_of: Callable[[str], str] | None,
) -> list[str] | None:
    if group_of is not None:
        return [group_of(case) for case in cases]
    for case in cases:
        subjects = {table.groups[case] for table in (first, second) if case in table.groups}
        if len(subjects) > 1:
            raise DataError(
                f"the case {case} belongs to {' in A and '.join(sorted(subjects))} in B; give "
                "--group to say which subjects the cases have"
            )
    known: Mapping[str, str] = {**first.groups, **second.groups}
    return [known[case] for case in cases] if all(case in known for case in cases) else None


def _shared_columns(first: ScoreTable, second: ScoreTable) -> tuple[list[Column], list[str]]:
    """Return what both have, in A's order, and why other scores are left out."""
    shared, left_out = [], _lonely(first, second, "A") + _lonely(second, first, "B")
    is_same = None in (first.tolerance, second.tolerance) or first.tolerance == second.tolerance
    for column in first.scores:
        if column not in second.scores:
            continue
        if metric_of(column).name in _AT_TOLERANCE and not is_same:
            left_out.append(
                f"{_title(column)} was measured at a tolerance of {first.tolerance:g} in A and "
                f"{second.tolerance:g} in B"
            )
        else:
            shared.append(column)
    return shared, left_out


def _lonely(table: ScoreTable, other: ScoreTable, which: str) -> list[str]:
    names = tuple(_title(column) for column in table.scores if column not in other.scores)
    return [f"in {which} only: {_some(names)}"] if names else []


def _title(column: Column) -> str:
    return "_".join(part for part in column if part)


def _asked(shared: list[Column], names: tuple[str, ...], left_out: list[str]) -> list[Column]:
    for name in names:
        if not any(metric_of(column).name == name for column in shared):
            why = f" ({'; '.join(left_out)})" if left_out else ""
            raise ConfigError(
                f"--metrics: {name} is not in both evaluations{why}; run `ushape evaluate "
                f"--metrics {name}` for both, or give --truth"
            )
    return [column for name in names for column in shared if metric_of(column).name == name]


def _row_json(row: Row) -> dict[str, Any]:
    found = row.difference
    values = {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in vars(found).items()
    }
    names = {"none": None, "first": "a", "second": "b"}
    return {
        "class": row.class_name or None,
        "metric": row.column,
        "better": found.better,
        "mean_a": values["mean_first"],
        "mean_b": values["mean_second"],
        "difference": values["difference"],
        "low": values["low"],
        "high": values["high"],
        "cases": found.num_cases,
        "undefined": found.num_undefined,
        "groups": found.num_groups,
        "b_better": found.num_second_better,
        "a_better": found.num_first_better,
        "wilcoxon_p": values["p_value"],
        "rank_biserial": values["effect"],
        "winner": names[found.verdict],
    }


def _some(names: tuple[str, ...]) -> str:
    return ", ".join(names[:_MAX_LISTED]) + (" ..." if len(names) > _MAX_LISTED else "")
