"""Train with ever more terms in the loss, on a block-like and a line-like class.

    python benchmarks/loss_ablation.py [--steps 400] [--seeds 0] [--out runs/loss_ablation]

Writes docs/loss_ablation.md and benchmarks/loss_ablation.json. What is done already is taken up, so
more seeds can be added later. The factors are those of the mixture that docs/losses.md shows for
lines; each mixture adds one thing to the one before. Both data sets are binary, since `bce` asks
"this class or not?": discs and vertebrae of `spine2d_discs` are joined to one block-like class,
vessels of `chase_db1` are the line-like one.
"""

from __future__ import annotations

import argparse
import textwrap
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from trainings import (
    LAST_WEIGHTS,
    ONE_HALF,
    ROOT,
    as_json,
    as_text,
    best_threshold,
    data_set,
    evaluate,
    groups_of,
    interval,
    machine,
    markdown_table,
    pool,
    predict_probabilities,
    print_table,
    train,
    write_results,
)
from ushape.compare import ScoreTable
from ushape.files import write_text
from ushape.metrics import paired_difference

LOSSES = {
    "dice": "dice",
    "dice + bce": "dice + 10*bce",
    "dice + weighted bce": "dice + 10*bce(weight=auto)",
    "dice + weighted bce + focal": "dice + 10*bce(weight=auto) + 100*focal(alpha=0.99)",
}

SHARES = ("precision", "recall")


@dataclass(frozen=True)
class Task:
    """A data set and how it is judged."""

    data: str
    held_out: str
    options: tuple[str, ...]
    metrics: tuple[str, ...]
    group: str | None
    words: str


TASKS = {
    "block": Task(
        "spine2d_discs",
        "1[5-9]*",
        ("--target", "binary"),
        ("dice",),
        None,
        "Discs and vertebrae joined (5.2 % of the pixels), 20 slices of 256 x 256, slices 15-19 "
        "held out. They look like slices of one patient: intervals over slices say nothing of "
        "other patients.",
    ),
    "line": Task(
        "chase_db1",
        "Image_1[1-4]*",
        (),
        ("dice", "cldice"),
        r"^Image_(\d+)",
        "Retinal vessels (6.9 %), 28 images of 999 x 960, children 11-14 held out (8 images); "
        "intervals over the four children.",
    ),
}


@dataclass(frozen=True)
class Outcome:
    """Scores of one loss.

    Attributes:
        scores: By case, at a threshold of one half.
        best: Threshold with the best Dice on these very cases, and that Dice.
    """

    scores: ScoreTable
    best: tuple[float, float]


def measure(task: Task, loss: str, run: Path, steps: int, seed: int) -> Outcome:
    """Train once and score."""
    data = data_set(task.data)
    common = ("--val", task.held_out, "--steps", str(steps), "--seed", str(seed), *task.options)
    fixed = "--set=tiling.mirror=false", LAST_WEIGHTS, ONE_HALF
    train(run, data, *common, f"--set=loss={loss}", *fixed)
    metrics = ",".join(task.metrics)
    predictions = run / "fold_0" / "predictions"
    scores = evaluate(
        predictions, data / "labels", run / "scores", metrics=metrics, group=task.group
    )
    probabilities = predict_probabilities(run, data / "images" / task.held_out)
    return Outcome(scores, best_threshold(probabilities, data / "labels"))


def pool_outcomes(found: list[Outcome]) -> Outcome:
    """Average over seeds."""
    threshold, dice = (mean(pair) for pair in zip(*(one.best for one in found), strict=True))
    return Outcome(pool([one.scores for one in found]), (threshold, dice))


def difference(first: ScoreTable, second: ScoreTable, metric: str) -> str:
    """Say how far the second is from the first, case by case."""
    values = (
        [table.scores["foreground", metric][case] for case in first.cases]
        for table in (first, second)
    )
    found = paired_difference(*values, groups=groups_of(first))
    star = " *" if found.low > 0 or found.high < 0 else ""
    return f"{found.difference:+.3f} ({found.low:+.3f} to {found.high:+.3f}){star}"


