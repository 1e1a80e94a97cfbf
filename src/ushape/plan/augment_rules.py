"""Rules for augmentation: a preset, and which directions are alike.

Source: Isensee et al. 2021, supplementary note 4, by way of the presets (docs/augmentation.md).
"""

from __future__ import annotations

from dataclasses import replace

from ushape.config.schema import AugmentConfig
from ushape.data.augment import augment_preset
from ushape.plan.choices import Choices
from ushape.plan.fingerprint import Fingerprint
from ushape.plan.grid_rules import Grid

BODY_EDGE_MM = 0.1
"""Scans of bodies have voxels of this edge or more; microscopes resolve more."""

FEW_PASSES = 2.0
"""Where no voxel is seen more often than this, variation is not what is missing."""

BRIEF_PASSES = 200.0
"""nnU-Net's set is made for a thousand epochs; bodies have a set of their own in shorter trainings.
"""


def shows_body(fingerprint: Fingerprint) -> bool:
    """Tell whether left, right, up and down of these images are those of a body."""
    if fingerprint.spatial_dims == 2 or fingerprint.is_stack:
        return False
    if fingerprint.modality == "ct":
        return True
    return fingerprint.spacing_mm is not None and min(fingerprint.spacing_mm) >= BODY_EDGE_MM


def choose_augmentation(
    choices: Choices,
    fingerprint: Fingerprint,
    grid: Grid,
    passes: float,
    preset_name: str | None = None,
) -> None:
    """Choose how patches are varied.

    Args:
        fingerprint: The data set.
        grid: Of the prepared images.
        passes: How often the training sees a voxel of the training cases.
        preset_name: Preset that is asked for.

    Raises:
        ConfigError: There is no such preset.
    """
    is_body = shows_body(fingerprint)
    if preset_name is None:
        preset, reason = _preset(grid, passes, is_body=is_body)
    else:
        preset = augment_preset(
            preset_name, spatial_dims=grid.spatial_dims, anisotropy=grid.anisotropy
        )
        reason = f"preset {preset_name}, as asked"
    values = dict(vars(preset))
    reasons = {
        key: "" if value == getattr(AugmentConfig(), key) else reason
        for key, value in values.items()
    }
    if is_body:
        values |= {"flip": False, "right_angles": False}
        reasons["flip"] = "bodies in scans have a left and a right; true where they do not matter"
        reasons["right_angles"] = "bodies in scans lie one way"
    else:
        reasons["flip"] = "no direction is assumed; set false where left and right differ"
    for key, value in values.items():
        choices.choose(f"augment.{key}", value, reasons[key])


def _preset(grid: Grid, passes: float, *, is_body: bool) -> tuple[AugmentConfig, str]:
    dims, anisotropy = grid.spatial_dims, grid.anisotropy
    light = augment_preset("light", spatial_dims=dims, anisotropy=anisotropy)
    if dims == 3 and passes < FEW_PASSES:
        return light, f"preset light: only {passes:.1f} passes over the training cases"
    if is_body and passes < BRIEF_PASSES:
        reason = f"preset light and small turns: {passes:.0f} passes over the training cases"
        return _with_small_turns(light), reason
    usual = augment_preset("default", spatial_dims=dims, anisotropy=anisotropy)
    return usual, f"preset default: {passes:.0f} passes over the training cases"


def _with_small_turns(light: AugmentConfig) -> AugmentConfig:
    """Vary bodies a little, in short trainings (measured on hippocampi, see docs/plan.md)."""
    return replace(
        light,
        rotation_probability=0.5,
        rotation_degrees=15.0,
        scale_probability=0.5,
        scale_range=1.2,
        gamma_probability=0.3,
        gamma=1.4,
    )
