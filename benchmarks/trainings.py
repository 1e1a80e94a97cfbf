"""What the benchmarks that train have in common: data, runs through `ushape`, scores, tables.

Not a script. Runs are named by what they depend on, so that a finished one is taken up as it is and
an interrupted one goes on.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tifffile
import torch

import ushape
from ushape.compare import ScoreTable, load_scores
from ushape.data.io import read_label
from ushape.device import find_device
from ushape.files import write_text
from ushape.metrics import Interval, bootstrap_mean
from ushape.training.validate import ThresholdSearch

Probabilities = npt.NDArray[np.float32]

ROOT = Path(__file__).resolve().parent.parent
NETWORK = (
    "--set=model.name=unet_padding",
    "--set=model.options={width: 16, levels: 5, up: transposed}",
)
"""What the planner chooses for half an hour on two cores; named, to be the same on any machine."""
LAST_WEIGHTS = "--set=train.validations=1"
"""Keep the last weights: none are chosen by their score on the cases that they are judged by."""
ONE_HALF = "--set=train.thresholds=lines"
"""Predict from one half on, whatever the loss: nor are thresholds chosen on these cases."""


def data_set(name: str) -> Path:
    """Find a data set in $USHAPE_DATA, or else beside the repository."""
    folder = Path(os.environ.get("USHAPE_DATA", ROOT.parent / "shared" / "data")) / name
    if not folder.is_dir():
        raise SystemExit(f"{name} is not in {folder.parent}: USHAPE_DATA names the folder with it")
    return folder


def run_ushape(*arguments: str | Path) -> None:
    """Run the command line; it prints what it does."""
    words = ["ushape", *map(str, arguments)]
    print("$", shlex.join(words), flush=True)
    subprocess.run(words, check=True)


def train(run: Path, data: Path, *options: str) -> None:
    """Train into the folder `run`, unless that is done."""
    if not (run / "report.html").exists():
        run_ushape("train", data, *options, *NETWORK, "--out", run, "--resume")


def evaluate(
    predictions: Path, truth: Path, out: Path, *, metrics: str, group: str | None = None
) -> ScoreTable:
    """Score a folder of predictions, unless that is done."""
    if not (out / "evaluation.json").exists():
        options = ("--group", group) if group else ()
        run_ushape("evaluate", predictions, truth, "--metrics", metrics, *options, "--out", out)
    return load_scores(out)


def predict_probabilities(run: Path, images: Path) -> dict[str, Probabilities]:
    """Predict the probability of the foreground, unless that is done, by name of the case."""
    folder = run / "probabilities"
    if not (folder / "predictions.json").exists():
        run_ushape("predict", run, images, "--probabilities", "--out", folder)
    ending = ".probabilities.tif"
    return {
        file.name.removesuffix(ending): np.squeeze(tifffile.imread(file))
        for file in sorted(folder.glob(f"*{ending}"))
    }


def best_threshold(found: Mapping[str, Probabilities], labels: Path) -> tuple[float, float]:
    """Find the threshold with the best mean Dice on these very cases, and that Dice."""
    search = ThresholdSearch()
    for name, probabilities in found.items():
        truth = read_label(labels / f"{name}.png").values > 0
        search.add(probabilities.ravel(), truth.ravel())
    return search.best()


def pool(tables: Sequence[ScoreTable]) -> ScoreTable:
    """Average every case over the seeds."""
    first = tables[0]
    scores = {
        column: {
            case: float(np.mean([table.scores[column][case] for table in tables]))
            for case in first.cases
        }
        for column in first.scores
    }
    return ScoreTable("mean over seeds", first.cases, scores, first.groups)


def groups_of(table: ScoreTable) -> list[str] | None:
    """List the subjects of the cases in order, if they were recorded."""
    return [table.groups[case] for case in table.cases] if table.groups else None


def interval(table: ScoreTable, class_name: str, metric: str) -> Interval:
    """Average over cases, with the 95 % interval over subjects, or over cases without subjects."""
    values = table.scores[class_name, metric]
    return bootstrap_mean([values[case] for case in table.cases], groups=groups_of(table))


def as_text(found: Interval) -> str:
    return f"{found.mean:.3f} ({found.low:.3f} to {found.high:.3f})"


def as_json(found: Interval) -> dict[str, float]:
    return {"mean": round(found.mean, 4), "low": round(found.low, 4), "high": round(found.high, 4)}


def write_pooled(table: ScoreTable, file: Path) -> None:
    """Write scores by case as `ushape compare` reads them."""
    columns = list(table.scores)
    rows = [",".join(["case", "group", *("_".join(column) for column in columns)])]
    for case in table.cases:
        values = (f"{table.scores[column][case]:.6f}" for column in columns)
        rows.append(",".join([case, table.groups.get(case, ""), *values]))
    write_text(file, "\n".join(rows) + "\n")


def machine() -> str:
    """Say what the figures were made with."""
    device = find_device("cpu")
    threads = "1 thread" if device.num_threads == 1 else f"{device.num_threads} threads"
    return f"ushape {ushape.__version__}, torch {torch.__version__}, {device.name}, {threads}"


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    print()
    for row in (head, *rows):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def write_results(file: Path, results: Mapping[str, object]) -> None:
    write_text(file, json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    print(f"\nwritten to {file}")
