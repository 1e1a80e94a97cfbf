"""A model file gives back what was saved, and says what is wrong with one that does not."""

import json
from dataclasses import replace

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from ushape import build
from ushape.bundle import BundleHeader, find_bundle, load_bundle, save_bundle
from ushape.config.schema import PreprocessConfig, TilingConfig
from ushape.errors import BundleError, StorageError
from ushape.labels import LabelClass, LabelTable

HEADER = BundleHeader(
    LabelTable((LabelClass("rest", 255), LabelClass("é", 0)), reason="why"),
    PreprocessConfig(1, "percentile"),
    TilingConfig((64, 80), overlap_fraction=0.5, batch=2, mirror=True),
    {"data": "cells", "validation_dice": 0.5, "nothing": None},
)


def small_network(seed=0):
    """Batch norm with statistics that are not the initial ones."""
    torch.manual_seed(seed)
    network = build("unet_padding", width=2, levels=3)
    network.train()
    network(torch.randn(4, 1, 16, 16))
    return network.eval()


@pytest.fixture
def network():
    return small_network()


@pytest.fixture
def path(tmp_path, network):
    save_bundle(tmp_path / "best.safetensors", network, HEADER)
    return tmp_path / "best.safetensors"


def test_weights_predictions_and_header_come_back(path, network):
    opened = load_bundle(path)
    assert opened.header == HEADER
    assert opened.path == path
    assert opened.network.spec == network.spec
    assert not opened.network.training
    state, again = network.state_dict(), opened.network.state_dict()
    assert state.keys() == again.keys()
    assert all(torch.equal(state[name], again[name]) for name in state)
    image = torch.randn(1, 1, 24, 32)
    with torch.no_grad():
        assert torch.equal(opened.network(image).logits, network(image).logits)


def test_other_weights_can_be_stored(tmp_path, network):
    other = small_network(seed=1).state_dict()
    save_bundle(tmp_path / "a.safetensors", network, HEADER, weights=other)
    again = load_bundle(tmp_path / "a.safetensors").network.state_dict()
    assert all(torch.equal(other[name], again[name]) for name in other)


def test_weights_in_another_memory_order_are_stored_the_same(tmp_path, path, network):
    save_bundle(tmp_path / "b", network.to(memory_format=torch.channels_last), HEADER)
    first, second = load_file(path), load_file(tmp_path / "b")
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_the_same_model_gives_the_same_bytes(tmp_path, path, network):
    provenance = dict(reversed(HEADER.provenance.items()))
    save_bundle(tmp_path / "again", network, replace(HEADER, provenance=provenance))
    assert (tmp_path / "again").read_bytes() == path.read_bytes()


def test_the_header_is_readable_json_and_nothing_else_is_stored(path):
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    assert list(metadata) == ["ushape"]
    assert json.loads(metadata["ushape"])["format"] == 2


def fails(path, *parts):
    with pytest.raises(BundleError) as caught:
        load_bundle(path)
    for part in (str(path), *parts):
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("keep", [0, 5, 200, -1])
def test_a_truncated_file(path, keep):
    path.write_bytes(path.read_bytes()[:keep])
    fails(path, "not a readable safetensors file", "damaged")


def test_a_file_of_another_kind(path):
    path.write_text("hello " * 100)
    fails(path, "not a readable safetensors file")


def test_foreign_weights(path):
    save_file({"a": torch.zeros(3)}, path)
    fails(path, "holds weights but no ushape header", "best.safetensors of a run")
    save_file({"a": torch.zeros(3)}, path, metadata={"other": "tool"})
    fails(path, "no ushape header")


def edited(path, change, weights=None):
    """Write the file again with a changed header."""
    with safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()["ushape"])
    text = change(header)
    text = text if isinstance(text, str) else json.dumps(header)
    save_file(weights or load_file(path), path, metadata={"ushape": text})
    return path


def test_a_newer_format_asks_for_an_update(path):
    def change(header):
        header["format"] = 4
        header["network"] = "something that only the future knows"

    fails(edited(path, change), "newer release (format 4, this one reads 3)", "update ushape")


