"""The figure as data and as text. The full texts are in golden/nets."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest

from ushape.errors import ShapeError
from ushape.nets import describe, figure_json, figure_text, make_spec


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


def test_listing_and_geometry_need_no_torch() -> None:
    code = (
        "import sys; from ushape.nets import entries, geometry_of, make_spec;"
        "entries(); geometry_of(make_spec('unet_original')); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
