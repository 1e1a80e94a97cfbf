"""Rules that follow from the kind of target: lines, outputs of the network, the loss."""

from __future__ import annotations

from ushape.config.schema import LinesConfig
from ushape.errors import ConfigError, unknown_name
from ushape.losses import LossText, loss_to_data
from ushape.losses.groups import EVERY_CLASS
from ushape.plan.choices import Choices
from ushape.plan.fingerprint import Fingerprint

RARE_FRACTION = 0.01
"""A class with a smaller share of the pixels is rare (docs/targets.md has what was measured)."""

HARD_PIXELS = "100*focal(alpha=0.9)"
RARE_BESIDE_OTHERS = "2*bce + 20*focal(alpha=0.9)"
"""What a rare class has besides, where frequent classes compete with it for the same pixels."""


def count_extra(choices: Choices) -> int:
    """Count the logits that graded lines add."""
    values = choices.values
    lines = LinesConfig(
        tuple(values["lines.classes"]), values["lines.mode"], tuple(values["lines.sigma"])
    )
    return lines.num_extra


def classes_reason(fingerprint: Fingerprint, num_extra: int) -> str:
    """Say why a network has as many outputs as it has."""
    reason = {
        "binary": "one logit for a binary target",
        "multiclass": "one logit a class",
        "multilabel": "one logit a class; classes may overlap, so the background needs none",
    }[fingerprint.labels.target]
    return f"{reason}; {num_extra} for blurred lines" if num_extra else reason


def choose_lines(choices: Choices, fingerprint: Fingerprint) -> None:
    """Choose how thin classes are learnt.

    Raises:
        ConfigError: There is no such class, or the numbers do not fit the mode.
    """
    reason = "no class was said to be thin; naming some grades their targets"
    chosen = tuple(choices.choose("lines.classes", LinesConfig().classes, reason))
    names = fingerprint.labels.names[1:]
    for name in chosen:
        if name not in names:
            raise ConfigError("lines.classes: " + unknown_name("class", name, names))
    if len(set(chosen)) != len(chosen):
        raise ConfigError(f"lines.classes = {list(chosen)}: a class stands twice")
    mode = choices.choose("lines.mode", "blurred", "")
    if mode == "blurred":
        choices.choose("lines.sigma", LinesConfig().sigma, "Gaussian kernels of 3, 7 and 15 pixels")
        return
    sigma = choices.choose("lines.sigma", (2.0,), "wide enough to be found, and still a line")
    if len(sigma) != 1:
        raise ConfigError(f"lines.sigma = {list(sigma)}: mode distance takes one, such as [2]")


def choose_loss(choices: Choices, fingerprint: Fingerprint) -> None:
    """Choose the loss by the kind of target, and by how rare the rarest class is.

    In volumes most classes are small beside the whole scan, and patches centred on them see to it
    (`learning_rules`); in pictures, whose patches lie anywhere, the loss does.
    """
    table = fingerprint.labels
    what, term = {
        "binary": ("binary target", "bce"),
        "multiclass": ("several classes", "ce"),
        "multilabel": ("classes that may overlap", "bce"),
    }[table.target]
    shares = zip(fingerprint.class_fractions[1:], table.names[1:], strict=True)
    rare = {name: share for share, name in shares if share < RARE_FRACTION}
    if rare and fingerprint.spatial_dims == 2:
        listed = ", ".join(f"{name} has only {share:.2%}" for name, share in rare.items())
        reason = (
            f"{listed} of the pixels: a rare class is found with overlap, every pixel, and the "
            "hard ones among them"
        )
        loss: LossText = f"dice + 10*{term} + {HARD_PIXELS}"
        if table.target == "multiclass" and EVERY_CLASS not in table.names:
            loss = {EVERY_CLASS: loss, **dict.fromkeys(rare, RARE_BESIDE_OTHERS)}
        choices.choose("loss", loss_to_data(loss), reason)
    else:
        choices.choose("loss", f"dice + {term}", f"{what}: overlap, and every pixel")
    choices.choose("balance", "none", "the factors of the loss count as they are written")
    choose_thresholds(choices, fingerprint)


def choose_thresholds(choices: Choices, fingerprint: Fingerprint) -> None:
    """Choose which thresholds are searched: a weighted loss moves probabilities off one half."""
    text = str(choices.values["loss"])
    shifts = next((word for word in ("weight=", "focal") if word in text), None)
    if shifts is None or fingerprint.labels.target == "multiclass":
        choices.choose("train.thresholds", "lines", "")
        return
    reason = f"{shifts.rstrip('=')} in the loss moves probabilities: one half suits them badly"
    choices.choose("train.thresholds", "all", reason)
