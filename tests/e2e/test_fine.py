"""A fine-grained network from the command line: train, predict, evaluate, explain, resume."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import ushape
from ushape.bundle import load_bundle
from ushape.bundle.bundle import KEY
from ushape.config.load import load_config

NAMES = ("background", "disc", "knob", "cord")
SETTINGS = tuple(
    word
    for setting in (
        "model.options.width=4",
        "model.options.levels=3",
        "optimizer.learning_rate=0.01",
        "train.validations=2",
        "patch.batch=3",
        "fine.cuts=8",
        "fine.present_fraction=0.5",
        "tiling.mirror=false",
    )
    for word in ("--set", setting)
)
LABELS = ("--labels", ",".join(f"{name}={value}" for value, name in enumerate(NAMES)))
COMMON = ("--model", "unet_fine_grained", "--val", "6-9", *LABELS, *SETTINGS)


def draw(rng):
    """Discs, in half of the pictures with a small bright knob at the edge, and a cord."""
    label = np.zeros((64, 64), np.uint8)
    label[:, 4:8] = 3
    for first in (6, 36):
        top, left = first + int(rng.integers(0, 8)), int(rng.integers(14, 24))
        label[top : top + 12, left : left + 28] = 1
        if rng.random() < 0.5:
            place = left + int(rng.integers(2, 20))
            label[top + 4 : top + 9, place : place + 5] = 2
    tones = np.array([40, 120, 230, 180])[label]
    return (tones + rng.normal(0, 8, label.shape)).clip(0, 255).astype(np.uint8), label


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("fine") / "discs"
    rng = np.random.default_rng(4)
    for folder in ("images", "labels"):
        (root / folder).mkdir(parents=True)
    for number in range(10):
        image, label = draw(rng)
        Image.fromarray(image).save(root / "images" / f"{number}.png")
        Image.fromarray(label).save(root / "labels" / f"{number}.png")
    return root


@pytest.fixture(scope="module")
def trained(cli, data, tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "fine"
    result = cli("train", data, *COMMON, "--steps", 160, "--out", run)
    assert result.code == 0, result.err
    return run, result


def test_the_plan_finds_out_what_is_small_and_within_what(cli, data):
    found = cli("plan", data, *COMMON, "--steps", 9)
    assert found.code == 0, found.err
    assert "fine     knob in every region of disc" in found.out
    config = cli("plan", data, *COMMON, "--steps", 9, "--json").json["config"]
    assert config["fine"]["classes"] == ["knob"]
    assert config["fine"]["within"] == "disc"
    assert config["model"]["classes"] == 3


def test_small_classes_are_learnt_and_the_cost_of_wrong_regions_is_told(trained):
    run, result = trained
    scores = json.loads((run / "fold_0" / "evaluation.json").read_text())
    assert scores["summary"]["disc"]["dice"]["mean"] > 0.8
    assert scores["summary"]["knob"]["dice"]["mean"] > 0.5
    boxes = scores["boxes"]
    knob = boxes["summary"]["knob"]
    # The same network and decision: predicted boxes give what was written and scored.
    assert knob["predicted boxes"]["mean"] == pytest.approx(
        scores["summary"]["knob"]["dice"]["mean"], abs=1e-6
    )
    assert knob["true boxes"]["mean"] > 0.5
    lost = [
        case["knob"]["true boxes"] - case["knob"]["predicted boxes"]
        for case in boxes["cases"]
        if None not in case["knob"].values()
    ]
    assert knob["lost"]["mean"] == pytest.approx(np.mean(lost), abs=1e-6)
    assert "true boxes" in result.out
    report = (run / "report.html").read_text()
    assert "What wrong regions cost" in report
    assert "knob, predicted boxes" in report


def test_the_model_file_says_that_it_makes_two_passes(trained, cli, tiny_run):
    run, _ = trained
    best = run / "fold_0" / "best.safetensors"
    fine = load_bundle(best).header.fine
    assert (fine.classes, fine.within) == (("knob",), "disc")
    assert fine == load_config(run / "config.yaml").fine
    assert header_of(best)["format"] == 3
    plain = header_of(tiny_run / "fold_0" / "best.safetensors")
    assert plain["format"] == 2, "older releases still read what makes one pass"
    assert "fine" not in plain


def header_of(path):
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        return json.loads(file.metadata()[KEY])


def test_prediction_finds_knobs_in_discs_only(trained, data, tmp_path, cli):
    run, _ = trained
    image = np.asarray(Image.open(data / "images" / "7.png"))
    odd = image.copy()
    odd[58:63, 56:61] = 230  # looks like a knob, in no disc
    model = ushape.load(run, device="cpu")
    labels = model.predict(odd)
    assert set(np.unique(labels)) <= {0, 1, 2, 3}
    assert (labels[56:, 54:] != 2).all()
    probabilities = model.predict_probabilities(odd)
    assert probabilities.shape == (4, 64, 64)
    np.testing.assert_allclose(probabilities.sum(0), 1, rtol=1e-4)
    assert ((probabilities[2] > 0.5) == (labels == 2)).all()
    assert cli("predict", run, data / "images" / "7.png", "--out", tmp_path / "p").code == 0
    written = np.asarray(Image.open(tmp_path / "p" / "7.png"))
    assert (written == model.predict(image)).all()
    stricter = ushape.load(run, device="cpu", thresholds={"knob": 0.9})
    assert (stricter.predict(image) == 2).sum() < (written == 2).sum()


def test_an_image_with_nothing_to_look_into_is_told_of(trained, tmp_path, cli):
    run, _ = trained
    noise = np.random.default_rng(0).normal(40, 8, (64, 64)).clip(0, 255)
    noise[:, 4:8] = 180  # a cord, as everywhere, and nothing else
    Image.fromarray(noise.astype(np.uint8)).save(tmp_path / "empty.png")
    result = cli("predict", run, tmp_path / "empty.png", "--out", tmp_path / "p")
    assert result.code == 0, result.err
    found = set(np.unique(np.asarray(Image.open(tmp_path / "p" / "empty.png"))))
    assert 2 not in found
    assert ("empty.png: no disc was found, so no knob was looked for" in result.err) == (
        1 not in found
    )
    assert 1 not in found


def test_explain_takes_the_coarse_classes(trained, data, tmp_path, cli):
    run, _ = trained
    image, label = (data / kind / "7.png" for kind in ("images", "labels"))
    result = cli("explain", run, image, "--label", label, "--out", tmp_path / "e")
    assert result.code == 0, result.err
    assert "knob: found in a second pass" in result.out
    assert (tmp_path / "e" / "disc.png").exists()
    assert not (tmp_path / "e" / "knob.png").exists()


def test_a_resumed_run_equals_an_uninterrupted_one(cli, data, tmp_path, monkeypatch):
    """Stop after some steps of a run with balances in both passes, go on, compare all weights."""
    from ushape.training import loop

    options = (*COMMON, "--steps", 5, "--set", "balance=auto", "--set", "train.validations=1")
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert cli("train", data, *options, "--out", whole).code == 0

    class StopsAtThree(loop.StopRequest):
        count = 0

        @property
        def is_set(self):
            type(self).count += 1
            return self.count == 3

        @is_set.setter
        def is_set(self, value):
            pass

    with monkeypatch.context() as patch:
        patch.setattr(loop, "StopRequest", StopsAtThree)
        assert cli("train", data, *options, "--out", parts).code == 3
    state = torch.load(parts / "fold_0" / "state.pt", weights_only=True)
    assert any(key.startswith("fine.") for key in state["loss"])
    assert any("second_running_mean" in key for key in state["network"])
    assert cli("train", data, *options, "--out", parts, "--resume").code == 0
    first, second = (load_file(run / "fold_0" / "last.safetensors") for run in (whole, parts))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_classes_that_overlap(cli, data, tmp_path):
    """With a region over both, the small class overlaps the one that it is looked for in."""
    run = tmp_path / "run"
    result = cli(
        "train", data, *COMMON, "--steps", 3, "--out", run,
        "--region", "whole=disc+knob",
        "--set", "fine.classes=[knob]", "--set", "fine.within=whole",
    )  # fmt: skip
    assert result.code == 0, result.err
    found = load_bundle(run)
    assert found.header.labels.is_overlapping
    assert found.network.spec.classes == len(found.header.labels.foreground) - 1
    masks = ushape.load(run, device="cpu").predict(
        np.asarray(Image.open(data / "images" / "0.png"))
    )
    assert masks.shape == (4, 64, 64)


@pytest.mark.parametrize(
    "options", [("--set", "fine.kind=mask"), ("--set", "fine.regions=largest")]
)
def test_other_ways_to_cut(cli, data, tmp_path, options):
    result = cli("train", data, *COMMON, "--steps", 3, "--out", tmp_path / "run", *options)
    assert result.code == 0, result.err


def test_what_cannot_be_is_refused_before_training(cli, data, tmp_path):
    for options, words in {
        ("--model", "unet_padding", *LABELS, "--set", "fine.classes=[knob]"): "makes one pass only",
        (*COMMON, "--set", "fine.cut_size=[33, 33]"): "fine.cut_size = 33 x 33",
        (*COMMON, "--set", "fine.cut_size=[32, 32, 32]"): "give 2 edges",
        (*COMMON, "--set", "fine.within=dics"): "did you mean 'disc'",
        (*COMMON, "--set", "fine.loss=ce"): "fine.loss",
    }.items():
        refused = cli("train", data, *options, "--steps", 2, "--out", tmp_path / "run")
        assert refused.code == 2, options
        assert words in refused.error
    assert not (tmp_path / "run").exists()


def test_starting_from_a_model_with_one_pass_and_with_two(trained, cli, data, tmp_path):
    run, _ = trained
    short = ("--steps", 1, "--val", "6-9", *LABELS, *SETTINGS[:4], "--set", "train.validations=1")
    one = tmp_path / "one"
    for out, model, start in (
        (one, "unet_padding", run),
        (tmp_path / "two", "unet_fine_grained", one),
        (tmp_path / "again", "unet_fine_grained", run),
    ):
        options = ("--model", model, "--set", f"train.start_from={start}")
        result = cli("train", data, *short, *options, "--out", out)
        assert result.code == 0, result.err
        assert "started from the weights of" in result.err
    second = load_file(tmp_path / "again" / "fold_0" / "last.safetensors")
    first = load_file(run / "fold_0" / "best.safetensors")
    keys = [key for key in first if "second_running_var" in key]
    assert keys
    assert all(torch.allclose(first[key], second[key], rtol=0.5) for key in keys)
    assert not any("second_" in key for key in load_file(one / "fold_0" / "last.safetensors"))


def test_volumes_make_two_passes_too(cli, tmp_path):
    from ushape.data.synth import write_dataset

    root = write_dataset("discs", tmp_path / "v", cases=3, size=(8, 40, 40), seed=3)
    run = tmp_path / "run"
    options = ("--set", "model.options.width=4", "--set", "model.options.levels=3")
    result = cli(
        "train", root, "--model", "unet_fine_grained", "--steps", 2, "--val", "discs_002",
        "--set", "fine.classes=[class_3]", "--set", "fine.within=class_1", "--set", "fine.cuts=4",
        "--set", "train.validations=1", *options, "--out", run,
    )  # fmt: skip
    assert result.code == 0, result.err
    assert len(load_config(run / "config.yaml").fine.cut_size) == 3
    assert "boxes" in json.loads((run / "fold_0" / "evaluation.json").read_text())
    assert len(list((run / "fold_0" / "predictions").glob("discs_002.nii.gz"))) == 1
