"""Rules for learning: optimiser, sampling, how often is validated.

Source: Isensee et al. 2021, supplementary note 2 (a third of the patches holds foreground).
"""

from __future__ import annotations

from ushape.config.schema import OptimizerConfig, SamplingConfig, TrainConfig
from ushape.nets import NetworkSpec
from ushape.plan.choices import Choices
from ushape.plan.class_cases import scarce_classes
from ushape.plan.grid_rules import Grid
from ushape.plan.request import Situation
from ushape.plan.target_rules import RARE_FRACTION
from ushape.plan.tiling_rules import validation_seconds

FOREGROUND_FRACTION = 0.33
RARE_FOREGROUND_FRACTION = 0.5

FREQUENT_FRACTION = 0.05
"""Classes with this share of the voxels or more need no patches of their own."""

VALIDATION_SHARE = 0.15
"""Validation takes at most about this share of the budget."""

FEWEST_VALIDATIONS = 2


def choose_optimizer(choices: Choices, spec: NetworkSpec) -> None:
    """Choose the optimiser and its learning rate."""
    name = choices.choose("optimizer.name", "adamw", "forgiving of the learning rate")
    if spec.kit.norm == "none":
        rate, reason = 2e-4, "peak of the schedule; larger ones diverge without normalisation"
    elif spec.name == "unet_padding" and spec.kit.spatial_dims == 3:
        rate, reason = 4e-3, "peak of the schedule; better than half of it in short trainings"
    else:
        rate, reason = 2e-3, "peak of the schedule; 5e-3 was no better in trainings of minutes"
    choices.choose("optimizer.learning_rate", rate, reason)
    decay = "" if name == "adamw" else "as for adamw; nnU-Net takes 3e-5 with sgd"
    choices.choose("optimizer.weight_decay", OptimizerConfig.weight_decay, decay)


def choose_sampling(choices: Choices, situation: Situation, grid: Grid) -> None:
    """Choose where patches are cut, after the patch is known."""
    usual = SamplingConfig()
    fraction, reason = _foreground_fraction(choices, situation, grid)
    choices.choose("sampling.foreground_fraction", fraction, reason)
    choices.choose("sampling.classes", usual.classes)
    choices.choose("sampling.cases", usual.cases)


def _foreground_fraction(choices: Choices, situation: Situation, grid: Grid) -> tuple[float, str]:
    """Choose how many patches are centred on a class: some at least where one is in few cases."""
    fraction, reason = _fraction_by_size(choices, situation, grid)
    scarce = scarce_classes(situation.fingerprint, situation.split.train)
    if fraction or not scarce:
        return fraction, reason
    return FOREGROUND_FRACTION, f"{scarce}: a third of the patches shows every class in turn"


def _fraction_by_size(choices: Choices, situation: Situation, grid: Grid) -> tuple[float, str]:
    if grid.spatial_dims == 2:
        return 0.0, "patches of pictures lie anywhere; the loss sees to rare classes"
    patch = choices.values["patch.size"]
    if all(edge >= length for edge, length in zip(patch, grid.size, strict=True)):
        return 0.0, "a patch holds a whole volume, with all that is in it"
    table = situation.fingerprint.labels
    shares = zip(situation.fingerprint.class_fractions[1:], table.names[1:], strict=True)
    rare = [name for share, name in shares if share < RARE_FRACTION]
    if rare:
        return RARE_FOREGROUND_FRACTION, (
            f"{', '.join(rare)}: less than {RARE_FRACTION:.0%} of the voxels, which half of the "
            "patches are centred on"
        )
    if min(situation.fingerprint.class_fractions[1:]) >= FREQUENT_FRACTION:
        reason = f"every class takes {FREQUENT_FRACTION:.0%} of the voxels or more: patches hold it"
        return 0.0, reason
    return FOREGROUND_FRACTION, "a third of the patches is sure to hold foreground"


def choose_validations(
    choices: Choices, situation: Situation, grid: Grid, spec: NetworkSpec
) -> None:
    """Choose how often is validated: less often where many large volumes have to be predicted."""
    usual = TrainConfig().validations
    budget = choices.values.get("schedule.budget_s")
    if grid.spatial_dims == 2 or not budget:
        choices.choose("train.validations", usual)
        return
    seconds = validation_seconds(choices, situation, grid, spec)
    number = usual
    if seconds * usual > VALIDATION_SHARE * budget:
        number = max(int(VALIDATION_SHARE * budget / seconds), FEWEST_VALIDATIONS)
    reason = f"each takes about {seconds:.0f} s" if number != usual else ""
    choices.choose("train.validations", number, reason)
