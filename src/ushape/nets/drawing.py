"""A network's figure as plain text: the U, then a table with a row for every map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ushape.nets.describe import Figure
from ushape.nets.figure_rows import FigureRow
from ushape.sizes import format_size

if TYPE_CHECKING:
    from ushape.nets.costs import Costs, Memory

_HEADINGS = ("node", "from", "merge", "block", "channels", "size", "parameters", "receptive field")
_RIGHT = frozenset({"channels", "parameters"})


def figure_text(figure: Figure) -> str:
    """Lay a figure out for a terminal or a page with a fixed-width font.

    Returns:
        Lines without trailing spaces, ending in a newline.
    """
    parts = [_title(figure), _draw_u(figure), _table(figure.rows), _totals(figure)]
    lines = "\n\n".join("\n".join(part) for part in parts).split("\n")
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _title(figure: Figure) -> list[str]:
    given = f"{figure.in_channels} @ {format_size(figure.size)}"
    result = f"{figure.classes} @ {format_size(figure.output_size)}"
    return [f"{figure.name}: image {given} -> logits {result}   (channels @ size)"]


def _draw_u(figure: Figure) -> list[str]:
    """Draw the nodes where the papers do: node (i, j) stands i + 2j half-steps to the right."""
    nodes = [row for row in figure.rows if row.node.startswith("x_")]
    labels = {row.node: f"{row.channels} @ {format_size(row.size)}" for row in nodes}
    half = max(len(label) for label in labels.values()) // 2 + 2
    lines: list[str] = []
    first = min(row.level for row in nodes if row.column == 0)
    for level in range(max(row.level for row in nodes) + 1):
        here = sorted((row for row in nodes if row.level == level), key=lambda row: row.column)
        starts = [half * (row.level + 2 * row.column) for row in here]
        if level:
            lines.append(_slopes(here, nodes, half))
        lines.append(_arrows([row.node for row in here], starts))
        if level == first - 1:  # a backbone's first map is smaller than the image
            lines[-1] = " " * (half * level) + "image" + lines[-1][half * level + 5 :]
        if level == 0:
            lines[-1] += " --> logits"
        lines.append(_place([labels[row.node] for row in here], starts))
    return lines


def _arrows(names: Sequence[str], starts: Sequence[int]) -> str:
    line = _place(names[:1], starts[:1])
    for name, start in zip(names[1:], starts[1:], strict=True):
        line += " " + "-" * (start - len(line) - 3) + "> " + name
    return line


def _slopes(here: Sequence[FigureRow], nodes: Sequence[FigureRow], half: int) -> str:
    """Draw the ways down to this level, and up from it, in the line above it."""
    marks = []
    for row in here:
        middle = half * (row.level + 2 * row.column)
        if row.column == 0:
            marks.append((middle - half // 2 + 2, "\\"))
        if any(above.node == f"x_{row.level - 1}_{row.column + 1}" for above in nodes):
            marks.append((middle + half // 2 + 2, "/"))
    return _place([mark for _, mark in marks], [start for start, _ in marks])


def _place(texts: Sequence[str], starts: Sequence[int]) -> str:
    line = ""
    for text, start in zip(texts, starts, strict=True):
        line = line.ljust(start) + text
    return line


def _table(rows: Sequence[FigureRow]) -> list[str]:
    cells = [_HEADINGS, *(_cells(row) for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(_HEADINGS))]
    lines = [
        "  ".join(
            cell.rjust(width) if heading in _RIGHT else cell.ljust(width)
            for cell, width, heading in zip(line, widths, _HEADINGS, strict=True)
        )
        for line in cells
    ]
    return [lines[0], "  ".join("-" * width for width in widths), *lines[1:]]


def _cells(row: FigureRow) -> tuple[str, ...]:
    return (
        row.node,
        row.source,
        row.merge,
        row.block,
        str(row.channels),
        format_size(row.size),
        f"{row.parameters:,}",
        format_size(row.receptive_field) if row.receptive_field else "",
    )


def _totals(figure: Figure) -> list[str]:
    at_least = "" if figure.is_local else "at least "
    facts = {
        "parameters": parameters_text(figure),
        **_cost_facts(figure.costs),
        "input sizes": _sizes_text(figure),
        "margin": f"{_borders(figure.margin)} input pixels lost at each border",
        "edge effect": f"{at_least}{_borders(figure.edge_effect)} output pixels at each border "
        "touched by padding",
        "receptive field": at_least + format_size(figure.receptive_field),
    }
    width = max(map(len, facts))
    lines = [f"{name:<{width}}  {text}" for name, text in facts.items()]
    return [*lines, "", *figure.notes]


def parameters_text(figure: Figure) -> str:
    """Say how many parameters there are, of which kind."""
    text = f"{figure.trainable_parameters:,} trainable"
    if figure.frozen_parameters:
        text += f", {figure.frozen_parameters:,} frozen"
    running = figure.all_parameters - figure.trainable_parameters - figure.frozen_parameters
    if running:
        text += f", {figure.all_parameters:,} with running statistics"
    return text


def _cost_facts(costs: Costs | None) -> dict[str, str]:
    if costs is None:
        return {}
    images = "an image" if costs.batch == 1 else f"{costs.batch} images"
    return {
        "multiply-adds": f"{count_text(costs.multiply_adds)} an image; FLOPs are twice as many",
        "training memory": f"{memory_text(costs.training)}: maps of {images} kept for the "
        "backward pass",
        "prediction memory": f"{memory_text(costs.prediction)}: maps of {images} alive at once",
    }


def count_text(count: int) -> str:
    """Write a large count with three digits.

    >>> count_text(18_832_999_680)
    '18.8 G'
    """
    for unit, name in ((10**12, "T"), (10**9, "G"), (10**6, "M"), (10**3, "k")):
        if count >= unit:
            value = count / unit
            return f"{value:.{0 if value >= 100 else 1 if value >= 10 else 2}f} {name}"
    return str(count)


def memory_text(memory: Memory) -> str:
    """Write bytes in both precisions.

    >>> from ushape.nets.costs import Memory
    >>> memory_text(Memory(float32=3 * 2**30, bf16=3 * 2**29))
    '3.00 GiB in float32, 1.50 GiB in bf16'
    """
    return f"{_bytes_text(memory.float32)} in float32, {_bytes_text(memory.bf16)} in bf16"


def _bytes_text(count: int) -> str:
    for unit, name in ((2**30, "GiB"), (2**20, "MiB")):
        if count >= unit:
            value = count / unit
            return f"{value:.{0 if value >= 100 else 1 if value >= 10 else 2}f} {name}"
    return f"{count / 2**10:.1f} KiB"


def _sizes_text(figure: Figure) -> str:
    if figure.takes_any_size:
        return "any"
    steps = zip(figure.smallest, figure.total_stride, strict=True)
    return " x ".join(f"({low}, {low + step}, {low + 2 * step}, ...)" for low, step in steps)


def _borders(pairs: Sequence[tuple[int, int]]) -> str:
    """Write (before, after) of every axis, once where all are equal."""
    texts = [f"{b}" if b == a else f"({b} before and {a} after)" for b, a in pairs]
    return texts[0].strip("()") if len(set(texts)) == 1 else " x ".join(texts)
