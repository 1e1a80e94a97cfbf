"""`ushape evaluate` with more metrics, and `ushape compare`, through the command line."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image


def shifted(start, size=24, side=8):
    picture = np.zeros((size, size), np.uint8)
    picture[start : start + side, start : start + side] = 255
    return picture


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Twelve cases of four subjects; B is nearer to the truth than A in all of them."""
    root = tmp_path_factory.mktemp("compare")
    for name in ("truth", "a", "b"):
        (root / name).mkdir()
    for number in range(12):
        start = 3 + number % 5
        for name, shift in (("truth", 0), ("a", 3 + number % 2), ("b", 1 + number % 2)):
            path = root / name / f"s{number // 3}_{number}.png"
            Image.fromarray(shifted(start + shift)).save(path)
    return root


@pytest.fixture(scope="module")
def evaluated(cli, folders):
    for name in ("a", "b"):
        result = cli("evaluate", folders / name, folders / "truth", "--out", folders / f"e{name}")
        assert result.code == 0, result.err
        assert "hd95_pixels" in result.out
        assert "no spacing is known" in result.out
    return folders


def test_compare_says_which_is_better(cli, evaluated, tmp_path):
    result = cli("compare", evaluated / "ea", evaluated / "eb", "--out", tmp_path)
    assert result.code == 0, result.err
    assert "B is better by" in result.out
    assert "in 12 of 12 cases" in result.out
    assert "pixels HD95 of foreground" in result.out
    found = json.loads((tmp_path / "comparison.json").read_text())
    assert {row["winner"] for row in found["rows"] if row["metric"] == "hd95_pixels"} == {"b"}
    assert (tmp_path / "comparison.csv").is_file()
    assert "<svg" in (tmp_path / "comparison.svg").read_text()


def test_predictions_with_truth_give_the_same_as_evaluations(cli, evaluated, tmp_path):
    by_file = cli("compare", evaluated / "ea", evaluated / "eb", "--json", "--out", tmp_path / "1")
    arguments = ("--truth", evaluated / "truth", "--json", "--out", tmp_path / "2")
    by_hand = cli("compare", evaluated / "a", evaluated / "b", *arguments)
    assert by_hand.code == 0, by_hand.err
    assert by_hand.json["rows"] == by_file.json["rows"]


def test_groups_metrics_and_spacing(cli, folders, tmp_path):
    arguments = ("--metrics", "hd,nsd,cldice", "--spacing", "2,1", "--tolerance", "2.5")
    table = tmp_path / "groups.csv"
    names = [f"s{number // 3}_{number}" for number in range(12)]
    table.write_text("case,group\n" + "".join(f"{name},{name[:2]}\n" for name in names))
    for name, group in (("a", r"^(s\d)_"), ("b", table)):
        out = ("--out", tmp_path / name, "--group", group, "--json")
        result = cli("evaluate", folders / name, folders / "truth", *arguments, *out)
        assert result.code == 0, result.err
        assert result.json["settings"]["unit"] == "mm"
        assert result.json["summary"]["foreground"]["hd_mm"]["groups"] == 4
    result = cli("compare", tmp_path / "a", tmp_path / "b", "--out", tmp_path / "c")
    assert "over 4 groups" in result.out


def test_wrong_use_is_one_line(cli, evaluated, tmp_path):
    a, b, truth = evaluated / "ea", evaluated / "eb", evaluated / "truth"
    for arguments, pieces in (
        ((a, tmp_path / "gone"), ("there is no such file or folder",)),
        ((a, b, "--metrics", "dise"), ("unknown metric 'dise'", "did you mean 'dice'")),
        ((a, b, "--metrics", "cldice"), ("cldice is not in both evaluations", "--truth")),
        ((a, b, "--tolerance", "2"), ("--tolerance says how to score", "give --truth too")),
        ((a, b, "--group", "("), ("--group (: no regular expression",)),
        ((a, b, "--group", "^x"), ("does not match the case 's0_0'",)),
        ((a, b, "--group", tmp_path / "no.csv"), ("cannot be read",)),
        ((a, b, "--picture", "gif"), ("choose svg or png",)),
        ((evaluated / "a", evaluated / "b", "--truth", truth, "--spacing", "0"), ("positive",)),
    ):
        result = cli("compare", *arguments, "--out", tmp_path / "out")
        assert result.code == 2, arguments
        assert all(piece in result.error for piece in pieces), result.error
    for arguments, piece in (
        (("--metrics", "hd59"), "did you mean 'hd95'"),
        (("--tolerance", "-1"), "tolerance -1"),
        (("--iou", "1"), "from 0 to below 1"),
    ):
        result = cli("evaluate", evaluated / "a", truth, *arguments)
        assert result.code == 2
        assert piece in result.error


def test_unpaired_cases_need_a_word(cli, evaluated, tmp_path):
    fewer = tmp_path / "fewer"
    fewer.mkdir()
    for path in sorted((evaluated / "b").glob("s[012]_*.png")):
        Image.open(path).save(fewer / path.name)
    assert cli("evaluate", fewer, evaluated / "truth").code == 0
    result = cli("compare", evaluated / "ea", fewer, "--out", tmp_path / "out")
    assert result.code == 2
    assert "3 cases are in A only (s3_9, s3_10, s3_11)" in result.error
    result = cli("compare", evaluated / "ea", fewer, "--common", "--out", tmp_path / "out")
    assert result.code == 0
    assert "left out, in A only: s3_9, s3_10, s3_11" in result.out
