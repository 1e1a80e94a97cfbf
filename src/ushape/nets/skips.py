"""How a decoder node joins earlier maps of its level with the map from below."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

import torch
from torch import Tensor

from ushape.nets.spec import Concatenate, Merge


def center_crop(x: Tensor, size: Sequence[int]) -> Tensor:
    """Return the middle of (N, C, *space) as a view of spatial size `size`.

    The surplus is even on every axis, see `geometry`.
    """
    for axis, wanted in enumerate(size, start=2):
        surplus = x.shape[axis] - wanted
        if surplus != 0:
            x = x.narrow(axis, surplus // 2, wanted)
    return x


def merge(kind: Merge, skips: Sequence[Tensor], enlarged: Tensor) -> Tensor:
    """Join skips and the enlarged map to one.

    Args:
        kind: How.
        skips: (N, C_k, *size_k), size_k at least the enlarged size.
        enlarged: (N, C, *size).

    Returns:
        (N, sum of C_k + C, *size).
    """
    size = enlarged.shape[2:]
    if isinstance(kind, Concatenate):
        return torch.cat([*(center_crop(skip, size) for skip in skips), enlarged], dim=1)
    assert_never(kind)
