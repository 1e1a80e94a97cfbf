"""From a fingerprint, a device and a wish to complete settings, each with its reason.

Pure: no file is read, nothing is measured, so the same inputs give the same plan. What a person
sets is taken first, and what depends on it follows from it.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ushape.config.load import check_config
from ushape.config.schema import AugmentConfig, RunConfig
from ushape.device import DeviceFacts
from ushape.errors import ConfigError
from ushape.nets import NetworkSpec, describe, entries, geometry_of, make_spec
from ushape.plan.choices import Choices
from ushape.plan.fingerprint import Fingerprint
from ushape.plan.split import Split
from ushape.plan.target_rules import choose_lines, choose_loss, classes_reason, count_extra
from ushape.sizes import Size, format_duration, format_size

DEFAULT_MODEL = "unet_padding"
DEFAULT_WIDTHS = (8, 16, 24, 32, 48, 64)
DEFAULT_BUDGET_S = 1800.0
ENOUGH_STEPS = 2500
"""A network is as wide as leaves this many steps in the budget."""

STEP_PIXELS = 2 * 256 * 256
"""Pixels of one training step: patch times batch."""

LARGEST_PATCH = 256
CPU_MACS_PER_S = {True: 5e10, False: 2.2e10}
"""Multiply-adds a second and thread in training, with and without bfloat16 hardware (measured,
see benchmarks/README.md)."""
CUDA_MACS_PER_S = 1e13
QUICK_IMAGE_S = 4.0
"""Prediction averages over mirrored views where a 512 x 512 image then takes at most this long."""


@dataclass(frozen=True)
class Request:
    """What a person asks for.

    Attributes:
        model: A network's name, with its paper's numbers; None lets the plan choose.
        budget_s: Seconds to train.
        steps: Steps to train, instead of a budget.
        validation: What `--val` said.
        label_folder: What `--label-folder` said.
        settings: `--set` and `--config`, flat: key -> value.
    """

    model: str | None = None
    budget_s: float | None = None
    steps: int | None = None
    validation: str = "0.2"
    label_folder: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """Settings, the reason for each choice, and which cases train."""

    config: RunConfig
    reasons: Mapping[str, str]
    split: Split
    fingerprint: Fingerprint


def plan_run(fingerprint: Fingerprint, split: Split, request: Request, device: DeviceFacts) -> Plan:
    """Decide every setting of a run.

    Args:
        fingerprint: The data set.
        split: Training and validation cases.
        request: What a person asks for.
        device: Where it will run.

    Raises:
        ConfigError: A setting is impossible; the message names it.
    """
    choices = Choices(request.settings)
    choices.choose("data.root", str(fingerprint.root), "")
    choices.choose("data.validation", request.validation, split.reason)
    choices.choose("data.labels", fingerprint.labels.to_json(), fingerprint.labels.reason)
    choices.choose("data.label_folder", request.label_folder, "")
    _choose_schedule(choices, request)
    channels = choices.choose(
        "preprocess.channels",
        fingerprint.channels,
        "all images are grey" if fingerprint.channels == 1 else "the images are in colour",
    )
    choices.choose(
        "preprocess.normalise", "zscore", "brightness and contrast differ between images"
    )
    _choose_device(choices, device)
    choose_lines(choices, fingerprint)
    spec = _choose_model(choices, fingerprint, request, device, channels)
    _choose_patch(choices, fingerprint, spec, is_paper=request.model is not None)
    _choose_learning(choices, fingerprint, spec)
    _choose_augmentation(choices)
    _choose_tiling(choices, spec, device)
    config = check_config(choices.tree())
    return Plan(config, choices.reasons, split, fingerprint)


def _choose_schedule(choices: Choices, request: Request) -> None:
    given = choices.given
    steps, budget = request.steps, request.budget_s
    if steps is not None and budget is not None:
        raise ConfigError("give a time budget or a number of steps, not both")
    if steps is None and budget is None and "schedule.steps" not in given:
        reason = f"the default; --budget changes it ({format_duration(DEFAULT_BUDGET_S)})"
        choices.choose("schedule.budget_s", DEFAULT_BUDGET_S, reason)
    else:
        choices.choose("schedule.budget_s", budget, "asked for" if budget else "")
    choices.choose("schedule.steps", steps, "asked for" if steps else "")
    choices.choose("schedule.shape", "cosine", "falls to zero exactly when the training ends")


def _choose_device(choices: Choices, device: DeviceFacts) -> None:
    where = f"{device.name} {'has' if device.has_fast_bf16 else 'has no'} bfloat16 in hardware"
    choices.choose("train.precision", device.precision, where)
    choices.choose(
        "train.channels_last", device.has_fast_bf16, "the faster memory order with bfloat16"
    )


def macs_per_s(device: DeviceFacts) -> float:
    """Estimate a device's multiply-adds a second in training."""
    if device.kind == "cuda":
        return CUDA_MACS_PER_S
    return CPU_MACS_PER_S[device.has_fast_bf16] * device.num_threads


