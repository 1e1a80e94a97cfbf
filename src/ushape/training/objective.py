"""What training minimises: the loss of the classes, and that of graded lines beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ushape.config.schema import LinesConfig, RunConfig
from ushape.labels import LabelTable
from ushape.losses import AuxiliaryOutput, LossValue, Mixture, auxiliary_loss, build_loss
from ushape.losses.pixels import Reduce
from ushape.nets import NetworkSpec
from ushape.nets.network import Output
from ushape.nets.parts import AttentionMap, NodeHead
from ushape.training.batch import Batch

GRADED = "graded"
"""Begins the names of the parts that graded lines add to a loss."""


class Objective:
    """Callable on a network's output and a batch.

    Attributes:
        classes: The loss of the logit channels that tell classes.
        lines: The loss of the channels behind them, if there are any.
        line_weight: What that is multiplied by.
    """

    def __init__(
        self, classes: Mixture, lines: Mixture | None = None, *, line_weight: float = 1.0
    ) -> None:
        self.classes, self.lines, self.line_weight = classes, lines, line_weight

    def __call__(
        self,
        output: Output,
        spec: NetworkSpec,
        batch: Batch,
        *,
        reduce: Reduce | None = None,
    ) -> LossValue:
        """Compute the loss of a batch; the total is the sum of factor times part.

        Args:
            output: The network's.
            spec: The network's.
            batch: What it saw; with several processes, this one's share.
            reduce: Adds sums over all processes (`Mixture` says how), so that each computes the
                loss of the whole batch.
        """
        count = batch.target.shape[1]
        value = total_loss(
            self.classes,
            _channels(output, spec, slice(count)),
            spec,
            batch.target,
            mask=batch.mask,
            pixel_weight=batch.weight,
            reduce=reduce,
        )
        if self.lines is None or batch.graded is None:
            return value
        extra = total_loss(
            self.lines,
            _channels(output, spec, slice(count, None), has_maps=False),
            spec,
            batch.graded,
            mask=batch.mask,
            pixel_weight=batch.weight,
            reduce=reduce,
        )
        factors = {name: self.line_weight * factor for name, factor in extra.factors.items()}
        return LossValue(
            value.total + self.line_weight * extra.total,
            {**value.parts, **_renamed(extra.parts)},
            {**value.factors, **_renamed(factors)},
        )

    def state(self) -> dict[str, Tensor]:
        """Return what balances have learnt, to save."""
        return {**self.classes.state(), **_renamed(self.lines.state() if self.lines else {})}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Take over what `state` returned.

        Raises:
            ConfigError: It is the state of another loss.
        """
        begin = f"{GRADED}."
        graded = {k.removeprefix(begin): v for k, v in state.items() if k.startswith(begin)}
        self.classes.load_state({k: v for k, v in state.items() if not k.startswith(begin)})
        if self.lines is not None:
            self.lines.load_state(graded)


def build_objective(
    config: RunConfig, labels: LabelTable, class_fractions: Sequence[float]
) -> Objective:
    """Make the loss of a run.

    Args:
        config: All settings.
        labels: The classes.
        class_fractions: Share of pixels of each logit channel's class, for `weight=auto`.

    Raises:
        ConfigError: The loss does not fit the classes.
    """
    classes = build_loss(
        config.loss,
        num_logits=labels.num_logits,
        class_fractions=class_fractions,
        class_names=labels.logit_names,
        target=labels.target,
        balance=config.balance,
    )
    lines = config.lines
    if not lines.num_extra:
        return Objective(classes)
    shares = [class_fractions[labels.logit_names.index(name)] for name in lines.classes]
    graded = build_loss(
        lines.loss,
        num_logits=lines.num_extra,
        class_fractions=[share for share in shares for _ in lines.sigma],
        class_names=extra_names(lines),
        target="multilabel",
        balance=config.balance,
        place="lines.loss",
    )
    return Objective(classes, graded, line_weight=lines.weight)


def extra_names(lines: LinesConfig) -> list[str]:
    """Name the channels of blurred lines."""
    return [f"{name} blurred by {sigma:g}" for name in lines.classes for sigma in lines.sigma]


def total_loss(
    loss: Mixture,
    output: Output,
    spec: NetworkSpec,
    target: Tensor,
    *,
    mask: Tensor | None = None,
    pixel_weight: Tensor | None = None,
    reduce: Reduce | None = None,
) -> LossValue:
    """Add the losses of a network's inner outputs to that of its logits.

    Logits of an inner node count by the size of its pixels, 2^-level, and the weights of all
    logits add up to 1: the mean over the heads of a U-Net++ (Zhou et al. 2018, Eq. 1), halving
    from level to level in others (Isensee et al. 2021). Attention maps add the mean of their
    losses (Wang et al. 2019, Eq. 2).

    Args:
        loss: Of the logits.
        output: The network's, for a batch.
        spec: The network's; without attention maps where the output has none.
        target: (batch, logit channel, *output size).
        mask: (batch, 1, *output size), False where void.
        pixel_weight: (batch, 1, *output size).
        reduce: Adds sums over all processes (`Mixture` says how).

    Returns:
        The total; it is the sum of factor times part.
    """
    value = loss(output.logits, target, mask=mask, pixel_weight=pixel_weight, reduce=reduce)
    inner = [(kind, x) for kind, x in zip(spec.auxiliary, output.auxiliary, strict=True)]
    heads = [(0.5 ** spec.node(kind.node).level, x) for kind, x in inner if type(kind) is NodeHead]
    maps = [x for kind, x in inner if type(kind) is AttentionMap and x.numel()]
    if not heads and not maps:
        return value
    share = 1 / (1 + sum(weight for weight, _ in heads))
    auxiliary = [AuxiliaryOutput(x, "logits", weight * share) for weight, x in heads]
    auxiliary += [
        AuxiliaryOutput(torch.sigmoid(x.float()), "attention", 1 / len(maps)) for x in maps
    ]
    extra = auxiliary_loss(
        loss, auxiliary, target, mask=mask, pixel_weight=pixel_weight, reduce=reduce
    )
    return LossValue(
        share * value.total + extra.total,
        {**value.parts, **extra.parts},
        {**{name: share * factor for name, factor in value.factors.items()}, **extra.factors},
    )


def _channels(output: Output, spec: NetworkSpec, chosen: slice, *, has_maps: bool = True) -> Output:
    """Take some channels of all logits; attention maps are kept whole, or left out."""
    auxiliary = tuple(
        x if isinstance(kind, AttentionMap) and has_maps else x[:, chosen]
        for kind, x in zip(spec.auxiliary, output.auxiliary, strict=True)
    )
    return Output(output.logits[:, chosen], auxiliary)


def _renamed(values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"{GRADED}.{name}": value for name, value in values.items()}
