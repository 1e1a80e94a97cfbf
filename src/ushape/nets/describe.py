"""One network as data that people and programs read: the figure of the paper, with numbers.

`drawing` lays it out as text. Torch is imported only when parameters are counted.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, assert_never

from ushape.nets.geometry import Geometry, geometry_of
from ushape.nets.parts import LinearUp, NearestUp, ResidualBlock, Step, TransposedUp
from ushape.nets.spec import NetworkSpec
from ushape.nets.wiring import Node
from ushape.sizes import Size, format_size


@dataclass(frozen=True)
class FigureRow:
    """One feature map, or the head.

    Attributes:
        node: `x_level_column`, or `head`.
        level: Resolution, 0 = full.
        column: 0 = encoder; the head has the column of the node that it reads.
        source: The map read from another level, and how it gets here.
        merge: Maps of the same level that are joined, with the pixels cropped at each border.
        block: The layers.
        channels: Channels of the result.
        size: Spatial size of the result.
        parameters: Trainable ones, the way up or down to this node included.
        receptive_field: Input pixels that one element of the result can depend on.
    """

    node: str
    level: int
    column: int
    source: str
    merge: str
    block: str
    channels: int
    size: Size
    parameters: int
    receptive_field: Size


@dataclass(frozen=True)
class Figure:
    """A network at one input size.

    Attributes:
        rows: Every map in the order of computation, the head last.
        trainable_parameters: Weights and biases.
        all_parameters: These and the running statistics of batch norm (two a channel).
        notes: Sentences on the layers that all rows share.

    The others are those of `Geometry`.
    """

    name: str
    in_channels: int
    classes: int
    size: Size
    output_size: Size
    total_stride: Size
    smallest: Size
    margin: tuple[tuple[int, int], ...]
    edge_effect: tuple[tuple[int, int], ...]
    receptive_field: Size
    trainable_parameters: int
    all_parameters: int
    rows: tuple[FigureRow, ...]
    notes: tuple[str, ...]


def describe(spec: NetworkSpec, size: Sequence[int] | None = None) -> Figure:
    """Describe a network at an input size.

    Args:
        spec: The network.
        size: Spatial size; None takes the smallest valid one from 256 a side (3D: 64).

    Raises:
        ShapeError: The size cannot pass; the message names the nearest that can.

    >>> from ushape.nets import make_spec
    >>> describe(make_spec("unet_original"), (572, 572)).output_size
    (388, 388)
    """
    geometry = geometry_of(spec)
    if size is None:
        edge = 256 if spec.kit.spatial_dims == 2 else 64
        size = geometry.nearest_sizes((edge,) * spec.kit.spatial_dims)[1]
    output_size = geometry.output_size(size)
    counts, trainable, running = _count_parameters(spec)
    rows = [_row(spec, geometry, node, tuple(size), counts[node.name]) for node in spec.nodes]
    output = rows[-1]
    head = dataclasses.replace(
        output,
        node="head",
        source=output.node,
        merge="",
        block=f"conv {_times((1,) * spec.kit.spatial_dims)}",
        channels=spec.classes,
        parameters=counts["head"],
    )
    return Figure(
        name=spec.name,
        in_channels=spec.in_channels,
        classes=spec.classes,
        size=tuple(size),
        output_size=output_size,
        total_stride=geometry.total_stride,
        smallest=geometry.smallest,
        margin=geometry.margin,
        edge_effect=geometry.edge_effect,
        receptive_field=geometry.receptive_field,
        trainable_parameters=trainable,
        all_parameters=trainable + running,
        rows=(*rows, head),
        notes=(*_trim_notes(geometry, size), *_notes(spec)),
    )


def figure_json(figure: Figure) -> dict[str, Any]:
    """Return the figure as plain data for a JSON file."""
    return dataclasses.asdict(figure)


def _row(
    spec: NetworkSpec, geometry: Geometry, node: Node, size: Size, parameters: int
) -> FigureRow:
    block = spec.block(node)
    return FigureRow(
        node=node.name,
        level=node.level,
        column=node.column,
        source=_source_text(spec, node),
        merge=_merge_text(geometry, node),
        block=_block_text(spec, node),
        channels=block.widths[-1],
        size=geometry.node_size(node.name, size),
        parameters=parameters,
        receptive_field=tuple(axis.receptive_field for axis in geometry.nodes[node.name]),
    )


def _source_text(spec: NetworkSpec, node: Node) -> str:
    if node.source is None:
        return "image"
    if node.column == 0:
        return f"{node.source}, max-pool {_times(spec.step(node.level).stride)}"
    return f"{node.source}, {_up_text(spec.step(node.level + 1))}"


def _up_text(step: Step) -> str:
    stride = _times(step.stride)
    if isinstance(step.up, NearestUp):
        return f"nearest, conv {stride}"
    if isinstance(step.up, TransposedUp):
        return f"transposed conv {stride}"
    if isinstance(step.up, LinearUp):
        return f"conv {_times((1,) * len(step.stride))}, linear {stride}"
    assert_never(step.up)


def _merge_text(geometry: Geometry, node: Node) -> str:
    if not node.skips:
        return ""
    pieces = []
    for name in node.skips:
        crops = [axis.crops[name] for axis in geometry.nodes[node.name]]
        same = crops[0] if len(set(crops)) == 1 else _times(tuple(crops))
        pieces.append(f"{name} cropped {same}" if any(crops) else name)
    return ", ".join(pieces)


def _block_text(spec: NetworkSpec, node: Node) -> str:
    block = spec.block(node)
    norm = "" if spec.kit.norm == "none" else f", {spec.kit.norm} norm"
    text = f"{len(block.widths)} x (conv {_times(block.kernel_size)}{norm}, ReLU)"
    if isinstance(block, ResidualBlock):
        text += " + input"
    dropout = spec.levels[node.level].dropout if node.column == 0 else 0
    return f"{text}, dropout {dropout:g}" if dropout else text


def _trim_notes(geometry: Geometry, size: Sequence[int]) -> list[str]:
    used = geometry.used_size(size)
    if used == tuple(size):
        return []
    return [f"Of the image, the middle {format_size(used)} are read."]


def _notes(spec: NetworkSpec) -> list[str]:
    padding = "padded" if spec.kit.padding == "same" else "not padded"
    notes = [
        f"Convolutions of blocks are {padding} and have a bias; every way up ends in a ReLU.",
        "Merged maps are concatenated: those of the level first, then the one from below.",
    ]
    if any(isinstance(level.encoder, ResidualBlock) for level in spec.levels):
        notes.append(
            "The input of a block is added before its last ReLU, by a 1x1 convolution where "
            "channels differ."
        )
    if not geometry_of(spec).is_local:
        notes.append(
            "Instance norm reads whole maps: tiles never equal the whole image exactly, and the "
            "receptive field is that of the convolutions alone."
        )
    return notes


def _count_parameters(spec: NetworkSpec) -> tuple[dict[str, int], int, int]:
    """Count trainable parameters by node (and `head`), all of them, and running statistics."""
    import torch

    from ushape.nets.network import SegmentationNetwork

    with torch.device("meta"):
        network = SegmentationNetwork(spec)
    parts = {**network.encoder, **network.decoder, "head": network.heads}
    counts = {name: sum(p.numel() for p in part.parameters()) for name, part in parts.items()}
    running = sum(buffer.numel() for name, buffer in network.named_buffers() if "running_" in name)
    return counts, sum(counts.values()), running


def _times(size: Sequence[int]) -> str:
    return "x".join(map(str, size))
