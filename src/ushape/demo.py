"""The whole product in minutes: synthetic data, training, prediction, evaluation, report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ushape.data.layouts import find_images
from ushape.data.synth import KINDS, write_dataset
from ushape.errors import ConfigError, unknown_name
from ushape.evaluate import Evaluation, evaluate_folders, write_evaluation
from ushape.predict import load, predict_files
from ushape.sizes import parse_duration_s
from ushape.training.observe import Observer, Silence
from ushape.workflow import Run, train

NUM_TRAIN, NUM_NEW = 20, 6
SIZE = (256, 256)


@dataclass(frozen=True)
class DemoResult:
    """Where everything lies, and the scores on images that training never saw."""

    data: Path
    run: Run
    predictions: Path
    evaluation: Evaluation


def run_demo(
    out: Path, *, kind: str = "membrane", budget: str = "2m", observer: Observer | None = None
) -> DemoResult:
    """Run the demonstration.

    Args:
        out: Folder; `data/`, `new/`, `run/` and `predictions/` are made in it.
        kind: Synthetic data set (`ushape data synth`).
        budget: Time to train.
        observer: Is told what happens.

    Raises:
        ConfigError: The folder holds a demonstration already, or an argument is wrong.
    """
    watcher = observer or Silence()
    if (out / "run").exists():
        raise ConfigError(
            f"{out} holds a demonstration already: delete it, or choose another --out"
        )
    if kind not in KINDS:
        raise ConfigError(unknown_name("kind of synthetic data", kind, KINDS))
    parse_duration_s(budget)
    data, new = out / "data", out / "new"
    watcher.note(f"drawing {NUM_TRAIN} cases to train on and {NUM_NEW} new ones ({kind})")
    write_dataset(kind, data, cases=NUM_TRAIN, size=SIZE, seed=1)
    write_dataset(kind, new, cases=NUM_NEW, size=SIZE, seed=2)
    watcher.note(f"training for {budget}")
    run = train(data, out=out / "run", budget=budget, observer=watcher)
    predictions = out / "predictions"
    watcher.note("predicting the new images")
    predict_files(load(run.bundle), find_images(new), predictions)
    evaluation = evaluate_folders(predictions, new)
    write_evaluation(evaluation, predictions / "evaluation")
    return DemoResult(data, run, predictions, evaluation)
