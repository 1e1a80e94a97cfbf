"""The losses by name, and the options of each as a person writes them in a mixture."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch
from torch import Tensor

from ushape.losses import functional, overlap
from ushape.losses.pixels import Pixels

LARGEST_AUTO_WEIGHT = 100.0
"""`weight=auto` stays below this: a class of one pixel in a million would drown all others."""

LARGEST_AUTO_ALPHA = 0.99
"""`alpha=auto` stays between this and one minus this: the same ratio."""

Function = Callable[[Pixels], Tensor]
Form = Literal["number", "whole number", "true or false", "list", "auto"]


@dataclass(frozen=True)
class Option:
    """One option of a term.

    Attributes:
        doc: What it does.
        default: Its value when it is not written.
        forms: How it may be written.
        low: Its smallest number.
        high: Its largest number.
    """

    doc: str
    default: Any
    forms: tuple[Form, ...] = ("number",)
    low: float = 0.0
    high: float = float("inf")


@dataclass(frozen=True)
class Term:
    """One loss by name.

    Attributes:
        doc: What it measures.
        options: By name.
        build: Makes the function from the checked options and the class fractions of the
            training data.
        is_exclusive: It needs classes that exclude each other, and all of them.
    """

    doc: str
    options: Mapping[str, Option]
    build: Callable[[Mapping[str, Any], Sequence[float]], Function]
    is_exclusive: bool = False


Numbers = float | str | tuple[float, ...] | None


def positive_weights(weight: Numbers, fractions: Sequence[float]) -> Tensor | None:
    """Find the positive weight of each class: negatives to positives in the data for `auto`."""
    if weight == "auto":
        ratios = [(1 - share) / max(share, 1e-9) for share in fractions]
        return torch.tensor([min(ratio, LARGEST_AUTO_WEIGHT) for ratio in ratios])
    return _per_class(weight, fractions)


def class_weights(weight: Numbers, fractions: Sequence[float]) -> Tensor | None:
    """Find the weight of each class for `auto`: inverse frequency, the largest class at 1."""
    if weight == "auto":
        largest = max(fractions)
        ratios = [largest / max(share, 1e-9) for share in fractions]
        # No class is in the data at all: they weigh the same.
        weights = [min(ratio, LARGEST_AUTO_WEIGHT) for ratio in ratios] if largest else [1.0]
        return torch.tensor(weights).expand(len(ratios))
    return _per_class(weight, fractions)


def positive_shares(alpha: Numbers, fractions: Sequence[float]) -> Tensor | None:
    """Find focal's alpha of each class for `auto`: the share of the negatives in the data."""
    if alpha == "auto":
        shares = torch.tensor([1 - share for share in fractions])
        return shares.clamp(1 - LARGEST_AUTO_ALPHA, LARGEST_AUTO_ALPHA)
    return _per_class(alpha, fractions)


def _per_class(weight: Numbers, fractions: Sequence[float]) -> Tensor | None:
    if weight is None:
        return None
    assert not isinstance(weight, str), "auto is for the callers"
    values = weight if isinstance(weight, tuple) else (weight,) * len(fractions)
    return torch.tensor(values)


def _build_bce(options: Mapping[str, Any], fractions: Sequence[float]) -> Function:
    weight = positive_weights(options["weight"], fractions)
    share = class_weights(options["class_weight"], fractions)
    return lambda pixels: functional.bce(pixels, weight=weight, class_weight=share)


def _build_ce(options: Mapping[str, Any], fractions: Sequence[float]) -> Function:
    weight = class_weights(options["weight"], fractions)
    return lambda pixels: functional.ce(pixels, weight=weight)


def _build_focal(options: Mapping[str, Any], fractions: Sequence[float]) -> Function:
    alpha = positive_shares(options["alpha"], fractions)
    assert alpha is not None, "it has a default"
    share = class_weights(options["class_weight"], fractions)
    gamma = options["gamma"]
    return lambda pixels: functional.focal(pixels, alpha=alpha, gamma=gamma, class_weight=share)


