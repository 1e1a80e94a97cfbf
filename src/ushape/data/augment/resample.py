"""Read values at positions between pixels: linearly, or the nearest one.

On a CPU torch samples planes with vector instructions and volumes without, thirty times slower.
So a volume is read there as one tall picture, all planes on top of each other, with the next plane
as its second channel: one planar sampling gives both neighbours in z, and a linear step between
them is the exact trilinear value (to 2^-24 of the height, a thousandth of a pixel at 128 planes).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ushape.sizes import Size


class Sampler:
    """Reads at the positions of one block, for any number of images of one window.

    Args:
        coordinates: (d, *block size) inside the window. Overwritten.
        window: Size of the images.
        keep_nearest: Also prepare for `read_nearest`.
    """

    def __init__(self, coordinates: Tensor, window: Size, *, keep_nearest: bool) -> None:
        self._shape = coordinates.shape[1:]
        self._index = _nearest_index(coordinates, window) if keep_nearest else None
        self._is_tall = is_tall(window, coordinates.device)
        if self._is_tall:
            z, y, x = coordinates
            below = z.floor().clamp_(0, window[0] - 2)
            self._step = z.sub_(below)
            y.add_(below, alpha=window[1] + 1)
            grid = torch.empty((z.shape[0], 2, *z.shape[1:]))
            _to_unit_range(x, window[2], grid[:, 0])
            _to_unit_range(y, (window[0] - 1) * (window[1] + 1), grid[:, 1])
            self._grid = grid.permute(0, 2, 3, 1)
        else:
            grid = torch.empty_like(coordinates)
            for axis, size in enumerate(window):
                _to_unit_range(coordinates[axis], size, grid[len(window) - 1 - axis])
            self._grid = _share_out(grid.movedim(0, -1).unsqueeze(0))

    def read(self, image: Tensor, *, out: Tensor | None = None) -> Tensor:
        """Read one image that `prepare` made ready; returns (*block size), float32."""
        parts = self._grid.shape[0]
        if not self._is_tall:
            found = _grid_sample(image.expand(parts, 1, *image.shape), self._grid)
            found = found.view(self._shape)
            return found if out is None else out.copy_(found)
        planes, height, width = image.shape
        # Two views of the same memory: the planes, and the planes one further up.
        pair = image.as_strided(
            (parts, 2, (planes - 1) * height, width), (0, height * width, width, 1)
        )
        found = _grid_sample(pair, self._grid)
        return torch.lerp(found[:, 0], found[:, 1], self._step, out=out)

    def read_nearest(self, image: Tensor) -> Tensor:
        """Read the nearest pixel of any image (*window), of any type; returns (*block size)."""
        assert self._index is not None
        return image.reshape(-1).index_select(0, self._index.view(-1)).view(self._index.shape)


def is_tall(window: Size, device: torch.device) -> bool:
    """Whether an image of this size is read as one tall picture."""
    return len(window) == 3 and window[0] > 1 and device.type == "cpu"


def prepare(image: Tensor) -> Tensor:
    """Bring one image (*window) into the form that `Sampler.read` takes, as float32."""
    if not is_tall(tuple(image.shape), image.device):
        return image.float().contiguous()
    ready, inside = _tall_frame(image)
    inside.copy_(image)
    ready[:, -1] = ready[:, -2]
    return ready


def prepare_mask(image: Tensor, value: int) -> Tensor:
    """Do as `prepare` for the mask of where an image has this value."""
    if not is_tall(tuple(image.shape), image.device):
        return torch.eq(image, value, out=torch.empty(image.shape, device=image.device))
    ready, inside = _tall_frame(image)
    torch.eq(image, value, out=inside)
    ready[:, -1] = ready[:, -2]
    return ready


def _tall_frame(image: Tensor) -> tuple[Tensor, Tensor]:
    """Make room for each plane and its last row once more.

    Reading at the last row then does not touch the next plane.
    """
    planes, height, width = image.shape
    ready = torch.empty((planes, height + 1, width))
    return ready, ready[:, :height]


def _nearest_index(coordinates: Tensor, window: Size) -> Tensor:
    """Number the nearest pixels in the order in which they lie; (*block size)."""
    index = torch.zeros(coordinates.shape[1:], dtype=torch.int32, device=coordinates.device)
    for position, size in zip(coordinates, window, strict=True):
        index.mul_(size).add_(position.round().to(torch.int32).clamp_(0, size - 1))
    return index


def _share_out(grid: Tensor) -> Tensor:
    """Make parts that threads can share: torch samples each image of a batch on one thread."""
    threads = torch.get_num_threads()
    if grid.device.type != "cpu" or grid.ndim != 4 or grid.shape[1] % threads:
        return grid
    return grid.view(threads, grid.shape[1] // threads, *grid.shape[2:])


def _to_unit_range(position: Tensor, size: int, out: Tensor) -> None:
    """Bring index positions to the range from -1 to 1 between the centres of the end pixels."""
    torch.add(position.new_tensor(-1.0), position, alpha=2 / max(size - 1, 1), out=out)


def _grid_sample(values: Tensor, grid: Tensor) -> Tensor:
    return F.grid_sample(values, grid, mode="bilinear", padding_mode="border", align_corners=True)
