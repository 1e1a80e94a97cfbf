"""`ushape explain` through the command line, and the command that it advises."""

from __future__ import annotations

import json
import shlex

import pytest

from ushape.bundle import load_bundle
from ushape.explain import ClassResponse, NodeResponse, Response, advise
from ushape.explain.files import find_origin
from ushape.explain.probe import Probe


def test_tables_sheet_and_advice(cli, tiny_run, tiny_data, tmp_path):
    out = tmp_path / "out"
    result = cli("explain", tiny_run, tiny_data / "images", "--label", tiny_data, "--out", out)
    assert result.code == 0, result.err
    lines = result.out.splitlines()
    assert lines[0] == "8 images; probes fitted on the true masks"
    assert sum(line.startswith(("0  ", "1  ", "2  ")) for line in lines) == 3
    assert any(line.startswith("class ") for line in lines)
    names = {path.name for path in out.iterdir()}
    assert {"response.csv", "explain.json"} < names
    assert sum(name.endswith(".png") for name in names) == 1


def test_json_and_no_truth(cli, tiny_run, tiny_data, tmp_path):
    image = tiny_data / "images" / "cells_006.png"
    result = cli("explain", tiny_run, image, "--out", tmp_path / "out", "--json")
    assert result.code == 0, result.err
    found = result.json
    assert found["fitted_on"] == "prediction"
    assert found["advice"]["command"] == ""
    assert "--label TRUTH" in found["advice"]["sentences"][0]
    written = json.loads((tmp_path / "out" / "explain.json").read_text())
    assert written == {k: v for k, v in found.items() if k not in ("written", "problems")}


def test_images_without_a_label_are_listed(cli, tiny_run, tiny_data, tmp_path):
    label = tiny_data / "labels" / "cells_000.png"
    folder = tmp_path / "labels"
    folder.mkdir()
    (folder / label.name).write_bytes(label.read_bytes())
    result = cli(
        "explain", tiny_run, tiny_data / "images", "--label", folder, "--out", tmp_path / "out"
    )
    assert result.code == 1
    assert result.err.count("no label of this name") == 7


def test_wrong_use_is_told(cli, tiny_run, tiny_data, tmp_path):
    missing = cli(
        "explain", tiny_run, tiny_data / "images", "--out", tmp_path, "--label", "nowhere"
    )
    assert missing.code == 2
    assert "--label nowhere: there is no such file or folder" in missing.error
    assert cli("explain", tiny_data, tiny_data / "images", "--out", tmp_path).code == 2


@pytest.mark.parametrize("node", ["x_2_0", "x_1_1"])
def test_the_advised_command_trains_the_network_with_the_branch(cli, tiny_run, tmp_path, node):
    bundle = load_bundle(tiny_run)
    nodes = tuple(
        NodeResponse(
            n.name, n.level, n.column, Probe(0.9 if n.name == node else 0.5, 0.9, (), True), 0.5
        )
        for n in bundle.network.spec.nodes
    )
    response = Response((ClassResponse("nucleus", 0, nodes, 0.2, 1, 0.5),), (), True, {}, (), 1)
    advice = advise(response, bundle.network.spec, find_origin(bundle))
    assert advice.note == ""
    program, *words = shlex.split(advice.command)
    assert program == "ushape"

    run = tmp_path / "run"
    result = cli(*words, "--steps", 2, "--out", run)

    assert result.code == 0, result.err
    spec, before = load_bundle(run).network.spec, bundle.network.spec
    assert spec.branch is not None
    assert (spec.branch.node, spec.branch.classes) == (node, (0,))
    assert (spec.levels, spec.kit, spec.merge) == (before.levels, before.kit, before.merge)
