"""Shapes of soft masks by moving maxima: border and skeleton, 2D and 3D.

A moving maximum knows its neighbours' places, so its gradient needs no stored indices, and does not
depend on the order in which a device adds (torch's own pooling is several times slower for windows
of three, and not deterministic in 3D). Pixels that are not valid have no part in any window, as if
they lay outside the image.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

_View = Callable[[Tensor], Tensor]


def border(mask: Tensor, valid: Tensor | None = None) -> Tensor:
    """Multiply the moving maxima of a mask and of its complement.

    Args:
        mask: Shape (batch, channel, *space), from 0 to 1.
        valid: Shape (batch, 1, *space), bool; by default every pixel is.
    """
    return dilate(mask, valid) * dilate(1 - mask, valid)


def skeleton(mask: Tensor, iterations: int, valid: Tensor | None = None) -> Tensor:
    """Thin a soft mask: collect what opening removes at each of `iterations` erosions.

    Args:
        mask: Shape (batch, channel, *space), from 0 to 1.
        iterations: At least the largest radius of the structures.
        valid: As in `border`.

    Returns:
        Same shape, from 0 to 1; without meaning where pixels are not valid.

    Source: Shit et al. 2021, Algorithm 1; windows as in the authors' code (erosion by a cross,
        dilation by a full window).
    """
    # The opening of one round is made of the erosion that the next round starts from.
    smaller = erode(mask, valid)
    found = F.relu(mask - dilate(smaller, valid))
    for _ in range(iterations):
        mask, smaller = smaller, erode(smaller, valid)
        removed = F.relu(mask - dilate(smaller, valid))
        found = found + F.relu(removed - found * removed)
    return found


def dilate(mask: Tensor, valid: Tensor | None = None) -> Tensor:
    """Take the maximum over windows of 3 along every axis."""
    mask = mask if valid is None else torch.where(valid, mask, 0)
    for axis in range(2, mask.ndim):
        mask = _maximum(mask, [axis])
    return mask


def erode(mask: Tensor, valid: Tensor | None = None) -> Tensor:
    """Take the minimum over the cross of a pixel and its neighbours by face."""
    mask = mask if valid is None else torch.where(valid, mask, 1)
    return -_maximum(-mask, range(2, mask.ndim))


def _maximum(values: Tensor, axes: Sequence[int]) -> Tensor:
    """Take the maximum of each element and its neighbours by one along each of the axes."""
    largest: Tensor = _MovingMaximum.apply(values, tuple(axes))  # type: ignore[no-untyped-call]
    return largest


class _MovingMaximum(torch.autograd.Function):
    """The maximum over a cross; the gradient goes to the first place that holds it.

    The element itself comes first, so that plateaus keep their own gradient.
    """

    @staticmethod
    def forward(ctx: Any, values: Tensor, axes: tuple[int, ...]) -> Tensor:
        largest = values.clone()
        for here, there in _neighbours(axes):
            part = here(largest)
            torch.maximum(part, there(values), out=part)
        ctx.axes = axes
        ctx.save_for_backward(values, largest)
        return largest

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        values, largest = ctx.saved_tensors
        is_held = values == largest
        is_open = ~is_held
        total = gradient * is_held
        for here, there in _neighbours(ctx.axes):
            is_held = here(is_open) & (there(values) == here(largest))
            there(total).add_(here(gradient) * is_held)
            here(is_open).logical_and_(~is_held)
        return total, None


def _neighbours(axes: Sequence[int]) -> Iterator[tuple[_View, _View]]:
    """List pairs of views: the elements that have a neighbour on one side, and the neighbours."""
    for axis in axes:
        first, last = partial(_without, axis=axis, start=0), partial(_without, axis=axis, start=1)
        yield last, first
        yield first, last


def _without(values: Tensor, *, axis: int, start: int) -> Tensor:
    return values.narrow(axis, start, values.shape[axis] - 1)
