"""Draw a comparison: every case in A and B, and how the differences are spread.

matplotlib is imported where the figure is drawn, since that takes more than a second, and used
without pyplot: nothing global changes.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ushape.compare.paired import Row
from ushape.compare.words import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BINS = 24

MAX_ROWS = 8
"""More scores than this are not drawn: the table has them."""

_GAIN, _LOSS, _EQUAL, _INK, _RULE = "#1f6f8b", "#c8553d", "#8a8f98", "#30343b", "#d9dce1"
_STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "ushape",
    "font.size": 9,
    "axes.edgecolor": _RULE,
    "axes.labelcolor": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
}


def draw(rows: Sequence[Row], format: str) -> bytes:
    """Draw the rows of a comparison, one below the other.

    Left: a line for every case from its value in A to that in B; blue where B is better, red
    where A is. Right: the differences of the cases as dots, their mean and its 95 % interval.

    Args:
        rows: At most `MAX_ROWS` are drawn.
        format: `svg` or `png`.

    Returns:
        The file's bytes; equal input gives equal bytes.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    shown = rows[:MAX_ROWS]
    style: Any = _STYLE
    with mpl.rc_context(style):
        figure = Figure(figsize=(7.2, 0.4 + 2.7 * len(shown)), layout="constrained")
        axes = figure.subplots(len(shown), 2, squeeze=False, width_ratios=[1, 1.5])
        for row, (left, right) in zip(shown, axes, strict=True):
            _draw_cases(left, row)
            _draw_differences(right, row)
        buffer = io.BytesIO()
        metadata = {"Date": None} if format == "svg" else {"Software": None}
        figure.savefig(buffer, format=format, dpi=160, metadata=metadata)
    return buffer.getvalue()


def _values(row: Row) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return A's and B's values where both are defined, as they were compared."""
    first, second = np.array(row.first), np.array(row.second)
    if row.metric.better == "zero":
        first, second = np.abs(first), np.abs(second)
    is_defined = np.isfinite(first) & np.isfinite(second)
    return first[is_defined], second[is_defined]


def _colors(row: Row, change: npt.NDArray[np.float64]) -> list[str]:
    gain = change if row.metric.better == "high" else -change
    return [_GAIN if value > 0 else _LOSS if value < 0 else _EQUAL for value in gain]


def _draw_cases(axes: Axes, row: Row) -> None:
    first, second = _values(row)
    faint = max(0.25, min(0.9, 12 / max(1, first.size)))
    for before, after, color in zip(first, second, _colors(row, second - first), strict=True):
        axes.plot(
            [0, 1],
            [before, after],
            color=color,
            alpha=faint,
            linewidth=1.1,
            marker="o",
            markersize=3,
        )
    if first.size:
        axes.plot(
            [0, 1],
            [first.mean(), second.mean()],
            color=_INK,
            linewidth=2.2,
            marker="o",
            markersize=5,
        )
    axes.set_xlim(-0.25, 1.25)
    axes.set_xticks([0, 1], ["A", "B"])
    better = {"high": "high is good", "low": "low is good", "zero": "size; low is good"}
    where = f"{row.class_name}: " if row.class_name else ""
    axes.set_title(f"{where}{row.metric.title}{_unit(row)}\n{better[row.metric.better]}")


def _draw_differences(axes: Axes, row: Row) -> None:
    first, second = _values(row)
    change = second - first
    axes.axvline(0, color=_INK, linewidth=1)
    heights = _pile(change)
    if change.size:
        axes.scatter(change, heights, c=_colors(row, change), s=16, alpha=0.85, linewidths=0)
    found = row.difference
    if math.isfinite(found.low):
        axes.plot([found.low, found.high], [-1.2, -1.2], color=_INK, linewidth=3)
    if math.isfinite(found.difference):
        axes.plot([found.difference], [-1.2], color=_INK, marker="D", markersize=6)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_ylim(-2.2, max(6.0, float(heights.max(initial=0)) + 1))
    text = f"B - A{_unit(row)}: mean {number(found.difference)}"
    if math.isfinite(found.low):
        text += f", 95 % interval {number(found.low)} to {number(found.high)}"
    axes.set_xlabel(text)
    best = {"first": "A is better", "second": "B is better", "none": "no difference can be shown"}
    axes.set_title(f"{best[found.verdict]}\nblue: B is better in a case; red: A is")


def _pile(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Stack dots that would lie on each other, as a histogram made of its cases."""
    if values.size == 0:
        return values
    span = float(values.max() - values.min())
    places = np.round((values - values.min()) / (span or 1.0) * _BINS).astype(int)
    seen = [0] * (_BINS + 1)
    heights = np.zeros(values.size)
    for case in np.argsort(values, kind="stable"):
        heights[case] = seen[places[case]]
        seen[places[case]] += 1
    return heights


def _unit(row: Row) -> str:
    return f", {row.column.removeprefix(row.metric.name + '_')}" if row.metric.is_length else ""
