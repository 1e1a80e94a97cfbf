"""Compare the plain Dice loss with the line recipe on retinal vessels, and with a second observer.

    python benchmarks/line_recipe.py [--steps 600] [--seeds 0 1 2] [--out runs/line_recipe]

`chase_db1`: children 1-10 train, 11-14 (eight images) judge. Both arms take the same steps and
seeds, and keep their last weights. The recipe is what the product offers for thin classes: blurred
copies of the mask learnt beside it, the planned loss (dice + bce), its terms brought to one
magnitude, and a threshold. As that threshold is chosen on the cases that judge, the same models are
also judged at one half, and the plain ones also at the threshold that suits these cases best.
Intervals are over children. Results go to benchmarks/line_recipe.json.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from trainings import (
    LAST_WEIGHTS,
    as_json,
    as_text,
    best_threshold,
    data_set,
    evaluate,
    groups_of,
    interval,
    machine,
    pool,
    predict_probabilities,
    print_table,
    run_ushape,
    train,
    write_pooled,
    write_results,
)
from ushape.bundle import load_bundle
from ushape.compare import ScoreTable
from ushape.metrics import paired_difference

HELD_OUT = "Image_1[1-4]*"
CHILD = r"^Image_(\d+)"
ARMS = {
    "plain": ("--set=loss=dice",),
    "lines": ("--set=lines.classes=[foreground]", "--set=balance=auto"),
}
AT_HALF = "lines at 0.5"
AT_BEST = "plain at its best"
OBSERVER = "second observer"
METRICS = ("dice", "cldice")


def score(predictions: Path, truth: Path, out: Path) -> ScoreTable:
    return evaluate(predictions, truth, out, metrics=",".join(METRICS), group=CHILD)


def judge_at_half(run: Path, data: Path) -> ScoreTable:
    """Predict again with the threshold that needs no choice."""
    predictions = run / "at_half"
    if not (predictions / "predictions.json").exists():
        images = str(data / "images" / HELD_OUT)
        run_ushape("predict", run, images, "--threshold", "foreground=0.5", "--out", predictions)
    return score(predictions, data / "labels", run / "scores_at_half")


def judge_at_best(run: Path, data: Path) -> tuple[ScoreTable, float]:
    """Give a plain model the threshold that the recipe's models get, chosen on the same cases."""
    probabilities = predict_probabilities(run, data / "images" / HELD_OUT)
    threshold, _ = best_threshold(probabilities, data / "labels")
    pictures = run / "at_best"
    pictures.mkdir(exist_ok=True)
    for name, found in probabilities.items():
        mask = np.where(found >= threshold, 255, 0).astype(np.uint8)
        Image.fromarray(mask).save(pictures / f"{name}.png")
    return score(pictures, data / "labels", run / "scores_at_best"), threshold


def judge_observer(data: Path, out: Path) -> ScoreTable:
    """Score the second observer as if the pictures had been predicted."""
    pictures = out / "second_observer"
    pictures.mkdir(parents=True, exist_ok=True)
    for picture in (data / "labels_2nd").glob(HELD_OUT):
        shutil.copy(picture, pictures)
    return score(pictures, data / "labels", out / "scores_observer")


def difference(first: ScoreTable, second: ScoreTable, metric: str) -> dict[str, Any]:
    """Compare by case, with intervals over children."""
    values = (
        [table.scores["foreground", metric][case] for case in first.cases]
        for table in (first, second)
    )
    found = paired_difference(*values, groups=groups_of(first))
    return {
        "difference": round(found.difference, 4),
        "low": round(found.low, 4),
        "high": round(found.high, 4),
        "better in": f"{found.num_second_better} of {found.num_cases}",
        "verdict": {"first": "worse", "second": "better", "none": "not shown"}[found.verdict],
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", type=Path, default=Path("runs/line_recipe"))
    arguments = parser.parse_args()
    data, out, seeds = data_set("chase_db1"), arguments.out, arguments.seeds
    tables: dict[str, list[ScoreTable]] = {"plain": [], AT_BEST: [], "lines": [], AT_HALF: []}
    thresholds: dict[str, list[float]] = {AT_BEST: [], "lines": []}
    for seed in seeds:
        for arm, options in ARMS.items():
            run = out / f"{arm}-{arguments.steps}steps-seed{seed}"
            common = ("--val", HELD_OUT, "--steps", str(arguments.steps), "--seed", str(seed))
            train(run, data, *common, LAST_WEIGHTS, *options)
            found = score(run / "fold_0" / "predictions", data / "labels", run / "scores")
            tables[arm].append(found)
            if arm == "plain":
                best, threshold = judge_at_best(run, data)
                tables[AT_BEST].append(best)
            else:
                header = load_bundle(run / "fold_0" / "best.safetensors").header
                threshold = header.thresholds["foreground"]
                tables[AT_HALF].append(judge_at_half(run, data))
            thresholds[AT_BEST if arm == "plain" else arm].append(threshold)
    observer = judge_observer(data, out)
    pooled = {arm: pool(found) for arm, found in tables.items()}
    files = {arm: out / f"pooled_{arm.replace(' ', '_')}.csv" for arm in pooled}
    for arm, table in pooled.items():
        write_pooled(table, files[arm])
    for arm in (AT_BEST, "lines", AT_HALF):
        comparison = out / f"comparison_{files[arm].stem}"
        run_ushape("compare", files["plain"], files[arm], "--group", CHILD, "--out", comparison)

    rows = {
        **{
            f"{arm}, seed {seed}": table
            for number, seed in enumerate(seeds)
            for arm, table in ((arm, tables[arm][number]) for arm in tables)
        },
        **{f"{arm}, mean over seeds": table for arm, table in pooled.items()},
        OBSERVER: observer,
    }
    print(f"\n{machine()}; {arguments.steps} steps, thresholds {thresholds}")
    means = {
        name: {metric: interval(table, "foreground", metric) for metric in METRICS}
        for name, table in rows.items()
    }
    print_table(
        ["", *METRICS],
        [[name, *(as_text(found[m]) for m in METRICS)] for name, found in means.items()],
    )
    pairs = {
        **{
            f"{arm}, seed {seed}": (tables["plain"][number], tables[arm][number])
            for number, seed in enumerate(seeds)
            for arm in ("lines", AT_HALF)
        },
        **{f"{arm}, mean over seeds": (pooled["plain"], pooled[arm]) for arm in ("lines", AT_HALF)},
    }
    pairs[f"lines less {AT_BEST}, mean over seeds"] = (pooled[AT_BEST], pooled["lines"])
    differences = {
        name: {metric: difference(*pair, metric) for metric in METRICS}
        for name, pair in pairs.items()
    }
    print_table(
        ["less plain", "metric", "difference", "better in", "it is"],
        [
            [
                name,
                metric,
                f"{one['difference']:+.3f} ({one['low']:+.3f} to {one['high']:+.3f})",
                one["better in"],
                one["verdict"],
            ]
            for name, found in differences.items()
            for metric, one in found.items()
        ],
    )
    write_results(
        Path(__file__).with_suffix(".json"),
        {
            "machine": machine(),
            "data": "chase_db1, children 11-14 held out (8 images)",
            "steps": arguments.steps,
            "seeds": seeds,
            "thresholds": thresholds,
            "means": {
                name: {metric: as_json(one) for metric, one in found.items()}
                for name, found in means.items()
            },
            "differences from plain": differences,
        },
    )


if __name__ == "__main__":
    main()
