"""`ushape evaluate` on volumes, masks and channels, through the command line."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from ushape.data.io import Grid, read_label_volume, write_label_volume

SIZE = (8, 20, 24)
GRID = Grid.of(SIZE, (2.5, 0.8, 0.8), (1, 2, 3))


def ball(shift=0):
    """Draw a box of class 1 with a core of class 2."""
    values = np.zeros(SIZE, np.uint8)
    values[2:6, 4:14, 4 + shift : 14 + shift] = 1
    values[3:5, 7:11, 7 + shift : 11 + shift] = 2
    return values


def write(folder, grid=GRID, ending=".nii.gz", shift=0, names=("a", "b", "c")):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        write_label_volume(folder / f"{name}{ending}", ball(shift), grid)
    return folder


@pytest.fixture
def folders(tmp_path):
    """A prediction one voxel beside the truth along x, in another format."""
    return write(tmp_path / "p", shift=1), write(tmp_path / "t", ending=".nrrd")


def test_volumes_give_a_table_in_millimetres(cli, folders, tmp_path):
    result = cli("evaluate", *folders, "--labels", "rest=0,box=1,core=2", "--out", tmp_path / "e")
    assert result.code == 0, result.err
    lines = result.out.splitlines()
    assert lines[0] == "prediction  3 volumes, label values: 0 = rest, 1 = box, 2 = core"
    assert lines[1].startswith("truth       3 volumes, label values")
    assert "hd95_mm" in result.out
    assert "tolerance of surfaces 2.5 mm" in result.out
    assert "V_rand" not in result.out
    with (tmp_path / "e" / "evaluation.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["case"] for row in rows[:3]] == ["a", "b", "c"]
    # A core of 4 voxels along x, one voxel aside: 3 of 4 are shared.
    assert {row["core_dice"] for row in rows[:3]} == {"0.750000"}
    assert float(rows[0]["core_hd95_mm"]) == pytest.approx(0.8, abs=1e-5)
    assert rows[0]["core_nsd"] == "1.000000"


def test_another_grid_is_refused_and_aligned(cli, folders, tmp_path):
    moved = write(tmp_path / "m", Grid.of(SIZE, GRID.spacing_mm, (1, 2, 3.8)))
    result = cli("evaluate", moved, folders[1])
    assert result.code == 2
    for piece in ("a.nii.gz", "origin 1 x 2 x 3.8 against 1 x 2 x 3 mm", "--align", "and 2 more"):
        assert piece in result.error
    found = cli("evaluate", moved, folders[1], "--align", "--json").json
    straight = cli("evaluate", *folders, "--json").json
    assert found["summary"] == straight["summary"]
    both = cli(
        "compare",
        moved,
        folders[0],
        "--truth",
        folders[1],
        "--align",
        "--json",
        "--out",
        tmp_path / "c",
    ).json
    assert {row["difference"] for row in both["rows"]} == {0.0}


def test_every_wrong_use_is_one_line(cli, folders, tmp_path):
    predictions, truth = folders
    classes = ("--labels", "rest=0,box=1,core=2")
    for arguments, pieces in (
        ((predictions, tmp_path / "no"), ("no such folder or file",)),
        (
            (predictions, truth, *classes, "--classes", "cores"),
            ("--classes", "did you mean 'core'"),
        ),
        ((predictions, truth, "--target", "binary"), ("--target binary", "choose instances")),
        ((predictions, truth, "--label-folder", "gt"), ("--label-folder gt", "no such folder")),
        ((predictions, truth, "--spacing", "1,1"), ("3 axes, but --spacing has 2 numbers",)),
        ((predictions, truth, "--labels", "rest=0,box=1"), ("also name 2",)),
    ):
        result = cli("evaluate", *arguments)
        assert result.code == 2, arguments
        assert all(piece in result.error for piece in pieces), result.error


def test_metrics_of_sections_are_told_to_be_left_out(cli, folders):
    result = cli("evaluate", *folders, "--metrics", "topology", "--classes", "class_1")
    assert result.code == 0, result.err
    assert "left out, as they are made for sections: v_rand_thinned, v_info_thinned" in result.out
    assert "cldice" in result.out


@pytest.mark.data
def test_overlapping_masks_of_real_sections(cli, real_data, tmp_path):
    """Masks of `vnc_sstem` against themselves, one class moved aside; two classes overlap."""
    from PIL import Image

    labels = real_data("vnc_sstem") / "labels_multi"
    names = sorted(path.name for path in labels.iterdir() if path.is_dir())
    assert names == ["membrane", "mitochondria", "synapse"]
    expected = {}
    for name in names:
        (tmp_path / "p" / name).mkdir(parents=True)
        for section in ("15", "16"):
            mask = np.asarray(Image.open(labels / name / f"{section}.png")) > 0
            moved = np.roll(mask, 3, axis=1) if name == "membrane" else mask
            Image.fromarray(moved.astype(np.uint8) * 255).save(
                tmp_path / "p" / name / f"{section}.png"
            )
            common = 2 * np.count_nonzero(mask & moved) / (mask.sum() + moved.sum())
            expected.setdefault(name, []).append(common)
    result = cli("evaluate", tmp_path / "p", labels, "--metrics", "overlap", "--json")
    assert result.code == 0, result.err
    assert result.json["truths_without_prediction"] == 18
    for name in names:
        found = [case[name]["dice"] for case in result.json["cases"]]
        assert found == pytest.approx(expected[name])
    assert expected["membrane"][0] < 0.9


@pytest.mark.data
def test_real_volumes_one_voxel_aside(cli, real_data, tmp_path):
    """Labels of hippocampi moved by one voxel of 1 mm: no surface is farther than that."""
    data = real_data("msd_hippocampus")
    (tmp_path / "p").mkdir()
    for path in sorted((data / "labels").iterdir())[:3]:
        label = read_label_volume(path)
        moved = np.roll(label.values, 1, axis=1)
        write_label_volume(tmp_path / "p" / path.name, moved, label.grid)
    result = cli("evaluate", tmp_path / "p", data, "--metrics", "surface", "--json")
    assert result.code == 0, result.err
    assert len(result.json["cases"]) == 3
    for name in ("class_1", "class_2"):
        summary = result.json["summary"][name]
        assert 0.8 < summary["dice"]["mean"] < 0.95
        assert summary["hd_mm"]["mean"] == pytest.approx(1.0, abs=1e-4)
        assert summary["nsd"]["mean"] == 1.0
