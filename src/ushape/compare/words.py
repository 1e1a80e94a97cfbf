"""Say a comparison in plain words, and as lines of a table."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ushape.compare.paired import Comparison, Row
from ushape.sizes import format_count

MAIN_METRICS = ("dice", "hd95", "v_rand", "cldice")
"""What is said in words and drawn, unless metrics were asked for."""


def main_rows(comparison: Comparison, metrics: Sequence[str] | None = None) -> tuple[Row, ...]:
    """Choose the rows that are said in words and drawn.

    Args:
        comparison: All rows.
        metrics: What was asked for; by default `MAIN_METRICS`, or the first score if there is
            none of them.
    """
    wanted = MAIN_METRICS if metrics is None else metrics
    chosen = tuple(row for row in comparison.rows if row.metric.name in wanted)
    return chosen or comparison.rows[:1]


def sentence(row: Row) -> str:
    """Say in one sentence which of the two is better, and how sure that is.

    Better is said only where the 95 % interval of the difference leaves out 0, and where there are
    enough cases (or groups) to trust it.
    """
    found = row.difference
    score = title_of(row)
    if found.num_cases == 0:
        return f"{score}: no case has a value in both, so nothing can be said."
    better, winners = _winner(row)
    if better is None:
        few = ""
        if found.is_too_few:
            drawn = "case" if found.num_groups is None else "group"
            few = f" (only {format_count(found.num_units, drawn)}: too few to tell)"
        text = f"No difference can be shown in {score}{few}: B - A = {_signed(found.difference)}"
        counts = f"B is better in {found.num_second_better} of {found.num_cases} cases"
    else:
        unit = _unit(row)
        amount = f"{number(abs(found.difference))}{unit} {score}"
        text = f"{better} is better by {amount}"
        counts = f"in {winners} of {found.num_cases} cases"
    parts = [text, _interval(row), counts, f"Wilcoxon p = {probability(found.p_value)}"]
    if found.num_groups is not None:
        parts.append(f"over {format_count(found.num_groups, 'group')}")
    if found.num_undefined:
        parts.append(f"{format_count(found.num_undefined, 'case')} without a value left out")
    return ", ".join(parts) + "."


def table_lines(comparison: Comparison) -> list[str]:
    """Write all rows as lines of a table."""
    head = ("score", "A", "B", "B - A", "95 % interval", "B better", "A better", "p", "winner")
    rows = [head, *(_cells(row) for row in comparison.rows)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    return [
        "  ".join(
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def title_of(row: Row) -> str:
    """Name a score as people read it: `Dice of cell`."""
    return f"{row.metric.title} of {row.class_name}" if row.class_name else row.metric.title


def number(value: float) -> str:
    """Write a number with three decimals, or more where it would be 0.000."""
    if not math.isfinite(value):
        return "-"
    return f"{value:.3f}" if value == 0 or abs(value) >= 0.001 else f"{value:.1g}"


def probability(value: float) -> str:
    """Write a p value."""
    if not math.isfinite(value):
        return "-"
    return (
        "0.0001 or less" if value <= 0.0001 else f"{value:.4f}" if value < 0.01 else f"{value:.2f}"
    )


def _winner(row: Row) -> tuple[str | None, int]:
    found = row.difference
    if found.verdict == "none":
        return None, 0
    is_second = found.verdict == "second"
    return "B" if is_second else "A", (
        found.num_second_better if is_second else found.num_first_better
    )


def _interval(row: Row) -> str:
    """Write the interval of the size of the difference, in favour of the better one."""
    found = row.difference
    if not math.isfinite(found.low):
        return "no interval from one case or group"
    low, high = found.low, found.high
    if found.verdict != "none":
        low, high = sorted((abs(low), abs(high)))
        return f"95 % interval {number(low)} to {number(high)}"
    return f"95 % interval {_signed(low)} to {_signed(high)}"


def _unit(row: Row) -> str:
    return f" {row.column.removeprefix(row.metric.name + '_')}" if row.metric.is_length else ""


def _signed(value: float) -> str:
    return number(value) if value <= 0 or not math.isfinite(value) else f"+{number(value)}"


def _cells(row: Row) -> tuple[str, ...]:
    found = row.difference
    has_interval = math.isfinite(found.low)
    title = " ".join(part for part in (row.class_name, row.column) if part)
    return (
        title,
        number(found.mean_first),
        number(found.mean_second),
        _signed(found.difference),
        f"{_signed(found.low)} to {_signed(found.high)}" if has_interval else "-",
        f"{found.num_second_better} of {found.num_cases}",
        f"{found.num_first_better} of {found.num_cases}",
        probability(found.p_value).removesuffix(" or less"),
        _winner(row)[0] or "-",
    )
