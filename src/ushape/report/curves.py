"""Learning curves as inline SVG that follows the page's colours. No HTML around them.

matplotlib is imported where a figure is drawn, since that takes more than a second. Figures are
made without pyplot: nothing global changes, and there is nothing to close.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import quoteattr

import numpy as np

from ushape.report.content import History
from ushape.report.series import Series, envelope, smooth
from ushape.sizes import format_duration

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_DRAWN_POINTS = 1200
"""Longer curves are drawn as their envelope, so that a page stays small."""

SIZE_INCHES = (5.6, 3.5)
"""Of both figures. At 72 points an inch the text is 9.5 pixels high on a narrow screen."""

# matplotlib knows no CSS variables: it draws in stand-in colours, which `_to_svg` renames.
_MUTED, _RULE, _LINE, _MARK, _PAPER = "#010101", "#020202", "#030303", "#040404", "#050505"
_VARIABLES = {
    _MUTED: "var(--muted)",
    _RULE: "var(--rule)",
    _LINE: "var(--accent)",
    _MARK: "var(--mark)",
    _PAPER: "var(--card)",
}
_STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "font.size": 9.5,
    "axes.edgecolor": _RULE,
    "axes.labelcolor": _MUTED,
    "axes.labelsize": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": _RULE,
    "grid.linewidth": 0.7,
    "xtick.color": _RULE,
    "xtick.labelcolor": _MUTED,
    "ytick.major.size": 0,
    "ytick.minor.size": 0,
    "ytick.labelcolor": _MUTED,
    "axes.formatter.useoffset": False,
}


def draw_loss(history: History) -> str | None:
    """Draw the training loss (raw faint, smoothed strong) above the learning rate.

    Returns:
        An `<svg>` element, or None when no finite loss is recorded.
    """
    steps, losses = _floats(history.steps), _floats(history.losses)
    if not np.isfinite(losses).any():
        return None
    with _figure("loss") as figure:
        if history.learning_rates:
            upper, lower = figure.subplots(2, 1, height_ratios=[4, 1], sharex=True)
            _plot_rates(lower, steps, _floats(history.learning_rates))
        else:
            upper = lower = figure.subplots()
        average = smooth(losses, window=smoothing_window(len(losses)))
        _plot(upper, steps, losses, color=_LINE, linewidth=0.8, alpha=0.35)
        _plot(upper, steps, average, color=_LINE, linewidth=2)
        _choose_scale(upper, losses)
        _label_steps(lower, history)
        return _to_svg(figure, "Training loss by step")


def draw_score(history: History) -> str | None:
    """Draw the validation score, with the kept one marked.

    Returns:
        An `<svg>` element, or None when no validation gave a finite score.
    """
    steps, scores = _floats(history.val_steps), _floats(history.val_scores)
    if not np.isfinite(scores).any():
        return None
    with _figure("score") as figure:
        axes = figure.subplots()
        _plot(axes, steps, scores, color=_LINE, linewidth=2)
        if len(scores) <= 60:
            axes.plot(steps, scores, "o", color=_LINE, markersize=4)
        if history.best_score is not None and history.best_step is not None:
            axes.axvline(history.best_step, color=_MARK, linewidth=1, dashes=(3, 3))
            ring: Any = {"markeredgecolor": _PAPER, "markeredgewidth": 1.5, "markersize": 9}
            axes.plot([history.best_step], [history.best_score], "o", color=_MARK, **ring)
        _label_steps(axes, history)
        return _to_svg(figure, f"{history.score_name} by step")


def smoothing_window(num_steps: int) -> int:
    """Choose how many steps the smoothed loss averages: one in thirty, an odd number.

    >>> smoothing_window(10), smoothing_window(900)
    (1, 31)
    """
    return (num_steps // 30) | 1


def _floats(values: tuple[float, ...]) -> Series:
    return np.asarray(values, dtype=np.float64)


def _plot(axes: Axes, x: Series, y: Series, **style: Any) -> None:
    axes.plot(*envelope(x, y, max_points=MAX_DRAWN_POINTS), solid_joinstyle="round", **style)


def _plot_rates(axes: Axes, steps: Series, rates: Series) -> None:
    _plot(axes, steps, rates, color=_MUTED, linewidth=1.4)
    highest = float(np.nanmax(rates))
    axes.set_title("learning rate", loc="left", fontsize=9.5, color=_MUTED, pad=5)
    axes.set_yticks([0, highest], ["0", f"{highest:.2g}"])
    axes.set_ylim(0, 1.15 * highest if highest > 0 else 1)


def _choose_scale(axes: Axes, values: Series) -> None:
    """Take a logarithmic axis where a few high values would flatten all others."""
    finite = values[np.isfinite(values)]
    if finite.min() > 0 and finite.max() > 20 * np.median(finite):
        axes.set_yscale("log")


def _label_steps(axes: Axes, history: History) -> None:
    """Write step numbers below the axis, and below them the time of training if it is known."""
    from matplotlib.ticker import MaxNLocator

    def label(step: float, _: object) -> str:
        text = f"{step:,.0f}"
        if not history.x_seconds or not history.steps[0] <= step <= history.steps[-1]:
            return text
        return f"{text}\n{format_duration(np.interp(step, history.steps, history.x_seconds))}"

    last = max(history.steps[-1:] + history.val_steps[-1:])
    axes.set_xlim(0, max(1.02 * last, 1))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    axes.xaxis.set_major_formatter(label)
    axes.set_xlabel("step", loc="right")


@contextmanager
def _figure(name: str) -> Iterator[Figure]:
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    # The salt makes the ids inside the SVG the same at every run and different for each figure.
    style: Any = _STYLE | {"svg.hashsalt": name}
    with rc_context(style):
        yield Figure(figsize=SIZE_INCHES, layout="constrained")


def _to_svg(figure: Figure, description: str) -> str:
    """Write the figure as an element to put into a page, in the page's colours.

    What goes: the XML head, the metadata, styles (they would hold for the whole page), names of
    parts (the same in every figure), and digits of coordinates beyond a hundredth of a pixel.
    """
    stream = io.StringIO()
    figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None})
    svg = stream.getvalue()
    body = svg[svg.index(">", svg.index("<svg")) + 1 :]
    body = re.sub(r"<(metadata|style)\b.*?</\1>", "", body, flags=re.DOTALL)
    body = re.sub(r' id="[\w.]+_\d+"', "", body)
    body = re.sub(r"<[^>]*>", lambda tag: re.sub(r"(\.\d\d)\d+", r"\1", tag[0]), body)
    for stand_in, variable in _VARIABLES.items():
        body = body.replace(stand_in, variable)
    size = " ".join(f"{72 * edge:g}" for edge in SIZE_INCHES)
    head = f'<svg class="chart" role="img" aria-label={quoteattr(description)}'
    return f'{head} viewBox="0 0 {size}">{body}'
