"""The figure as data and as text. The full texts are in golden/nets."""

import json
import re
import subprocess
import sys
from dataclasses import replace

import pytest

from ushape.errors import ShapeError
from ushape.nets import describe, entries, figure_json, figure_text, make_spec
from ushape.nets.costs import costs_of
from ushape.nets.parts import Backbone, BackboneDown, PublishedMap


def test_rows_say_what_the_figure_of_2015_shows() -> None:
    figure = describe(make_spec("unet_original"), (572, 572))
    rows = {row.node: row for row in figure.rows}

    assert [(row.channels, row.size[0]) for row in figure.rows] == [
        (64, 568),
        (128, 280),
        (256, 136),
        (512, 64),
        (1024, 28),
        (512, 52),
        (256, 100),
        (128, 196),
        (64, 388),
        (1, 388),
    ]
    assert rows["x_1_3"].merge == "x_1_0 cropped 40"
    assert rows["x_1_0"].source == "x_0_0, max-pool 2x2"
    assert rows["x_0_0"].parameters == (9 + 1) * 64 + (9 * 64 + 1) * 64
    assert sum(row.parameters for row in figure.rows) == figure.trainable_parameters == 31_030_593
    assert figure.output_size == (388, 388)


def test_json_is_plain_data_with_the_same_numbers() -> None:
    figure = describe(make_spec("unet_padding", width=4), (64, 32))

    read = json.loads(json.dumps(figure_json(figure)))

    assert read["size"] == [64, 32]
    assert read["rows"][1]["node"] == "x_1_0"
    assert read["rows"][1]["size"] == [32, 16]
    assert read["all_parameters"] == figure.all_parameters > figure.trainable_parameters


def test_without_a_size_the_next_valid_one_is_shown() -> None:
    assert describe(make_spec("unet_original", width=1)).size == (268, 268)
    assert describe(make_spec("unet_padding", width=1, spatial_dims=3)).size == (64, 64, 64)


def test_trimmed_images_are_mentioned() -> None:
    text = figure_text(describe(make_spec("unet_original", width=1), (448, 448)))

    assert "the middle 444 x 444 are read" in text
    assert "260 x 260" in text


def test_sizes_that_cannot_pass_are_refused() -> None:
    with pytest.raises(ShapeError, match="256 x 272"):
        describe(make_spec("unet_padding"), (256, 257))


def test_nested_networks_are_drawn_as_a_triangle() -> None:
    spec = replace(make_spec("unet_padding", widths=(2, 4, 8)), nesting="dense")

    lines = figure_text(describe(spec, (32, 32))).split("\n")

    drawn = [line.split() for line in lines[2:9]]
    assert [word for word in drawn[0] if word.startswith("x_")] == ["x_0_0", "x_0_1", "x_0_2"]
    assert drawn[2] == ["\\", "/", "/"]
    assert [word for word in drawn[3] if word.startswith("x_")] == ["x_1_0", "x_1_1"]
    assert drawn[6] == ["x_2_0"]


