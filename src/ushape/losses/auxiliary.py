"""Losses of a network's inner outputs: deep supervision and attention supervision.

Their targets are made from the full-size target by averaging, so that they become graded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ushape.errors import ShapeError
from ushape.losses import overlap
from ushape.losses.mixture import LossValue, Mixture
from ushape.losses.pixels import Pixels, Reduce
from ushape.sizes import format_size


@dataclass(frozen=True)
class AuxiliaryOutput:
    """One inner output of a network, and how it is supervised.

    Attributes:
        values: `logits`: shape (batch, channel, *size) with the target's channels. `attention`:
            (batch, 1, *size), a map from 0 to 1 (after its sigmoid). The size divides the
            target's along every axis.
        kind: `logits` take the mixture of the main output; `attention` is compared with the
            foreground by soft Dice (Wang et al. 2019).
        weight: What its loss is multiplied by.
    """

    values: Tensor
    kind: Literal["logits", "attention"] = "logits"
    weight: float = 1.0


@dataclass(frozen=True)
class Truth:
    """What an output is compared with: target, void pixels, pixel weights (see `Pixels`)."""

    target: Tensor
    mask: Tensor | None = None
    pixel_weight: Tensor | None = None


def auxiliary_loss(
    mixture: Mixture,
    auxiliary: Sequence[AuxiliaryOutput],
    target: Tensor,
    *,
    mask: Tensor | None = None,
    pixel_weight: Tensor | None = None,
    foreground: Sequence[int] | None = None,
    reduce: Reduce | None = None,
) -> LossValue:
    """Sum the losses of all inner outputs, each at its own size.

    A large pixel's target is the mean of its valid pixels; it counts by the valid share of them
    (times their mean pixel weight), and is void where none is valid.

    Args:
        mixture: The loss of the main output. Its balance is used and does not learn.
        auxiliary: The outputs. With none the loss is 0.
        target: The main target, shape (batch, channel, *space), from 0 to 1.
        mask: As for the main output.
        pixel_weight: As for the main output.
        foreground: Channels whose union attention maps are compared with; by default all but the
            first of a multiclass target, and all of others.
        reduce: As for the main output.

    Returns:
        The sum of weight times loss; parts are named `auxiliary0.dice`, `attention1.dice`, by
        their place in the sequence. Add `total` to that of the main output.

    Raises:
        ShapeError: An output's size does not divide the target's, or its channels do not fit.
    """
    whole = Truth(target, mask, pixel_weight)
    total = torch.zeros((), device=target.device)
    parts: dict[str, Tensor] = {}
    factors: dict[str, Tensor] = {}
    for number, output in enumerate(auxiliary):
        if output.kind == "attention":
            if foreground is None:
                foreground = range(1 if mixture.target == "multiclass" else 0, target.shape[1])
            value = _attention_loss(output.values, whole, foreground, reduce)
        else:
            truth = shrink(whole, output.values.shape[2:])
            value = mixture(
                output.values,
                truth.target,
                mask=truth.mask,
                pixel_weight=truth.pixel_weight,
                reduce=reduce,
                is_auxiliary=True,
            )
        name = "attention" if output.kind == "attention" else "auxiliary"
        total = total + output.weight * value.total
        parts |= _renamed(value.parts, f"{name}{number}")
        factors |= {
            key: output.weight * factor
            for key, factor in _renamed(value.factors, f"{name}{number}").items()
        }
    return LossValue(total, parts, factors)


def shrink(truth: Truth, size: Sequence[int]) -> Truth:
    """Average a target down to a smaller size.

    Args:
        truth: The full-size target.
        size: Divides the target's size along every axis.

    Returns:
        The mean of the valid pixels, the valid share times mean weight as pixel weight, and a
        mask that is False where no pixel is valid. Any loss that is linear in the target gives
        for repeated logits and the full-size target what it gives for these.

    Raises:
        ShapeError: The size does not divide the target's.
    """
    given = tuple(truth.target.shape[2:])
    size = tuple(size)
    if len(given) != len(size) or any(
        small < 1 or large % small for large, small in zip(given, size, strict=True)
    ):
        raise ShapeError(
            f"an inner output of size {format_size(size)} does not divide the target's "
            f"{format_size(given)}: train with a patch that is a multiple of the total stride"
        )
    if size == given:
        return truth
    target = truth.target.to(torch.promote_types(truth.target.dtype, torch.float32))
    weight = truth.pixel_weight
    if truth.mask is not None:
        target = torch.where(truth.mask, target, 0)
        weight = truth.mask.to(target) if weight is None else torch.where(truth.mask, weight, 0)
    if weight is None:
        return Truth(_pool(target, size))
    pooled = _pool(weight.to(target), size)
    target = _pool(target * weight, size) / torch.where(pooled > 0, pooled, 1)
    return Truth(target, (pooled > 0).any(1, keepdim=True), pooled)


def _attention_loss(
    values: Tensor, truth: Truth, foreground: Sequence[int], reduce: Reduce | None
) -> LossValue:
    if values.shape[1] != 1:
        raise ShapeError(f"an attention map has one channel, got {values.shape[1]}: give logits?")
    target = truth.target[:, list(foreground)].amax(1, keepdim=True)
    weight = truth.pixel_weight
    if weight is not None and weight.shape[1] > 1:
        weight = weight[:, list(foreground)].amax(1, keepdim=True)
    small = shrink(Truth(target, truth.mask, weight), values.shape[2:])
    pixels = Pixels(
        values,
        small.target,
        activation="none",
        mask=small.mask,
        pixel_weight=small.pixel_weight,
        reduce=reduce,
    )
    value = overlap.dice(pixels)
    return LossValue(value, {"dice": value.detach()}, {"dice": torch.ones_like(value)})


def _pool(values: Tensor, size: Sequence[int]) -> Tensor:
    blocks: list[int] = []
    for large, small in zip(values.shape[2:], size, strict=True):
        blocks += [small, large // small]
    axes = tuple(range(3, 3 + 2 * len(size), 2))
    return values.reshape(*values.shape[:2], *blocks).mean(axes)


def _renamed(values: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    return {f"{name}.{key}": value for key, value in values.items()}
