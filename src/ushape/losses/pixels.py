"""What a loss looks at: activated logits, the target, and how much every pixel counts.

A `Pixels` is made once a step. Losses that share it share its softmax, and its choice of channels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from ushape.errors import ShapeError

Activation = Literal["sigmoid", "softmax", "none"]
Reduce = Callable[[Tensor], Tensor]

LARGEST_LOGIT = 1e20
"""Larger finite logits are computed as this, with gradient 0: sums of them would overflow."""


def identity(sums: Tensor) -> Tensor:
    """Return sums unchanged: the `reduce` of a single process."""
    return sums


class Scores:
    """Logits read as probabilities, each form computed when it is first asked for.

    Args:
        logits: Shape (batch, channel, *space), in working precision.
        activation: `softmax` over the channels, `sigmoid` of each, or `none` for maps that are
            probabilities already, which losses on regions take.
    """

    def __init__(self, logits: Tensor, activation: Activation) -> None:
        self.logits = logits
        self.activation = activation

    @cached_property
    def probabilities(self) -> Tensor:
        """Probability of each class."""
        if self.activation == "softmax":
            return torch.softmax(self.logits, dim=1)
        return self.logits if self.activation == "none" else torch.sigmoid(self.logits)

    @cached_property
    def log_probabilities(self) -> Tensor:
        """Logarithm of the probabilities, exact where they underflow."""
        assert self.activation != "none", "the logarithm of 0 is not finite"
        if self.activation == "softmax":
            return torch.log_softmax(self.logits, dim=1)
        return F.logsigmoid(self.logits)

    @cached_property
    def margins(self) -> Tensor:
        """Logit of each class against all others: its sigmoid is the class's probability.

        For the softmax it is log p_k - log(1 - p_k), and 1 - p_k is summed over the other classes
        for the largest one, where the difference would cancel.
        """
        assert self.activation != "none", "the logit of 0 is not finite"
        if self.activation == "sigmoid":
            return self.logits
        log_p = self.log_probabilities
        is_top = torch.zeros_like(log_p, dtype=torch.bool)
        is_top.scatter_(1, log_p.detach().argmax(1, keepdim=True), value=True)
        others = torch.log1p(-log_p.exp().masked_fill(is_top, 0))  # of at most 1/2: exact
        beside_top = torch.logsumexp(log_p.masked_fill(is_top, -torch.inf), 1, keepdim=True)
        return log_p - torch.where(is_top, beside_top, others)


class Pixels:
    """Logits and target of a batch, with what counts of it.

    Everything is computed in float32, in float64 where the logits are. Void pixels have no part in
    any value, and a gradient of exactly zero.

    Args:
        logits: Shape (batch, channel, *space), any float type.
        target: Same shape, from 0 to 1: one-hot, overlapping or graded.
        activation: As in `Scores`; by default sigmoid for one channel, else softmax.
        mask: Shape (batch, 1, *space), bool; False marks void pixels.
        pixel_weight: Shape (batch, 1 or channel, *space), not negative.
        reduce: Adds a small tensor of sums over all processes (`Mixture` says how).

    Raises:
        ShapeError: The shapes do not fit.
    """

    def __init__(
        self,
        logits: Tensor,
        target: Tensor,
        *,
        activation: Activation | None = None,
        mask: Tensor | None = None,
        pixel_weight: Tensor | None = None,
        reduce: Reduce | None = None,
    ) -> None:
        _check(logits, target, mask, pixel_weight)
        precision = torch.promote_types(logits.dtype, torch.float32)
        logits, target = logits.to(precision), target.to(precision)
        # The product is 0 for finite logits; infinite ones must not look finite.
        logits = logits.clamp(-LARGEST_LOGIT, LARGEST_LOGIT) + 0 * logits
        if mask is not None:
            logits, target = torch.where(mask, logits, 0), torch.where(mask, target, 0)
        softmax_fits = logits.shape[1] > 1
        self.scores = Scores(logits, activation or ("softmax" if softmax_fits else "sigmoid"))
        self.target = target
        self.mask = mask
        self.weight = _combine(mask, pixel_weight, precision)
        self.reduce: Reduce = reduce or identity
        self._channels: list[int] | slice | None = None

    def select(self, channels: Sequence[int]) -> Pixels:
        """Keep some channels; probabilities stay those among all channels."""
        chosen = list(channels)
        if chosen == list(range(self.target.shape[1])):
            return self
        assert self._channels is None, "channels are selected once"
        view = Pixels.__new__(Pixels)
        view.scores, view.mask, view.reduce = self.scores, self.mask, self.reduce
        is_run = chosen == list(range(chosen[0], chosen[0] + len(chosen)))
        view._channels = slice(chosen[0], chosen[0] + len(chosen)) if is_run else chosen
        view.target = view._chosen(self.target)
        view.weight = self.weight
        if self.weight is not None and self.weight.shape[1] > 1:
            view.weight = view._chosen(self.weight)
        return view

    @cached_property
    def probabilities(self) -> Tensor:
        """Probability of each class, shape of the target."""
        return self._chosen(self.scores.probabilities)

    @cached_property
    def log_probabilities(self) -> Tensor:
        """Logarithm of the probability of each class, shape of the target."""
        return self._chosen(self.scores.log_probabilities)

    @cached_property
    def margins(self) -> Tensor:
        """Logit of each class against all others, shape of the target."""
        return self._chosen(self.scores.margins)

    def weighted(self, values: Tensor) -> Tensor:
        """Multiply values by what each pixel counts."""
        return values if self.weight is None else values * self.weight

    def _chosen(self, values: Tensor) -> Tensor:
        return values if self._channels is None else values[:, self._channels]


def _combine(mask: Tensor | None, weight: Tensor | None, precision: torch.dtype) -> Tensor | None:
    if weight is None:
        return None if mask is None else mask.to(precision)
    weight = weight.to(precision)
    return weight if mask is None else torch.where(mask, weight, 0)


def _check(
    logits: Tensor, target: Tensor, mask: Tensor | None, pixel_weight: Tensor | None
) -> None:
    if logits.shape != target.shape:
        raise ShapeError(
            f"logits {tuple(logits.shape)} and target {tuple(target.shape)} differ in shape: "
            "give the target one-hot, cropped to the network's output size"
        )
    one = (logits.shape[0], 1, *logits.shape[2:])
    if mask is not None and (tuple(mask.shape) != one or mask.dtype != torch.bool):
        raise ShapeError(f"mask {tuple(mask.shape)} {mask.dtype}: give {one} torch.bool")
    if pixel_weight is not None and tuple(pixel_weight.shape) not in (one, tuple(logits.shape)):
        raise ShapeError(
            f"pixel weights {tuple(pixel_weight.shape)}: give {one} or {tuple(logits.shape)}"
        )
