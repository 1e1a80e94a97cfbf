"""`ushape convert weights`."""

import pytest
from hand_made import write_new

from ushape.bundle import load_bundle


@pytest.fixture
def source(tmp_path, rows):
    return write_new(tmp_path / "m.weights.h5", rows)


ARGUMENTS = ("--model", "unet_padding", "--set", "levels=3", "--set", "up=transposed")


def test_it_writes_a_model_and_says_what_it_assumed(cli, source, tmp_path):
    out = tmp_path / "model.safetensors"
    result = cli("convert", "weights", source, *ARGUMENTS, "--set", "width=2", "--out", out)
    assert result.code == 0, result.err
    assert "23 layers of m.weights.h5 are now unet_padding" in result.out
    assert f"ushape predict {out}" in result.out
    for what in ("zscore", "epsilon", "labels are numbered"):
        assert what in result.err
    assert load_bundle(out).network.spec.name == "unet_padding"


def test_json_names_every_layer(cli, source, tmp_path):
    out = tmp_path / "model.safetensors"
    result = cli(
        *("convert", "weights", source, *ARGUMENTS, "--set", "width=2", "--out", out),
        *("--normalise", "zscore", "--labels", "rest=0,cell=1", "--epsilon", "0.001", "--json"),
    )
    assert result.code == 0, result.err
    assert result.json["notes"] == []
    assert result.json["layers"]["conv2d_10"] == "heads.x_0_2"


def test_a_mismatch_is_one_line_and_writes_nothing(cli, source, tmp_path):
    out = tmp_path / "model.safetensors"
    result = cli("convert", "weights", source, *ARGUMENTS, "--set", "width=3", "--out", out)
    assert result.code == 2
    assert "'conv2d'" in result.error
    assert "encoder.x_0_0.block.0.conv" in result.error
    assert not out.exists()
