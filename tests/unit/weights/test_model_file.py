"""The model file that a conversion writes: complete, honest about what was assumed."""

import numpy as np
import pytest
import torch
from hand_made import OPTIONS, build, rows_of, write_new

import ushape
from ushape.bundle import load_bundle
from ushape.errors import DataError, UshapeError
from ushape.weights import convert_file, convert_weights


@pytest.fixture
def source(tmp_path, rows):
    return write_new(tmp_path / "m.weights.h5", rows)


def convert(source, tmp_path, **options):
    out = tmp_path / "model.safetensors"
    options = {"model": "unet_padding", "options": OPTIONS, **options}
    return convert_file(source, out, **options), out


def test_the_model_file_predicts_with_the_converted_weights(source, tmp_path, network):
    done, out = convert(source, tmp_path)
    convert_weights(source, network)
    opened = load_bundle(out)
    image = torch.randn(1, 1, 24, 32)
    with torch.no_grad():
        assert torch.equal(opened.network(image).logits, network(image).logits)
    labels = ushape.load(out, device="cpu").predict(np.zeros((20, 30)))
    assert labels.shape == (20, 30)
    assert opened.header.provenance["converted_from"] == "m.weights.h5"
    assert len(opened.header.provenance["converted_sha256"]) == 64
    assert len(done.matches) == 23


def test_what_was_assumed_is_said_and_what_was_given_is_kept(source, tmp_path):
    done, _ = convert(source, tmp_path)
    notes = " ".join(done.notes)
    assert "zscore" in notes
    assert "0 = background, 1 = foreground" in notes
    done, out = convert(
        source,
        tmp_path,
        labels={"rest": 255, "cell": 0},
        normalise="percentile",
        tile_size=(64, 96),
        epsilon=1e-3,
    )
    assert done.notes == ()
    header = load_bundle(out).header
    assert header.labels.describe() == "255 = rest, 0 = cell"
    assert header.preprocess.normalise == "percentile"
    assert header.tiling.tile_size == (64, 96)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"normalise": "percentil"}, "did you mean 'percentile'"),
        ({"labels": {"a": 0, "b": 1, "c": 2}}, "names 3 classes"),
        ({"tile_size": (63, 64)}, "the nearest is 60 x 64 or 64 x 64"),
        ({"tile_size": (64, 64, 64)}, "has 3 axes"),
        ({"model": "unet_paddin"}, "did you mean 'unet_padding'"),
        ({"options": {"widht": 3}}, "did you mean 'width'"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_written(options, text, source, tmp_path):
    with pytest.raises(UshapeError, match=text):
        convert(source, tmp_path, **options)
    assert not (tmp_path / "model.safetensors").exists()


def test_a_refused_file_leaves_the_old_model_as_it_was(source, tmp_path):
    out = tmp_path / "model.safetensors"
    out.write_bytes(b"old")
    with pytest.raises(DataError):
        convert(source, tmp_path, options={**OPTIONS, "width": 3})
    assert out.read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.weights.h5", out.name]


def test_several_classes_get_numbers(tmp_path):
    source = write_new(tmp_path / "m.h5", rows_of(build(classes=3)))
    _, out = convert(source, tmp_path, classes=3)
    header = load_bundle(out).header
    assert header.labels.names == ("background", "class_1", "class_2")
    assert header.labels.num_logits == 3
