"""A network's figure as a picture, in the manner of the papers. No torch.

Blue boxes are maps, as high as their resolution and as wide as their channels; white ones are
copies. `diagram_layout` says where they stand.
"""

from __future__ import annotations

from collections.abc import Sequence

from ushape.nets.diagram_boxes import GAP, Box, Group
from ushape.nets.diagram_layout import (
    FRAME_LEFT,
    FRAME_RIGHT,
    UNDER_BOWS,
    Layout,
    bow_height,
    lay_out,
)
from ushape.nets.diagram_legend import (
    BRANCH,
    CONV,
    COPY,
    DOWN,
    FROZEN_FILL,
    GATE,
    HEAD,
    SHORTCUT,
    STROKE,
    UP,
    draw_legend,
)
from ushape.nets.geometry import Geometry, geometry_of
from ushape.nets.parts import FineHead, GatedConcatenate, NodeHead
from ushape.nets.spec import NetworkSpec
from ushape.nets.svg import Canvas, Point
from ushape.sizes import Size

FILLS = {"map": "#a9c4e6", "image": "#e9edf2", "copy": "#ffffff", "logits": "#9fd8cb"}
_LIFT = 4.0
_POWERS = {2: "²", 3: "³"}


def diagram_svg(spec: NetworkSpec, size: Size) -> str:
    """Draw a network at an input size.

    Args:
        spec: The network.
        size: Spatial size, which must pass.

    Returns:
        The text of an SVG file with a white ground.

    Raises:
        ShapeError: The size cannot pass.

    >>> from ushape.nets import make_spec
    >>> diagram_svg(make_spec("unet_original"), (572, 572)).count("388²")
    2
    """
    geometry = geometry_of(spec)
    picture = _Picture(spec, geometry, size)
    picture.draw()
    picture.canvas.text(
        (picture.left, -18), _title(spec, geometry, size), size=16, anchor="start", is_bold=True
    )
    draw_legend(picture.canvas, spec, geometry, left=picture.left)
    return picture.canvas.to_svg(f"{spec.name} at {short_size(size)}")


def short_size(size: Sequence[int]) -> str:
    """Write a size in few letters.

    >>> short_size((572, 572)), short_size((28, 44, 44))
    ('572²', '28×44×44')
    """
    if len(set(size)) == 1:
        return f"{size[0]}{_POWERS[len(size)]}"
    return "×".join(map(str, size))


def _title(spec: NetworkSpec, geometry: Geometry, size: Size) -> str:
    result = short_size(geometry.output_size(size))
    return f"{spec.name}: {spec.in_channels} @ {short_size(size)} → {spec.classes} @ {result}"


