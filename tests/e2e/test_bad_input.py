"""Bad input of every kind: one line that names the file or setting and the remedy, no traceback.

Exit code 2 where nothing can be done; 1, with a list, where the rest is done.
"""

from __future__ import annotations

import errno
import itertools
import json
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from safetensors.torch import load_file, save_file

GREY = np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8)


def refused(result, *pieces):
    """Check the whole answer to wrong use: one line, nothing else, exit code 2."""
    assert result.out == ""
    assert result.err.splitlines() == [result.error]
    assert result.code == 2
    for piece in pieces:
        assert str(piece) in result.error, result.error


# Pictures ----------------------------------------------------------------------------------------


def truncated(path):
    Image.fromarray(GREY).save(path)
    path.write_bytes(path.read_bytes()[:1500])


def text(path):
    path.write_text("no picture\n")


def empty(path):
    path.write_bytes(b"")


def foreign_format(path):
    Image.fromarray(GREY).save(path, format="GIF")


def other_name(path):
    Image.fromarray(GREY).save(path, format="JPEG")


def transparent(path):
    Image.fromarray(np.dstack([GREY, GREY, GREY, np.full_like(GREY, 100)]), "RGBA").save(path)


def nan(path):
    values = GREY.astype(np.float32)
    values[3, 4] = np.nan
    tifffile.imwrite(path, values)


def stack(path):
    tifffile.imwrite(path, np.zeros((5, 64, 64), np.uint8), photometric="minisblack")


def bomb(path):
    head = b"IHDR" + struct.pack(">IIBBBBB", 200_000, 200_000, 8, 0, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + head + bytes(4))


def dangling(path):
    path.symlink_to(path.with_name("gone.png"))


def forbidden(path):
    """Nobody but root obeys file modes everywhere, so the test makes `open` refuse."""
    Image.fromarray(GREY).save(path)


PICTURES = {
    truncated: ("x.png", "truncated or damaged", "copy it again"),
    text: ("x.png", "plain text", "give PNG, JPEG, BMP or TIFF"),
    empty: ("x.png", "empty (0 bytes)", "copy it again or remove it"),
    foreign_format: ("x.png", "a GIF file", "give PNG, JPEG, BMP or TIFF"),
    other_name: ("x.png", "a JPEG picture but its name ends in .png", "rename it"),
    transparent: ("x.png", "transparent", "without the alpha channel"),
    nan: ("x.tif", "1 values are nan", "replace them"),
    stack: ("x.tif", "a stack of 5 pages", "save every page as its own file"),
    bomb: ("x.png", "40,000,000,000 pixels", "damaged"),
    forbidden: ("x.png", "no permission to read it", "chmod u+r x.png"),
}


@pytest.fixture
def forbid(monkeypatch):
    """Make opening one file fail as it does for people without permission."""

    def refuse(path):
        opened = Path.open

        def opening(self, *arguments, **options):
            if self == path:
                raise PermissionError(errno.EACCES, "Permission denied", str(path))
            return opened(self, *arguments, **options)

        monkeypatch.setattr(Path, "open", opening)

    return refuse


@pytest.mark.parametrize("make", PICTURES, ids=lambda make: make.__name__)
def test_an_image_that_cannot_be_predicted(make, cli, tiny_run, tmp_path, forbid):
    name, *pieces = PICTURES[make]
    if make is stack:
        pieces = ["it is a volume of 5 x 64 x 64", "this model takes pictures"]
    make(tmp_path / name)
    if make is forbidden:
        forbid(tmp_path / name)
    result = cli("predict", tiny_run, tmp_path / name, "--out", tmp_path / "out")
    refused(result, tmp_path / name, *pieces)
    assert result.error.count(str(tmp_path / name)) == 1
    assert list((tmp_path / "out").glob("x.*")) == []


