"""A mixture of losses: what training calls on logits and target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from ushape.errors import ConfigError
from ushape.losses.balance import Balance
from ushape.losses.pixels import Activation, Pixels, Reduce
from ushape.losses.terms import Function

TargetKind = Literal["binary", "multiclass", "multilabel"]


@dataclass(frozen=True)
class LossValue:
    """A loss, and what it is made of (for the log).

    Attributes:
        total: What is minimised: the sum of factor times part.
        parts: Each term's own value before its factor, detached; `lines.dice` in a group.
        factors: What each part was multiplied by: the written factor times the group's weight,
            and the correction of the balance.
    """

    total: Tensor
    parts: Mapping[str, Tensor]
    factors: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class MixtureTerm:
    """One term, ready to be called.

    Attributes:
        name: For the log.
        factor: The written factor times the group's weight.
        channels: What it sees of the logits.
        function: The loss.
    """

    name: str
    factor: float
    channels: tuple[int, ...]
    function: Function


class Mixture:
    """A sum of weighted losses, callable on logits and a target of the same shape.

    Under data-parallel training pass `reduce`: a function that takes a small tensor and returns
    its sum over all processes, differentiably. The sums of every term go through it before they
    are divided, so each process computes the loss of the whole batch, the same number everywhere.

    What this means for gradients: data-parallel training averages the processes' gradients, it
    divides their sum by the number of processes W. Let the backward of `reduce` add the incoming
    gradients over the processes too (an autograd function that calls `all_reduce` both ways).
    Every process then holds W times the gradient of its own pixels, and the average is exactly
    the gradient of one process with the whole batch: nothing is to be rescaled. A `reduce` that
    hands the gradient through unchanged needs `W * total.backward()` instead. All processes must
    call the mixture equally often.

    Attributes:
        terms: What is summed.
        target: The kind of target; it chooses between softmax and sigmoid.
    """

    def __init__(
        self, terms: Sequence[MixtureTerm], *, target: TargetKind, is_balanced: bool = False
    ) -> None:
        self.terms = tuple(terms)
        self.target = target
        self._balance = Balance([term.name for term in self.terms]) if is_balanced else None

    def __call__(
        self,
        logits: Tensor,
        target: Tensor,
        *,
        mask: Tensor | None = None,
        pixel_weight: Tensor | None = None,
        reduce: Reduce | None = None,
        is_auxiliary: bool = False,
    ) -> LossValue:
        """Compute the loss.

        A balance learns from every call with gradients enabled.

        Args:
            logits: Shape (batch, channel, *space), any float type.
            target: Same shape, from 0 to 1.
            mask: Shape (batch, 1, *space), bool; False marks void pixels, which count in no term
                and have a gradient of zero.
            pixel_weight: Shape (batch, 1 or channel, *space).
            reduce: See the class; by default there is one process.
            is_auxiliary: These are not the main logits: a balance is used but does not learn.

        Raises:
            ShapeError: The shapes do not fit.
        """
        activation: Activation = "softmax" if self.target == "multiclass" else "sigmoid"
        pixels = Pixels(
            logits,
            target,
            activation=activation,
            mask=mask,
            pixel_weight=pixel_weight,
            reduce=reduce,
        )
        views = {
            channels: pixels.select(channels)
            for channels in dict.fromkeys(term.channels for term in self.terms)
        }
        values = torch.stack([term.function(views[term.channels]) for term in self.terms])
        factors = values.new_tensor([term.factor for term in self.terms])
        found = values.detach()
        if self._balance is not None:
            is_learning = torch.is_grad_enabled() and not is_auxiliary
            factors = self._balance.factors(found, factors, is_learning=is_learning)
        names = [term.name for term in self.terms]
        return LossValue(
            (factors * values).sum(),
            dict(zip(names, found, strict=True)),
            dict(zip(names, factors, strict=True)),
        )

    def state(self) -> dict[str, Tensor]:
        """Return what the balance has learnt, to save; empty without a balance."""
        return {} if self._balance is None else self._balance.state()

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Take over what `state` returned.

        Raises:
            ConfigError: It is the state of another mixture.
        """
        if self._balance is not None:
            self._balance.load_state(state)
        elif state:
            raise ConfigError(
                "the saved run balanced its loss, this one does not: set balance: auto to resume"
            )