class _Picture:
    """One diagram while it is drawn."""

    def __init__(self, spec: NetworkSpec, geometry: Geometry, size: Size) -> None:
        self.spec = spec
        self.geometry = geometry
        self.size = size
        self.layout: Layout = lay_out(spec, geometry, size)
        self.canvas = Canvas()
        self.depth = 5.0 if spec.kit.spatial_dims == 3 else 0.0
        self.is_dense = spec.nesting == "dense"
        self.left = min(self.layout.image.x, *(g.left for g in self.layout.groups.values()))

    def draw(self) -> None:
        """Draw everything but title and legend."""
        if self.spec.backbone is not None:
            self._backbone()
        if self.layout.image not in self.layout.groups[self.spec.nodes[0].name].boxes:
            self._image()
        for group in self.layout.groups.values():
            self._boxes(group)
            self._inside(group)
            self._size_label(group)
            self._way_here(group)
            self._skips(group)
        self._outputs()

    # Boxes

    def _boxes(self, group: Group) -> None:
        frozen = group.node.name in self.spec.frozen
        for number, box in enumerate(group.boxes):
            is_ours = frozen and box.kind == "map"
            fill = FROZEN_FILL if is_ours else FILLS[box.kind]
            left = group.left if number == group.entry else None
            self._box(box, group.node.level, fill=fill, left=left)

    def _box(self, box: Box, level: int, *, fill: str, left: float | None = None) -> None:
        """Draw a box; its label is centred from `left`, where it stands for joined boxes."""
        top = self.layout.rows[level] - box.height / 2
        self.canvas.box(
            (box.x, top),
            (box.width, box.height),
            fill=fill,
            stroke=STROKE,
            is_dashed=fill == FROZEN_FILL,
            depth=self.depth,
        )
        if box.label:
            start = box.x if left is None else left
            middle = (start + box.right + self.depth) / 2
            self.canvas.text((middle, top - _LIFT - self.depth), box.label)

    def _inside(self, group: Group) -> None:
        """Draw the units of a block, and the inputs that it adds."""
        y = self.layout.rows[group.node.level]
        for before, after in group.joints:
            way = [(before.right + self.depth + 2, y), (after.x - 2, y)]
            self.canvas.arrow(way, CONV)
            middle = (way[0][0] + way[1][0]) / 2
            if after.is_attended:
                self._mark((middle - 4, y), "a")
            elif after.units > 1:
                self.canvas.text((middle - 2, y - 6), f"×{after.units}", size=13, color=CONV)
        for start, end in group.shortcuts:
            a, b = group.boxes[start], group.boxes[end]
            low = y + b.height / 2 + 2
            begin, finish = (a.right - 4, y + a.height / 2 + 2), (b.x + 3, low)
            bend = ((a.right + b.x) / 2, max(begin[1], low) + 20)
            self.canvas.arc(begin, bend, finish, SHORTCUT, is_dashed=True)

    def _mark(self, center: Point, letter: str) -> None:
        self.canvas.circle(center, 7.5, fill="#ffffff", stroke=GATE)
        self.canvas.text((center[0], center[1] + 4), letter, size=11, color=GATE, is_bold=True)

    def _size_label(self, group: Group) -> None:
        node = group.node
        if self.is_dense and node.column > 0:
            return
        text = short_size(self.geometry.node_size(node.name, self.size))
        tall = max(box.height for box in group.boxes if box.kind != "image")
        y = self.layout.rows[node.level] + tall / 2 + 18
        y += UNDER_BOWS if group.shortcuts else 0.0
        if self.is_dense:
            place, anchor = (group.right - 2, y), "end"
        elif node.name == self.spec.lowest:
            place, anchor = ((group.left + group.right) / 2, y), "middle"
        elif node.column == 0:
            place, anchor = (group.result.middle - 8, y), "end"
        else:
            place, anchor = (group.boxes[group.entry].middle + 8, y), "start"
        self.canvas.text(place, text, size=13, anchor=anchor, color="#555555")

    def _image(self) -> None:
        """Draw an image that stands apart from its first map."""
        image, y = self.layout.image, self.layout.rows[0]
        self._box(image, 0, fill=FILLS["image"])
        first = self.layout.groups[self.spec.nodes[0].name]
        if first.node.level == 0:
            self.canvas.arrow([(image.right + 2, y), (first.left - 2, y)], CONV)
            return
        way = [(image.middle, y + image.height / 2 + 2), (image.middle, self._row(first))]
        self.canvas.arrow([*way, (first.left - 2, self._row(first))], DOWN)

    def _row(self, group: Group) -> float:
        return self.layout.rows[group.node.level]

    def _backbone(self) -> None:
        """Frame what the library's encoder publishes."""
        groups = [g for g in self.layout.groups.values() if g.node.column == 0]
        top = self._row(groups[0]) - groups[0].result.height / 2 - 26
        left, right = groups[0].left - FRAME_LEFT, groups[-1].right + FRAME_RIGHT
        bottom = self._row(groups[-1]) + groups[-1].result.height / 2 + 26
        self.canvas.box((left, top), (right - left, bottom - top), fill="#f6f2e9", stroke="#b09a6a")
        assert self.spec.backbone is not None
        name = f"{self.spec.backbone.model} (timm)"
        self.canvas.text((left, bottom + 18), name, anchor="start", color="#7a6630")

    # Ways between groups

    def _way_here(self, group: Group) -> None:
        node = group.node
        if node.source is None:
            return
        source = self.layout.groups[node.source]
        target = group.boxes[group.entry]
        color = DOWN if node.column == 0 else UP
        if self.is_dense:
            self._slope(source, group, color)
        elif abs(target.middle - source.result.middle) > 1:
            self._elbow(source, group, color)
        elif node.column == 0:
            bottom = self._row(source) + source.result.height / 2 + 2
            top = self._row(group) - target.height / 2 - LABEL_ROOM - self.depth
            self.canvas.arrow([(target.middle, bottom), (target.middle, top)], color)
        else:
            start = self._row(source) - source.result.height / 2 - LABEL_ROOM - self.depth
            end = self._row(group) + target.height / 2 + 2
            self.canvas.arrow([(target.middle, start), (target.middle, end)], color)

    def _elbow(self, source: Group, group: Group, color: str) -> None:
        """Lead around a corner, where the groups do not stand one above the other."""
        box, target = source.result, group.boxes[group.entry]
        y, y_source = self._row(group), self._row(source)
        if group.node.column == 0:
            corner = [(box.middle, y_source + box.height / 2 + 2), (box.middle, y)]
            self.canvas.arrow([*corner, (target.x - 2, y)], color)
        else:
            corner = [(box.right + self.depth + 2, y_source), (target.middle, y_source)]
            self.canvas.arrow([*corner, (target.middle, y + target.height / 2 + 2)], color)

    def _slope(self, source: Group, group: Group, color: str) -> None:
        box, target = source.result, group.result
        if group.node.column == 0:
            start = (box.right + 2, self._row(source) + box.height / 2 + 2)
            end = (target.x - 6, self._row(group) - target.height / 2 - 6)
        else:
            start = (box.right + 6, self._row(source) - box.height / 2 - 6)
            end = (target.x - 2, self._row(group) + target.height / 2 + 2)
        self.canvas.arrow([start, end], color)

    def _skips(self, group: Group) -> None:
        y, target = self._row(group), group.boxes[0]
        for name in group.node.skips:
            start = self.layout.groups[name].result
            columns = group.node.column - self.spec.node(name).column
            if self.is_dense and columns > 1:
                top = y - target.height / 2 + 4
                bend = ((start.right + target.x) / 2, top - 4 - 2 * bow_height(columns))
                self.canvas.arc((start.right + 1, top), bend, (target.x - 1, top), COPY)
                continue
            way = [(start.right + self.depth + 3, y), (target.x - 3, y)]
            self.canvas.arrow(way, COPY, width=3)
            if isinstance(self.spec.merge, GatedConcatenate):
                self._gate(group, (target.x - 24, y))

    def _gate(self, group: Group, place: Point) -> None:
        """Draw an attention gate and the signal from the map below."""
        assert group.node.source is not None, "decoder nodes read the level below"
        source = self.layout.groups[group.node.source]
        x = source.result.middle - 12
        top = self._row(source) - source.result.height / 2 - LABEL_ROOM - self.depth
        middle = self._row(group) + group.result.height / 2 + 12
        way = [(x, top), (x, middle), (place[0], middle), (place[0], place[1] + 9)]
        if not self.is_dense:
            self.canvas.arrow(way, GATE, width=1.5)
        self._mark(place, "g")

    # Outputs

    def _outputs(self) -> None:
        output = self.layout.groups[self.spec.nodes[-1].name]
        fine = [a for a in self.spec.auxiliary if isinstance(a, FineHead)]
        y, tall = self._row(output), output.result.height
        middle = y - tall / 4 if fine else y
        right = self._head(output, middle, tall * (0.42 if fine else 1), str(self.spec.classes))
        if self.spec.branch is not None:
            right = self._branch(right, middle, tall)
        words = "coarse logits" if fine else "logits"
        self.canvas.text((right + 8, middle + 4), words, anchor="start")
        for head in fine:
            right = self._head(output, y + tall / 4 + 8, tall * 0.42, str(head.classes))
            self.canvas.text((right + 8, y + tall / 4 + 12), "fine logits", anchor="start")
        for place, auxiliary in enumerate(self.spec.auxiliary):
            if isinstance(auxiliary, NodeHead):
                self._inner_head(self.layout.groups[auxiliary.node], place)

    def _head(self, group: Group, y: float, height: float, label: str) -> float:
        """Draw a head and its logits; return their right edge."""
        start = group.result.right + self.depth + 2
        self.canvas.arrow([(start, y), (start + GAP - 4, y)], HEAD)
        x = start + GAP - 2
        self._logits((x, y), height, label)
        return x + 8 + self.depth

    def _logits(self, place: Point, height: float, label: str) -> None:
        x, y = place
        self.canvas.box(
            (x, y - height / 2),
            (8, height),
            fill=FILLS["logits"],
            stroke=STROKE,
            depth=self.depth,
        )
        above = y - height / 2 - _LIFT - self.depth
        self.canvas.text((x + 4 + self.depth / 2, above), label)

    def _inner_head(self, group: Group, place: int) -> None:
        box = group.result
        shift = box.height * 0.3 if self.is_dense else 0.0
        y, start = self._row(group) + shift, box.right + self.depth + 2
        self.canvas.arrow([(start, y), (start + 16, y)], HEAD, width=1.6)
        height = min(22.0, box.height * 0.6)
        self.canvas.box(
            (start + 17, y - height / 2), (6, height), fill=FILLS["logits"], stroke=STROKE
        )
        self.canvas.text((start + 27, y + 4), f"aux {place}", size=12, anchor="start", color=HEAD)

    def _branch(self, right: float, y: float, tall: float) -> float:
        """Draw the branch from its node along its lane to the logits; return their right edge."""
        assert self.spec.branch is not None
        group = self.layout.groups[self.spec.branch.node]
        box, level = group.result, group.node.level
        x = box.right - 3
        plus = (right + 30, y)
        lane = self.layout.lanes[level]
        bottom = self._row(group) + box.height / 2 + 2
        start = (right + 2, y)
        self.canvas.arrow([start, (plus[0] - 9, y)], HEAD)
        way = [(x, bottom), (x, lane), (plus[0], lane), (plus[0], y + 10)]
        self.canvas.arrow(way, BRANCH)
        self.canvas.circle(plus, 8, fill="#ffffff", stroke=BRANCH)
        self.canvas.text((plus[0], y + 5), "+", size=15, color=BRANCH, is_bold=True)
        self.canvas.arrow([(plus[0] + 9, y), (plus[0] + 26, y)], HEAD)
        self._logits((plus[0] + 28, y), tall, str(self.spec.classes))
        return plus[0] + 36 + self.depth


LABEL_ROOM = 18.0
"""Height of the channels above a box."""
