"""Three strengths of augmentation, and nnU-Net's own set, as settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ushape.config.schema import AugmentConfig
from ushape.data.augment.space import MOST_ANISOTROPY
from ushape.errors import ConfigError, unknown_name


def augment_preset(name: str, *, spatial_dims: int = 2, anisotropy: float = 1.0) -> AugmentConfig:
    """Give the settings of a preset.

    Args:
        name: One of `PRESETS`.
        spatial_dims: 2 or 3.
        anisotropy: Coarsest spacing over the finest.

    Raises:
        ConfigError: No preset has this name.
    """
    if name not in PRESETS:
        raise ConfigError(unknown_name("preset of augmentation", name, PRESETS))
    return PRESETS[name](spatial_dims, anisotropy)


def _light(spatial_dims: int, anisotropy: float) -> AugmentConfig:
    """Symmetries and faint changes of brightness: nothing is interpolated."""
    del spatial_dims, anisotropy
    return AugmentConfig(
        rotation_probability=0,
        scale_probability=0,
        elastic_probability=0,
        gamma_probability=0,
        noise_probability=0,
        blur_probability=0,
    )


def _default(spatial_dims: int, anisotropy: float) -> AugmentConfig:
    """In 2D what microscopy wants; in 3D nnU-Net's set, and stacks jitter slice by slice."""
    if spatial_dims == 2:
        return AugmentConfig()
    config = _nnunet(spatial_dims, anisotropy)
    if anisotropy <= MOST_ANISOTROPY:
        return config
    return replace(
        config, right_angles=True, slice_shift_probability=0.1, slice_dropout_probability=0.05
    )


def _strong(spatial_dims: int, anisotropy: float) -> AugmentConfig:
    """All transforms, more often and farther: small data sets, long trainings, other scanners."""
    config = _default(spatial_dims, anisotropy)
    config = replace(
        config,
        rotation_probability=0.4,
        scale_probability=0.4,
        scale_range=1.5,
        scale_axis_probability=0.2,
        shear_probability=0.1,
        elastic_probability=0.3,
        elastic_pixels=6.0,
        brightness_factor_probability=0.3,
        brightness_factor=1.5,
        contrast_probability=0.5,
        contrast=1.5,
        gamma_probability=0.3,
        gamma=1.6,
        inverted_gamma_probability=0.15,
        noise_probability=0.3,
        noise=0.3,
        blur_probability=0.2,
        blur_pixels=1.5,
        low_resolution_probability=0.25,
        low_resolution=3.0,
        low_resolution_axes="some",
        bias_field_probability=0.2,
        cutout_probability=0.1,
    )
    if spatial_dims == 2:
        return config
    return replace(
        config,
        spikes_probability=0.05,
        slice_shift_probability=0.2 if anisotropy > MOST_ANISOTROPY else 0.0,
        slice_dropout_probability=0.1 if anisotropy > MOST_ANISOTROPY else 0.05,
    )


def _nnunet(spatial_dims: int, anisotropy: float) -> AugmentConfig:
    """What nnU-Net v2 trains with by default: its probabilities and strengths.

    Source: Isensee et al. 2021, supplementary note 4, with the figures of `nnUNetTrainer`. What it
    decides for each channel by a further chance of one half is multiplied in; ranges are even in
    the logarithm here, so 0.7 to 1.4 is written as 1.4, and 0.75 to 1.25 as 1.3.
    """
    in_plane = spatial_dims == 2 or anisotropy > MOST_ANISOTROPY
    return AugmentConfig(
        flip=True,
        right_angles=False,
        rotation_probability=0.2,
        rotation_degrees=180.0 if in_plane else 30.0,
        scale_probability=0.2,
        scale_range=1.4,
        elastic_probability=0.0,
        brightness_probability=0.0,
        brightness_factor_probability=0.15,
        brightness_factor=1.3,
        contrast_probability=0.15,
        contrast=1.3,
        contrast_keeps_range=True,
        per_channel=True,
        gamma_probability=0.3,
        gamma=1.5,
        inverted_gamma_probability=0.1,
        gamma_keeps_statistics=True,
        noise_probability=0.1,
        noise=0.1,
        blur_probability=0.1,
        blur_pixels=1.0,
        low_resolution_probability=0.125,
        low_resolution=2.0,
    )


PRESETS: dict[str, Callable[[int, float], AugmentConfig]] = {
    "light": _light,
    "default": _default,
    "strong": _strong,
    "nnunet": _nnunet,
}
