"""The formulas that average over pixels: bce, ce, focal.

All take `Pixels`, which hold logits, target, void pixels and pixel weights, and return a scalar
that is finite, with a finite gradient, for any finite logits. A mean is a sum and a count, both
added over all processes by `pixels.reduce` before the division: exact however a batch is split.

With the softmax, `bce` and `focal` ask of each class whether it is that one or any other: their
logit is the margin x_k - log(sum of exp x_j over j != k), whose sigmoid is the softmax.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ushape.errors import ShapeError
from ushape.losses.pixels import Pixels


def bce(
    pixels: Pixels, *, weight: Tensor | None = None, class_weight: Tensor | None = None
) -> Tensor:
    """Measure the binary cross-entropy of every class, averaged over all pixels and classes.

    l = -(weight t log p + (1 - t) log(1 - p))

    Args:
        pixels: Logits and target.
        weight: Factor of the positive pixels of each class, shape (class,).
        class_weight: Weight of each class in the mean, shape (class,).

    Returns:
        A non-negative scalar; 0 where no pixel counts.
    """
    factor = None if weight is None else _per_class(weight, pixels.target)
    values = F.binary_cross_entropy_with_logits(
        pixels.margins, pixels.target, pos_weight=factor, reduction="none"
    )
    return _mean(pixels, values, class_weight)


def focal(
    pixels: Pixels,
    *,
    alpha: Tensor | float = 0.25,
    gamma: float = 2.0,
    class_weight: Tensor | None = None,
) -> Tensor:
    """Measure the binary cross-entropy of every class with easy pixels turned down.

    l = -(alpha t (1 - p)^gamma log p + (1 - alpha) (1 - t) p^gamma log(1 - p))

    Args:
        pixels: Logits and target.
        alpha: Weight of the positive pixels, from 0 to 1, one number or one a class. Between two
            classes of a softmax one number has no effect: a positive of one is a negative of the
            other.
        gamma: How fast a pixel counts less as it is answered better; 0 is bce.
        class_weight: Weight of each class in the mean, shape (class,).

    Returns:
        A non-negative scalar; 0 where no pixel counts.

    Source: Lin et al. 2017, Eq. 5.
    """
    log_yes, log_no = F.logsigmoid(pixels.margins), F.logsigmoid(-pixels.margins)
    if isinstance(alpha, Tensor):
        alpha = _per_class(alpha, pixels.target)
    # exp(gamma log p), not p^gamma: its slope is finite where p underflows.
    missed = alpha * pixels.target * torch.exp(gamma * log_no) * log_yes
    false = (1 - alpha) * (1 - pixels.target) * torch.exp(gamma * log_yes) * log_no
    return _mean(pixels, -(missed + false), class_weight)


def ce(pixels: Pixels, *, weight: Tensor | None = None) -> Tensor:
    """Measure the softmax cross-entropy, averaged over all pixels by their class weight.

    L = -sum(weight_k t_k log p_k) / sum(weight_k t_k)

    Args:
        pixels: Logits of two channels or more under the softmax, target one-hot (or graded).
        weight: Factor of each class, shape (class,).

    Returns:
        A non-negative scalar; 0 where no pixel counts.

    Raises:
        ShapeError: The activation is not the softmax; `bce` is the loss for it.
    """
    if pixels.scores.activation != "softmax":
        raise ShapeError(
            "loss ce needs two channels or more that exclude each other: "
            "use bce for one channel or for classes that overlap"
        )
    counted = pixels.weighted(pixels.target)
    if weight is not None:
        counted = counted * _per_class(weight, counted)
    return _ratio(pixels, -(counted * pixels.log_probabilities).sum(), counted.sum())


def _mean(pixels: Pixels, values: Tensor, class_weight: Tensor | None) -> Tensor:
    """Average over pixels and classes, by pixel weight and class weight."""
    if pixels.weight is None and class_weight is None:
        return _ratio(pixels, values.sum(), values.new_full((), values.numel()))
    counted = torch.ones_like(values[:1]) if pixels.weight is None else pixels.weight
    counted = counted.expand_as(values)
    if class_weight is not None:
        counted = counted * _per_class(class_weight, values)
    return _ratio(pixels, (values * counted).sum(), counted.sum())


def _ratio(pixels: Pixels, value: Tensor, count: Tensor) -> Tensor:
    value, count = pixels.reduce(torch.stack([value, count]))
    return value / torch.where(count > 0, count, 1)


def _per_class(weight: Tensor, like: Tensor) -> Tensor:
    return weight.to(like).view(-1, *(1,) * (like.ndim - 2))
