"""Measure how fast a device trains: a few steps of a small network, before anything is planned.

The one module of the planner that is not pure. What it finds goes into the rules as a number, and
the settings that follow from it are recorded, so that a resumed run measures nothing anew.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from contextlib import nullcontext

import torch

from ushape.device import DeviceFacts, channels_last, free_memory_bytes
from ushape.nets import NetworkSpec, build_network, make_spec
from ushape.plan.request import DEFAULT_BUDGET_S, Request
from ushape.plan.speed import Speed, step_macs
from ushape.sizes import Size

LIMIT_S = 3.0
"""Longest that is measured, after the step that warms up."""

BUDGET_SHARE = 0.02
"""A short budget is measured for a shorter time: for this share of it."""

FEWEST_STEPS, MOST_STEPS = 3, 9

REST_OF_LOOP = 1.1
"""A step of the loop takes this many times as long: patches are cut and varied, losses computed
(measured, see benchmarks/README.md)."""

_PROBES: dict[int, tuple[Size, int]] = {2: ((256, 256), 1), 3: ((32, 48, 48), 1)}
"""Patch and batch that are trained on, by the number of axes, on a CPU; a GPU has eight times as
many patches, which fill it."""


def measure_for(request: Request, device: DeviceFacts, *, spatial_dims: int) -> Speed | None:
    """Measure a device if the plan for a request depends on its speed, or return None.

    It does not where training takes a number of steps, or where a person, or the record of a run
    that is resumed, has set network, patch and batch.
    """
    settings = request.settings
    budget_s = request.budget_s or settings.get("schedule.budget_s")
    if budget_s is None and (request.steps or settings.get("schedule.steps")):
        return None
    sized = {"model.options.width", "model.options.widths", "model.name"} & set(settings)
    if (request.model or sized) and {"patch.size", "patch.batch"} <= set(settings):
        return None
    limit_s = min(LIMIT_S, BUDGET_SHARE * (budget_s or DEFAULT_BUDGET_S))
    return measure_speed(device, spatial_dims=spatial_dims, limit_s=limit_s)


def measure_speed(
    device: DeviceFacts,
    *,
    spatial_dims: int,
    limit_s: float = LIMIT_S,
    clock: Callable[[], float] = time.perf_counter,
) -> Speed:
    """Train a small network for a few steps, and look how much memory is free.

    The median of the steps counts, after one that warms up.

    Args:
        device: What to measure.
        spatial_dims: 2 or 3: convolutions of volumes have a speed of their own.
        limit_s: When to stop, after three steps or more.
        clock: Tells seconds.
    """
    spec = make_spec("unet_padding", spatial_dims=spatial_dims, levels=4, width=16, up="transposed")
    size, batch = _PROBES[spatial_dims]
    batch = batch * 8 if device.kind == "cuda" else batch
    free = free_memory_bytes(device)
    step = _training_step(spec, size, batch, device)
    step()
    began = clock()
    seconds: list[float] = []
    while len(seconds) < FEWEST_STEPS or (len(seconds) < MOST_STEPS and clock() - began < limit_s):
        start = clock()
        step()
        seconds.append(clock() - start)
    macs = step_macs(spec, math.prod(size) * batch)
    rate = macs / (statistics.median(seconds) * REST_OF_LOOP)
    return Speed(rate, free, is_measured=True)


def _training_step(
    spec: NetworkSpec, size: Size, batch: int, device: DeviceFacts
) -> Callable[[], None]:
    """Prepare one training step, as the training's own in precision and in the order of memory."""
    place = torch.device(device.kind)
    generator = torch.Generator().manual_seed(0)
    images = torch.randn((batch, spec.in_channels, *size), generator=generator).to(place)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = build_network(spec)
    network = network.to(place).train()
    if device.has_fast_bf16:
        order = channels_last(len(size))
        network = network.to(memory_format=order)  # type: ignore[call-overload]
        images = images.contiguous(memory_format=order)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, fused=True)

    def step() -> None:
        is_mixed = device.precision == "bf16-mixed"
        with torch.autocast(device.kind, torch.bfloat16) if is_mixed else nullcontext():
            loss = network(images).logits.float().square().mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if device.kind == "cuda":
            torch.cuda.synchronize()

    return step
