"""Draws the maps of a diagram: the boxes of every node, their sizes, and what joins them."""

from __future__ import annotations

from ushape.nets.diagram.boxes import Group
from ushape.nets.diagram.layout import FRAME_LEFT, FRAME_RIGHT, UNDER_BOWS
from ushape.nets.diagram.legend import CONV, DOWN, FROZEN_FILL, SHORTCUT
from ushape.nets.diagram.scene import FILLS, Scene, short_size


def draw_group(scene: Scene, group: Group) -> None:
    """Draw the boxes of a node, the arrows between them, and its size."""
    _boxes(scene, group)
    _inside(scene, group)
    _size_label(scene, group)


def draw_image(scene: Scene) -> None:
    """Draw the image where it stands apart from its first map."""
    image, y = scene.layout.image, scene.layout.rows[0]
    if image in scene.layout.groups[scene.spec.nodes[0].name].boxes:
        return
    scene.box(image, 0, fill=FILLS["image"])
    first = scene.layout.groups[scene.spec.nodes[0].name]
    if first.node.level == 0:
        scene.canvas.arrow([(image.right + 2, y), (first.left - 2, y)], CONV)
        return
    way = [(image.middle, y + image.height / 2 + 2), (image.middle, scene.row(first))]
    scene.canvas.arrow([*way, (first.left - 2, scene.row(first))], DOWN)


def draw_backbone(scene: Scene) -> None:
    """Frame what the library's encoder publishes."""
    groups = [g for g in scene.layout.groups.values() if g.node.column == 0]
    top = scene.row(groups[0]) - groups[0].result.height / 2 - 26
    left, right = groups[0].left - FRAME_LEFT, groups[-1].right + FRAME_RIGHT
    bottom = scene.row(groups[-1]) + groups[-1].result.height / 2 + 26
    scene.canvas.box((left, top), (right - left, bottom - top), fill="#f6f2e9", stroke="#b09a6a")
    assert scene.spec.backbone is not None
    name = f"{scene.spec.backbone.model} (timm)"
    scene.canvas.text((left, bottom + 18), name, anchor="start", color="#7a6630")


def _boxes(scene: Scene, group: Group) -> None:
    frozen = group.node.name in scene.spec.frozen
    for number, box in enumerate(group.boxes):
        is_ours = frozen and box.kind == "map"
        fill = FROZEN_FILL if is_ours else FILLS[box.kind]
        left = group.left if number == group.entry else None
        scene.box(box, group.node.level, fill=fill, left=left)


def _inside(scene: Scene, group: Group) -> None:
    """Draw the units of a block, and the inputs that it adds."""
    y = scene.layout.rows[group.node.level]
    for before, after in group.joints:
        way = [(before.right + scene.depth + 2, y), (after.x - 2, y)]
        scene.canvas.arrow(way, CONV)
        middle = (way[0][0] + way[1][0]) / 2
        if after.is_attended:
            scene.mark((middle - 4, y), "a")
        elif after.units > 1:
            scene.canvas.text((middle - 2, y - 6), f"×{after.units}", size=13, color=CONV)
    for start, end in group.shortcuts:
        a, b = group.boxes[start], group.boxes[end]
        low = y + b.height / 2 + 2
        begin, finish = (a.right - 4, y + a.height / 2 + 2), (b.x + 3, low)
        bend = ((a.right + b.x) / 2, max(begin[1], low) + 20)
        scene.canvas.arc(begin, bend, finish, SHORTCUT, is_dashed=True)


def _size_label(scene: Scene, group: Group) -> None:
    node = group.node
    if scene.is_dense and node.column > 0:
        return
    text = short_size(scene.geometry.node_size(node.name, scene.size))
    tall = max(box.height for box in group.boxes if box.kind != "image")
    y = scene.layout.rows[node.level] + tall / 2 + 18
    y += UNDER_BOWS if group.shortcuts else 0.0
    if scene.is_dense:
        place, anchor = (group.right - 2, y), "end"
    elif node.name == scene.spec.lowest:
        place, anchor = ((group.left + group.right) / 2, y), "middle"
    elif node.column == 0:
        place, anchor = (group.result.middle - 8, y), "end"
    else:
        place, anchor = (group.boxes[group.entry].middle + 8, y), "start"
    scene.canvas.text(place, text, size=13, anchor=anchor, color="#555555")
