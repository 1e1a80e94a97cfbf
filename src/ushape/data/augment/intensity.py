"""Intensity transforms of patches: each patch has those done that it drew, the others cost nothing.

Their order is that of how an image comes about: field and response of the device, its sharpness,
its faults, its noise, and last what is taken away on purpose.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ushape.data.augment.curves import bend, change_contrast
from ushape.data.augment.damage import Box, add_spike, apply_bias, cut_out, drop_slices
from ushape.data.augment.draw import Augmentation, which
from ushape.data.augment.noise import add_noise
from ushape.data.augment.smooth import blur, lower_resolution


def change_intensity(images: Tensor, augmentation: Augmentation) -> None:
    """Change the intensities of a batch in place.

    Args:
        images: Shape (batch, channel, *size), contiguous, about mean 0 and deviation 1.
        augmentation: Parameters of the same batch.
    """
    # All questions at once: what a patch did not draw then costs nothing.
    has_bias, has_gaps = which(augmentation.bias), which(augmentation.slice_dropout)
    sigmas, kept = augmentation.blur.tolist(), augmentation.low_resolution.tolist()
    spikes = augmentation.spikes.tolist()
    boxes = [_used_boxes(drawn) for drawn in augmentation.cutout.tolist()]
    noise, seeds = augmentation.noise.tolist(), augmentation.noise_seed.tolist()
    curves = _list_curves(augmentation)
    for patch, image in enumerate(images):
        if has_bias[patch]:
            apply_bias(image, augmentation.bias[patch])
        parts = list(image) if augmentation.per_channel else [image]
        for values, strengths in zip(parts, curves[patch], strict=False):
            _apply_curves(values, strengths, augmentation)
        if any(sigmas[patch]):
            blur(image, sigmas[patch])
        if min(kept[patch]) < 1:
            lower_resolution(image, kept[patch])
        for amplitude, phase, *periods in spikes[patch]:
            if amplitude != 0:
                add_spike(image, amplitude, phase, periods)
        if noise[patch] > 0:
            add_noise(image, noise[patch], seeds[patch])
        if boxes[patch] or has_gaps[patch]:
            fill = image.mean(tuple(range(1, image.ndim)), keepdim=True)
            if augmentation.slice_axis is not None and has_gaps[patch]:
                gaps = augmentation.slice_dropout[patch]
                drop_slices(image, gaps, augmentation.slice_axis, fill)
            cut_out(image, boxes[patch], fill)


def _used_boxes(boxes: list[Box]) -> list[Box]:
    return [box for box in boxes if all(first < last for first, last in box)]


def _list_curves(augmentation: Augmentation) -> list[list[list[float]]]:
    """Gather the strengths of what treats pixels alike: by patch, by channel, by transform."""
    strengths = [
        augmentation.contrast,
        augmentation.brightness_factor,
        augmentation.brightness,
        augmentation.inverted_gamma,
        augmentation.gamma,
    ]
    listed: list[list[list[float]]] = torch.stack(strengths, -1).tolist()
    return listed


def _apply_curves(values: Tensor, strengths: list[float], augmentation: Augmentation) -> None:
    """Apply what treats pixels alike, to all channels at once or to one of them."""
    contrast, factor, added, inverted, gamma = strengths
    if contrast != 1:
        change_contrast(values, contrast, keep_range=augmentation.contrast_keeps_range)
    if factor != 1:
        values.mul_(factor)
    if added != 0:
        values.add_(added)
    keep = augmentation.gamma_keeps_statistics
    if inverted != 1:
        bend(values, inverted, invert=True, keep_statistics=keep)
    if gamma != 1:
        bend(values, gamma, invert=False, keep_statistics=keep)
