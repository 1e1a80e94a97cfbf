"""Sizes, margins, borders and receptive fields of a network, by arithmetic on its specification.

No torch. Every rule is tested against real forward passes and against the gradient's support
(`tests/property/nets`). All numbers are per axis, in the order of `Size`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from ushape.errors import ShapeError
from ushape.nets.axis import AxisLayer, Border, Crop, Extent, Window
from ushape.nets.axis_layers import branch_layers, head_layers, node_layers
from ushape.nets.parts import LinearUp
from ushape.nets.spec import NetworkSpec
from ushape.sizes import Size, format_size

INPUT, LOGITS = "input", "logits"


@dataclass(frozen=True)
class NodeAxis:
    """One map along one axis; `crops` says what each skip that it merges loses at each end."""

    extent: Extent
    border: Border
    receptive_field: int
    crops: Mapping[str, int]


@dataclass(frozen=True)
class Geometry:
    """Where the pixels of a network's output come from.

    Output pixel o lies on input pixel o + margin before. Take any window of an image that starts
    at a multiple of `total_stride` and has a valid size: the network's output on the window
    equals the output on the whole image, except for the `edge_effect` pixels at each border.

    Attributes:
        name: The network, for messages.
        total_stride: Valid sizes are this far apart; windows start at multiples of it.
        smallest: The smallest valid input size.
        margin: Input pixels lost (before, after) to unpadded convolutions.
        edge_effect: Output pixels (before, after) that padding inside the network has touched; 0
            where nothing is padded. For padded networks this is the full halo.
        receptive_field: Input pixels that one output pixel can depend on; where that varies with
            the pixel's place in the pooling grid, the most.
        is_trimming: Unpadded networks, which lose a margin anyway, also take sizes that exceed a
            valid one by an even number: they cut the surplus off, the same at both borders.
        is_padding: Every size is taken: the network pads the image at the end of each axis up to
            the next fitting size, and crops the logits.
        is_local: False when an output pixel can depend on the whole input, by instance norm, by
            an enlargement that aligns corners, or in a library's encoder, which is not looked
            into; then `edge_effect` and `receptive_field` only speak of our own convolutions.
        nodes: The same arithmetic for every node and for `logits`, by name, one `NodeAxis` an
            axis.
    """

    name: str
    total_stride: Size
    smallest: Size
    margin: tuple[tuple[int, int], ...]
    edge_effect: tuple[tuple[int, int], ...]
    receptive_field: Size
    is_trimming: bool
    is_padding: bool
    is_local: bool
    nodes: Mapping[str, tuple[NodeAxis, ...]]

    def output_size(self, size: Sequence[int]) -> Size:
        """Return the size of the logits for an input of `size`.

        Raises:
            ShapeError: The size cannot pass; the message names the allowed and nearest ones.
        """
        used = self.used_size(size)
        return tuple(
            n - before - after for n, (before, after) in zip(used, self.margin, strict=True)
        )

    def used_size(self, size: Sequence[int]) -> Size:
        """Return the valid size in the middle of an input of `size` that the network reads.

        It is `size` itself but for networks that trim: 448 x 448 is read as 444 x 444 by
        `unet_original`, whose output of 260 x 260 lies in the middle of both.

        Raises:
            ShapeError: The size cannot pass; the message names the allowed and nearest ones.
        """
        smaller, larger = self.nearest_sizes(size)
        if self.is_padding:
            if min(size) < 1:
                rule = "every edge must be 1 or more"
                raise ShapeError(f"size {format_size(size)} does not fit {self.name}: {rule}")
            return tuple(size)
        if smaller is not None:
            surplus = [n - fit for n, fit in zip(size, smaller, strict=True)]
            if not any(n % 2 if self.is_trimming else n for n in surplus):
                return smaller
        raise ShapeError(self._refusal(size, smaller, larger))

    def nearest_sizes(self, size: Sequence[int]) -> tuple[Size | None, Size]:
        """Return the next valid input sizes that are (not larger, not smaller) on every axis.

        The first is None when an axis is below the smallest valid edge. A valid size gives itself
        twice.

        Raises:
            ShapeError: `size` has another number of axes than the network.
        """
        if len(size) != len(self.smallest):
            raise ShapeError(
                f"size {format_size(size)} has {len(size)} axes, {self.name} takes "
                f"{len(self.smallest)}: give one edge an axis, such as {format_size(self.smallest)}"
            )
        axes = list(zip(size, self.smallest, self.total_stride, strict=True))
        larger = tuple(low + step * max(0, -(-(n - low) // step)) for n, low, step in axes)
        if any(n < low for n, low, _ in axes):
            return None, larger
        return tuple(low + step * ((n - low) // step) for n, low, step in axes), larger

    def node_size(self, name: str, size: Sequence[int]) -> Size:
        """Return the size of a node's map for an input of `size`, which must pass."""
        extents = [axis.extent for axis in self.nodes[name]]
        used = self.used_size(size)
        if self.is_padding:
            used = self.nearest_sizes(used)[1]
        return tuple((n - e.loss) // e.stride for n, e in zip(used, extents, strict=True))

    def _refusal(self, size: Sequence[int], smaller: Size | None, larger: Size) -> str:
        rules = [
            f"a multiple of {step}" if low == step else f"{low} plus a multiple of {step}"
            for low, step in zip(self.smallest, self.total_stride, strict=True)
        ]
        rule = f"every edge must be {rules[0]}"
        if len(set(rules)) > 1:
            rule = f"the edges must be {', '.join(rules)}"
        if self.is_trimming:
            rule += " (an even surplus is trimmed)"
        near = f"{format_size(larger)} (pad)"
        if smaller is not None:
            near = f"{format_size(smaller)} (crop) or {near}"
        return f"size {format_size(size)} does not fit {self.name}: {rule}; the nearest is {near}"


@lru_cache(maxsize=64)
def geometry_of(spec: NetworkSpec) -> Geometry:
    """Derive the geometry of a network."""
    per_axis = [_nodes_of_axis(spec, axis) for axis in range(spec.kit.spatial_dims)]
    by_name = {name: tuple(nodes[name] for nodes in per_axis) for name in per_axis[0]}
    output = by_name[LOGITS]
    strides = tuple(max(node.extent.stride for node in axis.values()) for axis in per_axis)
    # Losses are even (odd kernels, centred crops), so the two halves of a margin are equal.
    halves = [axis.extent.loss // 2 for axis in output]
    return Geometry(
        name=spec.name,
        total_stride=strides,
        smallest=tuple(_smallest_edge(spec, nodes) for nodes in per_axis),
        margin=tuple((half, half) for half in halves),
        edge_effect=tuple((axis.border.before, axis.border.after) for axis in output),
        receptive_field=tuple(axis.receptive_field for axis in output),
        is_trimming=spec.kit.padding == "valid",
        is_padding=spec.takes_any_size,
        is_local=_is_local(spec),
        nodes=by_name,
    )


def _is_local(spec: NetworkSpec) -> bool:
    aligns_corners = any(
        isinstance(level.step.up, LinearUp) and level.step.up.align_corners
        for level in spec.levels
        if level.step is not None
    )
    return spec.kit.norm != "instance" and spec.backbone is None and not aligns_corners


def _smallest_edge(spec: NetworkSpec, nodes: Mapping[str, NodeAxis]) -> int:
    """Find the smallest edge for which every map has an element and every pooling divides."""
    lowest = nodes[spec.lowest].extent
    # Instance norm cannot normalise a map of one element: it asks for two where the net shrinks.
    needed = max(node.extent.loss + node.extent.stride for node in nodes.values())
    if spec.kit.norm == "instance" and lowest.stride > 1:
        needed = max(needed, lowest.loss + 2 * lowest.stride)
    return needed + (lowest.loss - needed) % lowest.stride


Path = tuple[str, tuple[AxisLayer, ...]]
"""Where a node reads, and the layers between there and the node's own map."""


def _nodes_of_axis(spec: NetworkSpec, axis: int) -> dict[str, NodeAxis]:
    extents = {INPUT: Extent(1, 0)}
    borders = {INPUT: Border(0, 0)}
    paths: dict[str, tuple[Path, ...]] = {}

    def enter(name: str, found: tuple[Path, ...]) -> None:
        ends = [_through(layers, extents[start], borders[start]) for start, layers in found]
        paths[name], extents[name] = found, ends[0][0]
        assert all(extent == ends[0][0] for extent, _ in ends), "merged maps have one size"
        borders[name] = Border(
            max(border.before for _, border in ends), max(border.after for _, border in ends)
        )

    for node in spec.nodes:
        enter(node.name, node_layers(spec, node, axis, extents))
    output = spec.nodes[-1].name
    enter(LOGITS, ((output, head_layers(spec, axis)),))
    if spec.branch is not None:
        enter(LOGITS, (*paths[LOGITS], (spec.branch.node, branch_layers(spec, axis, extents))))
    period = max(extent.stride for extent in extents.values())
    return {
        name: NodeAxis(
            extents[name],
            borders[name],
            max(_reach(paths, name, place) for place in range(period // extents[name].stride)),
            {
                source: layers[0].count
                for source, layers in paths[name]
                if layers and isinstance(layers[0], Crop)
            },
        )
        for name in paths
    }


def _through(layers: Sequence[AxisLayer], extent: Extent, border: Border) -> tuple[Extent, Border]:
    for layer in layers:
        extent, border = layer.extent(extent), layer.border(border)
    return extent, border


def _reach(paths: dict[str, tuple[Path, ...]], name: str, place: int) -> int:
    """Count the input pixels that one element of a map depends on, walking the table backwards."""
    wanted = {name: Window(place, place)}
    for node in reversed(paths):
        if node not in wanted:
            continue
        for source, layers in paths[node]:
            window = wanted[node]
            for layer in reversed(layers):
                window = layer.reads(window)
            known = wanted.get(source, window)
            wanted[source] = Window(min(known.first, window.first), max(known.last, window.last))
    return wanted[INPUT].last - wanted[INPUT].first + 1
