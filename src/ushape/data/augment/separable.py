"""Smooth fields from few numbers: one small matrix per axis, never a dense interpolation."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

CUBIC_REACH = 1.375
"""Most by which the cubic weights of one axis can exceed the largest control value."""

_SLOPE = -0.75


@lru_cache(maxsize=64)
def cubic_weights(size: int, controls: int) -> Tensor:
    """Interpolate control points, the first and last on the first and last pixel, to pixels.

    Cubic convolution (Keys 1981, Eq. 4) with slope -0.75, beyond the ends the end point again:
    what torch's `bicubic` does with align_corners=True.

    Returns:
        (size, controls); rows add up to 1.
    """
    position = torch.linspace(0, controls - 1, size, dtype=torch.float64)
    if size == 1:
        position = torch.zeros(1, dtype=torch.float64)
    first = position.floor().clamp(max=controls - 1)
    weights = torch.zeros(size, controls, dtype=torch.float64)
    for step in (-1, 0, 1, 2):
        value = _cubic((position - first - step).abs())
        column = (first.long() + step).clamp(0, controls - 1)
        weights.scatter_add_(1, column.unsqueeze(1), value.unsqueeze(1))
    return weights.float()


def _cubic(x: Tensor) -> Tensor:
    near = ((_SLOPE + 2) * x - (_SLOPE + 3)) * x * x + 1
    far = ((_SLOPE * x - 5 * _SLOPE) * x + 8 * _SLOPE) * x - 4 * _SLOPE
    return torch.where(x <= 1, near, torch.where(x < 2, far, torch.zeros_like(x)))


@lru_cache(maxsize=64)
def legendre_weights(size: int, terms: int) -> Tensor:
    """Evaluate the first Legendre polynomials at pixel centres of the interval from -1 to 1.

    Returns:
        (size, terms).
    """
    x = (2 * torch.arange(size, dtype=torch.float64) + 1) / size - 1
    columns = [torch.ones_like(x), x]
    for n in range(1, terms - 1):
        columns.append(((2 * n + 1) * x * columns[n] - n * columns[n - 1]) / (n + 1))
    return torch.stack(columns[:terms], 1).float()


def contract_leading(coefficients: Tensor, weights: list[Tensor]) -> Tensor:
    """Expand all axes but the last to pixels.

    Args:
        coefficients: (field, *points).
        weights: (pixels, points) for each axis but the last.

    Returns:
        (field, *pixels of the leading axes, points of the last axis).
    """
    for axis, weight in enumerate(weights, start=1):
        coefficients = (weight @ coefficients.movedim(axis, -2)).movedim(-2, axis)
    return coefficients