def test_listing_geometry_and_figures_need_no_torch() -> None:
    code = (
        "import sys; from ushape.nets import entries, geometry_of, make_spec;"
        "entries(); geometry_of(make_spec('unet_original'));"
        "from ushape.nets import describe; describe(make_spec('vnet_2d'));"
        "from ushape.nets.diagram import diagram_svg; diagram_svg(make_spec('vnet_2d'), (64, 64));"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def rows_of(name, size=None, **options):
    figure = describe(make_spec(name, **options), size)
    return figure, {row.node: row for row in figure.rows}


@pytest.mark.parametrize(
    ("name", "options", "node", "source", "merge", "block"),
    [
        (
            "vnet_2d",
            {},
            "x_3_1",
            "x_4_0, transposed conv 2x2, batch norm, PReLU",
            "x_3_0",
            "3 x (conv 5x5, batch norm, PReLU) + enlarged map",
        ),
        (
            "vnet_3d",
            {"up": "linear", "kernel_size": 3},
            "x_0_4",
            "x_1_3, conv 1x1x1, linear 2x2x2",
            "x_0_0",
            "(conv 3x3x3, batch norm, LeakyReLU) + enlarged map",
        ),
        (
            "vnet_3d_depthwise",
            {"pointwise": False},
            "x_2_0",
            "x_1_0, conv 2x2x2 stride 2x2x2",
            "",
            "2 x (depthwise conv 3x3x3, batch norm, LeakyReLU) + input",
        ),
        ("vnet_3d_depthwise", {}, "x_0_0", "image", "", "conv 3x3x3"),
        (
            "vnet_3d_bottleneck",
            {},
            "x_1_0",
            "x_0_0, conv 3x3x3 by stride 2x2x2, batch norm, ReLU",
            "",
            "3 x (bottleneck 3x3x3)",
        ),
        (
            "vnet_3d_bottleneck",
            {},
            "x_2_0",
            "x_1_0, inception reduction 2x2x2",
            "",
            "4 x (bottleneck 3x3x3)",
        ),
        (
            "unet_residual",
            {},
            "x_0_0",
            "image",
            "",
            "conv 3x3, instance norm, LeakyReLU; 2 x (conv 3x3, instance norm, LeakyReLU) + input",
        ),
        (
            "unet_residual",
            {},
            "x_2_0",
            "x_1_0, stride 2x2 in the block",
            "",
            "4 x [2 x (conv 3x3, instance norm, LeakyReLU) + input]",
        ),
        (
            "unet_3d",
            {"norm": "none"},
            "x_1_0",
            "x_0_0, max-pool 2x2x2",
            "",
            "2 x (conv 3x3x3, ReLU) to 64, 128",
        ),
        (
            "unet_25d",
            {},
            "x_1_3",
            "x_2_2, linear 1x2x2, conv 1x3x3",
            "x_1_0",
            "attention 1x3x3, 2 x (conv 1x3x3, batch norm, ReLU)",
        ),
        (
            "unet_attention",
            {},
            "x_1_3",
            "x_2_2, transposed conv 2x2, ReLU",
            "x_1_0 gated",
            "2 x (conv 3x3, batch norm, ReLU)",
        ),
        (
            "unet_plusplus",
            {},
            "x_0_3",
            "x_1_2, transposed conv 2x2, ReLU",
            "x_0_0, x_0_1, x_0_2",
            "2 x (conv 3x3, ReLU)",
        ),
        (
            "unet_backbone",
            {"encoder": "unet", "decoder": "add"},
            "x_1_3",
            "x_2_2, conv 1x1, transposed conv 4x4, conv 1x1",
            "x_1_0",
            "no layers",
        ),
        (
            "unet_padding",
            {"block": "inception", "activation": "silu", "up": "nearest"},
            "x_3_1",
            "x_4_0, nearest, conv 2x2, SiLU",
            "x_3_0",
            "2 x (inception 3x3)",
        ),
    ],
)
def test_rows_name_every_kind_of_part(name, options, node, source, merge, block) -> None:
    _, rows = rows_of(name, **options)

    assert (rows[node].source, rows[node].merge, rows[node].block) == (source, merge, block)


def test_outputs_have_rows_in_the_order_of_the_result() -> None:
    figure, rows = rows_of("unet_residual", (64, 64), classes=3)
    outputs = [row.node for row in figure.rows if not row.node.startswith("x_")]

    assert outputs == ["head", "head x_1_4", "head x_2_3", "head x_3_2"]
    assert rows["head x_2_3"].block == "conv 1x1; auxiliary[1]"
    assert (rows["head x_2_3"].channels, rows["head x_2_3"].size) == (3, (16, 16))
    assert rows["head x_2_3"].parameters == 3 * (128 + 1)


def test_attention_maps_have_rows_without_parameters_of_their_own() -> None:
    figure, rows = rows_of("unet_25d", (5, 64, 64), width=4)

    assert rows["attention x_4_0"].block == "its map; auxiliary[0]"
    assert (rows["attention x_4_0"].channels, rows["attention x_4_0"].parameters) == (1, 0)
    assert rows["attention x_2_2"].size == rows["x_2_2"].size == (8, 16, 16)
    assert rows["head"].block == "conv 1x3x3"
    assert sum(row.parameters for row in figure.rows) == figure.trainable_parameters


def test_the_fine_head_and_the_branch_have_rows() -> None:
    _, rows = rows_of("unet_fine_grained", (32, 32), classes=2, fine_classes=5, width=4)
    assert (rows["head fine"].channels, rows["head fine"].parameters) == (5, 5 * (4 + 1))

    options = {"classes": 4, "branch_classes": (1, 3), "node": "x_2_0", "width": 4}
    _, rows = rows_of("unet_branch", (32, 32), **options)
    assert rows["branch"].merge == "added to logits 1, 3"
    assert rows["branch"].block == "conv 1x1, transposed conv 8x8 a class"
    assert (rows["branch"].channels, rows["branch"].size) == (2, (32, 32))
    assert rows["branch"].parameters == 2 * (16 + 1) + 2 * 64


def test_heads_see_what_the_logits_see() -> None:
    """A branch from a map of another level widens what the logits see."""
    figure, rows = rows_of("unet_branch", levels=3, width=4, node="x_2_0", kernel_size=1)

    assert rows["head"].receptive_field == figure.receptive_field
    assert figure.receptive_field[0] > rows["x_0_2"].receptive_field[0]


def test_frozen_parameters_are_told_apart() -> None:
    figure, rows = rows_of("unet_branch", freeze_until="x_1_0", width=4, levels=3)

    assert figure.frozen_parameters == rows["x_0_0"].parameters + rows["x_1_0"].parameters
    assert sum(row.parameters for row in figure.rows) == (
        figure.frozen_parameters + figure.trainable_parameters
    )
    text = figure_text(figure)
    assert f"{figure.trainable_parameters:,} trainable, {figure.frozen_parameters:,} frozen" in text
    assert "Not trained: x_0_0, x_1_0." in text


def with_backbone():
    """Make a network over a library's encoder whose first map is at stride 4, without timm."""
    plain = make_spec("unet_backbone", encoder="unet")
    levels = []
    for number, level in enumerate(plain.levels):
        encoder = PublishedMap(level.encoder.widths[-1:]) if number >= 2 else None
        step = replace(level.step, down=BackboneDown()) if level.step else None
        levels.append(replace(level, encoder=encoder, step=step))
    return replace(plain, levels=tuple(levels), backbone=Backbone("some_encoder"))


def test_backbones_have_a_row_and_no_receptive_field(monkeypatch) -> None:
    monkeypatch.setattr("ushape.nets.parameters._backbone", lambda spec: (1000, 10, 6))
    figure = describe(with_backbone(), (250, 256))
    rows = {row.node: row for row in figure.rows}

    assert rows["backbone"].block == "some_encoder of timm"
    assert (rows["backbone"].parameters, rows["x_2_0"].parameters) == (1000, 0)
    assert (rows["backbone"].channels, rows["backbone"].size) == (1024, (16, 16))
    assert rows["x_2_0"].source == "backbone, stride 4x4"
    assert all(row.receptive_field is None for row in figure.rows)
    decoder = sum(row.parameters for row in figure.rows) - 1000
    assert figure.trainable_parameters == decoder + 990
    assert figure.frozen_parameters == 10

    lines = figure_text(figure).split("\n")
    # The image stands where its arrow to the first map starts.
    drawn = {line.split()[0]: line for line in lines[2:14] if line.split()}
    assert "x_1_3" in drawn["image"]
    assert any(line.startswith("receptive field  at least ") for line in lines)
    assert any(line == "input sizes      any" for line in lines)


def test_costs_are_measured_when_asked_for() -> None:
    spec = make_spec("unet_padding", levels=3, width=4)
    figure = describe(spec, (32, 32), batch=3)

    assert describe(spec, (32, 32)).costs is None
    assert figure.costs == costs_of(spec, (32, 32), batch=3)
    text = figure_text(figure)
    assert f"{figure.costs.multiply_adds / 1e6:.2f} M an image; FLOPs are twice as many" in text
    assert "maps of 3 images kept for the backward pass" in text
    written = json.loads(json.dumps(figure_json(figure)))
    assert written["costs"]["training"]["float32"] == figure.costs.training.float32


class TestNotes:
    """Sentences must be true of the network."""

    def notes(self, name, **options):
        return " ".join(describe(make_spec(name, **options)).notes)

    @pytest.mark.parametrize("entry", [e for e in entries() if e.name != "unet_backbone"])
    def test_only_what_is_there_is_mentioned(self, entry) -> None:
        for dims in entry.spatial_dims:
            spec = make_spec(entry.name, spatial_dims=dims)
            notes = " ".join(describe(spec).notes)
            names = {
                "relu": r"\bReLU",
                "leaky_relu": "LeakyReLU",
                "prelu": "PReLU",
            }
            # ReLU also stands inside attention and gates, whatever the activation.
            text = notes.replace("sigmoid(conv(ReLU(conv(x))))", "").replace("psi(ReLU(", "")
            for activation, pattern in names.items():
                if re.search(pattern, text):
                    assert spec.kit.activation == activation
            assert ("batch norm" in notes) <= (spec.kit.norm == "batch")
            assert ("Instance norm" in notes) == (spec.kit.norm == "instance")
            assert ("auxiliary" in notes) == bool(
                {"logits", "attention"} & {auxiliary.kind for auxiliary in spec.auxiliary}
            )
            assert ("not padded" in notes) == (spec.kit.padding == "valid")
            kernels = re.findall(r"\b1(?:x1)+\b", notes)
            assert all(kernel.count("x") == dims - 1 for kernel in kernels)

    def test_norms_are_not_mentioned_where_there_are_none(self) -> None:
        for options in ({"block": "bottleneck"}, {"block": "inception"}, {"block": "residual"}):
            assert "norm" not in self.notes("unet_padding", norm="none", **options)

    def test_merges(self) -> None:
        added = self.notes("unet_backbone", encoder="unet", decoder="add")
        assert "added" in added
        assert "concatenated" not in added
        assert "gate" in self.notes("unet_attention")
        assert "gate" not in self.notes("unet_padding")

    def test_ways_up(self) -> None:
        assert "have no bias" in self.notes("unet_3d", up_bias=False)
        assert "have no bias" not in self.notes("unet_3d")
        assert "behind the last pixel" in self.notes("unet_padding")
        assert "behind the last pixel" not in self.notes("unet_padding", up="transposed")
        assert "corner pixels" in self.notes("vnet_2d", up="linear", align_corners=True)
        assert "corner pixels" not in self.notes("vnet_2d", up="linear")

    def test_padding(self) -> None:
        assert "step of their own" in self.notes("vnet_3d_depthwise", padding="pad-then-valid")
        assert "first pixel" in self.notes("vnet_3d_bottleneck", reduction_padding="after")
        assert "first pixel" not in self.notes("vnet_3d_bottleneck")
        assert "repeating the last pixels" in self.notes("unet_25d")

    def test_shortcuts(self) -> None:
        striding = self.notes("unet_residual")
        assert "without bias and instance norm where channels differ" in striding
        assert "average-pooling" in striding
        plain = self.notes("unet_padding", residual=True)
        assert "by a 1x1 convolution where channels differ" in plain
        assert "average-pooling" not in plain
