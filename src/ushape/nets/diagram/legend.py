"""What the arrows of a network's diagram mean, in its own words. No torch."""

from __future__ import annotations

from collections.abc import Iterable

from ushape.nets.diagram.svg import Canvas, text_width
from ushape.nets.geometry import Geometry
from ushape.nets.parts import (
    Add,
    AttentionMap,
    Block,
    FineHead,
    GatedConcatenate,
    KitSpec,
    NoBlock,
    NodeHead,
    PublishedMap,
    ResidualBlock,
    VNetBlock,
)
from ushape.nets.phrases import block_text, down_text, followed, ones, times, unit_text, up_text
from ushape.nets.spec import NetworkSpec

CONV, DOWN, UP, COPY = "#1f5fa8", "#c0392b", "#2e8b57", "#8f8f8f"
HEAD, GATE, BRANCH, SHORTCUT = "#0b7a75", "#c25a00", "#7d3c98", "#444444"

STROKE, FROZEN_FILL = "#1d3f66", "#eceff3"

_SIZE, _LINE, _ICON = 14.0, 23.0, 34.0
_NARROWEST = 640.0


def draw_legend(canvas: Canvas, spec: NetworkSpec, geometry: Geometry, *, left: float) -> None:
    """Write the legend below everything that is drawn so far."""
    right = max(canvas.right, left + _NARROWEST)
    x, y = left, canvas.bottom + 30
    for color, text in legend(spec, geometry):
        width = _ICON + text_width(text, _SIZE) + 22
        if x > left and x + width > right:
            x, y = left, y + _LINE
        if color is None:
            canvas.box((x + 4, y - 12), (16, 14), fill=FROZEN_FILL, stroke=STROKE, is_dashed=True)
        else:
            canvas.arrow([(x, y - 4), (x + 26, y - 4)], color, is_dashed=color == SHORTCUT)
        canvas.text((x + _ICON, y), text, size=_SIZE, anchor="start")
        x += width


def legend(spec: NetworkSpec, geometry: Geometry) -> list[tuple[str | None, str]]:
    """List (colour, words) of every kind of arrow in the diagram; no colour for frozen boxes."""
    kit = spec.kit
    blocks = [spec.block(node) for node in spec.nodes]
    if spec.nesting == "dense":
        units = _unique(block_text(kit, block) for block in blocks)
        units = [f"into each box: {text}" for text in units]
    else:
        units = _unique(text for block in blocks for text in _arrow_texts(kit, block))
    steps = [level.step for level in spec.levels if level.step]
    found: list[tuple[str | None, str]] = [(CONV, text) for text in units]
    found += [(DOWN, text) for text in _unique(down_text(kit, step) for step in steps)]
    found += [(UP, text) for text in _unique(up_text(kit, step) for step in steps)]
    crops = any(any(axis.crops.values()) for node in geometry.nodes.values() for axis in node)
    if isinstance(spec.merge, Add):
        found.append((COPY, "add"))
    else:
        found.append((COPY, "copy, crop, concatenate" if crops else "copy, concatenate"))
    found += _additions(spec)
    head = f"conv {times(spec.head_kernel) if spec.head_kernel else ones(kit)}"
    words = f"head: {head}"
    if any(isinstance(a, NodeHead) for a in spec.auxiliary):
        words += "; aux: further logits, for training"
    if any(isinstance(a, FineHead) for a in spec.auxiliary):
        words += ", one for each pass"
    found.append((HEAD, words))
    return found


def _arrow_texts(kit: KitSpec, block: Block) -> list[str]:
    """Say what the arrows between the boxes of one block stand for."""
    if isinstance(block, NoBlock | PublishedMap):
        return []
    if not isinstance(block, ResidualBlock):
        return [unit_text(kit, block)]
    layer = followed(kit, f"conv {times(block.kernel_size)}")
    if block.repeats == 1 and not block.stem:
        return [layer]
    return [layer, unit_text(kit, block)] if block.stem else [unit_text(kit, block)]


def _additions(spec: NetworkSpec) -> Iterable[tuple[str | None, str]]:
    """List what only some networks have."""
    if any(_adds(spec, node.name) for node in spec.nodes) and spec.nesting != "dense":
        enlarged = any(isinstance(spec.block(n), VNetBlock) and n.column > 0 for n in spec.nodes)
        yield SHORTCUT, "input (decoder: enlarged map) added" if enlarged else "input added"
    if isinstance(spec.merge, GatedConcatenate):
        yield GATE, "g: attention gate, steered by the map below"
    if any(level.attention for level in spec.levels):
        maps = any(isinstance(a, AttentionMap) for a in spec.auxiliary)
        yield GATE, "a: attention; its map is an output" if maps else "a: attention"
    if spec.branch is not None:
        classes = ", ".join(map(str, spec.branch.classes))
        yield BRANCH, f"branch, added to logits {classes}"
    if spec.frozen:
        yield None, "dashed boxes: not trained"


def _adds(spec: NetworkSpec, name: str) -> bool:
    block = spec.block(spec.node(name))
    return not isinstance(block, NoBlock | PublishedMap) and (
        block.kind in ("residual", "bottleneck", "vnet")
        or getattr(block, "adds", "nothing") == "input"
    )


def _unique(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(text for text in texts if text))
