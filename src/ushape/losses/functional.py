"""The formulas: losses on logits, one function each.

All take `logits` and `target` of the same shape (batch, channel, *space). `target` holds 0 or 1
(one-hot over the channels for multi-class). With one channel the activation is the sigmoid, with
more it is stated at the function. Everything is computed in float32, whatever the input, also
under autocast; for finite logits every value and gradient is finite.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ushape.errors import ShapeError

SMALLEST_SMOOTH = 1e-6
"""Stands in for a smaller `smooth`, which would make 0 / 0 of an empty class predicted empty."""


def probabilities(logits: Tensor) -> Tensor:
    """Turn logits into probabilities: sigmoid for one channel, softmax over several.

    Args:
        logits: Shape (batch, channel, *space).

    Returns:
        Same shape, float32.
    """
    logits = logits.float()
    return torch.sigmoid(logits) if logits.shape[1] == 1 else torch.softmax(logits, dim=1)


def dice(
    logits: Tensor,
    target: Tensor,
    *,
    smooth: float = 1.0,
    is_squared: bool = False,
    per_image: bool = False,
    with_background: bool = True,
) -> Tensor:
    """Measure one minus the soft Dice overlap, averaged over the classes.

    Args:
        logits: Shape (batch, channel, *space).
        target: Same shape, 0 or 1.
        smooth: Added above and below the fraction; it makes the loss 0 for an empty class that
            is predicted empty, and keeps the gradient finite.
        is_squared: Square probabilities and target in the denominator, as in V-Net.
        per_image: One fraction an image instead of one over the whole batch. Over the batch is
            steadier for small objects.
        with_background: Count channel 0 of a multi-class output too.

    Returns:
        A scalar in [0, 1].

    Source: Milletari et al. 2016, section 3 (squared); Drozdzal et al. 2016 (plain).
    """
    _check(logits, target)
    predicted, target = probabilities(logits), target.float()
    if not with_background and logits.shape[1] > 1:
        predicted, target = predicted[:, 1:], target[:, 1:]
    axes = tuple(range(2, logits.ndim)) if per_image else (0, *range(2, logits.ndim))
    smooth = max(smooth, SMALLEST_SMOOTH)
    overlap = (predicted * target).sum(axes)
    if is_squared:
        size = predicted.square().sum(axes) + target.square().sum(axes)
    else:
        size = predicted.sum(axes) + target.sum(axes)
    return (1 - (2 * overlap + smooth) / (size + smooth)).mean()


def bce(logits: Tensor, target: Tensor, *, weight: Tensor | None = None) -> Tensor:
    """Measure the binary cross-entropy of every channel by itself, averaged over all pixels.

    Args:
        logits: Shape (batch, channel, *space); the activation is the sigmoid for every channel.
        target: Same shape, 0 or 1.
        weight: Factor of the positive pixels of each channel, shape (channel,).

    Returns:
        A non-negative scalar.
    """
    _check(logits, target)
    if weight is not None:
        weight = weight.to(logits.device).view(-1, *(1,) * (logits.ndim - 2))
    with torch.autocast(logits.device.type, enabled=False):
        return F.binary_cross_entropy_with_logits(logits.float(), target.float(), pos_weight=weight)


def ce(logits: Tensor, target: Tensor, *, weight: Tensor | None = None) -> Tensor:
    """Measure the softmax cross-entropy, averaged over all pixels by their class weight.

    Args:
        logits: Shape (batch, channel, *space), two channels or more.
        target: Same shape, one-hot.
        weight: Factor of each class, shape (channel,).

    Returns:
        A non-negative scalar.

    Raises:
        ShapeError: There is one channel only; `bce` is the loss for it.
    """
    _check(logits, target)
    if logits.shape[1] < 2:
        raise ShapeError("loss ce needs two channels or more, got 1: use bce for a binary target")
    log_probability = torch.log_softmax(logits.float(), dim=1)
    target = target.float()
    if weight is not None:
        target = target * weight.to(logits.device).view(-1, *(1,) * (logits.ndim - 2))
    return -(target * log_probability).sum() / target.sum().clamp_min(1e-6)


def _check(logits: Tensor, target: Tensor) -> None:
    if logits.shape != target.shape:
        raise ShapeError(
            f"logits {tuple(logits.shape)} and target {tuple(target.shape)} differ in shape: "
            "give the target one-hot, cropped to the network's output size"
        )
