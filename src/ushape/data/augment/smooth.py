"""Loss of sharpness: Gaussian blur, and sampling more coarsely. One patch at a time, in place."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

CPU_CHUNK_PIXELS = 2**16
"""Pixels that are blurred at once on a CPU, to stay in its cache."""


def blur(image: Tensor, sigma: Sequence[float]) -> None:
    """Blur with a Gaussian cut off at three sigma, mirrored at the border.

    Args:
        image: (channel, *size).
        sigma: Pixels, for each axis.
    """
    for axis, width in enumerate(sigma, start=1):
        radius = min(math.ceil(3 * width), image.shape[axis] - 1)
        if width <= 0 or radius < 1:
            continue
        offset = torch.arange(radius + 1, dtype=torch.float64)
        kernel = torch.exp(-0.5 * (offset / max(width, 1e-3)).square())
        kernel /= kernel[0] + 2 * kernel[1:].sum()
        _blur_axis(image, kernel.tolist(), axis)


def _blur_axis(image: Tensor, kernel: list[float], axis: int) -> None:
    """Add up shifted copies, the two of equal weight at once."""
    radius = len(kernel) - 1
    across = 1 if axis != 1 else 2
    rows = image.shape[across]
    if image.device.type == "cpu":
        rows = max(1, min(rows, CPU_CHUNK_PIXELS * rows // image.numel()))
    for start in range(0, image.shape[across], rows):
        chunk = image.narrow(across, start, min(rows, image.shape[across] - start))
        size = chunk.shape[axis]
        wide = torch.cat(
            [
                chunk.narrow(axis, 1, radius).flip(axis),
                chunk,
                chunk.narrow(axis, size - 1 - radius, radius).flip(axis),
            ],
            axis,
        )
        torch.mul(wide.narrow(axis, radius, size), kernel[0], out=chunk)
        for step, weight in enumerate(kernel[1:], start=1):
            pair = wide.narrow(axis, radius - step, size) + wide.narrow(axis, radius + step, size)
            chunk.add_(pair, alpha=weight)


def lower_resolution(image: Tensor, kept: Sequence[float]) -> None:
    """Keep the nearest pixels of a coarser grid and fill in linearly between them.

    Args:
        image: (channel, *size).
        kept: Fraction of the pixels to keep, for each axis.
    """
    size = image.shape[1:]
    counts = [max(1, round(edge * part)) for edge, part in zip(size, kept, strict=True)]
    coarse = F.interpolate(image.unsqueeze(0), size=counts, mode="nearest-exact")[0]
    # Axis by axis: torch takes two to three times as long for all at once. The last axis, which
    # has to go through memory in small steps, comes first, while there are few pixels.
    rows = coarse.reshape(1, -1, counts[-1])
    rows = F.interpolate(rows, size=size[-1], mode="linear", align_corners=False)
    coarse = rows.view(*coarse.shape[:-1], size[-1])
    for axis in range(len(size) - 1, 1, -1):
        wider = coarse.new_empty((*coarse.shape[:axis], size[axis - 1], *coarse.shape[axis + 1 :]))
        coarse = _fill_in(coarse, axis, wider)
    _fill_in(coarse, 1, image)


def _fill_in(coarse: Tensor, axis: int, out: Tensor) -> Tensor:
    """Interpolate along one axis; pixels cover equal shares of the same length."""
    count, size = coarse.shape[axis], out.shape[axis]
    position = (torch.arange(size, dtype=torch.float64) + 0.5) * (count / size) - 0.5
    position = position.clamp(0, count - 1)
    first = position.floor().long()
    second = (first + 1).clamp(max=count - 1).to(out.device)
    step = (position - first).float().to(out.device)
    step = step.view(-1, *(1,) * (out.ndim - axis - 1))
    first = first.to(out.device)
    some = size
    if out.device.type == "cpu":
        some = max(1, CPU_CHUNK_PIXELS * size // out.numel())
    for start in range(0, size, some):
        part = slice(start, start + some)
        torch.lerp(
            coarse.index_select(axis, first[part]),
            coarse.index_select(axis, second[part]),
            step[part],
            out=out.narrow(axis, start, len(first[part])),
        )
    return out
