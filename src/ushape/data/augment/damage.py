"""What scanners do to images: bias field, spikes in k-space, lost slices; and boxes cut out.

One patch at a time, in place.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ushape.data.augment.separable import contract_leading, legendre_weights

Box = list[list[int]]


def apply_bias(image: Tensor, coefficients: Tensor) -> None:
    """Multiply by a smooth field, counted from the patch's darkest value.

    Prepared images have their black somewhere below zero; the darkest value stands for it, so that
    a field makes bright tissue brighter and leaves the background dark.

    Args:
        image: (channel, *size).
        coefficients: (terms, ...) of the field's logarithm, Legendre polynomials along the axes.
    """
    weights = [
        legendre_weights(size, terms).to(image.device)
        for size, terms in zip(image.shape[1:], coefficients.shape, strict=True)
    ]
    rows = contract_leading(coefficients.to(image.device).unsqueeze(0), weights[:-1])[0]
    field = (rows @ weights[-1].T).exp_()
    low = image.amin()
    image.sub_(low).mul_(field).add_(low)


def add_spike(image: Tensor, amplitude: float, phase: float, periods: list[float]) -> None:
    """Add the wave that a single bright point of k-space (and its mirror point) is.

    The same as adding to two entries of the Fourier transform, without transforming.

    Args:
        image: (channel, *size).
        amplitude: Of the wave.
        phase: At the first pixel, radians.
        periods: Whole periods along each axis.
    """
    angles = [
        2 * math.pi * count / size * torch.arange(size, dtype=torch.float64)
        for count, size in zip(periods, image.shape[1:], strict=True)
    ]
    leading = torch.zeros((), dtype=torch.float64) + phase
    for angle in angles[:-1]:
        leading = leading.unsqueeze(-1) + angle
    leading, last = leading.unsqueeze(-1), angles[-1]
    # cos(a + b) = cos a cos b - sin a sin b; in double precision on the CPU, where all devices can.
    for a, b in (
        (leading.cos(), amplitude * last.cos()),
        (leading.sin(), -amplitude * last.sin()),
    ):
        image.addcmul_(a.float().to(image.device), b.float().to(image.device))


def cut_out(image: Tensor, boxes: list[Box], fill: Tensor) -> None:
    """Blank boxes.

    Args:
        image: (channel, *size).
        boxes: First and last+1 pixel, for each axis.
        fill: (channel, 1 ...) value.
    """
    for box in boxes:
        image[(slice(None), *(slice(first, last) for first, last in box))] = fill


def drop_slices(image: Tensor, dropped: Tensor, axis: int, fill: Tensor) -> None:
    """Blank whole slices.

    Args:
        image: (channel, *size).
        dropped: (slices,) bool.
        axis: Spatial axis of the slices.
        fill: (channel, 1 ...) value.
    """
    for index in dropped.nonzero()[:, 0].tolist():
        image.narrow(axis + 1, index, 1).copy_(fill)
