"""Flips, right-angle turns and whole shifts: pixels change places, no value is computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ushape.sizes import Size

CPU_CHUNK_BYTES = 2**19
"""What is reversed at once on a CPU: stays in its cache, and in memory that is used again."""


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

    def reversed_axes(self, size: Size) -> tuple[int, ...] | None:
        """List the axes that are reversed, if a window of this size undergoes nothing else."""
        ordered = self.source == tuple(range(len(self.source)))
        first = tuple(n - 1 if s < 0 else 0 for n, s in zip(size, self.sign, strict=True))
        if not ordered or self.start != first:
            return None
        return tuple(axis for axis, sign in enumerate(self.sign) if sign < 0)


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


def follow_lattice(values: Tensor, lattice: Lattice, *, out: Tensor) -> None:
    """Pick the pixels; beyond the window its border is mirrored, the edge repeated.

    Args:
        values: (channel, *window).
        lattice: What `find_lattice` found.
        out: (channel, *patch_size), in other memory.
    """
    values = values.permute(0, *(axis + 1 for axis in lattice.source))
    backwards = []
    for axis, (start, sign) in enumerate(zip(lattice.start, lattice.sign, strict=True), start=1):
        length, count = values.shape[axis], out.shape[axis]
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
    if not backwards:
        out.copy_(values)
        return
    count = values.shape[1]
    for first, rows in _pieces(values, count):
        place = out.narrow(1, count - first - rows if 1 in backwards else first, rows)
        place.copy_(values.narrow(1, first, rows).flip(backwards))


def reverse(values: Tensor, axes: Sequence[int]) -> None:
    """Reverse axes in place.

    Args:
        values: (channel, *size).
        axes: Spatial axes, from 0; at least one.
    """
    dims = [axis + 1 for axis in axes]
    count = values.shape[1]
    if 1 not in dims:
        for first, rows in _pieces(values, count):
            part = values.narrow(1, first, rows)
            part.copy_(part.flip(dims))
        return
    # What lies at equal distances from the two ends changes places.
    for first, rows in _pieces(values, (count + 1) // 2):
        low, high = values.narrow(1, first, rows), values.narrow(1, count - first - rows, rows)
        kept = low.flip(dims)
        low.copy_(high.flip(dims))
        high.copy_(kept)


def _pieces(values: Tensor, count: int) -> list[tuple[int, int]]:
    """Divide the first rows into what is reversed at once: first row and rows of each piece."""
    some = count
    if values.device.type == "cpu":
        row_bytes = values.numel() * values.element_size() // values.shape[1]
        some = max(1, CPU_CHUNK_BYTES // row_bytes)
    return [(first, min(some, count - first)) for first in range(0, count, some)]


def outside_lattice(lattice: Lattice, patch_size: Size, window: Size) -> list[Tensor]:
    """Tell for each axis of the patch which of its pixels lie beyond the window: (size,) bool."""
    found = []
    for axis, count in enumerate(patch_size):
        index = lattice.start[axis] + lattice.sign[axis] * torch.arange(count)
        found.append((index < 0) | (index >= window[lattice.source[axis]]))
    return found
