"""Draws the ways between the nodes of a diagram: down, up, skips and gates."""

from __future__ import annotations

from ushape.nets.diagram.boxes import Group
from ushape.nets.diagram.layout import bow_height
from ushape.nets.diagram.legend import COPY, DOWN, GATE, UP
from ushape.nets.diagram.scene import Scene
from ushape.nets.diagram.svg import Point
from ushape.nets.parts import GatedConcatenate


def draw_way_to(scene: Scene, group: Group) -> None:
    """Draw the way down or up to a node."""
    node = group.node
    if node.source is None:
        return
    source = scene.layout.groups[node.source]
    target = group.boxes[group.entry]
    color = DOWN if node.column == 0 else UP
    if scene.is_dense:
        _slope(scene, source, group, color)
    elif abs(target.middle - source.result.middle) > 1:
        _elbow(scene, source, group, color)
    elif node.column == 0:
        bottom = scene.row(source) + source.result.height / 2 + 2
        top = scene.top(group, target)
        scene.canvas.arrow([(target.middle, bottom), (target.middle, top)], color)
    else:
        start = scene.top(source, source.result)
        end = scene.row(group) + target.height / 2 + 2
        scene.canvas.arrow([(target.middle, start), (target.middle, end)], color)


def draw_skips(scene: Scene, group: Group) -> None:
    """Draw the skips that a node reads."""
    y, target = scene.row(group), group.boxes[0]
    for name in group.node.skips:
        start = scene.layout.groups[name].result
        columns = group.node.column - scene.spec.node(name).column
        if scene.is_dense and columns > 1:
            top = y - target.height / 2 + 4
            bend = ((start.right + target.x) / 2, top - 4 - 2 * bow_height(columns))
            scene.canvas.arc((start.right + 1, top), bend, (target.x - 1, top), COPY)
            continue
        way = [(start.right + scene.depth + 3, y), (target.x - 3, y)]
        scene.canvas.arrow(way, COPY, width=3)
        if isinstance(scene.spec.merge, GatedConcatenate):
            _gate(scene, group, (target.x - 24, y))


def _elbow(scene: Scene, source: Group, group: Group, color: str) -> None:
    """Lead around a corner, where the groups do not stand one above the other."""
    box, target = source.result, group.boxes[group.entry]
    y, y_source = scene.row(group), scene.row(source)
    if group.node.column == 0:
        corner = [(box.middle, y_source + box.height / 2 + 2), (box.middle, y)]
        scene.canvas.arrow([*corner, (target.x - 2, y)], color)
    else:
        corner = [(box.right + scene.depth + 2, y_source), (target.middle, y_source)]
        scene.canvas.arrow([*corner, (target.middle, y + target.height / 2 + 2)], color)


def _slope(scene: Scene, source: Group, group: Group, color: str) -> None:
    box, target = source.result, group.result
    if group.node.column == 0:
        start = (box.right + 2, scene.row(source) + box.height / 2 + 2)
        end = (target.x - 6, scene.row(group) - target.height / 2 - 6)
    else:
        start = (box.right + 6, scene.row(source) - box.height / 2 - 6)
        end = (target.x - 2, scene.row(group) + target.height / 2 + 2)
    scene.canvas.arrow([start, end], color)


def _gate(scene: Scene, group: Group, place: Point) -> None:
    """Draw an attention gate and the signal from the map below."""
    assert group.node.source is not None, "decoder nodes read the level below"
    source = scene.layout.groups[group.node.source]
    x = source.result.middle - 12
    top = scene.top(source, source.result)
    middle = scene.row(group) + group.result.height / 2 + 12
    way = [(x, top), (x, middle), (place[0], middle), (place[0], place[1] + 9)]
    if not scene.is_dense:
        scene.canvas.arrow(way, GATE, width=1.5)
    scene.mark(place, "g")
