"""Intensity transforms of patches, batched with one parameter a patch."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from ushape.data.augment.draw import Augmentation


def apply_intensity(images: Tensor, augmentation: Augmentation) -> Tensor:
    """Change contrast, brightness, gamma and sharpness, and add noise, in this order.

    Args:
        images: Shape (batch, channel, *size), about mean 0 and deviation 1.
        augmentation: Parameters of the same batch.

    Returns:
        Same shape.
    """
    each = (-1, *(1,) * (images.ndim - 1))
    space = tuple(range(1, images.ndim))
    mean = images.mean(space, keepdim=True)
    contrast = augmentation.contrast.view(each)
    images = images * contrast + mean * (1 - contrast)
    images = images + augmentation.brightness.view(each)
    bent = augmentation.gamma != 1
    if bool(bent.any()):
        images = torch.where(bent.view(each), _bend(images, augmentation.gamma.view(each)), images)
    blurred = augmentation.blur > 0
    if bool(blurred.any()):
        images = torch.where(blurred.view(each), _blur(images, augmentation.blur), images)
    return images + augmentation.noise


def _bend(images: Tensor, gamma: Tensor) -> Tensor:
    """Raise the position within each patch's own range to the power gamma."""
    space = tuple(range(1, images.ndim))
    low, high = images.amin(space, keepdim=True), images.amax(space, keepdim=True)
    reach = (high - low).clamp_min(1e-6)
    return ((images - low) / reach).clamp(0, 1).pow(gamma) * reach + low


def _blur(images: Tensor, sigma: Tensor) -> Tensor:
    """Blur each patch with its own Gaussian, one axis after the other, mirrored at the border."""
    batch, channels, *size = images.shape
    radius = min(max(math.ceil(3 * float(sigma.max())), 1), *(edge - 1 for edge in size))
    offset = torch.arange(-radius, radius + 1, device=images.device)
    sigma = sigma.unsqueeze(1)
    kernel = torch.exp(-0.5 * (offset / sigma.clamp_min(1e-3)).square())
    # Each kernel ends where its patch alone would end it, whatever the others of the batch need.
    kernel = kernel * (offset.abs() <= torch.ceil(3 * sigma))
    kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(channels, 0)
    flat = images.reshape(1, batch * channels, *size)
    convolve = F.conv2d if len(size) == 2 else F.conv3d
    for axis in range(len(size)):
        shape = [1] * len(size)
        shape[axis] = -1
        pad = [0] * (2 * len(size))
        pad[2 * (len(size) - 1 - axis)] = pad[2 * (len(size) - 1 - axis) + 1] = radius
        weights = kernel.view(batch * channels, 1, *shape)
        flat = convolve(F.pad(flat, pad, mode="reflect"), weights, groups=batch * channels)
    return flat.reshape(images.shape)
