"""Data sets in every layout through plan, train and convert."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from ushape import train
from ushape.cli.main import app
from ushape.config.load import write_config
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
    assert table.names[1:] == ("disc", "spine")  # what only stands in a region is no class
    assert table.ignore == 3
    assert table.is_overlapping


@pytest.mark.parametrize(
    ("said", "names"),
    [
        ({"target": "multiclass"}, ("label_1", "disc")),
        ({"regions": ["both=disc+label_1"]}, ("label_1", "disc", "both")),
        ({"labels": "background=0,a=1,b=2"}, ("a", "b", "spine")),
    ],
)
def test_one_word_of_a_person_leaves_the_rest_of_the_file(nnunet, said, names):
    """One label option threw away names, regions and void: value 3 became a class."""
    describe(nnunet, labels={"background": 0, "spine": [1, 2], "disc": 2, "ignore": 3})
    prepared = plan(nnunet, steps=5, **said)
    table = prepared.plan.fingerprint.labels
    assert table.names[1:] == names
    assert table.ignore == 3
    assert prepared.plan.fingerprint.void_fraction > 0


def test_a_recorded_table_wins_over_the_file(nnunet, tmp_path):
    settings = tmp_path / "settings.yaml"
    first = plan(nnunet, steps=5).plan
    write_config(settings, first.config, first.reasons)
    describe(nnunet, labels={"background": 0, "disc": 2, "a": 1, "ignore": 3})
    table = plan(nnunet, config=settings).plan.fingerprint.labels
    assert table.names[1:] == ("disc", "vertebra", "protrusion")
    assert table.ignore is None


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


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """Volumes, a folder for each case."""
    drawn, root = tmp_path / "drawn", tmp_path / "scans"
    write_dataset("discs", drawn, cases=3, size=(8, 32, 32), seed=0, spacing_mm=(4, 1, 1))
    for number in range(3):
        case = root / f"subject_{number}"
        case.mkdir(parents=True)
        for inner, name in (("images", "mr"), ("labels", "mr_seg")):
            file = drawn / inner / f"discs_{number:03d}.nii.gz"
            shutil.copy(file, case / f"{name}.nii.gz")
    return root


def call(*words: object) -> dict[str, object]:
    result = CliRunner().invoke(app, [*map(str, words), "--json"])
    assert result.exit_code == 0, result.output or result.exception
    content: dict[str, object] = json.loads(result.stdout)
    return content


def test_one_folder_a_case_goes_to_nnunet_and_back(scans, tmp_path):
    there, back = tmp_path / "nnunet", tmp_path / "back"
    done = call("data", "convert", scans, "--out", there, "--to", "nnunet")
    assert done["next"] == f"ushape plan {there}"
    assert plan(there, steps=5).plan.fingerprint.spatial_dims == 3
    call("data", "convert", there, "--out", back)
    for case in find_cases(scans).cases:
        for mine, theirs in ((case.image, "images"), (case.label, "labels")):
            first = read_volume(mine)
            again = read_volume(back / theirs / f"{case.id}.nii.gz")
            assert first.grid.is_same(again.grid, 1e-6)
            np.testing.assert_array_equal(first.values, again.values)


def test_a_manifest_gives_spacing_subjects_and_division_to_what_is_converted(tmp_path):
    rows = ["image,label,id,subject,spacing_mm,split"]
    for number, (subject, side) in enumerate(
        (("anna", "train"), ("anna", "train"), ("bob", "val"))
    ):
        values = np.random.default_rng(number).integers(0, 99, (8, 16, 16))
        np.save(tmp_path / f"i{number}.npy", values.astype(np.uint16))
        np.save(tmp_path / f"l{number}.npy", (values > 50).astype(np.uint8))
        rows.append(f"i{number}.npy,l{number}.npy,c{number},{subject},3x1x0.5,{side}")
    (tmp_path / "manifest.csv").write_text("\n".join(rows))
    out = tmp_path / "out"
    done = call("data", "convert", tmp_path, "--out", out)
    volume = read_volume(tmp_path / "out" / "images" / "c1.nii.gz")
    assert volume.grid.spacing_mm == (3.0, 1.0, 0.5)
    np.testing.assert_array_equal(volume.values[0], np.load(tmp_path / "i1.npy"))
    assert (tmp_path / "out" / "groups.csv").read_text() == "case,group\nc0,anna\nc1,anna\nc2,bob\n"
    assert (out / "val.txt").read_text() == "c2\n"
    assert done["next"] == f"ushape plan {out} --val {out / 'val.txt'}"
    assert plan(out, steps=5, val=str(out / "val.txt")).plan.split.val == ("c2",)


def test_the_layout_is_printed_and_can_be_overridden(scans, tmp_path):
    write_dataset("cells", scans / "pictures", cases=3, size=(64, 64), seed=0)
    for inner in ("images", "labels"):
        (scans / "pictures" / inner).rename(scans / inner)
    first = CliRunner().invoke(app, ["plan", str(scans)])
    assert "3 cases in images + labels" in first.output
    said = CliRunner().invoke(app, ["plan", str(scans), "--layout", "case-folders"])
    assert "3 cases in */ (mr + seg)" in said.output
    done = call("data", "convert", scans, "--out", tmp_path / "out", "--layout", "folders")
    assert len(done["cases"]) == 3
    wrong = ["data", "convert", str(scans), "--out", str(tmp_path / "no"), "--layout", "msd"]
    assert "--layout msd: there are no folders" in str(CliRunner().invoke(app, wrong).exception)
    clash = CliRunner().invoke(app, [*wrong, "--from", "coco"])
    assert "--layout msd is of data sets" in str(clash.exception)


def test_pictures_as_a_stack(tmp_path):
    write_dataset("membrane", tmp_path, cases=6, size=(64, 64), seed=0)
    prepared = plan(tmp_path, steps=5, stack="50x4x4nm")
    found = prepared.plan.fingerprint
    assert (found.is_stack, found.median_size) == (True, (6, 64, 64))
    assert found.spacing_mm == pytest.approx((50e-6, 4e-6, 4e-6))
    assert set(found.groups.values()) == {"membrane"}
    (train,) = prepared.cases(prepared.plan.split.train)
    assert train.image_paths == tuple(
        tmp_path / "images" / f"{name}.png" for name in prepared.plan.split.train
    )


def test_weights_of_a_manifest_reach_training(tmp_path, monkeypatch):
    write_dataset("discs", tmp_path / "data", cases=3, size=(64, 64), seed=0)
    rows = ["image,label,id,sampling_weight"]
    rows += [
        f"images/discs_00{n}.png,labels/discs_00{n}.png,c{n},{weight}"
        for n, weight in enumerate(("2.5", "", "0.5"))
    ]
    (tmp_path / "data" / "manifest.csv").write_text("\n".join(rows))
    seen = {}

    def no_fit(config, table, training, validating, *args, **options):
        seen.update({sample.id: sample.sampling_weight for sample in (*training, *validating)})
        raise DataError("enough")

    monkeypatch.setattr("ushape.workflow.run.fit", no_fit)
    with pytest.raises(DataError, match="enough"):
        train(tmp_path / "data", out=tmp_path / "run", steps=1, val="c2")
    assert seen == {"c0": 2.5, "c1": 1.0, "c2": 0.5}
