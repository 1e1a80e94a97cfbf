"""The feature maps of a network on one image, and where each of them lies in the image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from ushape.nets import NetworkSpec
from ushape.nets.network import SegmentationNetwork
from ushape.sizes import Size
from ushape.tiling.windows import cut_tile

Image = npt.NDArray[np.float32]
Masks = npt.NDArray[np.bool_]

MOST_VALUES = 2**26
"""Of all nodes together on one image; the network's own maps and gradients take about ten times
their memory (0.25 GB, then 2.5 GB)."""

_WINDOW_STEPS = 5
_MODES = {1: "linear", 2: "bilinear", 3: "trilinear"}


@dataclass(frozen=True)
class Place:
    """Where a node's map lies: its pixel i covers [offset + i stride, offset + (i + 1) stride)."""

    stride: Size
    offset: tuple[int, ...]


@dataclass(frozen=True)
class FeatureMaps:
    """What a network computes on one image.

    Attributes:
        maps: By node name, (1, C, *node size), in the order of computation.
        places: Of every map in the image.
        logits: (1, K, *size), of the image's own size.
        size: Of the image.
    """

    maps: dict[str, Tensor]
    places: dict[str, Place]
    logits: Tensor
    size: Size


def feature_maps(network: SegmentationNetwork, image: Image, *, keep_graph: bool) -> FeatureMaps:
    """Compute every node's map and the logits.

    The image is mirrored at its borders up to a size that the network takes; networks that do not
    pad get their margin, so that the logits cover the image.

    Args:
        network: In eval mode, on the CPU.
        image: Prepared for the network, shape (C, *size).
        keep_graph: Whether gradients will be asked for.
    """
    geometry, spec = network.geometry, network.spec
    size = tuple(image.shape[1:])
    # Networks that pad feel every border; the others give what they would inside a larger image.
    edges = geometry.edge_effect if any(map(any, geometry.margin)) else ((0, 0),) * len(size)
    lost = [(m[0] + e[0], m[1] + e[1]) for m, e in zip(geometry.margin, edges, strict=True)]
    given = geometry.nearest_sizes([n + sum(pair) for n, pair in zip(size, lost, strict=True)])[1]
    before = [pair[0] for pair in lost]
    tile = cut_tile(image, [-count for count in before], given)
    batch = torch.from_numpy(np.ascontiguousarray(tile))[None].requires_grad_(keep_graph)
    with torch.set_grad_enabled(keep_graph):
        found = network.decoder(network.encoder(batch), kept=None)
        logits, _ = network.heads(found)
        if network.branch is not None:
            logits = network.branch(found, logits)
    maps = {node.name: found[node.name] for node in spec.nodes}
    places = {
        node.name: _place(spec, node.level, maps[node.name], given, before) for node in spec.nodes
    }
    for axis, ((start, _), n) in enumerate(zip(edges, size, strict=True), start=2):
        logits = logits.narrow(axis, start, n)
    return FeatureMaps(maps, places, logits, size)


def _place(
    spec: NetworkSpec, level: int, values: Tensor, given: Sequence[int], before: Sequence[int]
) -> Place:
    stride = spec.stride(level)
    # What convolutions without padding lose, they lose equally on both sides.
    lost = [n - m * step for n, m, step in zip(given, values.shape[2:], stride, strict=True)]
    offset = tuple(surplus // 2 - margin for surplus, margin in zip(lost, before, strict=True))
    return Place(stride, offset)


def enlarge(values: Tensor, place: Place, size: Size) -> Tensor:
    """Bring (1, C, *node size) to the image's size by linear interpolation, as a branch does."""
    whole = [n * step for n, step in zip(values.shape[2:], place.stride, strict=True)]
    large = F.interpolate(values, whole, mode=_MODES[len(size)], align_corners=False)
    for axis, (start, n) in enumerate(zip(place.offset, size, strict=True), start=2):
        large = large.narrow(axis, -start, n)
    return large


def sample(values: Tensor, place: Place, points: npt.NDArray[np.intp]) -> Image:
    """Read a map at pixels of the image, by the interpolation of `enlarge`.

    Args:
        values: (1, C, *node size).
        place: Where it lies.
        points: Pixels, shape (n, axes).

    Returns:
        Shape (n, C).
    """
    edges = np.multiply(values.shape[2:], place.stride)
    relative = 2 * (points + 0.5 - place.offset) / edges - 1
    dims = points.shape[1]
    grid = torch.from_numpy(np.ascontiguousarray(relative[:, ::-1], dtype=np.float32))
    grid = grid.view(1, -1, *(1,) * (dims - 1), dims)
    taken = F.grid_sample(
        values.detach(), grid, mode="bilinear", padding_mode="border", align_corners=False
    )
    result: Image = taken.reshape(values.shape[1], len(points)).T.numpy()
    return result


def most_pixels(spec: NetworkSpec) -> int:
    """Say how many pixels of an image fit into `MOST_VALUES`."""
    each = sum(spec.width(node.name) / math.prod(spec.stride(node.level)) for node in spec.nodes)
    return int(MOST_VALUES / each)


def choose_window(size: Size, limit: int, masks: Masks | None) -> tuple[slice, ...] | None:
    """Choose the part of a large image to look at.

    Args:
        size: Of the image.
        limit: Most pixels.
        masks: Of the classes, shape (K, *size): the window holds as much as possible of all. None
            takes the middle.

    Returns:
        A window of the image's proportions; None where the whole image fits.
    """
    if math.prod(size) <= limit:
        return None
    edges = _edges(size, limit)
    starts = [
        np.unique(np.linspace(0, n - edge, _WINDOW_STEPS).astype(int)).tolist()
        for n, edge in zip(size, edges, strict=True)
    ]
    middle = [(n - edge) / 2 for n, edge in zip(size, edges, strict=True)]
    places = sorted(product(*starts), key=lambda at: math.dist(at, middle))

    def window(at: Sequence[int]) -> tuple[slice, ...]:
        return tuple(slice(start, start + edge) for start, edge in zip(at, edges, strict=True))

    if masks is None or not masks.any():
        return window(places[0])
    totals = [max(1, int(np.count_nonzero(mask))) for mask in masks]

    def share(at: Sequence[int]) -> float:
        box = window(at)
        return sum(
            int(np.count_nonzero(mask[box])) / total
            for mask, total in zip(masks, totals, strict=True)
        )

    return window(max(places, key=share))


def _edges(size: Size, limit: int) -> list[int]:
    """Shrink the longest edges first to a common length."""
    edges, rest = list(size), float(limit)
    for number, axis in enumerate(sorted(range(len(size)), key=lambda a: size[a])):
        edges[axis] = max(1, min(size[axis], int(rest ** (1 / (len(size) - number)) + 1e-9)))
        rest /= edges[axis]
    return edges
