"""From a fingerprint, a device and a wish to complete settings, each with its reason.

Pure: no file is read, nothing is measured, so the same inputs give the same plan. What a person
sets is taken first, and what depends on it follows from it. Here is the order in which the rules
follow each other; each subject has a module of its own. docs/plan.md has all of them in words.
"""

from __future__ import annotations

import math
from dataclasses import replace

from ushape.config.load import check_config
from ushape.device import DeviceFacts
from ushape.errors import ConfigError
from ushape.nets import NetworkSpec
from ushape.plan.augment_rules import choose_augmentation
from ushape.plan.choices import Choices
from ushape.plan.class_cases import absent_classes
from ushape.plan.fine_rules import choose_cuts, choose_fine, patches_in_memory
from ushape.plan.fingerprint import Fingerprint
from ushape.plan.grid_rules import Grid, choose_grid
from ushape.plan.intensity import ct_beside_others
from ushape.plan.intensity_rules import choose_channels, choose_intensity
from ushape.plan.learning_rules import choose_optimizer, choose_sampling, choose_validations
from ushape.plan.model_rules import choose_model
from ushape.plan.patch_rules import choose_patch
from ushape.plan.request import DEFAULT_BUDGET_S, Plan, Request, Situation
from ushape.plan.speed import Speed, estimate_speed, step_macs, training_bytes
from ushape.plan.split import Split
from ushape.plan.target_rules import choose_lines, choose_loss, hard_overlap_warning
from ushape.plan.tiling_rules import choose_tiling
from ushape.plan.usual import complete_reasons
from ushape.sizes import format_count, format_duration

FEW_CASES = 5
"""With so few cases a person is warned."""


def plan_run(
    fingerprint: Fingerprint,
    split: Split,
    request: Request,
    device: DeviceFacts,
    speed: Speed | None = None,
) -> Plan:
    """Decide every setting of a run.

    Args:
        fingerprint: The data set.
        split: Training and validation cases.
        request: What a person asks for.
        device: Where it will run.
        speed: What was measured there; estimated from the device by default.

    Raises:
        ConfigError: A setting is impossible; the message names it.
        ShapeError: A patch that was set by hand does not pass through the network.
    """
    known = speed or estimate_speed(device)
    situation = Situation(fingerprint, split, request, device, known)
    choices = Choices(request.settings)
    _choose_data(choices, situation)
    _choose_schedule(choices, request)
    _choose_device(choices, situation)
    channels = choose_channels(choices, fingerprint)
    grid = choose_grid(choices, fingerprint)
    choose_intensity(choices, fingerprint)
    learnt = choose_fine(choices, fingerprint, request.model)
    situation = replace(situation, fingerprint=learnt)
    choose_lines(choices, learnt)
    spec = choose_model(choices, situation, grid, channels)
    choose_patch(choices, situation, grid, spec)
    choose_cuts(choices, spec)
    choose_loss(choices, learnt)
    choose_optimizer(choices, spec)
    choose_sampling(choices, situation, grid)
    passes = _passes(choices, situation, grid, spec)
    choose_augmentation(choices, fingerprint, grid, passes, request.augment)
    choose_tiling(choices, situation, grid, spec)
    choose_validations(choices, situation, grid, spec)
    config = check_config(choices.tree())
    warnings = (
        *_few_cases(situation),
        *_divided_subjects(situation),
        *absent_classes(fingerprint, split),
        *_short_memory(choices, situation, spec),
        *ct_beside_others(fingerprint.channel_names, choices.values["preprocess.normalise"]),
        *hard_overlap_warning(choices, learnt),
    )
    reasons = complete_reasons(config, choices.reasons, request.settings)
    return Plan(config, reasons, split, fingerprint, warnings)


