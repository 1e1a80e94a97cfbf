"""Where in the window the pixels of one patch come from, block by block."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ushape.data.augment.draw import Augmentation
from ushape.data.augment.separable import CUBIC_REACH, contract_leading, cubic_weights
from ushape.sizes import Size

CPU_BLOCK_PIXELS = 2**17
CPU_BLOCK_EDGE = 64
"""Pixels, and edge of volumes, that are worked on at once on a CPU.

What a block computes and what it reads then stay in the cache (a core's own megabyte), however
the patch is turned.
"""

Block = tuple[slice, ...]


@dataclass(frozen=True)
class Warp:
    """The spatial transform of one patch; every tensor is on the device of the images.

    Attributes:
        patch_size: Size of the patch.
        window: Size of the window.
        centre: (d,) position in the window of the patch's centre.
        columns: For each axis of the patch, its pixels' part of the position: (d, size).
        displacement: (d, *control points), or None.
        slice_shift: (d, 1 or slices ...), or None.
        reach: Farthest distance from the window's centre, for each axis: a bound, pixels.
    """

    patch_size: Size
    window: Size
    columns: tuple[Tensor, ...]
    displacement: Tensor | None
    slice_shift: Tensor | None
    reach: tuple[float, ...]

    @property
    def leaves_window(self) -> bool:
        """Whether some pixel may come from beyond the centres of the window's border pixels."""
        return any(far > (size - 1) / 2 for far, size in zip(self.reach, self.window, strict=True))

    def blocks(self, device: torch.device) -> list[Block]:
        """Divide the patch into what is worked on at once."""
        edges = list(self.patch_size)
        if device.type == "cpu":
            if len(edges) == 3:
                edges[1:] = [min(edge, CPU_BLOCK_EDGE) for edge in edges[1:]]
            edges[0] = max(1, min(edges[0], CPU_BLOCK_PIXELS // math.prod(edges[1:])))
        ranges = [
            [slice(first, min(first + edge, size)) for first in range(0, size, edge)]
            for edge, size in zip(edges, self.patch_size, strict=True)
        ]
        return list(itertools.product(*ranges))


def build_warp(
    augmentation: Augmentation, patch: int, patch_size: Size, window: Size, device: torch.device
) -> Warp:
    """Prepare the transform of one patch of the batch."""
    matrix = augmentation.matrix[patch].double()
    shift = augmentation.shift[patch].double()
    displacement = augmentation.displacement[patch]
    slice_shift = augmentation.slice_shift[patch]
    centre = (torch.tensor(window, dtype=torch.float64) - 1) / 2 + shift
    half = (torch.tensor(patch_size, dtype=torch.float64) - 1) / 2
    columns = []
    for axis, size in enumerate(patch_size):
        offset = torch.arange(size, dtype=torch.float64) - half[axis]
        part = matrix[:, axis : axis + 1] * offset
        if axis == 0:
            part = part + centre.unsqueeze(1)
        columns.append(part.float().to(device))
    dims = len(patch_size)
    reach = shift.abs() + matrix.abs() @ half
    reach = reach + displacement.abs().flatten(1).amax(1) * CUBIC_REACH**dims
    reach = reach + slice_shift.abs().flatten(1).amax(1)
    return Warp(
        patch_size,
        window,
        tuple(columns),
        displacement.to(device) if bool(displacement.any()) else None,
        slice_shift.to(device) if bool(slice_shift.any()) else None,
        tuple(reach.tolist()),
    )


def block_coordinates(warp: Warp, block: Block) -> Tensor:
    """Compute the positions for one block of the patch.

    Returns:
        (d, *block size): index positions in the window, not yet mirrored.
    """
    dims = len(warp.patch_size)
    columns = [
        column[:, part].reshape(dims, *(-1 if a == axis else 1 for a in range(dims)))
        for axis, (column, part) in enumerate(zip(warp.columns, block, strict=True))
    ]
    leading, trailing = sum(columns[1:-1], columns[0]), columns[-1]
    if warp.slice_shift is not None:
        slide = warp.slice_shift
        axis = max(range(dims), key=lambda a: slide.shape[a + 1])
        slide = slide.narrow(axis + 1, block[axis].start, block[axis].stop - block[axis].start)
        if axis == dims - 1:
            trailing = trailing + slide
        else:
            leading = leading + slide
    coordinates = leading + trailing
    if warp.displacement is not None:
        _displace(coordinates, warp.displacement, warp.patch_size, block)
    return coordinates


def _displace(coordinates: Tensor, controls: Tensor, patch_size: Size, block: Block) -> None:
    """Add the elastic offsets: the last axis is one matrix product onto the coordinates."""
    dims = len(patch_size)
    weights = [
        cubic_weights(size, count).to(controls.device)[part]
        for size, count, part in zip(patch_size, controls.shape[1:], block, strict=True)
    ]
    rows = contract_leading(controls, weights[:-1])
    flat = coordinates.view(dims, -1, coordinates.shape[-1])
    flat.baddbmm_(rows.reshape(dims, flat.shape[1], -1), weights[-1].T.expand(dims, -1, -1))


def mirror(coordinates: Tensor, warp: Warp) -> None:
    """Mirror positions beyond the window back into it, in place; the edge pixel is repeated."""
    for position, size, far in zip(coordinates, warp.window, warp.reach, strict=True):
        if far <= (size - 1) / 2:
            continue
        position.add_(0.5)
        if far > 1.5 * size - 1:
            position.remainder_(2 * size)
        # |x| mirrors at the lower edge, size - |size - x| at the upper one.
        position.abs_().sub_(size).abs_().neg_().add_(size - 0.5).clamp_(0, size - 1)


def find_outside(coordinates: Tensor, window: Size) -> Tensor:
    """Tell which positions lie outside the window: (*block size) bool."""
    outside = torch.zeros(coordinates.shape[1:], dtype=torch.bool, device=coordinates.device)
    for position, size in zip(coordinates, window, strict=True):
        outside |= (position < -0.5) | (position > size - 0.5)
    return outside