@functools.lru_cache
def macs_per_pixel(spec: NetworkSpec) -> float:
    """Estimate the multiply-adds of one forward pass, by pixel of the input.

    Every weight is used once at every place of its map; the ways up are counted at the larger of
    their two maps, which is a little too much.
    """
    figure = describe(spec)
    macs = sum(row.parameters * math.prod(row.size) for row in figure.rows)
    return macs / math.prod(figure.size)


def _choose_model(
    choices: Choices,
    fingerprint: Fingerprint,
    request: Request,
    device: DeviceFacts,
    channels: int,
) -> NetworkSpec:
    given = choices.given
    options = {
        key.removeprefix("model.options."): value
        for key, value in given.items()
        if key.startswith("model.options.")
    }
    options |= dict(given.get("model.options") or {})
    name = request.model or given.get("model.name")
    classes = fingerprint.labels.num_logits + count_extra(choices)
    if name is None:
        name = choices.choose("model.name", DEFAULT_MODEL, "the default of the family in 2D")
        budget = choices.values.get("schedule.budget_s")
        options, reason = _choose_options(
            fingerprint, device, budget, options, channels=channels, classes=classes
        )
    else:
        choices.choose("model.name", name, "asked for")
        reason = "the paper's numbers" if not options else "set by hand, the rest as in the paper"
    options = _with_dims(name, options, len(fingerprint.median_size))
    choices.values["model.options"] = options
    choices.reasons["model.options"] = reason
    choices.given = {k: v for k, v in given.items() if not k.startswith("model.options")}
    choices.choose("model.in_channels", channels, "")
    choices.choose("model.classes", classes, classes_reason(fingerprint, count_extra(choices)))
    return make_spec(name, in_channels=channels, classes=classes, **options)


def _with_dims(name: str, options: Mapping[str, Any], dims: int) -> dict[str, Any]:
    """Ask for a network with as many axes as the images have, where its entry leaves a choice."""
    known = {entry.name: entry for entry in entries()}
    if name not in known or "spatial_dims" in options:
        return dict(options)
    if dims not in known[name].spatial_dims:
        fitting = [entry.name for entry in known.values() if dims in entry.spatial_dims]
        raise ConfigError(
            f"{name} is made for {known[name].spatial_dims[0]}D images, these are {dims}D: "
            f"take one of {', '.join(fitting)}"
        )
    default = next(o.default for o in known[name].options if o.name == "spatial_dims")
    return dict(options) if dims == default else {"spatial_dims": dims, **options}


def _choose_options(
    fingerprint: Fingerprint,
    device: DeviceFacts,
    budget_s: float | None,
    by_hand: Mapping[str, Any],
    *,
    channels: int,
    classes: int,
) -> tuple[dict[str, Any], str]:
    """Take the widest network that still sees enough steps in the budget."""
    hand = f"{', '.join(by_hand)} set by hand" if by_hand else ""
    if "widths" in by_hand:
        return {"up": "transposed", **by_hand}, hand
    options = {"levels": _levels(fingerprint.median_size), "up": "transposed", **by_hand}
    suited = f"{options['levels']} levels suit images of {format_size(fingerprint.median_size)}"
    reasons = [] if "levels" in by_hand else [suited]
    if "width" not in by_hand:
        seconds = budget_s or DEFAULT_BUDGET_S
        length = format_duration(seconds) if budget_s else f"the usual {format_duration(seconds)}"
        best = DEFAULT_WIDTHS[0], 0.0
        for width in DEFAULT_WIDTHS:
            spec = make_spec(
                DEFAULT_MODEL, in_channels=channels, classes=classes, **options, width=width
            )
            steps = seconds * macs_per_s(device) / (macs_per_pixel(spec) * STEP_PIXELS * 3)
            if steps >= ENOUGH_STEPS or width == DEFAULT_WIDTHS[0]:
                best = width, steps
        options = {"width": best[0], **options}
        reasons.insert(
            0,
            f"the widest that leaves about {ENOUGH_STEPS} steps in {length} on this device "
            f"(estimated: {best[1]:.0f})",
        )
    return options, "; ".join([hand, *reasons] if hand else reasons)


