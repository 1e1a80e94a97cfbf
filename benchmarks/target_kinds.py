"""Train one data set as exclusive classes and as overlapping masks, and count the overlaps.

    python benchmarks/target_kinds.py [--steps 1500] [--seed 0] [--out runs/target_kinds]

`vnc_sstem`, sections 15-19 held out as a block: five classes a pixel (`labels/`), then three masks
that overlap (`labels_multi/`); same steps, same seed, everything else as planned. Results go to
benchmarks/target_kinds.json.
"""

from __future__ import annotations

import argparse
from itertools import combinations
from pathlib import Path

import numpy as np
import numpy.typing as npt

from trainings import (
    as_json,
    as_text,
    data_set,
    interval,
    machine,
    print_table,
    train,
    write_results,
)
from ushape.compare import load_scores
from ushape.data.io import read_label

SECTIONS = tuple(str(section) for section in range(15, 20))
LABELS = "intracellular=0,membrane=1,glia=2,mitochondria=3,synapse=4"
KINDS = {"multiclass": ("--labels", LABELS), "multilabel": ("--label-folder", "labels_multi")}
MASKS = ("membrane", "mitochondria", "synapse")

Mask = npt.NDArray[np.bool_]


def read_masks(folder: Path) -> dict[str, Mask]:
    """Read the masks of all held-out sections, shape (section, y, x)."""
    return {
        name: np.stack(
            [read_label(folder / name / f"{section}.png").values > 0 for section in SECTIONS]
        )
        for name in MASKS
    }


def count_overlaps(masks: dict[str, Mask]) -> dict[str, dict[str, float]]:
    """Count pixels in two masks, and their share of the smaller class, which is named first."""
    found = {}
    for large, small in combinations(MASKS, 2):
        both = int(np.count_nonzero(masks[small] & masks[large]))
        pixels = int(np.count_nonzero(masks[small]))
        share = round(both / pixels, 4) if pixels else 0.0
        found[f"{small} that are {large}"] = {"pixels": pixels, "both": both, "share": share}
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/target_kinds"))
    arguments = parser.parse_args()
    data = data_set("vnc_sstem")
    steps, seed = arguments.steps, arguments.seed
    runs = {kind: arguments.out / f"{kind}-{steps}steps-seed{seed}" for kind in KINDS}
    for kind, options in KINDS.items():
        common = ("--val", "15-19", "--steps", str(steps), "--seed", str(seed))
        train(runs[kind], data, *common, *options)

    dice = {}
    for kind, run in runs.items():
        table = load_scores(run)
        classes = [name for name, metric in table.scores if metric == "dice"]
        dice[kind] = {name: interval(table, name, "dice") for name in classes}
    print(f"\n{machine()}; {steps} steps, seed {seed}")
    print_table(
        ["Dice", *KINDS],
        [
            [name, *(as_text(dice[kind][name]) if name in dice[kind] else "-" for kind in KINDS)]
            for name in dice["multiclass"]
        ],
    )

    truth = count_overlaps(read_masks(data / "labels_multi"))
    predicted = count_overlaps(read_masks(runs["multilabel"] / "fold_0" / "predictions"))
    print_table(
        ["pixels of", "truth", "of them both", "predicted", "of them both"],
        [
            [
                name,
                *(
                    text
                    for side in (truth[name], predicted[name])
                    for text in (f"{side['pixels']:,}", f"{side['both']:,} ({side['share']:.1%})")
                ),
            ]
            for name in truth
        ],
    )
    write_results(
        Path(__file__).with_suffix(".json"),
        {
            "machine": machine(),
            "data": "vnc_sstem, sections 15-19 held out",
            "steps": steps,
            "seed": seed,
            "dice": {
                kind: {name: as_json(found) for name, found in classes.items()}
                for kind, classes in dice.items()
            },
            "overlaps": {"truth": truth, "predicted": predicted},
        },
    )


if __name__ == "__main__":
    main()
