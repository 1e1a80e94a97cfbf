"""Flips, right-angle turns and whole shifts: pixels change places, no value is computed."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ushape.sizes import Size


@dataclass(frozen=True)
class Lattice:
    """Which pixels of a window make the patch.

    Attributes:
        source: For each axis of the patch, the axis of the window that it runs along.
        start: For each axis of the patch, the window's index at its first pixel.
        sign: 1 or -1 for each axis of the patch: the direction.
    """

    source: tuple[int, ...]
    start: tuple[int, ...]
    sign: tuple[int, ...]

    @property
    def is_view(self) -> bool:
        """Whether no axis is reversed, so that following it may give a view."""
        return min(self.sign) > 0

    @property
    def is_identity(self) -> bool:
        """Whether the patch is the window's beginning, every axis in its place."""
        ordered = self.source == tuple(range(len(self.source)))
        return ordered and self.is_view and not any(self.start)


def find_lattice(
    matrix: list[list[float]], shift: list[float], patch_size: Size, window: Size
) -> Lattice | None:
    """Describe a transform that maps pixels onto pixels; None where values must be interpolated.

    Args:
        matrix: (d, d), see `Augmentation`.
        shift: (d,).
        patch_size: Size of the patch.
        window: Size of the window.
    """
    dims = len(matrix)
    source, start, sign = [0] * dims, [0] * dims, [0] * dims
    for axis, row in enumerate(matrix):
        used = [b for b in range(dims) if abs(row[b]) > 1e-6]
        if len(used) != 1 or abs(abs(row[used[0]]) - 1) > 1e-6:
            return None
        other = used[0]
        step = 1 if row[other] > 0 else -1
        first = (window[axis] - 1) / 2 + shift[axis] - step * (patch_size[other] - 1) / 2
        if abs(first - round(first)) > 1e-6 or sign[other] != 0:
            return None
        source[other], start[other], sign[other] = axis, round(first), step
    return Lattice(tuple(source), tuple(start), tuple(sign))


def follow_lattice(values: Tensor, lattice: Lattice, patch_size: Size) -> Tensor:
    """Pick the pixels; beyond the window its border is mirrored, the edge repeated.

    Args:
        values: (channel, *window).

    Returns:
        (channel, *patch_size), a view where that is possible.
    """
    values = values.permute(0, *(axis + 1 for axis in lattice.source))
    backwards = []
    for axis, (start, sign, count) in enumerate(
        zip(lattice.start, lattice.sign, patch_size, strict=True), start=1
    ):
        length = values.shape[axis]
        low = min(start, start + sign * (count - 1))
        if low >= 0 and low + count <= length:
            values = values.narrow(axis, low, count)
            if sign < 0:
                backwards.append(axis)
        else:
            index = start + sign * torch.arange(count, device=values.device)
            index = index.remainder(2 * length)
            index = torch.minimum(index, 2 * length - 1 - index)
            values = values.index_select(axis, index)
    return values.flip(backwards) if backwards else values


def outside_lattice(lattice: Lattice, patch_size: Size, window: Size) -> list[Tensor]:
    """Tell for each axis of the patch which of its pixels lie beyond the window: (size,) bool."""
    found = []
    for axis, count in enumerate(patch_size):
        index = lattice.start[axis] + lattice.sign[axis] * torch.arange(count)
        found.append((index < 0) | (index >= window[lattice.source[axis]]))
    return found
