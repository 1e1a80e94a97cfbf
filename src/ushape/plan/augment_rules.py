"""Rules for augmentation: a preset, and which directions are alike.

Source: Isensee et al. 2021, supplementary note 4, by way of the presets (docs/augmentation.md).
"""

from __future__ import annotations

from ushape.config.schema import AugmentConfig
from ushape.data.augment import augment_preset
from ushape.plan.choices import Choices
from ushape.plan.fingerprint import Fingerprint
from ushape.plan.grid_rules import Grid

BODY_EDGE_MM = 0.1
"""Scans of bodies have voxels of this edge or more; microscopes resolve more."""

FEW_PASSES = 2.0
"""Where no voxel is seen twice as often as this, variation is not what is missing."""


def shows_body(fingerprint: Fingerprint) -> bool:
    """Tell whether left, right, up and down of these images are those of a body."""
    if fingerprint.spatial_dims == 2 or fingerprint.is_stack:
        return False
    if fingerprint.modality == "ct":
        return True
    return fingerprint.spacing_mm is not None and min(fingerprint.spacing_mm) >= BODY_EDGE_MM


def choose_augmentation(
    choices: Choices, fingerprint: Fingerprint, grid: Grid, passes: float
) -> None:
    """Choose how patches are varied.

    Args:
        fingerprint: The data set.
        grid: Of the prepared images.
        passes: How often the training sees a voxel of the training cases.
    """
    dims = grid.spatial_dims
    name = "default"
    reason = f"preset default: {passes:.0f} passes over the training cases"
    if dims == 3 and passes < FEW_PASSES:
        name = "light"
        reason = f"preset light: only {passes:.1f} passes over the training cases"
    preset = augment_preset(name, spatial_dims=dims, anisotropy=grid.anisotropy)
    values = dict(vars(preset))
    reasons = {
        key: "" if value == getattr(AugmentConfig(), key) else reason
        for key, value in values.items()
    }
    if shows_body(fingerprint):
        values |= {"flip": False, "right_angles": False}
        reasons["flip"] = "bodies in scans have a left and a right; true where they do not matter"
        reasons["right_angles"] = "bodies in scans lie one way"
    else:
        reasons["flip"] = "no direction is assumed; set false where left and right differ"
    for key, value in values.items():
        choices.choose(f"augment.{key}", value, reasons[key])