def table_rows(task: Task, outcomes: dict[str, Outcome]) -> list[list[str]]:
    """Write a row a loss: every metric, and its difference from plain dice."""
    first = outcomes["dice"].scores
    rows = []
    for name, outcome in outcomes.items():
        table = outcome.scores
        row = [f"`{LOSSES[name]}`"]
        for metric in task.metrics:
            row.append(as_text(interval(table, "foreground", metric)))
            row.append("" if name == "dice" else difference(first, table, metric))
        shares = (interval(table, "foreground", metric).mean for metric in SHARES)
        row += [f"{share:.3f}" for share in shares]
        row.append("{1:.3f} at {0:.3f}".format(*outcome.best))
        rows.append(row)
    return rows


def head(task: Task) -> list[str]:
    scores = (text for metric in task.metrics for text in (metric, "less `dice`"))
    return ["loss", *scores, *SHARES, "best dice"]


def page(
    found: dict[str, dict[str, Outcome]], *, steps: int, seeds: list[int], command: str
) -> str:
    """Write docs/loss_ablation.md."""
    seeds_text = "seed " + ", ".join(map(str, seeds))
    pooled = " (mean over seeds by case)" if len(seeds) > 1 else ""
    text = (
        f"{machine()}. `unet_padding`, width 16, 5 levels; {steps} steps of two patches of "
        f"256 x 256, the last weights, one view of each image; {seeds_text}{pooled}. Means over "
        "cases with 95 % bootstrap intervals. Differences are paired by case; a star marks those "
        "whose interval leaves out 0 (with five slices or four children that proves nothing: "
        "`ushape compare` names no winner there). The intervals hold the chance of cases, not of "
        "training: another seed may move a figure by as much. The class is predicted from a "
        "probability of one half on, whatever the loss; the last column has the Dice at the "
        "threshold that suits these very cases best, as far as a threshold can mend it."
    )
    lines = [
        "# Loss ablation",
        "",
        "The same training with ever more terms in the loss. This page is written by",
        "",
        f"    {command}",
        "",
        textwrap.fill(text, 105),
    ]
    for kind, outcomes in found.items():
        task = TASKS[kind]
        lines += ["", f"## {kind.capitalize()}: `{task.data}`", "", textwrap.fill(task.words, 105)]
        lines += ["", markdown_table(head(task), table_rows(task, outcomes))]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--out", type=Path, default=Path("runs/loss_ablation"))
    arguments = parser.parse_args()
    steps, seeds = arguments.steps, arguments.seeds
    runs: dict[tuple[str, str], list[Outcome]] = {}
    for seed in seeds:
        for kind, task in TASKS.items():
            for name, loss in LOSSES.items():
                folder = (
                    f"{kind}-{name.replace(' + ', '+').replace(' ', '_')}-{steps}steps-seed{seed}"
                )
                outcome = measure(task, loss, arguments.out / folder, steps, seed)
                runs.setdefault((kind, name), []).append(outcome)
    found = {kind: {name: pool_outcomes(runs[kind, name]) for name in LOSSES} for kind in TASKS}
    for kind, outcomes in found.items():
        print_table(
            [f"{kind}: {head(TASKS[kind])[0]}", *head(TASKS[kind])[1:]],
            table_rows(TASKS[kind], outcomes),
        )
    words = " ".join(map(str, seeds))
    command = f"python benchmarks/loss_ablation.py --steps {steps} --seeds {words}"
    write_text(
        ROOT / "docs" / "loss_ablation.md",
        page(found, steps=steps, seeds=seeds, command=command),
    )
    write_results(
        Path(__file__).with_suffix(".json"),
        {
            "machine": machine(),
            "steps": steps,
            "seeds": seeds,
            "means over seeds": {
                kind: {
                    LOSSES[name]: {
                        metric: as_json(interval(outcome.scores, "foreground", metric))
                        for metric in (*TASKS[kind].metrics, *SHARES)
                    }
                    | {"best threshold and its dice": [round(x, 4) for x in outcome.best]}
                    for name, outcome in outcomes.items()
                }
                for kind, outcomes in found.items()
            },
        },
    )


if __name__ == "__main__":
    main()
