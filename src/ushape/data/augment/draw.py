"""Draw the parameters of augmentation for a batch."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from ushape.config.schema import AugmentConfig
from ushape.sizes import Size


@dataclass(frozen=True)
class Augmentation:
    """Parameters of one batch; the first axis of every tensor is the patch.

    Attributes:
        matrix: (batch, d, d), from offsets in the patch to offsets in the window, in pixels from
            the centre, axes as in the arrays (y, x).
        shift: (batch, d), added to the offset in the window, pixels.
        displacement: (batch, d, *control points), elastic offsets in pixels, smoothly filled in.
        contrast: (batch,) factor about the patch's mean.
        brightness: (batch,) added, in standard deviations.
        gamma: (batch,) exponent on the patch's own range.
        blur: (batch,) Gaussian sigma in pixels, 0 for none.
        noise: (batch, channel, *patch size), added.
    """

    matrix: Tensor
    shift: Tensor
    displacement: Tensor
    contrast: Tensor
    brightness: Tensor
    gamma: Tensor
    blur: Tensor
    noise: Tensor

    def one(self, index: int) -> Augmentation:
        """Return the parameters of one patch of the batch, as a batch of one."""
        return Augmentation(
            **{f.name: getattr(self, f.name)[index : index + 1] for f in fields(self)}
        )


def draw_augmentation(
    generator: torch.Generator,
    config: AugmentConfig,
    *,
    batch: int,
    channels: int,
    patch_size: Size,
) -> Augmentation:
    """Draw the parameters for one batch.

    Args:
        generator: Source of all chance; its device is where the parameters are made.
        config: Probabilities and ranges.
        batch: Patches.
        channels: Image channels.
        patch_size: Spatial size of the patches.
    """
    draw = _Dice(generator, batch)
    dims = len(patch_size)
    controls = tuple(max(size // config.elastic_spacing_pixels, 1) + 3 for size in patch_size)
    elastic = draw.chance(config.elastic_probability).view(-1, *(1,) * (dims + 1))
    strength = draw.chance(config.noise_probability) * draw.uniform(0, config.noise)
    return Augmentation(
        matrix=_matrix(draw, config, patch_size),
        shift=draw.chance(config.shift_probability).unsqueeze(1)
        * draw.uniform(-config.shift_pixels, config.shift_pixels, dims),
        displacement=elastic * config.elastic_pixels * draw.normal(dims, *controls),
        contrast=draw.log_range(config.contrast, config.contrast_probability),
        brightness=draw.chance(config.brightness_probability)
        * draw.uniform(-config.brightness, config.brightness),
        gamma=draw.log_range(config.gamma, config.gamma_probability),
        blur=draw.chance(config.blur_probability)
        * draw.uniform(min(0.3, config.blur_pixels), config.blur_pixels),
        noise=strength.view(-1, *(1,) * (dims + 1)) * draw.normal(channels, *patch_size),
    )


def _matrix(draw: _Dice, config: AugmentConfig, patch_size: Size) -> Tensor:
    """Compose flips, turns and scale; for 3D, turns are about every axis."""
    dims = len(patch_size)
    matrix = torch.eye(dims, device=draw.device).repeat(draw.batch, 1, 1)
    if config.flip:
        matrix = matrix * (1 - 2 * draw.chance(0.5, dims)).unsqueeze(1)
    free = draw.chance(config.rotation_probability)
    reach = math.radians(config.rotation_degrees)
    for first in range(dims):
        for second in range(first + 1, dims):
            angle = free * draw.uniform(-reach, reach)
            if config.right_angles and patch_size[first] == patch_size[second]:
                angle = angle + math.pi / 2 * draw.integer(4)
            matrix = matrix @ _turn(angle, first, second, dims)
    return matrix * draw.log_range(config.scale_range, config.scale_probability).view(-1, 1, 1)


def _turn(angle: Tensor, first: int, second: int, dims: int) -> Tensor:
    # Rounding makes right angles exact: cos(pi / 2) is 6e-17 in double, -4e-8 in single precision.
    cosine, sine = torch.cos(angle.double()), torch.sin(angle.double())
    cosine, sine = (torch.where(v.abs() < 1e-6, torch.zeros_like(v), v) for v in (cosine, sine))
    turn = torch.eye(dims, dtype=torch.double, device=angle.device).repeat(len(angle), 1, 1)
    turn[:, first, first], turn[:, second, second] = cosine, cosine
    turn[:, first, second], turn[:, second, first] = -sine, sine
    return turn.float()


class _Dice:
    """Random numbers for a batch from one generator."""

    def __init__(self, generator: torch.Generator, batch: int) -> None:
        self.generator, self.batch, self.device = generator, batch, generator.device

    def uniform(self, low: float, high: float, *shape: int) -> Tensor:
        raw = torch.rand((self.batch, *shape), generator=self.generator, device=self.device)
        return low + (high - low) * raw

    def normal(self, *shape: int) -> Tensor:
        return torch.randn((self.batch, *shape), generator=self.generator, device=self.device)

    def integer(self, high: int) -> Tensor:
        return torch.randint(high, (self.batch,), generator=self.generator, device=self.device)

    def chance(self, probability: float, *shape: int) -> Tensor:
        return (self.uniform(0, 1, *shape) < probability).float()

    def log_range(self, factor: float, probability: float) -> Tensor:
        """Draw between 1/factor and factor, evenly in the logarithm; 1 where chance says no."""
        reach = math.log(factor)
        return torch.exp(self.chance(probability) * self.uniform(-reach, reach))
