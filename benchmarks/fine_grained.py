"""Compare the fine-grained network with the plain one at equal budget, on small protrusions.

    python benchmarks/fine_grained.py [--steps 800] [--seeds 0 1 2] [--longer 3] [--out RUNS]
    python benchmarks/fine_grained.py --volumes --steps 300 --seeds 0

Synthetic `discs`, 100 slices of 128 x 128, the last 50 held out: a protrusion has about 25 pixels,
and about half of the slices have one or more. Both arms are `unet_padding` of width 8 with 4 levels
and take as many steps of as many pixels: the plain one sees four slices a step, the fine-grained
one two slices and eight regions of 64 x 64. All else is planned; the last weights are kept. Both
are also trained `--longer` times as long, with the first seed (0: not). Intervals are over cases
and hold no chance of training. Results go to benchmarks/fine_grained.json.

`--volumes`: the same in 3D, 60 volumes of 24 x 96 x 96 voxels (3 x 1 x 1 mm), the last 20 held out;
every one holds some protrusions. Four whole volumes a step, or two and eight regions. Results go to
benchmarks/fine_grained_volumes.json.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from trainings import (
    LAST_WEIGHTS,
    as_json,
    as_text,
    interval,
    machine,
    pool,
    print_table,
    run_ushape,
    write_results,
)
from ushape.compare import load_scores

DATA_SEED = 7
PICTURES = ("discs-100x128", "50-99", ("--cases", "100", "--size", "128x128"))
VOLUMES = (
    "discs-60x24x96x96", "40-59", ("--cases", "60", "--size", "24x96x96", "--spacing", "3x1x1")
)  # fmt: skip
"""Name of the data, cases held out, and how it is drawn."""
CLASSES = ("disc", "vertebra", "protrusion")
COMMON = (
    "--labels", "background=0,disc=1,vertebra=2,protrusion=3",
    "--set", "model.options.width=8",
    "--set", "model.options.levels=4",
    "--set", "model.options.up=transposed",
    "--set", "optimizer.learning_rate=0.005",
    "--set", "tiling.mirror=false",
    LAST_WEIGHTS,
)  # fmt: skip
ARMS = {
    "plain": ("--model", "unet_padding", "--set", "patch.batch=4"),
    "fine-grained": (
        "--model", "unet_fine_grained", "--set", "patch.batch=2", "--set", "fine.cuts=8",
    ),
}  # fmt: skip


def train(run: Path, data: Path, *options: str) -> None:
    """Train into the folder `run`, unless that is done."""
    if not (run / "report.html").exists():
        run_ushape("train", data, *COMMON, *options, "--out", run, "--resume")


def image_level(run: Path) -> dict[str, Any]:
    """Count the held-out cases by whether truth and prediction hold a protrusion."""
    scores = json.loads((run / "fold_0" / "evaluation.json").read_text(encoding="utf-8"))
    return dict(scores["image_level"]["protrusion"])


def box_scores(run: Path) -> dict[str, Any] | None:
    """Load what wrong regions cost."""
    scores = json.loads((run / "fold_0" / "evaluation.json").read_text(encoding="utf-8"))
    return dict(scores["boxes"]["summary"]["protrusion"]) if "boxes" in scores else None


def rate(counts: list[dict[str, Any]], wrong: str) -> float | None:
    """Give recall (`missed`) or precision (`spurious`) over the cases of all seeds."""
    right = sum(count["both"] for count in counts)
    total = right + sum(count[wrong] for count in counts)
    return round(right / total, 4) if total else None


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--longer", type=int, default=3)
    parser.add_argument("--volumes", action="store_true")
    parser.add_argument("--out", type=Path, default=Path("runs/fine_grained"))
    arguments = parser.parse_args()
    steps, seeds = arguments.steps, arguments.seeds
    is_3d = arguments.volumes
    name, held_out, drawing = VOLUMES if is_3d else PICTURES
    out = arguments.out / "volumes" if is_3d else arguments.out
    data = out / f"{name}-seed{DATA_SEED}"
    if not data.exists():
        run_ushape("data", "synth", "discs", "--out", data, *drawing, "--seed", str(DATA_SEED))
    common = ("--val", held_out)
    runs = {arm: [out / f"{arm}-{steps}steps-seed{seed}" for seed in seeds] for arm in ARMS}
    for number, seed in enumerate(seeds):
        for arm, options in ARMS.items():
            length = ("--steps", str(steps), "--seed", str(seed))
            train(runs[arm][number], data, *common, *options, *length)
    many = arguments.longer * steps
    for arm, options in ARMS.items() if many else ():
        run = out / f"{arm}-{many}steps-seed{seeds[0]}"
        train(run, data, *common, *options, "--steps", str(many), "--seed", str(seeds[0]))
        runs[f"{arm}, {arguments.longer} times as long"] = [run]

    results: dict[str, Any] = {}
    rows = []
    for arm, folders in runs.items():
        pooled = pool([load_scores(run) for run in folders])
        counts = [image_level(run) for run in folders]
        dice = {name: interval(pooled, name, "dice") for name in CLASSES}
        boxes = [found for run in folders if (found := box_scores(run)) is not None]
        results[arm] = {
            "dice, mean over seeds": {name: as_json(found) for name, found in dice.items()},
            "protrusion dice by seed": [
                round(interval(load_scores(run), "protrusion", "dice").mean, 4) for run in folders
            ],
            "cases with a protrusion": counts[0]["both"] + counts[0]["missed"],
            "image-level counts by seed": counts,
            "image-level recall": rate(counts, "missed"),
            "image-level precision": rate(counts, "spurious"),
            **({"boxes by seed": boxes} if boxes else {}),
        }
        rows.append(
            [
                arm,
                *(as_text(dice[name]) for name in CLASSES),
                f"{results[arm]['image-level recall']}",
                f"{results[arm]['image-level precision']}",
            ]
        )
    print(f"\n{machine()}; {steps} steps, seeds {seeds}")
    print_table(["", *CLASSES, "recall", "precision"], rows)
    for arm, found in results.items():
        lost = [round(boxes["lost"]["mean"], 4) for boxes in found.get("boxes by seed", [])]
        if lost:
            print(f"{arm}: lost to wrong boxes, Dice by seed: {lost}")
    write_results(
        Path(__file__).with_name("fine_grained_volumes.json" if is_3d else "fine_grained.json"),
        {
            "machine": machine(),
            "data": f"{name}, seed {DATA_SEED}, {held_out} held out",
            "steps": steps,
            "seeds": seeds,
            "arms": results,
        },
    )


if __name__ == "__main__":
    main()
