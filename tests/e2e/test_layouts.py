"""A data set in nnU-Net's layout, with its dataset.json, through plan and train."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from ushape import train
from ushape.cli.main import app
from ushape.data.io import read_volume
from ushape.data.layouts import find_cases
from ushape.data.synth import write_dataset
from ushape.errors import DataError
from ushape.workflow import plan


@pytest.fixture
def nnunet(tmp_path: Path) -> Path:
    root = tmp_path / "Dataset001_Spine"
    write_dataset("discs", root, cases=4, size=(64, 64), seed=0, layout="nnunet")
    return root


def describe(root: Path, **changes: object) -> None:
    path = root / "dataset.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_nnunet_gives_the_plan_of_plain_folders(nnunet, tmp_path):
    plain = tmp_path / "plain"
    write_dataset("discs", plain, cases=4, size=(64, 64), seed=0)
    mine, theirs = (plan(root, steps=5).plan for root in (nnunet, plain))
    assert mine.fingerprint.case_ids == theirs.fingerprint.case_ids
    assert mine.fingerprint.class_fractions == theirs.fingerprint.class_fractions
    assert mine.fingerprint.labels.names == ("background", "disc", "vertebra", "protrusion")
    assert theirs.fingerprint.labels.values == mine.fingerprint.labels.values
    assert mine.config.patch == theirs.config.patch


def test_the_same_weights_whatever_the_layout(nnunet, tmp_path):
    plain = tmp_path / "plain"
    write_dataset("discs", plain, cases=4, size=(64, 64), seed=0)
    settings = {"model.options.width": 4, "model.options.levels": 3, "patch.size": [32, 32]}
    runs = [
        train(root, out=tmp_path / name, steps=2, settings=settings)
        for name, root in (("a", nnunet), ("b", plain))
    ]
    assert runs[0].fit.best_score == runs[1].fit.best_score


def test_names_regions_and_void_come_from_the_file(nnunet):
    describe(nnunet, labels={"background": 0, "spine": [1, 2], "disc": 2, "absent": 9, "ignore": 3})
    table = plan(nnunet, steps=5).plan.fingerprint.labels
    assert set(table.names[1:]) == {"disc", "label_1", "spine"}
    assert table.ignore == 3
    assert table.is_overlapping


def test_a_person_wins_over_the_file(nnunet):
    names = {"nothing": 0, "a": 1, "b": 2, "c": 3}
    table = plan(nnunet, steps=5, labels=names).plan.fingerprint.labels
    assert table.names == tuple(names)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("{", "line 1"),
        ("[]", "no JSON object"),
        ('{"labels": {"a": 0, "b": 1, "c": 1}}', "the same value"),
        ('{"labels": {"a": 1}}', "value 0"),
    ],
)
def test_a_damaged_file_is_named(nnunet, content, why):
    (nnunet / "dataset.json").write_text(content)
    result = CliRunner().invoke(app, ["plan", str(nnunet)])
    assert isinstance(result.exception, DataError)
    assert why in str(result.exception)
    assert "dataset.json" in str(result.exception)


def test_a_missing_channel_is_told(nnunet):
    first = sorted((nnunet / "imagesTr").iterdir())[0]
    shutil.copy(first, first.with_name(first.name.replace("_0000", "_0001")))
    problems = [str(problem) for problem in find_cases(nnunet).problems]
    assert sum("1 of 2 channels" in text for text in problems) == 3


@pytest.mark.parametrize("name", ["discs_000.png", "discs_000_0000.tif"])
def test_a_case_with_two_images_is_left_out(nnunet, name):
    first = nnunet / "imagesTr" / "discs_000_0000.png"
    shutil.copy(first, first.with_name(name))
    found = find_cases(nnunet)
    assert [case.id for case in found.cases] == ["discs_001", "discs_002", "discs_003"]
    assert any("twice" in str(problem) for problem in found.problems)


def test_frames_beside_labels_of_their_name_are_cases(nnunet):
    images, labels = nnunet / "imagesTr", nnunet / "labelsTr"
    for path in sorted(images.iterdir()):
        path.rename(images / path.name.replace("_0000", ""))
    for number, path in enumerate(sorted(labels.iterdir())):
        name = f"frame_{number:04d}.png"
        (images / path.name).rename(images / name)
        path.rename(labels / name)
    found = find_cases(nnunet)
    assert [case.id for case in found.cases] == [f"frame_{number:04d}" for number in range(4)]


@pytest.mark.parametrize("layout", ["nnunet", "msd"])
def test_volumes_come_back_from_other_layouts(tmp_path, layout):
    first, there, back = (tmp_path / name for name in ("first", "there", "back"))
    write_dataset("discs", first, cases=2, size=(8, 32, 32), seed=0, spacing_mm=(4, 1, 1))
    for source, out, to in ((first, there, layout), (there, back, "images+labels")):
        result = CliRunner().invoke(
            app, ["data", "convert", str(source), "--out", str(out), "--to", to]
        )
        assert result.exit_code == 0, result.output
    for path in sorted(first.glob("*/*.nii.gz")):
        mine = read_volume(path)
        theirs = read_volume(back / path.relative_to(first))
        assert mine.grid.is_same(theirs.grid, 1e-6)
        np.testing.assert_array_equal(mine.values, theirs.values)
