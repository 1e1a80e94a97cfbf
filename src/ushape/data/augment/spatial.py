"""All spatial transforms at once: one sampling grid, one resampling of image and target."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from ushape.config.schema import AugmentConfig
from ushape.data.augment.draw import Augmentation
from ushape.sizes import Size

MOST_VOTING_CLASSES = 8
"""Up to this many classes vote with their linear weights; more are sampled at the nearest pixel."""


def window_size(patch_size: Size, config: AugmentConfig) -> Size:
    """Find how large a window must be cut so that any drawn patch finds its pixels in it.

    Beyond it (rare: elastic offsets have no bound) the window's border is mirrored. Window and
    patch have the same parity, so that flips and right-angle turns fall exactly on pixels.
    """
    turns = config.rotation_probability > 0 and config.rotation_degrees > 0
    scale = config.scale_range if config.scale_probability > 0 else 1.0
    extra = config.shift_pixels if config.shift_probability > 0 else 0.0
    extra += 2 * config.elastic_pixels if config.elastic_probability > 0 else 0.0
    sizes = []
    for edge in patch_size:
        reach = math.hypot(*patch_size) if turns else edge
        length = math.ceil(reach * scale + 2 * extra)
        sizes.append(length + (length - edge) % 2)
    return tuple(sizes)


def apply_spatial(
    images: Tensor,
    targets: Tensor,
    augmentation: Augmentation,
    *,
    patch_size: Size,
    num_classes: int,
) -> tuple[Tensor, Tensor]:
    """Resample windows to patches; shapes as in `apply_augmentation`."""
    grid = sampling_grid(augmentation, patch_size, tuple(images.shape[2:]))
    patches = _sample(images, grid, "bilinear")
    if num_classes > MOST_VOTING_CLASSES:
        return patches, _sample(targets.unsqueeze(1).float(), grid, "nearest").squeeze(1).byte()
    classes = torch.arange(1, num_classes, device=targets.device, dtype=targets.dtype)
    masks = targets.unsqueeze(1) == classes.view(1, -1, *(1,) * len(patch_size))
    votes = _sample(masks.float(), grid, "bilinear")
    background = 1 - votes.sum(1, keepdim=True)
    return patches, torch.cat([background, votes], 1).argmax(1).byte()


def sampling_grid(augmentation: Augmentation, patch_size: Size, window: Size) -> Tensor:
    """Compute where in the window every pixel of the patch comes from.

    Returns:
        Shape (batch, *patch_size, d) for `torch.nn.functional.grid_sample` with
        align_corners=False: the last axis runs x, y(, z), from -1 to 1 over the window.
    """
    device = augmentation.matrix.device
    dims = len(patch_size)
    axes = [torch.arange(edge, device=device) - (edge - 1) / 2 for edge in patch_size]
    offsets = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1)
    source = torch.einsum("bij,...j->b...i", augmentation.matrix, offsets)
    source = source + augmentation.shift.view(-1, *(1,) * dims, dims)
    if bool(augmentation.displacement.any()):
        smooth = F.interpolate(
            augmentation.displacement,
            size=patch_size,
            mode="bicubic" if dims == 2 else "trilinear",
            align_corners=True,
        )
        source = source + smooth.movedim(1, -1)
    half = torch.tensor([edge / 2 for edge in window], device=device)
    return (source / half).flip(-1)


def _sample(values: Tensor, grid: Tensor, mode: str) -> Tensor:
    return F.grid_sample(values, grid, mode=mode, padding_mode="reflection", align_corners=False)
