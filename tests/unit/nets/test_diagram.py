"""The picture of a network: complete, legible, and well-formed. Nothing may overlap."""

import re
import xml.etree.ElementTree as ElementTree
from collections import Counter
from dataclasses import dataclass, replace
from itertools import combinations, pairwise

import pytest

from ushape.errors import ShapeError
from ushape.nets import entries, geometry_of, make_spec
from ushape.nets.describe import default_size
from ushape.nets.diagram import diagram_svg
from ushape.nets.diagram.layout import lay_out
from ushape.nets.diagram.legend import BRANCH, CONV, COPY, DOWN, GATE, HEAD, UP
from ushape.nets.parts import Backbone, BackboneDown, PublishedMap

SVG = "{http://www.w3.org/2000/svg}"


def with_backbone(decoder: str = "concat"):
    """Make a network over a library's encoder whose first map is at stride 4, without timm."""
    plain = make_spec("unet_backbone", encoder="unet", decoder=decoder)
    levels = []
    for number, level in enumerate(plain.levels):
        encoder = PublishedMap(level.encoder.widths[-1:]) if number >= 2 else None
        step = replace(level.step, down=BackboneDown()) if level.step else None
        levels.append(replace(level, encoder=encoder, step=step))
    return replace(plain, levels=tuple(levels), backbone=Backbone("swin_tiny_patch4_window7_224"))


SPECS = {
    f"{entry.name}-{dims}d": make_spec(entry.name, spatial_dims=dims)
    for entry in entries()
    if entry.name != "unet_backbone"
    for dims in entry.spatial_dims
} | {
    "backbone": with_backbone(),
    "backbone-add": with_backbone("add"),
    "own encoder, added": make_spec("unet_backbone", encoder="unet", decoder="add", freeze=2),
    "residual": make_spec("unet_padding", residual=True, levels=6),
    "wide": make_spec("unet_padding", width=1024, in_channels=300, classes=1000),
    "narrow": make_spec("unet_padding", width=1),
    "long chains": make_spec("unet_padding", num_convs=8, block="bottleneck"),
    "flat": make_spec("unet_25d", levels=6, classes=12),
    "branch and frozen": make_spec(
        "unet_branch", classes=3, branch_classes=(0, 2), freeze_until="x_1_0", node="x_1_3"
    ),
    "branch of the bottom": make_spec("unet_branch", node="x_4_0", network="vnet_2d"),
    "nested branch": make_spec("unet_branch", node="x_1_1", network="unet_plusplus"),
    "fine, supervised": make_spec("unet_fine_grained", network="unet_residual", fine_classes=4),
}


@dataclass(frozen=True)
class Text:
    words: str
    left: float
    right: float
    top: float
    bottom: float


def drawn(name: str) -> ElementTree.Element:
    spec = SPECS[name]
    return ElementTree.fromstring(diagram_svg(spec, default_size(geometry_of(spec))))


def texts(root: ElementTree.Element) -> list[Text]:
    """Place every text as a narrow sans-serif font would at least."""
    found = []
    for node in root.iter(f"{SVG}text"):
        x, y, size = (float(node.get(key)) for key in ("x", "y", "font-size"))
        width = 0.5 * size * len(node.text)
        left = x - {"start": 0, "middle": width / 2, "end": width}[node.get("text-anchor")]
        found.append(Text(node.text, left, left + width, y - 0.7 * size, y))
    return found


def colors(root: ElementTree.Element) -> Counter:
    return Counter(node.get("stroke") for node in root.iter(f"{SVG}path"))


@pytest.mark.parametrize("name", SPECS)
def test_no_text_covers_another(name) -> None:
    for a, b in combinations(texts(drawn(name)), 2):
        apart = a.right <= b.left or b.right <= a.left or a.bottom <= b.top or b.bottom <= a.top
        assert apart, (a, b)


@pytest.mark.parametrize("name", SPECS)
def test_no_box_covers_another_of_its_level(name) -> None:
    spec = SPECS[name]
    layout = lay_out(spec, geometry_of(spec), default_size(geometry_of(spec)))
    for level in range(len(spec.levels)):
        groups = [group for group in layout.groups.values() if group.node.level == level]
        ordered = sorted(groups, key=lambda group: group.left)
        assert all(a.right + 15 < b.left for a, b in pairwise(ordered))
        assert [group.node.column for group in ordered] == sorted(g.node.column for g in groups)


