"""Train on hippocampi for a quarter of an hour beside a hand-written MONAI script, in one run.

    pip install -c constraints.txt . monai nibabel      # in an environment of its own
    python benchmarks/hippocampus.py [--minutes 15] [--out runs/hippocampus]

`msd_hippocampus`, fold 0 of five: the 208 and 52 scans that `ushape train --folds 5 --fold 0` takes
are the script's too. Ours is one command with everything by default. The script is what a competent
user of MONAI writes in an afternoon: a residual U-Net of 4.7 M weights on whole volumes, bfloat16,
affine and now and then elastic augmentation, AdamW with one cosine over the time that there is,
Dice and cross entropy; scans are read once and kept in memory, which its minutes do not count. One
arm after the other, the same threads; a finished arm is taken up as it is. Both sets of predicted
files are scored by `ushape evaluate`. Results go to benchmarks/hippocampus.json.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

import nibabel
import numpy as np
import torch
from monai.data import DataLoader, Dataset
from monai.losses import DiceCELoss
from monai.networks.nets import UNet
from monai.transforms import (
    Compose,
    NormalizeIntensityd,
    Rand3DElasticd,
    RandAffined,
    RandGaussianNoised,
    RandScaleIntensityd,
    SpatialPadd,
)
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from trainings import (
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

SIZE = (48, 64, 48)
BATCH = 6
RATE = 2e-3
COLUMNS = ("dice", "hd95_mm", "nsd")
CLASSES = {"class_1": "anterior", "class_2": "posterior"}

Case = dict[str, torch.Tensor]


def split_of(run: Path) -> dict[str, list[str]]:
    """Read which cases the run trained on and which it held out."""
    split: dict[str, list[str]] = json.loads((run / "split.json").read_text())
    return split


def link_scans(data: Path, names: Sequence[str], folder: Path) -> None:
    """Make a folder of some scans only."""
    folder.mkdir(exist_ok=True)
    for name in names:
        file = folder / f"{name}.nii.gz"
        if not file.exists():
            file.symlink_to((data / "images" / file.name).resolve())


def load_case(data: Path, name: str) -> Case:
    image = nibabel.load(data / "images" / f"{name}.nii.gz").get_fdata(dtype=np.float32)
    label = nibabel.load(data / "labels" / f"{name}.nii.gz").get_fdata(dtype=np.float32)
    return {"image": torch.from_numpy(image)[None], "label": torch.from_numpy(label.round())[None]}


def transforms() -> tuple[Compose, Compose]:
    """Make what is done once, and what is drawn anew for every batch."""
    keys, modes = ("image", "label"), ("bilinear", "nearest")
    once = Compose([NormalizeIntensityd("image"), SpatialPadd(keys, SIZE, method="end")])
    turn, shift, scale = (0.35,) * 3, (3.0,) * 3, (0.15,) * 3
    drawn = Compose(
        [
            RandAffined(
                keys,
                prob=0.9,
                rotate_range=turn,
                translate_range=shift,
                scale_range=scale,
                mode=modes,
                padding_mode="border",
            ),
            Rand3DElasticd(keys, (4, 6), (40, 90), prob=0.15, mode=modes, padding_mode="border"),
            RandScaleIntensityd("image", 0.2, prob=0.5),
            RandGaussianNoised("image", prob=0.2, std=0.1),
        ]
    )
    return once, drawn


def monai_network() -> UNet:
    return UNet(3, 1, 3, (32, 64, 128, 256), (2, 2, 2), num_res_units=2)


def endless(loader: DataLoader) -> Iterator[Case]:
    while True:
        yield from loader


def train_monai(
    data: Path, names: Sequence[str], minutes: float, seed: int, given_steps: int | None
) -> tuple[UNet, int]:
    """Train the script's network for some minutes, or so many steps; return it with its steps."""
    torch.manual_seed(seed)
    once, drawn = transforms()
    drawn.set_random_state(seed)
    cases = [once(load_case(data, name)) for name in names]
    loader = DataLoader(Dataset(cases, drawn), batch_size=BATCH, shuffle=True, drop_last=True)
    network = monai_network()
    optimizer = torch.optim.AdamW(network.parameters(), RATE, weight_decay=1e-4)
    loss_of = DiceCELoss(to_onehot_y=True, softmax=True, include_background=False)
    steps, start, budget_s = 0, time.monotonic(), 60 * minutes
    for batch in endless(loader):
        done = steps / given_steps if given_steps else (time.monotonic() - start) / budget_s
        if done >= 1:
            break
        for group in optimizer.param_groups:
            group["lr"] = RATE * 0.5 * (1 + math.cos(math.pi * done))
        with torch.autocast("cpu", torch.bfloat16):
            logits = network(batch["image"].as_tensor())
        loss = loss_of(logits.float(), batch["label"].as_tensor())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        steps += 1
        if steps % 50 == 0:
            print(f"monai: step {steps}, {100 * done:.0f} %, loss {loss.item():.3f}", flush=True)
    return network, steps