def _levels(size: Size) -> int:
    """Choose as many levels as leave 4 x 4 pixels at the bottom, 3 to 5."""
    return next((levels for levels in (5, 4) if min(size) >= 4 * 2 ** (levels - 1)), 3)


def _choose_patch(
    choices: Choices, fingerprint: Fingerprint, spec: NetworkSpec, *, is_paper: bool
) -> None:
    geometry = geometry_of(spec)
    edges = []
    is_padded = not any(sum(pair) for pair in geometry.margin)
    for axis, length in enumerate(fingerprint.median_size):
        stride = geometry.total_stride[axis]
        edges.append(max(min(LARGEST_PATCH, length // stride * stride), stride))
    if is_padded:
        size, why = tuple(edges), "the images' size, at most 256, in multiples of the stride"
    else:
        wanted = tuple(e + sum(pair) for e, pair in zip(edges, geometry.margin, strict=True))
        size = geometry.nearest_sizes(wanted)[1]
        why = f"gives {format_size(geometry.output_size(size))} after unpadded convolutions"
    size = tuple(choices.choose("patch.size", size, why))
    geometry.output_size(size)
    batch = max(min(round(STEP_PIXELS / math.prod(size)), 32), 1)
    reason = "about 131 072 pixels a step: many small steps learn most in a short time"
    if is_paper:
        batch, reason = max(batch // 2, 1), "half of the usual: the paper's network is large"
    choices.choose("patch.batch", batch, reason)


def _choose_learning(choices: Choices, fingerprint: Fingerprint, spec: NetworkSpec) -> None:
    choose_loss(choices, fingerprint)
    choices.choose("optimizer.name", "adamw", "forgiving of the learning rate")
    if spec.kit.norm == "none":
        rate, reason = 2e-4, "peak of the schedule; larger ones diverge without normalisation"
    else:
        rate, reason = 2e-3, "peak of the schedule"
    choices.choose("optimizer.learning_rate", rate, reason)


def _choose_augmentation(choices: Choices) -> None:
    for name, value in vars(AugmentConfig()).items():
        choices.choose(f"augment.{name}", value, "")
    choices.reasons.setdefault(
        "augment.flip", "no direction is assumed; set false where left and right differ"
    )


def _choose_tiling(choices: Choices, spec: NetworkSpec, device: DeviceFacts) -> None:
    geometry = geometry_of(spec)
    if any(sum(pair) for pair in geometry.margin):
        size = geometry.nearest_sizes((512 + 2 * geometry.margin[0][0],) * spec.kit.spatial_dims)[1]
        choices.choose("tiling.tile_size", size, "exact tiles of the unpadded network")
    else:
        size = tuple(-(-512 // stride) * stride for stride in geometry.total_stride)
        choices.choose("tiling.tile_size", size, "smaller images are one tile; larger ones blend")
    choices.choose("tiling.overlap_fraction", 0.25, "")
    choices.choose("tiling.batch", 1, "one tile at a time is fastest on a CPU")
    seconds = 8 * macs_per_pixel(spec) * 512**2 / macs_per_s(device)
    augment = choices.values
    symmetric = augment["augment.flip"] and augment["augment.right_angles"]
    is_quick = seconds <= QUICK_IMAGE_S
    reason = (
        "eight views of each image are averaged; false predicts eight times faster"
        if symmetric and is_quick
        else "one view: eight would be slow with this network, or directions matter"
    )
    choices.choose("tiling.mirror", bool(symmetric and is_quick), reason)
