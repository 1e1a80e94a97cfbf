"""Draws the outputs of a diagram: heads, further logits, and a branch."""

from __future__ import annotations

from ushape.nets.diagram.boxes import GAP, Group
from ushape.nets.diagram.legend import BRANCH, HEAD, STROKE
from ushape.nets.diagram.scene import FILLS, Scene
from ushape.nets.diagram.svg import Point
from ushape.nets.parts import FineHead, NodeHead


def draw_outputs(scene: Scene) -> None:
    """Draw all that the network returns."""
    output = scene.layout.groups[scene.spec.nodes[-1].name]
    fine = [a for a in scene.spec.auxiliary if isinstance(a, FineHead)]
    y, tall = scene.row(output), output.result.height
    middle = y - tall / 4 if fine else y
    right = _head(scene, output, middle, tall * (0.42 if fine else 1), str(scene.spec.classes))
    if scene.spec.branch is not None:
        right = _branch(scene, right, middle, tall)
    words = "coarse logits" if fine else "logits"
    scene.canvas.text((right + 8, middle + 4), words, anchor="start")
    for head in fine:
        right = _head(scene, output, y + tall / 4 + 8, tall * 0.42, str(head.classes))
        scene.canvas.text((right + 8, y + tall / 4 + 12), "fine logits", anchor="start")
    for place, auxiliary in enumerate(scene.spec.auxiliary):
        if isinstance(auxiliary, NodeHead):
            _inner_head(scene, scene.layout.groups[auxiliary.node], place)


def _head(scene: Scene, group: Group, y: float, height: float, label: str) -> float:
    """Draw a head and its logits; return their right edge."""
    start = group.result.right + scene.depth + 2
    scene.canvas.arrow([(start, y), (start + GAP - 4, y)], HEAD)
    x = start + GAP - 2
    _logits(scene, (x, y), height, label)
    return x + 8 + scene.depth


def _logits(scene: Scene, place: Point, height: float, label: str) -> None:
    x, top = place[0], place[1] - height / 2
    scene.slab((x, top), (8, height), fill=FILLS["logits"])
    scene.label(x + 4, top, label)


def _inner_head(scene: Scene, group: Group, place: int) -> None:
    box = group.result
    shift = box.height * 0.3 if scene.is_dense else 0.0
    y, start = scene.row(group) + shift, box.right + scene.depth + 2
    scene.canvas.arrow([(start, y), (start + 16, y)], HEAD, width=1.6)
    height = min(22.0, box.height * 0.6)
    scene.canvas.box((start + 17, y - height / 2), (6, height), fill=FILLS["logits"], stroke=STROKE)
    scene.canvas.text((start + 27, y + 4), f"aux {place}", size=12, anchor="start", color=HEAD)


def _branch(scene: Scene, right: float, y: float, tall: float) -> float:
    """Draw the branch from its node along its lane to the logits; return their right edge."""
    assert scene.spec.branch is not None
    group = scene.layout.groups[scene.spec.branch.node]
    box, level = group.result, group.node.level
    x = box.right - 3
    plus = (right + 30, y)
    lane = scene.layout.lanes[level]
    bottom = scene.row(group) + box.height / 2 + 2
    start = (right + 2, y)
    scene.canvas.arrow([start, (plus[0] - 9, y)], HEAD)
    way = [(x, bottom), (x, lane), (plus[0], lane), (plus[0], y + 10)]
    scene.canvas.arrow(way, BRANCH)
    scene.canvas.circle(plus, 8, fill="#ffffff", stroke=BRANCH)
    scene.canvas.text((plus[0], y + 5), "+", size=15, color=BRANCH, is_bold=True)
    scene.canvas.arrow([(plus[0] + 9, y), (plus[0] + 26, y)], HEAD)
    _logits(scene, (plus[0] + 28, y), tall, str(scene.spec.classes))
    return plus[0] + 36 + scene.depth
