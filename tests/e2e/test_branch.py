"""The branch that `ushape explain` advises, for one class of several, and on frozen weights."""

from __future__ import annotations

import shlex
import shutil

import pytest
import torch

from ushape.bundle import load_bundle
from ushape.explain.advice import advise
from ushape.explain.files import find_origin
from ushape.explain.probe import Probe
from ushape.explain.response import ClassResponse, NodeResponse, Response

NODE = "x_1_0"


@pytest.fixture(scope="module")
def discs(cli, tiny_network, tmp_path_factory):
    """A data set of several classes and a run on it."""
    folder = tmp_path_factory.mktemp("discs")
    made = cli("data", "synth", "discs", "--out", folder / "data", "--cases", 6, "--size", "96x96")
    assert made.code == 0, made.err
    run = cli(
        *("train", folder / "data", "--out", folder / "run", "--steps", 30, "--val", "0.34"),
        *tiny_network,
    )
    assert run.code in (0, 1), run.err
    return folder


def advised(run):
    """The command for a network whose second class is read best at NODE, and the others last."""
    bundle = load_bundle(run)
    names = bundle.header.labels.logit_names
    classes = []
    for number, name in enumerate(names[1:], start=1):
        nodes = tuple(
            NodeResponse(
                n.name,
                n.level,
                n.column,
                Probe(0.9 if number == 2 and n.name == NODE else 0.5, 0.9, (), True),
                0.5,
            )
            for n in bundle.network.spec.nodes
        )
        classes.append(ClassResponse(name, number, nodes, 0.2, 1, 0.5))
    return advise(
        Response(tuple(classes), (), True, {}, (), 1), bundle.network.spec, find_origin(bundle)
    )


def test_the_branch_of_one_class_trains_on_frozen_weights(cli, discs):
    advice = advised(discs / "run")
    assert advice.note == ""
    words = shlex.split(advice.command)[1:]
    out = discs / "branch"

    result = cli(
        *words,
        *("--start-from", discs / "run", "--set", f"model.options.freeze_until={NODE}"),
        *("--steps", 20, "--out", out),
    )

    assert result.code in (0, 1), result.err
    assert "started from the weights of" in result.err + result.out
    before, after = load_bundle(discs / "run").network, load_bundle(out).network
    assert after.spec.branch is not None
    assert after.spec.branch.classes == (2,)
    old, new = before.state_dict(), after.state_dict()
    assert {key.split(".")[0] for key in new.keys() - old.keys()} == {"branch"}
    frozen = {name for key in old if (name := key.split(".")[1]) in after.spec.frozen}
    assert frozen == {"x_0_0", "x_1_0"}
    for key, value in old.items():
        is_same = torch.equal(new[key], value)
        assert is_same == (key.split(".")[1] in frozen), key
    assert new["branch.conv.weight"].shape[0] == 1
    assert new["branch.conv.weight"].abs().max() > 0


def test_a_start_without_steps_of_its_own_is_the_model_it_started_from(cli, discs):
    out = discs / "again"
    result = cli(
        *("train", discs / "data", "--config", discs / "run" / "config.yaml", "--out", out),
        *("--start-from", discs / "run", "--steps", 1, "--set", "optimizer.learning_rate=1e-12"),
        *("--set", "train.ema_decay=0"),
    )

    assert result.code in (0, 1), result.err
    # Norm statistics alone move without a learning rate.
    old, new = (load_bundle(run).network.state_dict() for run in (discs / "run", out))
    weights = [key for key in old if "running" not in key and "num_batches" not in key]
    assert all(torch.allclose(new[key], old[key], atol=1e-6) for key in weights)


def test_outputs_that_begin_as_other_classes_are_told(cli, tiny_network, discs):
    names = "background=0,knob=1,bone=2,disc=3"
    result = cli(
        *("train", discs / "data", "--out", discs / "renamed", "--steps", 1, *tiny_network),
        *("--start-from", discs / "run", "--labels", names),
    )

    assert result.code in (0, 1), result.err
    assert "and now begin as background, knob, bone, disc" in result.err + result.out


def test_another_network_is_refused_with_what_does_not_fit(cli, tiny_network, discs, tmp_path):
    result = cli(
        *("train", discs / "data", "--out", tmp_path / "run", "--steps", 2, *tiny_network),
        *("--set", "model.options.block=residual", "--start-from", discs / "run"),
    )

    assert result.code == 2
    assert "do not fit unet_padding" in result.error
    assert "--config RUN/config.yaml" in result.error
    assert not (tmp_path / "run").exists()


def test_a_start_that_is_not_there_is_told_before_anything_is_written(
    cli, tiny_network, discs, tmp_path
):
    result = cli(
        *("train", discs / "data", "--out", tmp_path / "run", "--steps", 2, *tiny_network),
        *("--start-from", tmp_path / "nothing"),
    )

    assert result.code == 2
    assert "no such file or folder" in result.error
    assert not (tmp_path / "run").exists()


def test_a_run_goes_on_without_the_model_that_it_started_from(cli, discs, tmp_path):
    start, out = tmp_path / "start", tmp_path / "run"
    shutil.copytree(discs / "run", start)
    words = ("train", discs / "data", "--out", out)
    begun = cli(*words, "--config", start / "config.yaml", "--start-from", start, "--steps", 1)
    assert begun.code in (0, 1), begun.err
    shutil.rmtree(start)

    result = cli(*words, "--resume")
    assert result.code in (0, 1), result.err

    (out / "fold_0" / "state.pt").unlink()  # without weights of its own it needs them again
    refused = cli(*words, "--resume")
    assert refused.code == 2
    assert "no such file or folder" in refused.error
