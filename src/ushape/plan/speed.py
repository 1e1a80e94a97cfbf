"""How much a device computes and holds, and how much of both a network needs. Arithmetic."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

from ushape.device import DeviceFacts
from ushape.nets import NetworkSpec, describe
from ushape.sizes import Size

CPU_MACS_PER_S = {True: 5e10, False: 2.2e10}
"""Multiply-adds a second and thread in training, with and without bfloat16 hardware (measured,
see benchmarks/README.md)."""

CUDA_MACS_PER_S = 1e13

PASSES = 3
"""A training step is a forward pass and a backward pass of twice the work."""

USABLE = {"cpu": 0.5, "cuda": 0.8}
"""Share of the free memory that a step may take: a CPU's is shared with data and other programs."""

BYTES_A_WEIGHT = 20
"""float32 of the weight, its gradient, AdamW's two moments and the running average."""

MOST_COPIES = 16
"""No network of the family keeps more numbers for the backward pass than this many times those of
the maps that `describe` lists (measured: 2.5 to 7)."""


MOST_ALIVE = 6
"""Nor are more than this many alive at once in a prediction (measured: 1.1 to 2.7)."""


@dataclass(frozen=True)
class Speed:
    """What a device can do now.

    Attributes:
        macs_per_s: Multiply-adds a second in training, all passes counted.
        free_bytes: Memory that is free.
        is_measured: On this device; else estimated from its kind and its cores.
    """

    macs_per_s: float
    free_bytes: int
    is_measured: bool = False

    @property
    def how(self) -> str:
        """Say in one word how it is known."""
        return "measured" if self.is_measured else "estimated"

    def usable_bytes(self, kind: str) -> float:
        """Return the memory that a training step may take on a `cpu` or on `cuda`."""
        return USABLE[kind] * self.free_bytes


def estimate_speed(device: DeviceFacts) -> Speed:
    """Estimate from the kind of device and its cores, without measuring."""
    if device.kind == "cuda":
        return Speed(CUDA_MACS_PER_S, device.memory_bytes)
    rate = CPU_MACS_PER_S[device.has_fast_bf16] * device.num_threads
    return Speed(rate, device.memory_bytes)


@functools.lru_cache(maxsize=256)
def macs_per_pixel(spec: NetworkSpec) -> float:
    """Estimate the multiply-adds of one forward pass, by pixel or voxel of the input.

    Every weight is used once at every place of its map; the ways up are counted at the larger of
    their two maps, which is a little too much.
    """
    figure = describe(spec)
    macs = sum(row.parameters * math.prod(row.size) for row in figure.rows)
    return macs / math.prod(figure.size)


def step_macs(spec: NetworkSpec, pixels: float) -> float:
    """Estimate the multiply-adds of a training step on so many pixels or voxels."""
    return PASSES * macs_per_pixel(spec) * pixels


def training_bytes(
    spec: NetworkSpec, size: Size, batch: int, precision: str, limit: float
) -> float:
    """Estimate the memory of a training step: weights, their optimiser's state, and kept maps.

    A bound by arithmetic where that is below the limit anyway; else the maps are measured on
    tensors without data, which takes half a second for every new network and size.

    Args:
        spec: The network.
        size: Of a patch.
        batch: Patches.
        precision: `bf16-mixed` or `32-true`.
        limit: Bytes that it should stay below.
    """
    fixed, (_, floats) = weight_bytes(spec), _weights_and_maps(spec)
    bound = fixed + 4 * MOST_COPIES * floats * math.prod(size) * batch
    if bound <= limit:
        return bound
    from ushape.nets.costs import costs_of

    kept = costs_of(spec, size, batch=batch).training
    return fixed + (kept.bf16 if precision == "bf16-mixed" else kept.float32)


def weight_bytes(spec: NetworkSpec) -> int:
    """Return the memory that the weights take while they are trained."""
    return BYTES_A_WEIGHT * _weights_and_maps(spec)[0]


def prediction_bytes(spec: NetworkSpec, size: Size, limit: float) -> float:
    """Estimate the memory of predicting one tile in float32; arguments as of `training_bytes`."""
    weights, floats = _weights_and_maps(spec)
    bound = 4 * (weights + MOST_ALIVE * floats * math.prod(size))
    if bound <= limit:
        return bound
    from ushape.nets.costs import costs_of

    return 4 * weights + costs_of(spec, size).prediction.float32


@functools.lru_cache(maxsize=256)
def _weights_and_maps(spec: NetworkSpec) -> tuple[int, float]:
    """Count the trained weights, and the numbers in all maps by pixel of the input."""
    figure = describe(spec)
    numbers = sum(row.channels * math.prod(row.size) for row in figure.rows)
    return figure.trainable_parameters, numbers / math.prod(figure.size)
