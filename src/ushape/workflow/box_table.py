"""What wrong regions cost, as a table of the report."""

from __future__ import annotations

import math

from ushape.evaluate import Evaluation
from ushape.metrics import Interval
from ushape.report import Table


def box_table(evaluation: Evaluation) -> Table | None:
    """Write the Dice of small classes in true and in predicted boxes, case by case."""
    boxes = evaluation.boxes
    if boxes is None:
        return None
    arms = [arm for arm in boxes.means if arm != "lost"]
    numbers = range(len(boxes.class_names))
    columns = ["Case"]
    for name in boxes.class_names:
        columns += [f"{name}, {arm}" for arm in (*arms, "lost")]
    rows = []
    for case in boxes.cases:
        cells = [case.id]
        for number in numbers:
            values = [case.dice[arm][number] for arm in arms]
            cells += [_number(value) for value in (*values, values[0] - values[1])]
        rows.append(tuple(cells))
    found = [boxes.means[arm][number] for number in numbers for arm in (*arms, "lost")]
    summary = (
        ("mean", *(_number(one.mean) for one in found)),
        ("95 % interval", *(_span(one) for one in found)),
    )
    return Table(tuple(columns), tuple(rows), summary)


def _number(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else "-"


def _span(found: Interval) -> str:
    return f"{found.low:.3f} to {found.high:.3f}" if math.isfinite(found.low) else "-"
