"""Graded targets of thin structures: soft around a line instead of one pixel wide.

They are made from the thin mask after augmentation, so that a warp never blurs them, and on the
device that trains. In volumes sigmas count edges of the finest axis, as lengths of augmentation do,
so that thick slices are as far apart as they are; in pictures they count pixels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

REACH = 3.0
"""How many sigma a graded target reaches."""


def blurred_lines(
    masks: Tensor, sigmas: Sequence[float], *, spacing: Sequence[float] | None = None
) -> Tensor:
    """Blur thin masks with Gaussians, so that a line is 1 and falls off beside it.

    Each copy is divided by what a straight line one pixel wide would keep at its middle, and is 1
    on the mask itself; thicker structures are 1 inside. Where slices are thick that is a line
    within a slice; one across slices, whose voxels are smaller dots, is fainter beside its mask.

    Args:
        masks: Shape (batch, class, *size), 0 or 1; two axes or three.
        sigmas: Of the Gaussians, in pixels (in volumes: edges of the finest axis).
        spacing: Edge of a voxel along each axis, in any unit; all alike by default.

    Returns:
        Shape (batch, class * sigma, *size), from 0 to 1: all sigmas of the first class first.
    """
    edges = _relative_edges(masks, spacing)
    copies = []
    for sigma in sigmas:
        kernels = [_gaussian(sigma / edge, masks) for edge in edges]
        # Across a line lie all axes but one, a finest one: what is left of it at its middle.
        peak = math.prod(sorted(float(kernel.max()) for kernel in kernels)[1:])
        blurred = _along_every_axis(masks, kernels)
        copies.append(torch.maximum((blurred / peak).clamp(0, 1), masks))
    return torch.stack(copies, 2).flatten(1, 2)


def distance_lines(
    masks: Tensor, sigma: float, *, spacing: Sequence[float] | None = None
) -> Tensor:
    """Grade masks by the distance to them: exp(-d^2 / (2 sigma^2)), 0 beyond three sigma an axis.

    Args:
        masks: Shape (batch, class, *size), 0 or 1.
        sigma: In pixels (in volumes: edges of the finest axis).
        spacing: Edge of a voxel along each axis, in any unit; all alike by default.

    Returns:
        Same shape, from 0 to 1, 1 on the mask.
    """
    graded = masks
    # The largest of the products over all places splits into axes, as the Gaussian does.
    for axis, edge in enumerate(_relative_edges(masks, spacing), start=2):
        radius = math.ceil(REACH * sigma / edge)
        length = masks.shape[axis]
        best = graded
        for offset in range(1, min(radius, length - 1) + 1):
            height = math.exp(-0.5 * (offset * edge / sigma) ** 2)
            near = torch.zeros_like(graded)
            near.narrow(axis, offset, length - offset).copy_(
                graded.narrow(axis, 0, length - offset)
            )
            far = torch.zeros_like(graded)
            far.narrow(axis, 0, length - offset).copy_(graded.narrow(axis, offset, length - offset))
            best = torch.maximum(best, height * torch.maximum(near, far))
        graded = best
    return graded


def replace_by_graded(target: Tensor, graded: Tensor, channels: Sequence[int]) -> Tensor:
    """Put graded classes into a target of exclusive classes, which still adds up to 1.

    Args:
        target: Shape (batch, class, *size), one 1 a pixel.
        graded: Shape (batch, chosen class, *size).
        channels: Of the chosen classes.

    Returns:
        As the target: the graded classes, and the others scaled to fill up.
    """
    total = graded.sum(1, keepdim=True)
    graded = graded / total.clamp_min(1)
    rest = target.clone()
    rest[:, list(channels)] = 0
    left = 1 - graded.sum(1, keepdim=True)
    # Where a graded class itself stands nothing else does, and its graded value is 1.
    result = rest * left
    result[:, list(channels)] = graded
    return result


def _relative_edges(masks: Tensor, spacing: Sequence[float] | None) -> tuple[float, ...]:
    """Give the edges of a voxel in edges of the finest axis; pixels of pictures are all alike."""
    dims = masks.ndim - 2
    if spacing is None or dims < 3:
        return (1.0,) * dims
    finest = min(spacing)
    return tuple(edge / finest for edge in spacing)


def _gaussian(sigma: float, like: Tensor) -> Tensor:
    radius = max(math.ceil(REACH * sigma), 1)
    offset = torch.arange(-radius, radius + 1, device=like.device, dtype=like.dtype)
    kernel = torch.exp(-0.5 * (offset / sigma).square())
    return kernel / kernel.sum()


def _along_every_axis(masks: Tensor, kernels: Sequence[Tensor]) -> Tensor:
    """Convolve every axis with its kernel; outside is 0."""
    dims, channels = masks.ndim - 2, masks.shape[1]
    convolve = F.conv2d if dims == 2 else F.conv3d
    for axis, kernel in enumerate(kernels):
        shape, padding = [1] * dims, [0] * dims
        shape[axis], padding[axis] = -1, len(kernel) // 2
        weights = kernel.view(1, 1, *shape).expand(channels, 1, *kernel.view(shape).shape)
        masks = convolve(masks, weights, padding=padding, groups=channels)
    return masks
