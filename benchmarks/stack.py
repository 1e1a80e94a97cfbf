"""Train on sections as pictures and as slices of one thick-sliced volume, for the same time.

    python benchmarks/stack.py [--minutes 10] [--seed 0] [--out runs/stack]

`isbi2012_membrane`, sections 24-29 held out as a block. By themselves sections are planned in 2D;
`--stack 50x4x4nm` has them planned in 2.5D, with the slices above and below as context. Everything
else as planned, last weights, cut at one half; scores are means over the six sections. Results go
to benchmarks/stack.json.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from trainings import (
    LAST_WEIGHTS,
    ONE_HALF,
    as_json,
    as_text,
    data_set,
    evaluate,
    interval,
    machine,
    print_table,
    run_ushape,
    write_results,
)
from ushape.config.load import load_config

ARMS = {"pictures": (), "stack": ("--stack", "50x4x4nm")}
METRICS = {"dice": "foreground", "v_rand": ""}
"""Each with the class that it is of; V_rand is of the whole picture."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/stack"))
    arguments = parser.parse_args()
    data, seed = data_set("isbi2012_membrane"), arguments.seed
    budget = f"{round(60 * arguments.minutes)}s"
    rows, results = [], {}
    for arm, options in ARMS.items():
        run = arguments.out / f"{arm}-{budget}-seed{seed}"
        length = ("--budget", budget, "--seed", str(seed), "--val", "24-29")
        if not (run / "report.html").exists():
            asked = (*length, *options, LAST_WEIGHTS, ONE_HALF, "--out", run, "--resume")
            run_ushape("train", data, *asked)
        found = evaluate(
            run / "fold_0" / "predictions",
            data / "labels",
            run / "scores",
            metrics=",".join(METRICS),
        )
        network = load_config(run / "config.yaml").model.name
        scores = {metric: interval(found, of, metric) for metric, of in METRICS.items()}
        rows.append([arm, network, *map(as_text, scores.values())])
        results[arm] = {
            "network": network,
            **{metric: as_json(score) for metric, score in scores.items()},
        }
    print(f"\n{machine()}; {budget} each, seed {seed}")
    print_table(["sections as", "network", *METRICS], rows)
    write_results(
        Path(__file__).with_suffix(".json"),
        {"machine": machine(), "budget": budget, "seed": seed, **results},
    )


if __name__ == "__main__":
    main()
