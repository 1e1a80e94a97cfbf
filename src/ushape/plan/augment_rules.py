"""Rules for augmentation: a preset, and which directions are alike.

Source: Isensee et al. 2021, supplementary note 4, by way of the presets (docs/augmentation.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from ushape.config.schema import AugmentConfig
from ushape.data.augment import augment_preset
from ushape.plan.choices import Choices
from ushape.plan.fingerprint import Fingerprint
from ushape.plan.grid_rules import Grid
from ushape.plan.usual import OFF, PRESET, UNUSED

BODY_EDGE_MM = 0.1
"""Scans of bodies have voxels of this edge or more; microscopes resolve more."""

FEW_PASSES = 2.0
"""Where no voxel is seen more often than this, variation is not what is missing."""

BRIEF_PASSES = 200.0
"""nnU-Net's set is made for a thousand epochs; bodies have a set of their own in shorter trainings.
"""

SMALL_TURNS: Mapping[str, Any] = {
    "rotation_probability": 0.5,
    "rotation_degrees": 15.0,
    "scale_probability": 0.5,
    "scale_range": 1.2,
    "gamma_probability": 0.3,
    "gamma": 1.4,
}
"""What varies bodies a little, in short trainings (measured on hippocampi, see docs/plan.md)."""


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
    name, why = (preset_name, "as asked") if preset_name else _preset(passes, grid, is_body=is_body)
    preset = augment_preset(name, spatial_dims=grid.spatial_dims, anisotropy=grid.anisotropy)
    added: Mapping[str, Any] = {}
    choices.reasons["augment"] = f"preset {name}: {why}"
    if preset_name is None and name == "light" and is_body and passes >= FEW_PASSES:
        added = SMALL_TURNS
        choices.reasons["augment"] = f"preset light and small turns: {why}"
    values = dict(vars(replace(preset, **added)))
    known = values | {key: choices.given.get(f"augment.{key}", values[key]) for key in values}
    reasons = {key: _reason(key, known, name) for key in values}
    reasons |= dict.fromkeys(
        added, "added to preset light: bodies differ a little in pose and scan"
    )
    if is_body:
        values |= {"flip": False, "right_angles": False}
        reasons["flip"] = "bodies in scans have a left and a right; true where they do not matter"
        reasons["right_angles"] = "bodies in scans lie one way"
    else:
        reasons["flip"] = "no direction is assumed; set false where left and right differ"
    for key, value in values.items():
        choices.choose(f"augment.{key}", value, reasons[key])


def _preset(passes: float, grid: Grid, *, is_body: bool) -> tuple[str, str]:
    """Choose a preset by how often a voxel is seen; say why."""
    if grid.spatial_dims == 3 and passes < FEW_PASSES:
        return "light", f"only {passes:.1f} passes over the training cases"
    is_brief = is_body and passes < BRIEF_PASSES
    return "light" if is_brief else "default", f"{passes:.0f} passes over the training cases"


def _reason(key: str, values: Mapping[str, Any], name: str) -> str:
    """Say where a value comes from, and whether it does anything.

    Args:
        key: Of the value.
        values: All of them, also what was set by hand.
        name: Of the preset.
    """
    transform = _transform_of(key)
    chances = [f"{transform}_probability"]
    if transform == "gamma":
        chances.append("inverted_gamma_probability")
    if transform and key not in chances and not any(values[chance] for chance in chances):
        return f"{UNUSED} {chances[0]} is 0"
    return f"{PRESET} {name}" if values[key] else f"{OFF} {name}"


def _transform_of(key: str) -> str:
    """Name the transform that a setting belongs to; empty where it belongs to none alone."""
    if key == "spike_strength":
        return "spikes"
    names = [field.name for field in fields(AugmentConfig)]
    transforms = [n.removesuffix("_probability") for n in names if n.endswith("_probability")]
    found = [each for each in transforms if f"{key}_".startswith(f"{each}_")]
    return max(found, key=len, default="")
