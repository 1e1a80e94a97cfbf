"""The options of each loss, as a person writes them in a mixture."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ushape.losses import functional

LARGEST_AUTO_WEIGHT = 100.0
"""`weight=auto` stays below this: a class of one pixel in a million would drown all others."""

Function = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Option:
    """One option of a term: how it is written, its default, and what it does."""

    kind: type
    default: Any
    doc: str
    allows_auto: bool = False


@dataclass(frozen=True)
class Term:
    """One loss by name.

    Attributes:
        build: Makes the function from the checked options and the data's class fractions.
        for_binary: It accepts one logit channel.
    """

    doc: str
    options: Mapping[str, Option]
    build: Callable[[Mapping[str, Any], Sequence[float]], Function]
    for_binary: bool = True


def positive_weights(weight: float | str | None, fractions: Sequence[float]) -> Tensor | None:
    """Find the positive weight of each channel: negatives to positives in the data for `auto`."""
    if weight is None:
        return None
    if weight == "auto":
        ratios = [(1 - share) / max(share, 1e-9) for share in fractions]
        return torch.tensor([min(ratio, LARGEST_AUTO_WEIGHT) for ratio in ratios])
    return torch.full((len(fractions),), float(weight))


def class_weights(weight: float | str | None, fractions: Sequence[float]) -> Tensor | None:
    """Find the weight of each class for `auto`: inverse frequency, the largest class at 1."""
    if weight is None:
        return None
    largest = max(fractions)
    ratios = [largest / max(share, 1e-9) for share in fractions]
    return torch.tensor([min(ratio, LARGEST_AUTO_WEIGHT) for ratio in ratios])


def _build_dice(options: Mapping[str, Any], fractions: Sequence[float]) -> Function:
    del fractions
    return lambda logits, target: functional.dice(
        logits,
        target,
        smooth=options["smooth"],
        is_squared=options["squared"],
        per_image=options["per_image"],
        with_background=options["background"],
    )


def _build_bce(options: Mapping[str, Any], fractions: Sequence[float]) -> Function:
    weight = positive_weights(options["weight"], fractions)
    return lambda logits, target: functional.bce(logits, target, weight=weight)


def _build_ce(options: Mapping[str, Any], fractions: Sequence[float]) -> Function:
    weight = class_weights(options["weight"], fractions)
    return lambda logits, target: functional.ce(logits, target, weight=weight)


TERMS: Mapping[str, Term] = {
    "dice": Term(
        "one minus the soft Dice overlap, mean over classes",
        {
            "smooth": Option(float, 1.0, "added above and below the fraction"),
            "squared": Option(bool, False, "squares in the denominator, as in V-Net"),
            "per_image": Option(bool, False, "one fraction an image, not one a batch"),
            "background": Option(bool, True, "count the background class too"),
        },
        _build_dice,
    ),
    "bce": Term(
        "binary cross-entropy of every channel",
        {
            "weight": Option(
                float,
                None,
                "factor of positive pixels; auto: negatives to positives in the data",
                allows_auto=True,
            )
        },
        _build_bce,
    ),
    "ce": Term(
        "softmax cross-entropy",
        {
            "weight": Option(
                str, None, "auto: classes weighted by inverse frequency", allows_auto=True
            )
        },
        _build_ce,
        for_binary=False,
    ),
}