@pytest.mark.parametrize("name", SPECS)
def test_everything_is_inside_the_picture(name) -> None:
    root = drawn(name)
    left, top, width, height = map(float, root.get("viewBox").split())
    pairs = [
        tuple(map(float, pair.split(",")))
        for node in root.iter(f"{SVG}polygon")
        for pair in node.get("points").split()
    ]
    pairs += [(x, y) for text in texts(root) for x in (text.left, text.right) for y in (text.top,)]
    for node in root.iter(f"{SVG}path"):
        numbers = [float(number) for number in re.findall(r"-?[\d.]+", node.get("d"))]
        if "Q" not in node.get("d"):  # the middle point of a bow lies outside of it
            pairs += zip(numbers[::2], numbers[1::2], strict=True)

    assert all(left <= x <= left + width and top <= y <= top + height for x, y in pairs)
    assert (root.get("width"), root.get("height")) == (f"{width:g}", f"{height:g}")


@pytest.mark.parametrize("name", SPECS)
def test_text_is_legible_at_900_pixels(name) -> None:
    root = drawn(name)
    scale = min(1.0, 900 / float(root.get("width")))
    sizes = [float(node.get("font-size")) for node in root.iter(f"{SVG}text")]

    assert min(sizes) * scale >= 8.5


@pytest.mark.parametrize("name", SPECS)
def test_ways_are_those_of_the_wiring_table(name) -> None:
    """One line in the legend for each wording, one in the drawing for each way."""
    spec, found = SPECS[name], colors(drawn(name))
    skips = sum(len(node.skips) for node in spec.nodes)
    ups = sum(node.column > 0 for node in spec.nodes)

    assert found[COPY] == skips + 1
    assert found[UP] - ups in (1, 2)
    downs = len(spec.nodes) - ups - (0 if spec.backbone else 1)
    assert found[DOWN] - downs in (1, 2)
    assert (found[BRANCH] > 0) == (spec.branch is not None)


def test_channels_and_sizes_are_those_of_the_paper() -> None:
    root = ElementTree.fromstring(diagram_svg(make_spec("unet_original", classes=2), (572, 572)))
    words = Counter(text.words for text in texts(root))

    assert {"568²", "280²", "136²", "64²", "28²", "52²", "100²", "196²", "388²"} <= set(words)
    # Above the boxes of Fig. 1: pooled maps, results of convolutions, merged maps.
    assert words["64"] == 2 + 1 + 2
    assert words["1024"] == 2 + 1
    assert (words["1"], words["2"]) == (1, 1)
    assert "copy, crop, concatenate" in words
    assert colors(root)[CONV] == 18 + 1  # two convolutions on nine nodes, and the legend


def test_gates_attention_heads_and_frozen_nodes_are_drawn() -> None:
    gated = [text.words for text in texts(drawn("unet_attention-2d"))]
    attending = [text.words for text in texts(drawn("unet_25d-3d"))]
    supervised = [text.words for text in texts(drawn("unet_residual-2d"))]

    assert gated.count("g") == 4
    assert attending.count("a") == 5
    assert [word for word in supervised if word.startswith("aux ")] == ["aux 0", "aux 1", "aux 2"]
    assert colors(drawn("unet_residual-2d"))[HEAD] == 1 + 3 + 1
    assert colors(drawn("unet_attention-2d"))[GATE] == 4 + 1

    svg = diagram_svg(SPECS["branch and frozen"], (256, 256))
    assert svg.count("stroke-dasharray") == 2 + 2 + 1 + 1  # boxes of two nodes, one pooled, legend
    assert "branch, added to logits 0, 2" in svg


def test_backbones_are_framed_and_named() -> None:
    svg = diagram_svg(SPECS["backbone"], (256, 256))

    assert "swin_tiny_patch4_window7_224 (timm)" in svg


def test_volumes_are_drawn_as_blocks() -> None:
    flat = diagram_svg(SPECS["unet_padding-2d"], (64, 64))
    deep = diagram_svg(SPECS["unet_padding-3d"], (64, 64, 64))

    boxes = flat.count('stroke="#1d3f66"')
    assert deep.count('stroke="#1d3f66"') == 3 * boxes


def test_names_cannot_break_the_file() -> None:
    spec = replace(SPECS["unet_padding-2d"], name='<&"')

    root = ElementTree.fromstring(diagram_svg(spec, (64, 64)))

    assert root.find(f"{SVG}title").text.startswith('<&"')


def test_sizes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ShapeError, match="the nearest is"):
        diagram_svg(SPECS["unet_padding-2d"], (33, 32))
