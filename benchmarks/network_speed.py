"""Time every network of the catalogue: forward, and forward with backward.

    python benchmarks/network_speed.py [--device cuda] [--names NAME ...] [--out FILE]

Writes `benchmarks/network_speed.json` (read by `docs/family.md`): milliseconds, best of several,
in float32, bfloat16 autocast, and bfloat16 compiled, with the paper's numbers as defaults.
Entries that need the timm library are left out where it is not installed.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ushape.errors import UshapeError
from ushape.nets import build, entries

SIZES = {2: ((256, 256), 1), 3: ((32, 64, 64), 1)}
"""Image size and batch by number of axes."""
UNPADDED: dict[str, tuple[int, ...]] = {"unet_original": (444, 444)}
"""260 x 260 come out: about as many pixels as the others."""


def best_ms(function: Callable[[], object], *, device: str, repeats: int = 5) -> float:
    """Return the quickest of several runs after one to warm up; long ones are repeated less."""
    function()
    times: list[float] = []
    while len(times) < repeats and sum(times) < 6:
        if device == "cuda":
            torch.cuda.synchronize()
        began = time.perf_counter()
        function()
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - began)
    return round(min(times) * 1000, 1)


def sum_outputs(output: Any) -> Tensor:
    return output.logits.float().square().mean() + sum(
        x.float().square().mean() for x in output.auxiliary
    )


def time_network(network: nn.Module, image: Tensor, *, is_bf16: bool) -> tuple[float, float]:
    """Return milliseconds of (prediction, forward and backward)."""
    device = image.device.type

    def predict() -> None:
        with torch.inference_mode(), torch.autocast(device, torch.bfloat16, enabled=is_bf16):
            network(image)

    def train() -> None:
        with torch.autocast(device, torch.bfloat16, enabled=is_bf16):
            output = network(image)
        sum_outputs(output).backward()

    network.eval()
    forward = best_ms(predict, device=device)
    network.train()
    return forward, best_ms(train, device=device)


def time_entry(name: str, dims: int, device: str, *, is_compiled: bool) -> dict[str, Any]:
    size, batch = SIZES[dims]
    size = UNPADDED.get(name, size)
    row: dict[str, Any] = {"size": list(size), "batch": batch, "options": {"classes": 2}}
    forward: dict[str, float] = {}
    training: dict[str, float] = {}
    kinds = ["float32", "bf16", "bf16 channels-last", *(["compiled"] if is_compiled else [])]
    for kind in kinds:
        torch.manual_seed(0)
        network: nn.Module = build(name, classes=2).to(device)
        image = torch.randn(batch, 1, *size, device=device)
        if kind != "float32":
            if kind == "bf16":
                memory_format = torch.contiguous_format
            else:
                memory_format = torch.channels_last if dims == 2 else torch.channels_last_3d
            network = network.to(memory_format=memory_format)  # type: ignore[call-overload]
            image = image.contiguous(memory_format=memory_format)
        if kind == "compiled":
            torch._dynamo.reset()
            network = torch.compile(network)  # type: ignore[assignment]
        forward[kind], training[kind] = time_network(network, image, is_bf16=kind != "float32")
    return {**row, "forward_ms": forward, "train_ms": training}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--machine", help="what to call this machine in the file")
    parser.add_argument("--names", nargs="*", help="only these")
    parser.add_argument("--compile", action="store_true", help="also compiled (half a minute each)")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    arguments = parser.parse_args()
    known = {}
    if arguments.names and arguments.out.exists():
        known = json.loads(arguments.out.read_text(encoding="utf-8"))["entries"]
    for entry in entries():
        if arguments.names and entry.name not in arguments.names:
            continue
        try:
            row = time_entry(
                entry.name, entry.spatial_dims[0], arguments.device, is_compiled=arguments.compile
            )
        except UshapeError as error:
            print(f"{entry.name}: left out ({error})")
            continue
        known[entry.name] = row
        print(entry.name, row["size"], "x", row["batch"])
        print("   forward ms", row["forward_ms"], flush=True)
        print("   train ms  ", row["train_ms"], flush=True)
        where = torch.cuda.get_device_name() if arguments.device == "cuda" else platform.machine()
        text = json.dumps(
            {
                "machine": arguments.machine or where,
                "threads": torch.get_num_threads(),
                "torch": torch.__version__,
                "entries": known,
            },
            indent=1,
        )
        arguments.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