@pytest.mark.parametrize(
    "change",
    [
        lambda header: "{not json",
        lambda header: "[1, 2]",
        lambda header: "5",
        lambda header: header.pop("format") and None,
        lambda header: header.pop("labels") and None,
        lambda header: header.pop("provenance") and None,
        lambda header: header.update(format="one"),
        lambda header: header.update(labels=[1]),
        lambda header: header["labels"]["classes"].pop() and None,
        lambda header: header["labels"]["classes"][0].update(value="red"),
        lambda header: header["preprocess"].update(channels=0),
        lambda header: header["preprocess"].update(colour="red"),
        lambda header: header["tiling"].pop("tile_size") and None,
        lambda header: header.update(network=None),
        lambda header: header["network"].update(surprise=1),
    ],
)
def test_a_damaged_header(path, change):
    fails(edited(path, change))


def test_weights_of_another_network_are_named(path, network):
    weights = load_file(path)
    name = next(name for name in weights if name.endswith("weight"))
    fails(edited(path, lambda header: None, {**weights, "extra": torch.zeros(1)}), "extra")
    fails(edited(path, lambda h: None, {n: w for n, w in weights.items() if n != name}), name)
    wrong = {**weights, name: torch.zeros(7)}
    fails(edited(path, lambda header: None, wrong), "weights and network do not fit", name)


def test_files_from_before_an_option_existed_are_read(path):
    """Settings with a default may be missing: `mirror` came after the first files."""
    opened = load_bundle(edited(path, lambda header: header["tiling"].pop("mirror") and None))
    assert opened.header.tiling == replace(HEADER.tiling, mirror=False)


def test_a_full_disk_keeps_the_old_model(path, network, monkeypatch):
    import errno
    import os

    def refuse(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before = path.read_bytes()
    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(StorageError, match=r"best\.safetensors: the disk is full"):
        save_bundle(path, small_network(1), HEADER)
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir()] == ["best.safetensors"]


# ---------------------------------------------------------------- finding


def test_a_file_a_fold_and_a_run_folder(tmp_path):
    file = tmp_path / "run" / "fold_0" / "best.safetensors"
    file.parent.mkdir(parents=True)
    file.touch()
    (file.parent / "last.safetensors").touch()
    other = tmp_path / "run" / "fold_1" / "best.safetensors"
    other.parent.mkdir()
    other.touch()
    for given in (file, file.parent, tmp_path / "run", str(tmp_path / "run")):
        assert find_bundle(given) == file
    assert find_bundle(other.parent) == other
    assert find_bundle(file.parent / "last.safetensors").name == "last.safetensors"


def test_what_holds_no_model(tmp_path):
    fails(tmp_path / "none", "no such file or folder")
    fails(tmp_path, "holds no best.safetensors", "first validation")
    (tmp_path / "best.safetensors").mkdir()
    fails(tmp_path, "holds no best.safetensors")


def test_lines_and_thresholds_are_kept(tmp_path, network):
    header = replace(HEADER, thin_classes=("cell",), thresholds={"cell": 0.35})
    save_bundle(tmp_path / "lines", network, header)
    again = load_bundle(tmp_path / "lines").header
    assert (again.thin_classes, again.thresholds) == (("cell",), {"cell": 0.35})


def test_names_of_channels_are_kept(tmp_path, network):
    save_bundle(tmp_path / "m.safetensors", network, replace(HEADER, channel_names=("T1", "FLAIR")))
    assert load_bundle(tmp_path / "m.safetensors").header.channel_names == ("T1", "FLAIR")


def test_a_file_of_the_first_format_is_read(path):
    def change(header):
        header["format"] = 1
        del header["thin_classes"], header["thresholds"], header["channel_names"]

    again = load_bundle(edited(path, change)).header
    assert (again.thin_classes, again.thresholds, again.channel_names) == ((), {}, ())
    assert again.labels == HEADER.labels
