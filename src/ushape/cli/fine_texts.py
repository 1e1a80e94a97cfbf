"""Second passes as lines for the terminal."""

from __future__ import annotations

import math

from ushape.config.schema import FineConfig
from ushape.evaluate.fine import BoxScores
from ushape.metrics import Interval
from ushape.sizes import format_size


def second_pass_rows(fine: FineConfig) -> list[tuple[str, str, str]]:
    """Say what the second pass looks for, as rows of a plan: title, text, key of the reason."""
    if not fine.classes:
        return []
    where = "every region" if fine.regions == "each" else "the largest region"
    size = "" if fine.cut_size is None else f", cut to {format_size(fine.cut_size)}"
    return [
        ("fine", f"{', '.join(fine.classes)} in {where} of {fine.within}", "fine.within"),
        ("", f"{fine.cuts} regions a step{size}, loss {fine.loss}", ""),
    ]


def box_lines(boxes: BoxScores) -> list[str]:
    """Write what wrong regions cost, one line a small class."""
    width = max(10, *(len(name) for name in boxes.class_names))
    lines = [f"{'Dice in':{width}}  " + "".join(f"{arm:<24}" for arm in boxes.means)]
    for number, name in enumerate(boxes.class_names):
        cells = (_text(found[number]) for found in boxes.means.values())
        lines.append(f"{name:{width}}  " + "".join(f"{cell:<24}" for cell in cells))
    return [line.rstrip() for line in lines]


def _text(found: Interval) -> str:
    if not math.isfinite(found.mean):
        return "-"
    if not math.isfinite(found.low):
        return f"{found.mean:.3f}"
    return f"{found.mean:.3f} ({found.low:.3f} to {found.high:.3f})"
