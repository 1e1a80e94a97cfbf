"""Why settings that nothing about the data decides have the values that they have.

Every line of `config.yaml` has a reason. A rule gives its own; what is here stands where none did:
the constants of the schema, and settings that are left alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ushape.config.load import known_keys
from ushape.config.schema import RunConfig
from ushape.losses.groups import EVERY_CLASS

BY_HAND = "set by hand"

PRESET, OFF, UNUSED = "preset", "off in preset", "unused while"
"""How the reasons begin of augmentation that is as its preset has it, or is not done."""

USUAL: Mapping[str, str] = {
    "data.root": "the data that were given",
    "data.labels": "as the files tell",
    "data.label_folder": "none was named: the layout tells where labels lie",
    "data.stack_mm": "each case is an image by itself, no slice of a stack (--stack)",
    "data.align": "labels must lie on the grids of their images; --align resamples others",
    "model.in_channels": "as many as preprocess.channels",
    "preprocess.intensity": "for normalise = ct only; others take each image's own numbers",
    "optimizer.weight_decay": "PyTorch's usual for AdamW; biases and norms are not decayed",
    "optimizer.momentum": "for sgd only: nnU-Net's, with Nesterov's step",
    "optimizer.clip_norm": "shortens single wild gradients; nnU-Net allows 12",
    "schedule.budget_s": "the number of steps counts instead",
    "schedule.steps": "the budget of time counts instead",
    "schedule.warmup_fraction": "full steps wait until AdamW has seen how large gradients are",
    "train.seed": "any number; the same one draws the same weights, patches and split",
    "train.ema_decay": "the model is averaged over about the last 100 steps: steadier than any one",
    "train.validations": "enough to keep the best model, and little time beside training",
    "train.save_every_s": "a run that is killed loses half a minute",
    "train.thresholds": "one half, or the likeliest class, decides; lines have theirs searched",
    "train.start_from": "the weights begin at random",
    "sampling.classes": "of patches centred on a class, a rare one has as many as a frequent one",
    "sampling.cases": "every voxel of the data set is as likely to be seen",
    "lines.mode": "the mask itself stays hard, and blurred copies are learnt beside it",
    "lines.loss": "of the blurred copies; squared, as their targets are graded",
    "lines.weight": "the copies count as much as the masks do",
    "fine.classes": "one pass: no class is looked for within another",
    "fine.within": "one pass: no class is looked for within another",
    "fine.regions": "every object is looked into",
    "fine.most_regions": "a poor mask has thousands of specks",
    "fine.kind": "the whole box; mask blanks what surrounds the object",
    "fine.margin_fraction": "room for what lies at the edge",
    "fine.jitter": "predicted boxes are not perfect; the margin keeps objects in",
    "fine.cut_size": "follows from the patch where there is a second pass",
    "fine.cuts": "follows from the patch where there is a second pass",
    "fine.present_fraction": "some cuts are sure to show a small class; the rest are as they come",
    "fine.loss": "each small class by itself: overlap, and every pixel",
    "fine.weight": "the second pass counts as much as the first",
    "weight_map.use": "costs time, and helps only where objects that touch must come apart",
    "weight_map.w0": "height of the weights in gaps, as in Ronneberger et al. 2015",
    "weight_map.sigma": "width of the weights in gaps, as in Ronneberger et al. 2015",
}


def is_usual(key: str, reason: str) -> bool:
    """Tell whether a setting is as in every run, or as in its preset, or without effect."""
    return reason == USUAL.get(key) or reason.startswith((PRESET, OFF, UNUSED))


def complete_reasons(
    config: RunConfig, reasons: Mapping[str, str], given: Mapping[str, Any]
) -> dict[str, str]:
    """Give every setting a reason, in the order of `config.yaml`.

    Args:
        config: All settings.
        reasons: Of the rules.
        given: What a person set.
    """
    complete = dict(reasons)
    for key in known_keys():
        if key in given:
            complete.setdefault(key, BY_HAND)
        elif key in USUAL:
            complete.setdefault(key, USUAL[key])
    if isinstance(config.loss, Mapping):
        for group in config.loss:
            every = "of all classes" if group == EVERY_CLASS else f"of {group}, besides"
            complete[f"loss.{group}"] = BY_HAND if "loss" in given else every
    return complete
