"""Time one training step of `unet_padding` by width, and where the time goes.

    python benchmarks/step_time.py [--profile]

Prints milliseconds a step (cut, augment, forward, backward, update; best of several), and the
multiply-adds a second and thread that the planner's rule rests on (`ushape.plan.speed`).
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
from lightning_fabric import Fabric

from ushape.config.schema import AugmentConfig
from ushape.data.augment import apply_augmentation, draw_augmentation, window_size
from ushape.data.patches import cut_windows
from ushape.data.sample import Sample
from ushape.data.targets import one_hot
from ushape.device import find_device
from ushape.losses import build_loss
from ushape.nets import build
from ushape.plan.patch_rules import STEP_PIXELS
from ushape.plan.speed import macs_per_pixel

PATCH, BATCH = (256, 256), 2
WIDTHS = (8, 16, 24, 32)


def draw_batch(samples: list[Sample], step: int) -> tuple[torch.Tensor, torch.Tensor]:
    config = AugmentConfig()
    windows = cut_windows(
        samples,
        patch_size=PATCH,
        window_size=window_size(PATCH, config),
        batch_size=BATCH,
        seed=0,
        step=step,
    )
    generator = torch.Generator().manual_seed(step)
    drawn = draw_augmentation(generator, config, batch=BATCH, channels=1, patch_size=PATCH)
    images, targets = apply_augmentation(
        windows.images, windows.targets, drawn, patch_size=PATCH, num_classes=2
    )
    return images.contiguous(memory_format=torch.channels_last), one_hot(targets, 1)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--profile", action="store_true", help="also list the costliest operators")
    arguments = parser.parse_args()
    device = find_device("cpu")
    fabric = Fabric(accelerator="cpu", devices=1, precision=device.precision)
    random = np.random.default_rng(0)
    samples = [
        Sample(
            str(n),
            random.normal(size=(1, 512, 512)).astype(np.float32),
            random.integers(0, 2, (512, 512), dtype=np.uint8),
        )
        for n in range(4)
    ]
    loss = build_loss("dice + bce", num_logits=1, class_fractions=(0.2,))
    print(
        f"torch {torch.__version__}, {device.name}, {device.num_threads} threads, "
        f"{device.precision}, patches {BATCH} x {PATCH[0]} x {PATCH[1]}"
    )
    print("width  parameters  batch ms  step ms  GMAC/s/thread")
    for width in WIDTHS:
        plain = build("unet_padding", width=width, up="transposed")
        plain = plain.to(memory_format=torch.channels_last)
        network, optimizer = fabric.setup(plain, torch.optim.AdamW(plain.parameters(), lr=1e-3))

        def step(number: int, network=network, optimizer=optimizer) -> tuple[float, float]:
            began = time.perf_counter()
            images, target = draw_batch(samples, number)
            drawn = time.perf_counter()
            value = loss(network(images).logits, target)
            optimizer.zero_grad(set_to_none=True)
            fabric.backward(value.total)
            optimizer.step()
            return drawn - began, time.perf_counter() - began

        step(0)
        times = [step(number) for number in range(1, 7)]
        batch_s, step_s = (min(column) for column in zip(*times, strict=True))
        macs = macs_per_pixel(plain.spec) * STEP_PIXELS * 3
        count = sum(p.numel() for p in plain.parameters())
        rate = macs / step_s / device.num_threads / 1e9
        print(f"{width:5}  {count:10,}  {batch_s * 1e3:8.0f}  {step_s * 1e3:7.0f}  {rate:13.1f}")
        if arguments.profile and width == 16:
            with torch.profiler.profile() as profile:
                for number in range(3):
                    step(number)
            print(profile.key_averages().table(sort_by="self_cpu_time_total", row_limit=12))


if __name__ == "__main__":
    main()