@torch.inference_mode()
def predict_monai(network: UNet, data: Path, names: Sequence[str], out: Path) -> None:
    """Write the script's masks on the grids of their scans."""
    network.eval()
    out.mkdir(parents=True, exist_ok=True)
    once, _ = transforms()
    for name in names:
        scan = nibabel.load(data / "images" / f"{name}.nii.gz")
        padded = once(load_case(data, name))
        with torch.autocast("cpu", torch.bfloat16):
            logits = network(padded["image"].as_tensor()[None])
        x, y, z = scan.shape
        found = logits.argmax(1)[0, :x, :y, :z].to(torch.uint8).numpy()
        mask = nibabel.Nifti1Image(found, scan.affine)
        nibabel.save(mask, out / f"{name}.nii.gz")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--monai-steps", type=int, help="instead of its minutes: what a run before has taken"
    )
    parser.add_argument("--out", type=Path, default=Path("runs/hippocampus"))
    options = parser.parse_args()
    data, minutes = data_set("msd_hippocampus"), options.minutes
    ours, theirs = options.out / "ushape", options.out / "monai"

    budget = f"{round(60 * minutes)}s"
    seed = f"--seed={options.seed}"
    if not (ours / "report.html").exists():
        fold = ("--folds", 5, "--fold", 0)
        run_ushape("train", data, "--budget", budget, *fold, seed, "--out", ours, "--resume")
    split = split_of(ours)
    scans = options.out / "held_out"
    link_scans(data, split["val"], scans)
    run_ushape("predict", ours, scans, "--out", ours / "predictions")

    weights = theirs / "weights.safetensors"
    if not weights.exists():
        network, steps = train_monai(
            data, split["train"], minutes, options.seed, options.monai_steps
        )
        theirs.mkdir(parents=True, exist_ok=True)
        save_file(network.state_dict(), weights, {"steps": str(steps)})
    network = monai_network()
    network.load_state_dict(load_file(weights))
    predict_monai(network, data, split["val"], theirs / "predictions")
    with safe_open(weights, "pt") as file:
        steps = int(file.metadata()["steps"])

    rows = []
    results: dict[str, object] = {
        "machine": machine(),
        "monai": version("monai"),
        "minutes": minutes,
        "seed": options.seed,
        "monai_steps": steps,
        "monai_parameters": sum(weights.numel() for weights in network.parameters()),
    }
    for name, folder in (("ushape", ours), ("monai", theirs)):
        table = evaluate(
            folder / "predictions",
            data / "labels",
            folder / "scores",
            metrics="dice,hd95,nsd",
        )
        for label, part in CLASSES.items():
            found = {column: interval(table, label, column) for column in COLUMNS}
            rows.append((name, part, *map(as_text, found.values())))
            results[f"{name} {part}"] = {key: as_json(value) for key, value in found.items()}
    print(machine())
    print_table(("", "class", "Dice", "HD95, mm", "NSD at 1 mm"), rows)
    write_results(Path(__file__).with_suffix(".json"), results)


if __name__ == "__main__":
    main()
