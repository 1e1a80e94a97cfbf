"""The rows of a network's figure: one for every map and every output. No torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import assert_never

from ushape.nets.geometry import LOGITS, Geometry
from ushape.nets.parameters import (
    BACKBONE,
    BRANCH,
    FINE_HEAD,
    HEAD,
    ParameterCounts,
    head_part,
)
from ushape.nets.parts import Add, AttentionMap, Auxiliary, FineHead, GatedConcatenate, NodeHead
from ushape.nets.phrases import attention_text, block_text, down_text, ones, times, up_text
from ushape.nets.spec import NetworkSpec
from ushape.nets.wiring import Node
from ushape.sizes import Size


@dataclass(frozen=True)
class FigureRow:
    """One feature map or output.

    Attributes:
        node: `x_level_column`, or `head`, `head NODE`, `head fine`, `attention NODE`, `branch`,
            `backbone` (the whole library encoder; its map is the lowest that it publishes).
        level: Resolution, 0 = full; that of the node an output is read from.
        column: 0 = encoder; that of the node an output is read from.
        source: The map read from another level, and how it gets here; of an output its node.
        merge: Maps of the same level that are joined, with the pixels cropped at each border.
        block: The layers.
        channels: Channels of the result.
        size: Spatial size of the result.
        parameters: Trainable and frozen ones, the way up or down to this node included.
        receptive_field: Input pixels that one element of the result can depend on; None where
            `geometry` does not follow the layers (backbones, attention maps).
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
    receptive_field: Size | None


def figure_rows(
    spec: NetworkSpec, geometry: Geometry, size: Size, counts: ParameterCounts
) -> Iterator[FigureRow]:
    """List every map in the order of computation, then the head and all further outputs."""
    rows = {}
    for node in spec.nodes:
        rows[node.name] = _node_row(spec, geometry, node, size, counts.by_part[node.name])
    if spec.backbone is not None:
        yield dataclasses.replace(
            rows[spec.lowest],
            node=BACKBONE,
            source="image",
            block=f"{spec.backbone.model} of timm",
            parameters=counts.by_part[BACKBONE],
            receptive_field=None,
        )
    yield from rows.values()
    output = rows[spec.nodes[-1].name]
    head = f"conv {times(spec.head_kernel) if spec.head_kernel else ones(spec.kit)}"
    seen = _seen(spec, geometry, LOGITS)
    yield _output_row(output, HEAD, head, spec.classes, counts.by_part[HEAD], seen)
    for place, auxiliary in enumerate(spec.auxiliary):
        yield _auxiliary_row(spec, rows, auxiliary, place, head, counts)
    if spec.branch is not None:
        yield _branch_row(spec, rows, size=output.size, parameters=counts.by_part[BRANCH])


def _node_row(
    spec: NetworkSpec, geometry: Geometry, node: Node, size: Size, parameters: int
) -> FigureRow:
    return FigureRow(
        node=node.name,
        level=node.level,
        column=node.column,
        source=_source_text(spec, node),
        merge=_merge_text(spec, geometry, node),
        block=_block_text(spec, node),
        channels=spec.width(node.name),
        size=geometry.node_size(node.name, size),
        parameters=parameters,
        receptive_field=_seen(spec, geometry, node.name),
    )


def _seen(spec: NetworkSpec, geometry: Geometry, name: str) -> Size | None:
    if spec.backbone is not None:
        return None
    return tuple(axis.receptive_field for axis in geometry.nodes[name])


def _output_row(
    read: FigureRow, name: str, block: str, channels: int, parameters: int, seen: Size | None
) -> FigureRow:
    return dataclasses.replace(
        read,
        node=name,
        source=read.node,
        merge="",
        block=block,
        channels=channels,
        parameters=parameters,
        receptive_field=seen,
    )


def _auxiliary_row(
    spec: NetworkSpec,
    rows: dict[str, FigureRow],
    auxiliary: Auxiliary,
    place: int,
    head: str,
    counts: ParameterCounts,
) -> FigureRow:
    told = f"; auxiliary[{place}]"
    if isinstance(auxiliary, AttentionMap):
        row = rows[auxiliary.node]
        return _output_row(row, f"attention {row.node}", f"its map{told}", 1, 0, None)
    if isinstance(auxiliary, NodeHead):
        row, part, classes = rows[auxiliary.node], head_part(auxiliary.node), spec.classes
    elif isinstance(auxiliary, FineHead):
        row, part, classes = rows[spec.nodes[-1].name], FINE_HEAD, auxiliary.classes
    else:
        assert_never(auxiliary)
    seen = row.receptive_field if spec.head_kernel is None else None
    return _output_row(row, part, head + told, classes, counts.by_part[part], seen)


def _branch_row(
    spec: NetworkSpec, rows: dict[str, FigureRow], *, size: Size, parameters: int
) -> FigureRow:
    assert spec.branch is not None
    row, classes = rows[spec.branch.node], spec.branch.classes
    stride = spec.stride(row.level)
    enlarge = times([2 * edge if edge > 1 else 1 for edge in stride])
    layers = f"conv {ones(spec.kit)}"
    if max(stride) > 1:
        layers += f", transposed conv {enlarge} a class"
    merge = f"added to logits {', '.join(map(str, classes))}"
    branch = _output_row(row, BRANCH, layers, len(classes), parameters, None)
    return dataclasses.replace(branch, merge=merge, size=size)


def _source_text(spec: NetworkSpec, node: Node) -> str:
    if spec.backbone is not None and node.column == 0:
        return f"backbone, stride {times(spec.stride(node.level))}"
    if node.source is None:
        return "image"
    way = (
        down_text(spec.kit, spec.step(node.level))
        if node.column == 0
        else up_text(spec.kit, spec.step(node.level + 1))
    )
    return f"{node.source}, {way}"


def _merge_text(spec: NetworkSpec, geometry: Geometry, node: Node) -> str:
    pieces = []
    for name in node.skips:
        crops = [axis.crops.get(name, 0) for axis in geometry.nodes[node.name]]
        same = crops[0] if len(set(crops)) == 1 else times(crops)
        text = f"{name} cropped {same}" if any(crops) else name
        pieces.append(f"{text} gated" if isinstance(spec.merge, GatedConcatenate) else text)
    return (" + " if isinstance(spec.merge, Add) else ", ").join(pieces)


def _block_text(spec: NetworkSpec, node: Node) -> str:
    words = [block_text(spec.kit, spec.block(node))]
    attention = spec.attention(node)
    if attention is not None:
        words.insert(0, attention_text(attention))
    if node.column == 0 and spec.levels[node.level].dropout:
        words.append(f"dropout {spec.levels[node.level].dropout:g}")
    return ", ".join(word for word in words if word)
