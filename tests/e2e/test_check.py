"""`ushape data check` with its page, and `ushape data preview`."""

import html
import json
import re

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from ushape.cli.main import app
from ushape.data.synth import write_dataset
from ushape.report.pictures import class_color
from ushape.workflow import check as check_module


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def volumes(tmp_path):
    root = tmp_path / "spine & co"
    write_dataset("discs", root, cases=4, size=(8, 48, 48), spacing_mm=(4.0, 1.0, 1.0), seed=0)
    return root


def test_a_volume_set_is_described_and_shown(volumes, tmp_path):
    page = tmp_path / "out" / "check.html"
    outcome = run("data", "check", volumes, "--out", page)
    assert outcome.exit_code == 0, outcome.output
    text = outcome.stdout
    assert "4 cases" in text
    assert "48 x 48 x 8 voxels z y x, 1 channel" in text
    assert "48 x 48 x 32 mm large, voxels of 1 x 1 x 4 mm" in text
    assert "worked on as SPL" in text
    assert "in the median" in text
    written = page.read_text(encoding="utf-8")
    assert written.count('<li class="tile') == written.count("data:image/jpeg;base64,") == 4
    assert "spine &amp; co" in written
    assert "spine & co" not in written
    assert "plane x " in written  # across the thick axis
    for index in (1, 2):
        assert class_color(index) in written
    for remote in ("http://", "https://", "<script"):
        assert remote not in written


def test_what_is_left_out_and_what_is_odd_stands_on_the_page(volumes, tmp_path):
    images = sorted((volumes / "images").iterdir())
    images[0].write_bytes(images[0].read_bytes()[:400])
    images[2].write_bytes(images[1].read_bytes())  # a copy, with the label of another
    page = tmp_path / "check.html"
    outcome = run("data", "check", volumes, "--out", page)
    assert outcome.exit_code == 1
    written = html.unescape(page.read_text(encoding="utf-8"))
    left_out = written[written.index("Left out") : written.index('id="cases"')]
    assert f"images/{images[0].name}" in left_out
    assert "unreadable" in left_out
    tiles = re.findall(r'<li class="tile.*?</li>', written, re.DOTALL)
    assert len(tiles) == 3
    (marked,) = [tile for tile in tiles if "marked" in tile]
    assert f"the same volume as {images[1].name}" in marked
    assert "only the 1 with warnings" in written


def test_more_cases_than_fit_are_told(volumes, tmp_path, monkeypatch):
    monkeypatch.setattr(check_module, "MOST_TILES", 2)
    page = tmp_path / "check.html"
    assert run("data", "check", volumes, "--out", page).exit_code == 0
    written = page.read_text(encoding="utf-8")
    assert written.count('<li class="tile') == 2
    assert "The first 2 of 4 cases are shown" in written


def test_a_script_gets_spacing_modality_and_groups(volumes):
    plain = json.loads(run("data", "check", volumes, "--json").stdout)
    assert plain["spacing_mm"] == [1.0, 1.0, 4.0]
    assert plain["median_size"] == [48, 48, 8]
    assert plain["modality"] == "other"
    assert plain["cases"][0]["spacing_mm"] == [1.0, 1.0, 4.0]
    assert plain["foreground_intensities"][0]["std"] > 0


def test_slices_as_one_stack(tmp_path):
    root = tmp_path / "membrane"
    write_dataset("membrane", root, cases=5, size=(64, 64), seed=0)
    page = tmp_path / "check.html"
    outcome = run("data", "check", root, "--stack", "50x4x4nm", "--out", page)
    assert outcome.exit_code == 0, outcome.output
    assert "5 x 64 x 64 voxels z y x" in outcome.stdout
    assert "voxels of 50 x 4 x 4 nm" in outcome.stdout
    assert page.read_text(encoding="utf-8").count('<li class="tile') == 5


def columns(path, number):
    """Cut a sheet of square pictures into its columns."""
    pixels = np.asarray(Image.open(path).convert("RGB")).astype(int)
    lefts = [14 + column * (160 + 6) for column in range(number)]
    return [pixels[:, left : left + 160] for left in lefts]


def test_preview_of_pictures(tmp_path):
    root = tmp_path / "cells"
    write_dataset("cells", root, cases=4, size=(64, 64), seed=0)
    sheets = [tmp_path / f"{name}.png" for name in "abc"]
    small = ("--set", "patch.size=[32, 32]", "--patches", 2, "--draws", 3)
    outcome = run("data", "preview", root, "--out", sheets[0], "--preset", "strong", *small)
    assert outcome.exit_code == 0, outcome.output
    again = run("data", "preview", root, "--out", sheets[1], "--preset", "strong", *small)
    assert again.exit_code == 0
    assert sheets[0].read_bytes() == sheets[1].read_bytes()  # chance is that of the seed
    plain, *varied = columns(sheets[0], 4)
    assert all(np.abs(plain - each).mean() > 3 for each in varied)


def test_settings_win_over_the_preset(tmp_path):
    """With every probability at zero each draw shows the patch as it was prepared."""
    root = tmp_path / "cells"
    write_dataset("cells", root, cases=4, size=(64, 64), seed=0)
    off = ["flip=false", "right_angles=false", "brightness_probability=0"]
    off += ["contrast_probability=0"]
    chosen = [part for text in off for part in ("--set", f"augment.{text}")]
    sheet = tmp_path / "sheet.png"
    outcome = run(
        "data", "preview", root, "--out", sheet, "--preset", "light", *chosen,
        "--set", "patch.size=[32, 32]", "--patches", 2, "--draws", 2,
    )  # fmt: skip
    assert outcome.exit_code == 0, outcome.output
    plain, *varied = columns(sheet, 3)
    below_heads = slice(110, None)
    for each in varied:
        rows = (each[below_heads] != plain[below_heads]).any(axis=(1, 2))
        assert rows.mean() < 0.15  # row names stand in the first column only


def test_preview_of_volumes_shows_two_planes(volumes, tmp_path):
    sheet = tmp_path / "sheet.png"
    arguments = ("--set", "patch.size=[32, 32, 8]", "--patches", 1, "--draws", 1)
    outcome = run("data", "preview", volumes, "--out", sheet, *arguments)
    assert outcome.exit_code == 0, outcome.output
    with Image.open(sheet) as picture:
        width, height = picture.size
    assert height > 160 + 100  # one plane alone is 160 high
    assert width >= 2 * 160


def test_a_preset_that_is_none(tmp_path):
    root = tmp_path / "cells"
    write_dataset("cells", root, cases=4, size=(64, 64), seed=0)
    outcome = run("data", "preview", root, "--out", tmp_path / "a.png", "--preset", "stong")
    assert outcome.exit_code == 2 or outcome.exception is not None
    assert "strong" in outcome.output + str(outcome.exception)