@pytest.mark.parametrize("make", PICTURES, ids=lambda make: make.__name__)
def test_an_image_that_cannot_be_trained_on(make, cli, tiny_data, tmp_path, forbid):
    data = shutil.copytree(tiny_data, tmp_path / "data")
    name, *pieces = PICTURES[make]
    image = data / "images" / name
    make(image)
    shutil.copy(data / "labels" / "cells_000.png", data / "labels" / "x.png")
    if make is forbidden:
        forbid(image)
    blamed = image
    if make is stack:  # a volume may be an image; that its label is a picture is the mistake
        blamed, pieces = data / "labels" / "x.png", ["64 x 64 pixels, its image 5 x 64 x 64"]
    result = cli("data", "check", data)
    assert result.code == 1
    line = next(line for line in result.err.splitlines() if str(blamed) in line)
    assert line.startswith(f"  ! error: {blamed}: ")
    assert all(piece in line for piece in pieces), line
    assert "8 cases" in result.out


def test_several_images_none_of_which_can_be_predicted(cli, tiny_run, tmp_path):
    text(tmp_path / "a.png")
    empty(tmp_path / "b.png")
    result = cli("predict", tiny_run, tmp_path, "--out", tmp_path / "out")
    assert result.code == 2
    assert [line[:4] for line in result.err.splitlines()] == ["  ! ", "  ! ", "erro"]
    assert result.error == "error: none of the 2 images could be predicted"


def test_a_link_to_nothing_and_a_folder_with_a_pictures_name(cli, tiny_run, tmp_path):
    dangling(tmp_path / "x.png")
    refused(
        cli("predict", tiny_run, tmp_path / "x.png", "--out", tmp_path / "o"), "x.png", "no such"
    )
    (tmp_path / "y.png").mkdir()
    refused(cli("predict", tiny_run, tmp_path / "y.png", "--out", tmp_path / "o"), "y.png", "holds")


def larger(path):
    Image.fromarray(np.zeros((64, 80), np.uint8)).save(path)


def clear(path):
    rgba = np.zeros((64, 64, 4), np.uint8)
    rgba[8:] = (255, 255, 255, 255)
    Image.fromarray(rgba, "RGBA").save(path)


def fractions(path):
    tifffile.imwrite(path, np.full((64, 64), 0.5, np.float32))


def negative(path):
    tifffile.imwrite(path, np.full((64, 64), -1, np.int16))


def instances(path):
    Image.fromarray(np.arange(64 * 64, dtype=np.uint16).reshape(64, 64)).save(path)


LABELS = {
    larger: ("png", "the label has 64 x 80 pixels, its image 64 x 64", "same size"),
    clear: ("png", "transparent", "without the alpha channel"),
    fractions: ("tif", "fractions", "threshold it"),
    negative: ("tif", "-1", "0 or larger"),
    instances: ("png", "4096", "instance"),
    truncated: ("png", "truncated", "copy it again"),
}


@pytest.mark.parametrize("make", LABELS, ids=lambda make: make.__name__)
def test_a_label_that_cannot_be_trained_on(make, cli, tiny_data, tmp_path, tiny_network):
    data = shutil.copytree(tiny_data, tmp_path / "data")
    ending, *pieces = LABELS[make]
    (data / "labels" / "cells_003.png").unlink()
    label = data / "labels" / f"cells_003.{ending}"
    make(label)
    result = cli("data", "check", data)
    assert result.code == 1
    line = next(line for line in result.err.splitlines() if str(label) in line)
    assert line.startswith(f"  ! error: {label}: ")
    assert all(piece in line for piece in pieces), line
    trained = cli("train", data, "--out", tmp_path / "run", "--steps", 1, *tiny_network, "--json")
    assert trained.code == 1
    assert any(str(label) in problem for problem in trained.json["problems"])


def test_one_pixel(cli, tiny_run, tiny_data, tmp_path):
    """Too small to train on, but every image can be predicted."""
    Image.fromarray(GREY[:1, :1]).save(tmp_path / "x.png")
    result = cli("predict", tiny_run, tmp_path / "x.png", "--out", tmp_path / "out")
    assert result.code == 0, result.err
    with Image.open(tmp_path / "out" / "x.png") as picture:
        assert picture.size == (1, 1)
    data = shutil.copytree(tiny_data, tmp_path / "data")
    for folder in ("images", "labels"):
        Image.fromarray(GREY[:1, :1]).save(data / folder / "x.png")
    check = cli("data", "check", data)
    assert check.code == 1
    assert f"{data / 'images' / 'x.png'}: the image has 1 x 1 pixels: 8 x 8 is the least" in (
        check.err
    )


