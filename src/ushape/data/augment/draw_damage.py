"""Draw what an imperfect device does to an image, and what is taken away from it on purpose."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ushape.config.schema import AugmentConfig
from ushape.data.augment.dice import Array, Dice
from ushape.data.augment.space import Space
from ushape.sizes import Size

BIAS_ORDER = 3
"""Degree of the polynomials of a bias field (Van Leemput et al. 1999 use 4 for whole heads)."""


def draw_damage(dice: Dice, config: AugmentConfig, space: Space) -> dict[str, Array]:
    """Draw the parameters of sharpness, field, spikes and noise, as named in `Augmentation`."""
    return {
        "blur": _draw_blur(dice, config, space),
        "low_resolution": _draw_low_resolution(dice, config, space),
        "bias": _draw_bias(dice, config, len(space.patch_size)),
        "spikes": _draw_spikes(dice, config, space),
        "noise": _draw_noise(dice, config),
    }


def _draw_blur(dice: Dice, config: AugmentConfig, space: Space) -> Array:
    if config.blur_probability == 0:
        return np.zeros((dice.batch, len(space.patch_size)))
    sigma = dice.uniform(min(0.3, config.blur_pixels), config.blur_pixels, 1)
    return np.asarray(dice.chance(config.blur_probability, 1) * sigma / np.array(space.edges))


def _draw_low_resolution(dice: Dice, config: AugmentConfig, space: Space) -> Array:
    if config.low_resolution_probability == 0:
        return np.ones((dice.batch, len(space.patch_size)))
    axes = space.in_plane()
    kept = np.where(dice.chance(config.low_resolution_probability, 1) > 0, 1.0, 0.0) * axes
    if config.low_resolution_axes == "some":
        some = dice.chance(0.5, len(axes)) * axes
        kept = kept * np.where(some.any(1, keepdims=True), some, 1.0)
    return np.asarray(1 - kept * (1 - dice.uniform(1 / config.low_resolution, 1, 1)))


def _draw_bias(dice: Dice, config: AugmentConfig, dims: int) -> Array:
    if config.bias_field_probability == 0:
        return np.zeros((dice.batch, *(1,) * dims))
    order = BIAS_ORDER + 1
    degree = sum(np.meshgrid(*[np.arange(order)] * dims, indexing="ij"))
    used = (degree > 0) & (degree <= BIAS_ORDER)
    coefficients = dice.normal(*(order,) * dims) * used
    # Legendre polynomials lie within -1 and 1: the sum of sizes bounds the field.
    bound = np.abs(coefficients).sum(tuple(range(1, dims + 1)), keepdims=True)
    chosen = dice.chance(config.bias_field_probability, *(1,) * dims)
    return np.asarray(chosen * config.bias_field * coefficients / bound)


def _draw_spikes(dice: Dice, config: AugmentConfig, space: Space) -> Array:
    dims, most = len(space.patch_size), config.spikes
    if config.spikes_probability == 0:
        return np.zeros((dice.batch, 0, 2 + dims))
    wanted = dice.integer(most, 1) + 1
    used = dice.chance(config.spikes_probability, 1) * (np.arange(most) < wanted)
    amplitude = used * dice.uniform(0, config.spike_strength, most)
    phase = dice.uniform(0, 2 * np.pi, most)
    half = np.array([size // 2 for size in space.patch_size])
    periods = np.rint(dice.uniform(-1, 1, most, dims) * half)
    return np.concatenate([amplitude[..., None], phase[..., None], periods], -1)


def _draw_noise(dice: Dice, config: AugmentConfig) -> Array:
    if config.noise_probability == 0:
        dice.skip(2)
        return np.zeros(dice.batch)
    return dice.chance(config.noise_probability) * dice.uniform(0, config.noise)


def draw_boxes(dice: Dice, config: AugmentConfig, size: Size) -> npt.NDArray[np.int64]:
    """Draw boxes to cut out: (batch, box, d, 2), first and last+1 pixel."""
    dims, most = len(size), config.cutout_boxes
    if config.cutout_probability == 0:
        return np.zeros((dice.batch, 0, dims, 2), dtype=np.int64)
    wanted = dice.integer(most, 1) + 1
    used = dice.chance(config.cutout_probability, 1) * (np.arange(most) < wanted)
    whole = np.array(size)
    edge = np.ceil(dice.uniform(0.2, 1, most, dims) * config.cutout_fraction * whole)
    first = np.floor(dice.uniform(0, 1, most, dims) * (whole - edge + 1))
    boxes = np.empty((dice.batch, most, dims, 2), dtype=np.int64)
    boxes[..., 0] = first
    boxes[..., 1] = first + edge * used[..., None]
    return boxes


def draw_dropout(dice: Dice, config: AugmentConfig, space: Space) -> npt.NDArray[np.bool_]:
    """Draw slices to blank: (batch, slices), or (batch, 0) where there are none."""
    if space.slice_axis is None or config.slice_dropout_probability == 0:
        return np.zeros((dice.batch, 0), dtype=np.bool_)
    slices = space.patch_size[space.slice_axis]
    dropped = dice.chance(config.slice_dropout_fraction, slices)
    return np.asarray(dice.chance(config.slice_dropout_probability, 1) * dropped > 0)
