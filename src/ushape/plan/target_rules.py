"""Rules that follow from the kind of target: lines, outputs of the network, the loss."""

from __future__ import annotations

from collections.abc import Sequence

from ushape.config.schema import LinesConfig
from ushape.errors import ConfigError, unknown_name
from ushape.losses import LossText, loss_to_data
from ushape.losses.groups import EVERY_CLASS, Group, parse_groups
from ushape.losses.language import WeightedTerm
from ushape.plan.choices import Choices
from ushape.plan.fingerprint import Fingerprint

RARE_FRACTION = 0.01
"""A class with a smaller share of the pixels is rare (docs/targets.md has what was measured)."""

HARD_PIXELS = "100*focal(alpha=0.9)"
RARE_BESIDE_OTHERS = "2*bce + 20*focal(alpha=0.9)"
"""What a rare class has besides, where frequent classes compete with it for the same pixels."""

GRADED_DICE = "dice(squared=true)"
"""The loss on regions whose best answer to a graded target is that target (docs/losses.md)."""

HARD_OVERLAPS = ("dice", "hardness_dice", "tversky")
"""Losses on regions that a graded target makes answer 0 or 1, unless squared."""


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
    overlap, graded = "dice", ""
    if _learns_distance(choices):
        overlap, graded = GRADED_DICE, "; squared, for the graded targets of lines"
    rare = {name: share for share, name in shares if share < RARE_FRACTION}
    if rare and fingerprint.spatial_dims == 2:
        which = ", ".join(f"{name} has only {share:.2%}" for name, share in rare.items())
        reason = (
            f"{which} of the pixels: a rare class is found with overlap, every pixel, and the "
            f"hard ones among them{graded}"
        )
        loss: LossText = f"{overlap} + 10*{term} + {HARD_PIXELS}"
        if table.target == "multiclass" and EVERY_CLASS not in table.names:
            loss = {EVERY_CLASS: loss, **dict.fromkeys(rare, RARE_BESIDE_OTHERS)}
        choices.choose("loss", loss_to_data(loss), reason)
    else:
        choices.choose("loss", f"{overlap} + {term}", f"{what}: overlap, and every pixel{graded}")
    choices.choose("balance", "none", "the factors of the loss count as they are written")
    choose_thresholds(choices, fingerprint)


def choose_thresholds(choices: Choices, fingerprint: Fingerprint) -> None:
    """Choose which thresholds are searched: a weighted loss moves probabilities off one half.

    Raises:
        ConfigError: The loss is not written as one.
    """
    groups = parse_groups(choices.values["loss"], class_names=None)
    found = [_shift(term) for group in groups for term in group.terms]
    shifts = list(dict.fromkeys(what for what in found if what))
    if not shifts or fingerprint.labels.target == "multiclass":
        choices.choose("train.thresholds", "lines", "")
        return
    reason = f"{_listed(shifts)} in the loss moves probabilities: one half suits them badly"
    choices.choose("train.thresholds", "all", reason)


def _shift(term: WeightedTerm) -> str:
    """Say what makes a term prefer a class to its absence, or the reverse; nothing: empty."""
    options = term.options
    if term.name == "focal":
        return "focal"
    if term.name in ("bce", "ce"):
        weight = options["weight"]
        factors = weight if isinstance(weight, tuple) else (weight,)
        return f"{term.name}(weight)" if any(x not in (None, 1) for x in factors) else ""
    if term.name == "tversky" and options["alpha"] != options["beta"]:
        return "tversky(alpha, beta)"
    return ""


def hard_overlap_warning(choices: Choices, fingerprint: Fingerprint) -> tuple[str, ...]:
    """Warn of a loss set by hand whose best answer to a graded class is not the graded target.

    Raises:
        ConfigError: The loss does not fit the classes.
    """
    if not _learns_distance(choices) or "loss" not in choices.given:
        return ()
    names = fingerprint.labels.logit_names
    thin = set(choices.values["lines.classes"])
    met: dict[str, set[str]] = {}
    for group in parse_groups(choices.values["loss"], class_names=names):
        for term in group.terms:
            if term.name in HARD_OVERLAPS and not term.options.get("squared"):
                met.setdefault(term.name, set()).update(thin & _classes_of(group, names))
    return tuple(
        f"{term} in the loss pulls the graded target of "
        f"{_listed([name for name in names if name in classes])} (lines.mode=distance) "
        f"to 0 and 1: take {GRADED_DICE}"
        for term, classes in met.items()
        if classes
    )


def _learns_distance(choices: Choices) -> bool:
    """Say whether the classes' own targets are graded."""
    return bool(choices.values["lines.classes"]) and choices.values["lines.mode"] == "distance"


def _classes_of(group: Group, names: Sequence[str]) -> set[str]:
    return {names[channel] for channel in group.channels or ()}


def _listed(words: Sequence[str]) -> str:
    """List words as a sentence does: `a, b and c`."""
    return " and ".join(part for part in (", ".join(words[:-1]), *words[-1:]) if part)