def _choose_data(choices: Choices, situation: Situation) -> None:
    fingerprint, request = situation.fingerprint, situation.request
    choices.choose("data.root", str(fingerprint.root))
    few = "; ".join([situation.split.reason, *_few_cases(situation)])
    choices.choose("data.validation", request.validation, few)
    choices.choose("data.labels", fingerprint.labels.to_json(), fingerprint.labels.reason)
    asked = "asked for" if request.label_folder else ""
    choices.choose("data.label_folder", request.label_folder, asked)
    layout = "asked for" if request.layout else f"recognised: {fingerprint.layout}"
    choices.choose("data.layout", request.layout, layout)
    choices.choose("data.stack_mm", request.stack_mm, "asked for" if request.stack_mm else "")
    choices.choose("data.align", request.align, "asked for" if request.align else "")


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


def _choose_device(choices: Choices, situation: Situation) -> None:
    device = situation.device
    where = f"{device.name} {'has' if device.has_fast_bf16 else 'has no'} bfloat16 in hardware"
    choices.choose("train.precision", device.precision, where)
    order = "with bfloat16" if device.has_fast_bf16 else "with bfloat16 only, which is lacking here"
    choices.choose("train.channels_last", device.has_fast_bf16, f"the faster memory order {order}")


def _passes(choices: Choices, situation: Situation, grid: Grid, spec: NetworkSpec) -> float:
    """Estimate how often the training sees a voxel of the training cases."""
    pixels = math.prod(choices.values["patch.size"]) * choices.values["patch.batch"]
    steps = choices.values.get("schedule.steps")
    if steps is None:
        seconds = choices.values.get("schedule.budget_s") or DEFAULT_BUDGET_S
        steps = seconds * situation.speed.macs_per_s / step_macs(spec, max(pixels, 1))
    images = situation.num_images(situation.split.train)
    return float(steps * pixels / (images * math.prod(grid.size)))


def _few_cases(situation: Situation) -> tuple[str, ...]:
    """Warn of a data set that is too small to learn much from, or to tell how good that is."""
    fingerprint, split = situation.fingerprint, situation.split
    number = len(fingerprint.case_ids)
    if number > FEW_CASES:
        return ()
    what = "slice" if fingerprint.is_stack else "case"
    text = f"only {format_count(number, what)}"
    if not split.val:
        return (
            f"{text}: nothing is left to tell how good the model is; label more, or look at its "
            "predictions of other images",
        )
    say = "says" if len(split.val) == 1 else "say"
    return (
        f"{text}: {len(split.val)} to validate on {say} little about how good the model is; label "
        "more, or look at the predictions",
    )


def _divided_subjects(situation: Situation) -> tuple[str, ...]:
    """Warn where scans of one subject train and validate: the scores would flatter."""
    fingerprint, split = situation.fingerprint, situation.split
    if fingerprint.is_stack:  # a block of a stack is held out on purpose
        return ()
    groups = fingerprint.groups
    trained = {groups[case] for case in split.train if case in groups}
    both = sorted({groups[case] for case in split.val if groups.get(case) in trained})
    if not both:
        return ()
    named = ", ".join(both[:3]) + (f" and {len(both) - 3} more" if len(both) > 3 else "")
    return (
        f"{named}: cases of one subject both train and validate, so the scores flatter; give --val "
        "whole subjects, a fraction, or a fold",
    )


def _short_memory(choices: Choices, situation: Situation, spec: NetworkSpec) -> tuple[str, ...]:
    """Warn of a step that the memory will not hold: a large network, or what was set by hand."""
    values = choices.values
    limit = float(situation.speed.free_bytes)
    batch = patches_in_memory(choices, values["patch.batch"])
    needed = training_bytes(
        spec, tuple(values["patch.size"]), batch, values["train.precision"], limit
    )
    if needed <= limit:
        return ()
    return (
        f"a training step needs about {needed / 2**30:.1f} GiB, {limit / 2**30:.1f} GiB are free: "
        "take a smaller patch.size, patch.batch or network",
    )