@dataclass(frozen=True)
class _Overlap:
    """Makes the function of a loss on regions; `names` translates options to its arguments."""

    loss: Callable[..., Tensor]
    names: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, options: Mapping[str, Any], fractions: Sequence[float]) -> Function:
        given = {self.names.get(k, k): v for k, v in options.items() if k != "background"}
        given["weight"] = class_weights(options["class_weight"], fractions)
        del given["class_weight"]
        return lambda pixels: self.loss(pixels, **given)


def _regions(own: Mapping[str, Option], *, background: bool = True) -> dict[str, Option]:
    """List the options of a loss on regions: its own, and those that all share."""
    return {
        **own,
        "smooth": Option("added above and below the fraction", 1.0),
        "per_image": Option("one fraction an image, not one a batch", False, ("true or false",)),
        "class_weight": _CLASS_WEIGHT,
        "background": _BACKGROUND if background else replace(_BACKGROUND, default=False),
    }


_BACKGROUND = Option(
    "count the background class too (classes that exclude each other)", True, ("true or false",)
)
_CLASS_WEIGHT = Option(
    "weight of each class in the mean; auto: inverse frequency in the data", None, ("list", "auto")
)

TERMS: Mapping[str, Term] = {
    "dice": Term(
        "one minus the soft Dice overlap, mean over classes",
        _regions(
            {
                "squared": Option(
                    "squares in the denominator, as in V-Net: for graded targets too",
                    False,
                    ("true or false",),
                )
            }
        ),
        _Overlap(overlap.dice, {"squared": "is_squared"}),
    ),
    "bce": Term(
        "binary cross-entropy of every class",
        {
            "weight": Option(
                "factor of positive pixels; auto: negatives to positives in the data",
                None,
                ("number", "list", "auto"),
            ),
            "class_weight": _CLASS_WEIGHT,
            "background": _BACKGROUND,
        },
        _build_bce,
    ),
    "ce": Term(
        "softmax cross-entropy of all classes",
        {
            "weight": Option(
                "weight of each class; auto: inverse frequency in the data", None, ("list", "auto")
            )
        },
        _build_ce,
        is_exclusive=True,
    ),
    "focal": Term(
        "binary cross-entropy of every class, easy pixels turned down",
        {
            "alpha": Option(
                "weight of positive pixels, of negative ones 1 - alpha; auto: share of the "
                "negatives in the data",
                0.25,
                ("number", "list", "auto"),
                high=1.0,
            ),
            "gamma": Option("how fast easy pixels count less", 2.0, high=10.0),
            "class_weight": _CLASS_WEIGHT,
            "background": _BACKGROUND,
        },
        _build_focal,
    ),
    "border_dice": Term("soft Dice of the borders", _regions({}), _Overlap(overlap.border_dice)),
    "hardness_dice": Term(
        "soft Dice with wrong pixels weighted up",
        _regions({"lambda": Option("share of the weight that is error", 0.6, high=1.0)}),
        _Overlap(overlap.hardness_dice, {"lambda": "hardness"}),
    ),
    "tversky": Term(
        "overlap that prices false and missed pixels apart",
        _regions(
            {
                "alpha": Option("price of false pixels", 0.3),
                "beta": Option("price of missed pixels", 0.7),
                "gamma": Option("exponent of the whole", 1.0, low=0.1, high=10.0),
            }
        ),
        _Overlap(overlap.tversky),
    ),
    "cldice": Term(
        "share of either centreline outside the other mask",
        _regions(
            {
                "iterations": Option(
                    "erosions of the soft skeleton: at least the largest radius in pixels",
                    3,
                    ("whole number",),
                    low=1,
                    high=100,
                )
            },
            background=False,
        ),
        _Overlap(overlap.cldice),
    ),
}
