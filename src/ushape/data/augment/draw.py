"""Draw the parameters of augmentation for a batch: what `apply_augmentation` then does exactly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from torch import Tensor

from ushape.config.schema import AugmentConfig
from ushape.data.augment.dice import Array, Dice
from ushape.data.augment.draw_damage import draw_boxes, draw_damage, draw_dropout
from ushape.data.augment.matrix import draw_matrix
from ushape.data.augment.space import Space, find_space
from ushape.sizes import Size


@dataclass(frozen=True)
class Augmentation:
    """Parameters of one batch, on the CPU; the first axis of every tensor is the patch.

    What a patch did not draw has the value that changes nothing, and costs nothing.

    Attributes:
        matrix: (batch, d, d), from offsets in the patch to offsets in the window, in pixels from
            the centre, axes as in the arrays (y, x).
        shift: (batch, d), added to the offset in the window, pixels.
        displacement: (batch, d, *control points), elastic offsets in pixels, smoothly filled in.
        slice_shift: (batch, d, 1 or slices ...), offset of every slice, pixels.
        contrast: (batch, channel) factor about the mean.
        brightness: (batch, channel) added, in standard deviations.
        brightness_factor: (batch, channel) factor about zero.
        gamma: (batch, channel) exponent on the patch's own range.
        inverted_gamma: (batch, channel) exponent on the range turned upside down.
        blur: (batch, d) Gaussian sigma in pixels, 0 for none.
        low_resolution: (batch, d) fraction of the pixels that are kept along an axis, 1 for all.
        bias: (batch, 4, ...) coefficients of a field's logarithm, Legendre polynomials.
        spikes: (batch, wave, 2 + d): amplitude, phase, periods along each axis.
        noise: (batch,) standard deviation.
        noise_seed: (batch,) seed of the noise.
        cutout: (batch, box, d, 2) first and last+1 pixel; empty boxes do nothing.
        slice_dropout: (batch, slices) bool, or (batch, 0).
        slice_axis: Spatial axis of the slices, None in 2D.
        per_channel: Whether means and ranges are each channel's own.
        contrast_keeps_range: Whether contrast is clipped to the range before.
        gamma_keeps_statistics: Whether gamma restores mean and deviation.
    """

    matrix: Tensor
    shift: Tensor
    displacement: Tensor
    slice_shift: Tensor
    contrast: Tensor
    brightness: Tensor
    brightness_factor: Tensor
    gamma: Tensor
    inverted_gamma: Tensor
    blur: Tensor
    low_resolution: Tensor
    bias: Tensor
    spikes: Tensor
    noise: Tensor
    noise_seed: Tensor
    cutout: Tensor
    slice_dropout: Tensor
    slice_axis: int | None
    per_channel: bool
    contrast_keeps_range: bool
    gamma_keeps_statistics: bool

    def __len__(self) -> int:
        return len(self.matrix)

    def one(self, index: int) -> Augmentation:
        """Return the parameters of one patch of the batch, as a batch of one."""
        tensors = [f.name for f in fields(self) if isinstance(getattr(self, f.name), Tensor)]
        return replace(self, **{name: getattr(self, name)[index : index + 1] for name in tensors})


def which(values: Tensor) -> list[bool]:
    """Tell of each patch of a batch whether any of its values is not zero; mostly none is."""
    if not values.any():
        return [False] * len(values)
    found: list[bool] = values.flatten(1).any(1).tolist()
    return found


def draw_augmentation(
    generator: torch.Generator,
    config: AugmentConfig,
    *,
    batch: int,
    channels: int,
    patch_size: Size,
    spacing: Sequence[float] | None = None,
) -> Augmentation:
    """Draw the parameters for one batch.

    Args:
        generator: Source of all chance. One number of it is used for each patch, so what a patch
            draws does not depend on the rest of the batch.
        config: Probabilities and ranges.
        batch: Patches.
        channels: Image channels.
        patch_size: Spatial size of the patches.
        spacing: Distance of pixels along each axis, in any unit; None for equal distances. Turns
            and lengths are then true in space, and thick slices (more than three times the finest
            spacing) are varied within their plane only.

    Raises:
        ShapeError: The spacing does not fit the patch.
    """
    space = find_space(patch_size, spacing)
    dice = Dice(generator, batch)
    drawn: dict[str, Array] = {
        **_draw_places(dice, config, space),
        **_draw_curves(dice, config, channels),
        **draw_damage(dice, config, space),
    }
    return Augmentation(
        **{name: torch.from_numpy(values.astype(np.float32)) for name, values in drawn.items()},
        noise_seed=torch.from_numpy(dice.seeds()),
        cutout=torch.from_numpy(draw_boxes(dice, config, patch_size)),
        slice_dropout=torch.from_numpy(draw_dropout(dice, config, space)),
        slice_axis=space.slice_axis,
        per_channel=config.per_channel,
        contrast_keeps_range=config.contrast_keeps_range,
        gamma_keeps_statistics=config.gamma_keeps_statistics,
    )


def _draw_places(dice: Dice, config: AugmentConfig, space: Space) -> dict[str, Array]:
    """Draw where each pixel comes from."""
    return {
        "matrix": draw_matrix(dice, config, space),
        "shift": _draw_shift(dice, config, space),
        "displacement": _draw_elastic(dice, config, space),
        "slice_shift": _draw_slice_shift(dice, config, space),
    }


def _draw_shift(dice: Dice, config: AugmentConfig, space: Space) -> Array:
    dims, reach = len(space.patch_size), config.shift_pixels
    if config.shift_probability == 0:
        return np.zeros((dice.batch, dims))
    shift = dice.chance(config.shift_probability, 1) * dice.uniform(-reach, reach, dims)
    shift /= np.array(space.edges)
    for axis in set(range(dims)) - set(space.plane):
        shift[:, axis] = np.rint(shift[:, axis])
    return shift


def _draw_elastic(dice: Dice, config: AugmentConfig, space: Space) -> Array:
    dims = len(space.patch_size)
    if config.elastic_probability == 0 or config.elastic_pixels == 0:
        return np.zeros((dice.batch, dims, *(1,) * dims))
    lengths = [size * edge for size, edge in zip(space.patch_size, space.edges, strict=True)]
    controls = [max(int(length // config.elastic_spacing_pixels), 1) + 3 for length in lengths]
    each = (-1, dims, *(1,) * dims)
    strength = np.array([(axis in space.plane) / space.edges[axis] for axis in range(dims)])
    chosen = dice.chance(config.elastic_probability).reshape(-1, *(1,) * (dims + 1))
    offsets = config.elastic_pixels * dice.normal(dims, *controls)
    return np.asarray(chosen * strength.reshape(each) * offsets)


def _draw_slice_shift(dice: Dice, config: AugmentConfig, space: Space) -> Array:
    dims = len(space.patch_size)
    axis = space.slice_axis
    if axis is None or config.slice_shift_probability == 0:
        return np.zeros((dice.batch, dims, *(1,) * dims))
    slices = space.patch_size[axis]
    reach = config.slice_shift_pixels
    offsets = dice.chance(config.slice_shift_probability, 1, 1) * dice.uniform(
        -reach, reach, dims, slices
    )
    offsets /= np.array(space.edges)[:, None]
    offsets[:, axis] = 0
    return offsets.reshape(-1, dims, *(slices if a == axis else 1 for a in range(dims)))


def _draw_curves(dice: Dice, config: AugmentConfig, channels: int) -> dict[str, Array]:
    """Draw what is done to intensities one by one; chance decides for the patch as a whole."""
    shape = (channels,) if config.per_channel else (1,)

    def factor(largest: float, probability: float) -> Array:
        if probability == 0:
            return np.ones((dice.batch, channels))
        chosen = dice.chance(probability, 1)
        drawn = np.where(chosen > 0, dice.log_range(largest, 1.0, *shape), 1.0)
        return np.repeat(drawn, channels // shape[0], axis=1)

    return {
        "contrast": factor(config.contrast, config.contrast_probability),
        "brightness": _draw_brightness(dice, config, shape, channels),
        "brightness_factor": factor(config.brightness_factor, config.brightness_factor_probability),
        "gamma": factor(config.gamma, config.gamma_probability),
        "inverted_gamma": factor(config.gamma, config.inverted_gamma_probability),
    }


def _draw_brightness(
    dice: Dice, config: AugmentConfig, shape: tuple[int, ...], channels: int
) -> Array:
    if config.brightness_probability == 0:
        return np.zeros((dice.batch, channels))
    reach = config.brightness
    drawn = dice.chance(config.brightness_probability, 1) * dice.uniform(-reach, reach, *shape)
    return np.repeat(drawn, channels // shape[0], axis=1)
