"""Time a U-Net++ by the number of decoder columns that prediction computes.

    python benchmarks/columns.py

Prints milliseconds (best of several; one image of 512 x 512, bfloat16, channels last) and
multiply-adds, both also as a share of those with all columns.
"""

from __future__ import annotations

import time

import torch
from torch.utils.flop_counter import FlopCounterMode

from ushape.nets import build, prune


def main() -> None:
    torch.manual_seed(0)
    network = build("unet_plusplus", classes=2).eval().to(memory_format=torch.channels_last)
    image = torch.randn(1, 1, 512, 512).contiguous(memory_format=torch.channels_last)
    rows = []
    for columns in (4, 3, 2, 1):
        pruned = prune(network, columns=columns)
        with FlopCounterMode(display=False) as counter, torch.inference_mode():
            pruned(image)
        times = []
        for _ in range(6):
            began = time.perf_counter()
            with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
                pruned(image)
            times.append(time.perf_counter() - began)
        rows.append((columns, min(times) * 1000, counter.get_total_flops() / 2e9))
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads")
    for columns, ms, gmacs in rows:
        shares = f"{ms / rows[0][1]:.2f}, {gmacs / rows[0][2]:.2f}"
        print(f"{columns} columns  {ms:6.0f} ms  {gmacs:5.1f} G multiply-adds   shares {shares}")


if __name__ == "__main__":
    main()
