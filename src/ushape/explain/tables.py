"""The answer as a table for files, plain data for scripts, and lines for the terminal."""

from __future__ import annotations

import csv
import io
import math
from typing import Any

from ushape.explain.advice import Advice
from ushape.explain.response import ClassResponse, NodeResponse, Response

COLUMNS = (
    "class",
    "node",
    "level",
    "part",
    "probe_dice",
    "probe_auc",
    "gradient_inside",
    "class_area",
    "held_out",
)


def to_csv(response: Response) -> str:
    """Write one row a class and node; undefined values are empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for found in response.classes:
        for node in found.nodes:
            numbers = (node.probe.dice, node.probe.auc, node.gradient_inside, found.area)
            writer.writerow(
                [
                    *(found.name, node.name, node.level, node.part),
                    *("" if math.isnan(number) else f"{number:.6g}" for number in numbers),
                    str(node.probe.is_held_out).lower(),
                ]
            )
    return text.getvalue()


def to_json(response: Response, advice: Advice) -> dict[str, Any]:
    """Return all numbers and the advice as plain data; undefined values are None."""
    return {
        "fitted_on": "truth" if response.has_truth else "prediction",
        "images": response.num_images,
        "classes": [_class_json(found) for found in response.classes],
        "absent": list(response.absent),
        "advice": {
            "sentences": list(advice.sentences),
            "node": advice.node,
            "classes": list(advice.classes),
            "command": advice.command,
            "note": advice.note,
        },
        "notes": list(response.notes),
    }


def lines(response: Response, advice: Advice) -> list[str]:
    """Write the tables and the advice for people: rows are levels, encoder left, decoder right."""
    source = "true masks" if response.has_truth else "masks that the network itself predicts"
    what = "image" if response.num_images == 1 else "images"
    result = [f"{response.num_images} {what}; probes fitted on the {source}"]
    for found in response.classes:
        own = "" if math.isnan(found.network_dice) else f", network's Dice {found.network_dice:.3f}"
        result += ["", f"{found.name}: {found.area:.2%} of the pixels{own}", *_grid(found)]
    for name in response.absent:
        result += ["", f"{name}: not in these images"]
    result += ["", *advice.sentences]
    if advice.command:
        result += ["", advice.command]
    if advice.note:
        result.append(f"note: {advice.note}")
    return result + [f"note: {note}" for note in response.notes]


def _grid(found: ClassResponse) -> list[str]:
    head = "level  " + "".join(
        f"{title + ' Dice':<16}AUC    inside  " for title, _ in found.columns
    )
    rows = [head.rstrip()]
    for level in sorted({node.level for node in found.nodes}):
        cells = [
            _cell(next((node for node in nodes if node.level == level), None))
            for _, nodes in found.columns
        ]
        rows.append(f"{level:<7}{''.join(cells)}".rstrip())
    return rows


def _cell(node: NodeResponse | None) -> str:
    if node is None:
        return " " * 31
    return (
        f"{node.name:<9}{_number(node.probe.dice):<7}{_number(node.probe.auc):<7}"
        f"{_number(node.gradient_inside):<8}"
    )


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"


def _plain(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 6)


def _class_json(found: ClassResponse) -> dict[str, Any]:
    return {
        "name": found.name,
        "channel": found.channel,
        "area": _plain(found.area),
        "images": found.num_images,
        "network_dice": _plain(found.network_dice),
        "nodes": [
            {
                "node": node.name,
                "level": node.level,
                "part": node.part,
                "probe_dice": _plain(node.probe.dice),
                "probe_dice_by_fold": [_plain(value) for value in node.probe.fold_dice],
                "probe_auc": _plain(node.probe.auc),
                "held_out": node.probe.is_held_out,
                "gradient_inside": _plain(node.gradient_inside),
            }
            for node in found.nodes
        ],
    }
