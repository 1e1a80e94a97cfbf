"""Rules for the network: which one, how wide, with how many outputs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from ushape.errors import ConfigError
from ushape.nets import NetworkSpec, entries, geometry_of, make_spec
from ushape.plan.choices import Choices
from ushape.plan.fine_rules import with_fine_classes
from ushape.plan.grid_rules import Grid
from ushape.plan.patch_rules import ENOUGH_STEPS, STEP_PIXELS, plan_step
from ushape.plan.request import DEFAULT_BUDGET_S, Situation
from ushape.plan.shape_rules import FEWEST_LEVELS, LOWEST_EDGE, choose_shape
from ushape.plan.speed import step_macs, weight_bytes
from ushape.plan.target_rules import classes_reason, count_extra
from ushape.sizes import format_duration, format_size

WIDTHS = {2: (8, 16, 24, 32, 48, 64), 3: (8, 12, 16, 24, 32)}
"""Channels of the first level that are tried, by the number of axes. nnU-Net has 32 in both."""

USUAL_WIDTH = 16
"""What a step sees is laid out for a network of this width; then the width is chosen."""

FEW_STEPS = 600
"""In 3D the usual width is kept as long as it leaves this many: 700 steps were enough to pass the
target on hippocampi (docs/plan.md)."""

WEIGHTS_SHARE = 0.5
"""A network's weights, with what the optimiser keeps of them, take at most this share of the memory
that a step may take."""

OPTIONS = "model.options."


def choose_model(choices: Choices, situation: Situation, grid: Grid, channels: int) -> NetworkSpec:
    """Choose the network and its options.

    Raises:
        ConfigError: Unknown network or option, or one for images with another number of axes.
    """
    given = choices.given
    by_hand = {k.removeprefix(OPTIONS): v for k, v in given.items() if k.startswith(OPTIONS)}
    by_hand |= dict(given.get("model.options") or {})
    name = situation.request.model or given.get("model.name")
    classes = situation.fingerprint.labels.num_logits + count_extra(choices)
    if name is None:
        name, options, reason = _design(
            choices, situation, grid, by_hand, channels=channels, classes=classes
        )
    else:
        choices.choose("model.name", name, "asked for")
        options = with_fine_classes(choices, _with_dims(name, by_hand, grid.spatial_dims))
        reason = "set by hand, the rest as in the paper" if by_hand else "the paper's numbers"
    choices.values["model.options"] = options
    choices.reasons["model.options"] = reason
    choices.given = {k: v for k, v in given.items() if not k.startswith("model.options")}
    choices.choose("model.in_channels", channels)
    choices.choose(
        "model.classes", classes, classes_reason(situation.fingerprint, count_extra(choices))
    )
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


def _design(
    choices: Choices,
    situation: Situation,
    grid: Grid,
    by_hand: Mapping[str, Any],
    *,
    channels: int,
    classes: int,
) -> tuple[str, dict[str, Any], str]:
    """Take the shape that suits the images, as wide as still sees enough steps in the budget."""
    fractions = situation.fingerprint.class_fractions
    shape = choose_shape(grid, sum(fractions[1:]))
    name = str(choices.choose("model.name", shape.name, shape.why_name))
    known = {option.name for entry in entries() if entry.name == name for option in entry.options}
    shaped = {k: v for k, v in shape.options.items() if k in known and k not in by_hand}
    reasons = [f"{', '.join(by_hand)} set by hand"] if by_hand else []
    if "widths" in by_hand:
        shaped.pop("levels", None)
        return name, {**shaped, **by_hand}, reasons[0]
    options = {**shaped, **by_hand}

    def spec_of(width: int) -> NetworkSpec:
        wide = {**options, "width": width}
        return make_spec(name, in_channels=channels, classes=classes, **wide)

    why_levels = shape.why_options
    if "levels" not in by_hand and grid.spatial_dims == 3:
        usual = spec_of(by_hand.get("width", USUAL_WIDTH))
        why_levels += _suit_patch(choices, situation, grid, usual, options)
    if "width" not in by_hand:
        width, why_width = _choose_width(choices, situation, grid, spec_of)
        options = {"width": width, **options}
        reasons.append(why_width)
    if "levels" not in by_hand:
        reasons.append(why_levels)
    return name, options, "; ".join(reasons)


def _choose_width(
    choices: Choices, situation: Situation, grid: Grid, spec_of: Callable[[int], NetworkSpec]
) -> tuple[int, str]:
    """Choose the widest network that sees enough steps, and say why."""
    budget = choices.values.get("schedule.budget_s")
    seconds = budget or DEFAULT_BUDGET_S
    dims = grid.spatial_dims
    step = plan_step(choices, situation, grid, spec_of(USUAL_WIDTH), is_paper=False)
    pixels = step.pixels
    if "patch.batch" not in choices.given:  # a wider network comes before a larger batch
        pixels = STEP_PIXELS if dims == 2 else min(pixels, 2 * math.prod(step.size))
    room = WEIGHTS_SHARE * situation.speed.usable_bytes(situation.device.kind)
    chosen, left = WIDTHS[dims][0], 0.0
    for width in WIDTHS[dims]:
        spec = spec_of(width)
        steps = seconds * situation.speed.macs_per_s / step_macs(spec, max(pixels, 1))
        enough = FEW_STEPS if dims == 3 and width <= USUAL_WIDTH else ENOUGH_STEPS
        if width == chosen or (steps >= enough and weight_bytes(spec) <= room):
            chosen, left = width, steps
    length = format_duration(seconds) if budget else f"the usual {format_duration(seconds)}"
    what, wanted = "the widest that leaves", ENOUGH_STEPS
    if dims == 3 and chosen == USUAL_WIDTH:
        what = "the usual width; a wider one would not leave"
    elif dims == 3 and chosen < USUAL_WIDTH:
        wanted = FEW_STEPS
    if chosen == WIDTHS[dims][0] and left < wanted:
        what = "the narrowest, and still fewer than"
    if not budget:
        what = f"steps are asked for ({choices.values['schedule.steps']}) and no time: {what}"
    return chosen, (
        f"{what} about {wanted} steps in {length} on this device "
        f"({situation.speed.how}: {left:.0f})"
    )


def _suit_patch(
    choices: Choices,
    situation: Situation,
    grid: Grid,
    usual: NetworkSpec,
    options: dict[str, Any],
) -> str:
    """Drop levels until the lowest suits the patch, which time bounds; say so.

    Args:
        usual: The network with all levels.
        options: Its options, whose levels are changed.
    """
    size = plan_step(choices, situation, grid, usual, is_paper=False).size
    strides = geometry_of(usual).total_stride
    deepest = max(strides)
    pooled = min(n for n, stride in zip(size, strides, strict=True) if stride == deepest)
    levels = options["levels"]
    while levels > FEWEST_LEVELS and pooled < LOWEST_EDGE * 2 ** (levels - 1):
        levels -= 1
    if levels == options["levels"]:
        return ""
    options["levels"] = levels
    if "flat_levels" in options:
        options["flat_levels"] = min(options["flat_levels"], levels - 1)
    return f", but {levels} a patch of {format_size(size)}"