MEASURE = """
import resource, sys
import numpy as np
import ushape

def peak_mib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

model = ushape.load(sys.argv[1], device="cpu", mirror=False)
image = np.random.default_rng(0).integers(0, 255, (64, 20000), dtype=np.uint8)
model.predict(image[:, :600])
before = peak_mib()
for turned in (image, image.T):
    assert model.predict(turned).shape == turned.shape
print(peak_mib() - before)
"""


def test_a_very_long_strip_takes_little_memory(cli, tiny_run, tmp_path):
    strip = np.tile(GREY, (1, 313))[:, :20000]
    Image.fromarray(strip).save(tmp_path / "strip.png")
    result = cli("predict", tiny_run, tmp_path / "strip.png", "--out", tmp_path / "out")
    assert result.code == 0, result.err
    with Image.open(tmp_path / "out" / "strip.png") as picture:
        assert picture.size == (20000, 64)
        found = np.asarray(picture)
    # The image repeats every 64 pixels, and so does its prediction, from tile to tile.
    assert np.mean(found[:, 6400:6464] != found[:, 12800:12864]) < 0.02
    measured = subprocess.run(
        [sys.executable, "-c", MEASURE, str(tiny_run)], capture_output=True, text=True, check=True
    )
    # Whole, its feature maps alone would take several hundred MiB.
    assert float(measured.stdout) < 80


def test_colours_for_a_grey_model_and_the_reverse(cli, tiny_run, tiny_data, tiny_network, tmp_path):
    colours = np.dstack([GREY, 255 - GREY, GREY // 2])
    Image.fromarray(colours).save(tmp_path / "x.png")
    result = cli("predict", tiny_run, tmp_path / "x.png", "--out", tmp_path / "out")
    refused(
        result, tmp_path / "x.png", "the image has 3 channel(s), the model takes 1", "give grey"
    )
    data = tmp_path / "data"
    for number in range(3):
        for folder, array in (("images", colours), ("labels", np.where(GREY > 99, 255, 0))):
            (data / folder).mkdir(parents=True, exist_ok=True)
            Image.fromarray(array.astype(np.uint8)).save(data / folder / f"{number}.png")
    assert cli("train", data, "--out", tmp_path / "r", "--steps", 1, *tiny_network).code == 0
    result = cli("predict", tmp_path / "r", tiny_data / "images/cells_000.png", "--out", tmp_path)
    refused(result, "cells_000.png", "the image has 1 channel(s), the model takes 3", "give RGB")


# Settings and options ----------------------------------------------------------------------------

SETTINGS = [
    ("--model unet_orignal", "unknown network 'unet_orignal'", "did you mean 'unet_original'?"),
    ("--set patch.bach=4", "unknown setting 'patch.bach'", "'patch.batch'"),
    ("--set batch=4", "unknown setting 'batch'", "'patch.batch'"),
    ("--set patch.batch", "write key=value"),
    ("--set patch.batch=[1", "--set 'patch.batch=[1'", "not valid YAML"),
    ("--set patch.batch=0", "patch.batch = 0", "greater than or equal to 1"),
    ("--set patch.size=5", "patch.size = 5", "a list, such as [256, 256]"),
    ("--set train.seed=abc", "train.seed = 'abc'", "valid integer"),
    ("--set schedule.budget_s=long", "schedule.budget_s = 'long'", "valid number"),
    ("--set train.precision=half", "train.precision = 'half'", "bf16-mixed"),
    ("--set loss=dize", "'dize'", "did you mean 'dice'?"),
    ("--set loss=dice+", "loss 'dice+', column 6", "dice, bce, ce"),
    ("--set loss=ce", "ce is for several classes", "use bce"),
    ("--set model.options.widht=4", "'widht' of unet_padding", "did you mean 'width'?"),
    ("--set model.options.width=0", "width=0", "from 1 to 1024"),
    ("--set model.options=5", "model.options = 5", "a mapping, such as {width: 32}"),
    ("--set model.classes=3", "model.classes cannot be set", "from the labels"),
    ("--set data.validation=1-2", "data.validation cannot be set", "use --val"),
    ("--set patch.size=[8,8] --set model.options.levels=5", "patch.size", "a multiple of 16"),
    ("--set patch.size=[64,64,64]", "patch.size", "3 axes"),
    ("--set patch.size=[100,100] --model unet_original", "patch.size", "the nearest is 188 x 188"),
    ("--set tiling.tile_size=[100,100]", "tiling.tile_size", "96 x 96", "112 x 112"),
    ("--val cells_*", "takes all 8 cases", "take fewer"),
    ("--val cells_99", "there is no case 'cells_99'", "cells_00"),
    ("--val zebra*", "'zebra*' matches no case"),
    ("--val 5-2", "runs backwards", "2-5"),
    ("--val list.txt", "list.txt", "No such file"),
    ("--budget soon", "duration 'soon'", "90s, 10m"),
    ("--budget 0m", "duration '0m' is not positive"),
    ("--budget 10m --steps 5", "not both"),
    ("--steps 5 --set schedule.steps=7", "schedule.steps is given twice", "give it once"),
    ("--seed 5 --set train.seed=7", "train.seed is given twice"),
    ("--foreground 7", "no label has the value 7", "0, 255"),
    ("--labels a=0", "also name 255"),
    ("--labels a=0,b=9", "no label has that value", "0, 255"),
    ("--labels a,b", "'a' is not name=value"),
    ("--device gpu", "device 'gpu'", "auto, cpu or cuda"),
    ("--config nowhere.yaml", "nowhere.yaml: cannot be read", "No such file"),
    ("--stpes 5", "--stpes", "--steps", "see ushape plan --help"),
    ("--steps many", "--steps", "see ushape plan --help"),
    ("--steps 0", "--steps", "greater than or equal to 1"),
]


@pytest.mark.parametrize(("options", "pieces"), [(o, p) for o, *p in SETTINGS])
def test_wrong_settings(options, pieces, cli, tiny_data):
    refused(cli("plan", tiny_data, *options.split()), *pieces)


YAML = [
    ("patch: {bach: 4}", "unknown setting 'patch.bach'", "'patch.batch'"),
    ("optimiser: {name: sgd}", "unknown setting 'optimiser'"),
    ("patch: {batch: many}", "patch.batch = 'many'", "valid integer"),
    ("augment: {flip: perhaps}", "augment.flip = 'perhaps'", "valid boolean"),
    ("patch: {batch: 4\nloss: [", "line", "correct the file"),
    ("- a list", "expected sections"),
    ("model: {options: {widht: 8}}", "'widht' of unet_padding", "'width'"),
    ("data: {labels: 5}", "data.labels = 5"),
    ("data: {labels: {classes: 1}}", "data.labels"),
]


@pytest.mark.parametrize(("content", "pieces"), [(c, p) for c, *p in YAML])
def test_wrong_settings_files(content, pieces, cli, tiny_data, tmp_path):
    file = tmp_path / "a.yaml"
    file.write_text(content)
    result = cli("plan", tiny_data, "--config", file)
    refused(result, *pieces)
    if "widht" not in content and "classes" not in content:
        assert str(file) in result.error


def test_wrong_use_of_the_program(cli, tiny_data):
    refused(cli("trian", tiny_data), "trian", "'train'", "see ushape --help")
    refused(cli("train"), "missing argument 'DATA'", "see ushape train --help")
    refused(cli("predict", "run", "images"), "missing option '--out'", "see ushape predict --help")
    refused(cli("models", "unet_orignal"), "did you mean 'unet_original'?")
    refused(cli("models", "unet_original", "--size", "100x100"), "the nearest is 188 x 188")
    refused(cli("models", "unet_original", "--size", "big"), "size 'big'", "512x512")
    refused(cli("models", "unet_padding", "--set", "widht=3"), "did you mean 'width'?")


# Folders -----------------------------------------------------------------------------------------


def test_folders_that_hold_no_data_set(cli, tiny_data, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    shutil.copytree(tiny_data / "images", tmp_path / "bare" / "images")
    shutil.copytree(tiny_data, tmp_path / "all_bad")
    for path in (tmp_path / "all_bad" / "images").iterdir():
        path.write_bytes(b"")
    shutil.copytree(tiny_data / "images", tmp_path / "others" / "images")
    (tmp_path / "others" / "labels").mkdir()
    Image.fromarray(GREY).save(tmp_path / "others" / "labels" / "another.png")
    for name, *pieces in [
        ("none", "there is no such folder"),
        ("empty", "there is no images/ folder", "expected are images/"),
        ("file", "this is a file"),
        ("bare", "there are images but no folder with labels"),
        ("others", "no image has a label of the same name"),
        ("all_bad", "no usable case is left", "cells_000.png"),
    ]:
        for command in (("plan",), ("data", "check"), ("train",)):
            refused(cli(*command, tmp_path / name), tmp_path / name, *pieces)
    refused(cli("plan", tiny_data / "images"), "give its parent", tiny_data)


def test_one_case_cannot_be_split(cli, tiny_data, tmp_path):
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
        shutil.copy(tiny_data / folder / "cells_000.png", tmp_path / folder)
    refused(cli("plan", tmp_path, "--val", "cells_000"), "1 case cannot be split", "--val none")
    assert "one case cannot be divided" in cli("plan", tmp_path).out
    assert cli("plan", tmp_path, "--val", "none").code == 0


def test_labels_of_one_value_teach_nothing(cli, tiny_data, tmp_path):
    data = shutil.copytree(tiny_data, tmp_path / "data")
    for path in (data / "labels").iterdir():
        Image.fromarray(np.zeros((64, 64), np.uint8)).save(path)
    refused(cli("train", data), "labels need two different values at least, found [0]")


def test_folders_that_a_run_cannot_go_to(cli, tiny_data, tiny_run, tmp_path):
    def train(out, *more):
        return cli("train", tiny_data, "--steps", 1, "--out", out, *more)

    (tmp_path / "file").touch()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").touch()
    refused(train(tmp_path / "file"), tmp_path / "file", "is a file", "choose another name")
    refused(train(tmp_path / "file" / "run"), tmp_path / "file", "a file stands where a folder")
    refused(train(tmp_path / "full"), tmp_path / "full", "not empty", "choose another --out")
    refused(train(tiny_run), tiny_run, "already holds a run", "--resume")
    refused(train(tiny_run, "--resume"), tiny_run, "schedule.steps = 80", "another --out")
    refused(cli("train", tiny_data, "--resume"), "--resume needs --out")
    refused(cli("demo", "--out", tmp_path / "new", "--kind", "zebra"), "zebra", "membrane")
    refused(cli("demo", "--out", tmp_path / "new", "--budget", "soon"), "'soon'", "10m")
    (tmp_path / "full" / "run").mkdir()
    refused(cli("demo", "--out", tmp_path / "full"), "holds a demonstration already", "delete it")


# Models ------------------------------------------------------------------------------------------


def test_models_that_cannot_be_used(cli, tiny_data, tiny_run, tmp_path):
    good = tiny_run / "fold_0" / "best.safetensors"
    whole = good.read_bytes()
    files = {
        "cut": (whole[:5000], "not a readable safetensors file"),
        "text": (b"not a model at all", "not a readable safetensors file"),
        "empty": (b"", "not a readable safetensors file"),
        "renamed": (whole.replace(b"unet_padding", b"unet_banding"), "header is damaged"),
        "newer": (whole.replace(rb"\"format\": 2", rb"\"format\": 7"), "newer release"),
    }
    for name, (content, piece) in files.items():
        path = tmp_path / f"{name}.safetensors"
        path.write_bytes(content)
        if name != "renamed":  # a name is only a name: what counts is the specification
            refused(cli("predict", path, tiny_data, "--out", tmp_path / "o"), path, piece)
    foreign = tmp_path / "foreign.safetensors"
    save_file(load_file(good), foreign)
    refused(
        cli("predict", foreign, tiny_data, "--out", tmp_path / "o"), foreign, "no ushape header"
    )
    gone = tmp_path / "gone"
    refused(
        cli("predict", gone, tiny_data, "--out", tmp_path / "o"), gone, "no such file or folder"
    )
    (tmp_path / "bare").mkdir()
    result = cli("predict", tmp_path / "bare", tiny_data, "--out", tmp_path / "o")
    refused(result, tmp_path / "bare", "holds no best.safetensors", "first validation?")
    state = tiny_run / "fold_0" / "state.pt"
    refused(cli("predict", state, tiny_data, "--out", tmp_path / "o"), state, "not a readable")
    assert not (tmp_path / "o").exists()


def test_wrong_inputs_and_outputs_of_predict(cli, tiny_data, tiny_run, tmp_path):
    images = tiny_data / "images"

    def predict(given, *more, out="o"):
        return cli("predict", tiny_run, given, "--out", tmp_path / out, *more)

    refused(predict(tmp_path / "gone"), tmp_path / "gone", "no such file or folder")
    refused(predict(tmp_path), tmp_path, "no image of a known format")
    refused(predict(tmp_path / "*.png"), "the pattern matches no", "quote it")
    refused(predict(images, "--format", "jpg"), "'jpg'", "known: nii.gz, nii")
    refused(predict(images, "--device", "tpu"), "'tpu'", "auto, cpu or cuda")
    refused(cli("predict", tiny_run, images, "--out", images), images, "choose another folder")
    (tmp_path / "file").touch()
    refused(predict(images, out="file"), tmp_path / "file", "a file stands where a folder")
    twins = tmp_path / "twins"
    twins.mkdir()
    Image.fromarray(GREY).save(twins / "a.png")
    Image.fromarray(GREY).save(twins / "a.bmp")
    refused(predict(twins), twins / "a.png", twins / "a.bmp", "two folders")


# Evaluation --------------------------------------------------------------------------------------


def test_predictions_that_cannot_be_scored(cli, tiny_data, tiny_run, tmp_path):
    predictions = shutil.copytree(tiny_run / "fold_0" / "predictions", tmp_path / "p")
    (tmp_path / "empty").mkdir()
    refused(cli("evaluate", tmp_path / "gone", tiny_data), tmp_path / "gone", "no such folder")
    refused(cli("evaluate", tmp_path / "empty", tiny_data), tmp_path / "empty", "holds no PNG")
    refused(cli("evaluate", predictions, tmp_path / "empty"), tmp_path / "empty")
    refused(cli("evaluate", predictions, tmp_path / "gone"), tmp_path / "gone", "no such folder")
    refused(cli("evaluate", predictions, tiny_data, "--regions", "up"), "up", "background")
    refused(cli("evaluate", predictions, tiny_data, "--labels", "a=0,b=7"), "b=7", "0, 255")
    result = cli("evaluate", predictions, tiny_data / "images")  # grey levels, not labels
    refused(result, "nothing could be evaluated", "is in no class", "--labels", "and 1 more")
    other = shutil.copytree(tiny_run / "fold_0" / "predictions", tmp_path / "q")
    for name in ("cells_006", "cells_007"):
        (other / f"{name}.png").rename(other / f"new_{name}.png")
    refused(cli("evaluate", other, tiny_data), "new_cells_006", "cells_000", "names must be equal")
    Image.fromarray(GREY).save(predictions / "cells_006.tif")
    refused(cli("evaluate", predictions, tiny_data), "cells_006.tif", "the name stands twice")
    (predictions / "cells_006.tif").unlink()
    (predictions / "predictions.json").write_text('{"labels": {}}')
    refused(cli("evaluate", predictions, tiny_data), "predictions.json", "delete it")


def test_some_predictions_that_cannot_be_scored(cli, tiny_data, tiny_run, tmp_path):
    predictions = shutil.copytree(tiny_run / "fold_0" / "predictions", tmp_path / "p")
    Image.fromarray(np.full((64, 64), 99, np.uint8)).save(predictions / "cells_000.png")
    Image.fromarray(np.zeros((64, 65), np.uint8)).save(predictions / "cells_001.png")
    Image.fromarray(np.zeros((64, 64), np.uint8)).save(predictions / "stranger.png")
    truncated(predictions / "cells_002.png")
    result = cli("evaluate", predictions, tiny_data, "--json")
    assert result.code == 1
    assert [case["id"] for case in result.json["cases"]] == ["cells_006", "cells_007"]
    problems = result.json["problems"]
    for name, piece in {
        "cells_000.png": "label value 99 is in no class",
        "cells_001.png": "size 64 x 65",
        "cells_002.png": "truncated",
        "stranger.png": "no truth of this name",
    }.items():
        found = [problem for problem in problems if name in problem and piece in problem]
        assert len(found) == 1, (name, problems)
    assert len(problems) == 4


def test_stray_pictures_beside_the_folders_of_a_data_set(cli, tiny_data, tiny_run, tmp_path):
    """An overview.png in DATA/ must not pass for the truth."""
    data = shutil.copytree(tiny_data, tmp_path / "data")
    Image.fromarray(GREY).save(data / "overview.png")
    assert cli("evaluate", tiny_run / "fold_0" / "predictions", data, "--out", tmp_path).code == 0


def test_data_that_cannot_be_drawn(cli, tmp_path):
    def synth(*more, kind="cells", out="new"):
        return cli("data", "synth", kind, "--out", tmp_path / out, *more)

    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "a.txt").touch()
    refused(synth(kind="cels"), "'cels'", "did you mean 'cells'?")
    refused(synth("--size", "8x8"), "8 x 8", "32 pixels")
    refused(synth("--size", "large"), "'large'", "512x512")
    refused(synth("--cases", "0"), "--cases", "greater than or equal to 1")
    refused(synth(out="thesis"), tmp_path / "thesis", "not empty", "choose a new folder")
    assert not (tmp_path / "new").exists()


# A full disk -------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path):
    """Mount a tiny file system in memory; gives its folder and a way to change its size."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mount(*options):
        if shutil.which("mount") is None:
            pytest.skip("there is no mount program: no small disk to fill")
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", str(folder)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            pytest.skip(f"mounting a small disk is not permitted here: {done.stderr.strip()}")

    mount("size=100k")
    yield folder, lambda size: mount("remount", f"size={size}")
    subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_is_full_and_then_is_not(small_disk, cli, tiny_data, tiny_network):
    """First too small for the prepared cases, then for the models, then large enough."""
    disk, resize = small_disk
    run = disk / "run"
    arguments = ("train", tiny_data, "--out", run, "--steps", 2, *tiny_network, "--resume")
    result = cli(*arguments)
    assert result.code == 2
    assert f"cannot write {run / 'cache'}" in result.error
    assert "the disk is full; free some space" in result.error
    resize("300k")
    result = cli(*arguments)
    assert result.code == 2
    assert f"cannot write {run / 'fold_0'}" in result.error
    assert "the disk is full" in result.error
    resize("20m")
    result = cli(*arguments)
    assert result.code == 0, result.err
    assert list(run.rglob("*.part")) == []
    resize(f"{used(disk) + 8}k")
    shutil.copytree(tiny_data / "images", disk.parent / "images")
    result = cli("predict", run, disk.parent / "images", "--out", disk / "masks")
    assert result.code == 2
    assert "the disk is full" in result.error
    for path in (disk / "masks").glob("*.png"):
        with Image.open(path) as picture:
            assert picture.size == (64, 64)


def used(disk):
    return shutil.disk_usage(disk).used // 1024


TARGETS = (
    "config.yaml",
    "split.json",
    "image.npy",
    "state.pt",
    "best.safetensors",
    "last.safetensors",
    "metrics.jsonl",
    "cells_006.png",
    "evaluation.csv",
    "report.html",
)


@pytest.mark.parametrize("target", TARGETS)
def test_a_full_disk_at_every_file_of_a_run(
    target, cli, tiny_data, tiny_network, tmp_path, monkeypatch
):
    """The same without a mount: writing one file fails; afterwards, --resume completes the run."""
    run = tmp_path / "run"
    arguments = ("train", tiny_data, "--out", run, "--steps", 2, "--val", "6-7", *tiny_network)
    opened = Path.open
    failures = itertools.count()

    def opening(self, mode="r", *more, **options):
        if target in self.name and mode[0] in "wax":
            next(failures)
            self.touch()  # a file system with no space still makes an empty file
            raise OSError(errno.ENOSPC, "No space left on device", str(self))
        return opened(self, mode, *more, **options)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", opening)
        result = cli(*arguments)
    assert next(failures) > 0
    assert result.code == 2
    assert "cannot write" in result.error
    assert target in result.error
    assert "the disk is full; free some space or choose another folder" in result.error
    assert list(run.rglob("*.part")) == []
    result = cli(*arguments, "--resume")
    assert result.code == 0, result.err
    assert json.loads((run / "fold_0" / "evaluation.json").read_text())["problems"] == []
