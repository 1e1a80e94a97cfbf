"""The main job through the command line: a folder of images and masks in, trusted masks out."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

import ushape
from ushape.data.synth import make_case, write_dataset

PROGRAM = (sys.executable, "-m", "ushape.cli.main")


def pixels(path):
    with Image.open(path) as picture:
        return np.asarray(picture)


def dice_of(prediction, truth):
    total = np.count_nonzero(prediction) + np.count_nonzero(truth)
    return 2 * np.count_nonzero(prediction & truth) / total


def write_cases(folder, cases):
    """Write (image, label) arrays as a data set; float and 16-bit colour go to TIFF."""
    for name in ("images", "labels"):
        (folder / name).mkdir(parents=True)
    for number, (image, label) in enumerate(cases):
        ending = "tif" if image.dtype == np.uint16 and image.ndim == 3 else "png"
        if ending == "tif":
            tifffile.imwrite(folder / "images" / f"case {number}.tif", image, photometric="rgb")
        else:
            Image.fromarray(image).save(folder / "images" / f"case {number}.png")
        Image.fromarray(label).save(folder / "labels" / f"case {number}.png")
    return folder


def drawn(count, size, *, seed=0):
    for number in range(count):
        image, label = make_case("cells", size, seed=100 * seed + number)
        yield image[0], label


def test_a_run_folder_holds_what_the_pages_say(tiny_run):
    files = {
        path.relative_to(tiny_run).as_posix() for path in tiny_run.rglob("*") if path.is_file()
    }
    cached = {name for name in files if name.startswith("cache/")}
    assert len(cached) == 3 * 8  # image, target, and how both were placed
    assert files - cached == {
        ".lock",
        "config.yaml",
        "split.json",
        "report.html",
        "fold_0/best.safetensors",
        "fold_0/last.safetensors",
        "fold_0/state.pt",
        "fold_0/metrics.jsonl",
        "fold_0/evaluation.csv",
        "fold_0/evaluation.json",
        "fold_0/predictions/cells_006.png",
        "fold_0/predictions/cells_007.png",
        "fold_0/predictions/predictions.json",
    }
    split = json.loads((tiny_run / "split.json").read_text())
    assert split["val"] == ["cells_006", "cells_007"]
    assert split["train"] == [f"cells_{number:03d}" for number in range(6)]


def test_every_line_of_the_log_is_json_and_the_last_step_is_there(tiny_run):
    lines = (tiny_run / "fold_0" / "metrics.jsonl").read_text().splitlines()
    events = [json.loads(line) for line in lines]
    steps = [event for event in events if event["event"] == "step"]
    validations = [event for event in events if event["event"] == "validation"]
    assert steps[0]["step"] == 1
    assert steps[-1]["step"] == 80
    assert steps[-1]["fraction"] == 1
    assert steps[-1]["learning_rate"] < 0.01 * 1e-2
    assert [event["step"] for event in validations] == [20, 40, 60, 80]


def test_it_learns(cli, tiny_run, tmp_path):
    new = write_dataset("cells", tmp_path / "new", cases=4, size=(64, 64), seed=77)
    assert cli("predict", tiny_run, new, "--out", tmp_path / "masks").code == 0
    result = cli("evaluate", tmp_path / "masks", new, "--json").json
    everything = [
        dice_of(np.ones(truth.shape, bool), truth)
        for truth in (pixels(path) > 0 for path in sorted((new / "labels").iterdir()))
    ]
    learned = result["summary"]["foreground"]["dice"]["mean"]
    assert 0.4 < np.mean(everything) < 0.7
    assert learned > np.mean(everything) + 0.2
    assert learned > 0.85


def test_scores_equal_a_recomputation_from_the_files(tiny_run, tiny_data):
    fold = tiny_run / "fold_0"
    scores = json.loads((fold / "evaluation.json").read_text())
    with (fold / "evaluation.csv").open() as file:
        table = {row["case"]: row for row in csv.DictReader(file)}
    assert list(table) == ["cells_006", "cells_007", "mean", "low", "high"]
    for case in scores["cases"]:
        found = pixels(fold / "predictions" / f"{case['id']}.png") == 255
        truth = pixels(tiny_data / "labels" / f"{case['id']}.png") == 255
        both = np.count_nonzero(found & truth)
        expected = {
            "dice": dice_of(found, truth),
            "iou": both / np.count_nonzero(found | truth),
            "precision": both / np.count_nonzero(found),
            "recall": both / np.count_nonzero(truth),
        }
        assert {m: case["foreground"][m] for m in expected} == pytest.approx(expected, abs=1e-12)
        row = table[case["id"]]
        assert {m: float(row[f"foreground_{m}"]) for m in expected} == pytest.approx(
            expected, abs=1e-6
        )
    for metric in ("dice", "iou", "precision", "recall"):
        mean = np.mean([case["foreground"][metric] for case in scores["cases"]])
        assert scores["summary"]["foreground"][metric]["mean"] == pytest.approx(mean)
        assert float(table["mean"][f"foreground_{metric}"]) == pytest.approx(mean, abs=1e-6)


def test_the_report_shows_the_run_and_asks_for_nothing_from_outside(tiny_run):
    page = (tiny_run / "report.html").read_text(encoding="utf-8")
    scores = json.loads((tiny_run / "fold_0" / "evaluation.json").read_text())
    assert f"{scores['summary']['foreground']['dice']['mean']:.3f}" in page
    for text in ("cells_006", "cells_007", "unet_padding", "ushape predict", "dice + bce"):
        assert text in page
    outside = re.findall(r"""(?:src|href|action)\s*=\s*["']?(?!data:|#)[^"'\s>]+""", page)
    assert outside == []
    assert not re.search(r"url\(\s*[\"']?(?!data:|#)\w|@import|<script[^>]+src", page)
    assert "://" not in re.sub(r"http://www\.w3\.org/\S+", "", page)


def test_a_file_a_folder_and_a_pattern_give_the_same_pictures(cli, tiny_run, tiny_data, tmp_path):
    image = tiny_data / "images" / "cells_003.png"
    inputs = {"file": image, "folder": tiny_data, "glob": tiny_data / "images" / "*_00[0-3].png"}
    counts = {"file": 1, "folder": 8, "glob": 4}
    pictures = []
    for kind, given in inputs.items():
        result = cli("predict", tiny_run, given, "--out", tmp_path / kind, "--json")
        assert result.code == 0
        written = sorted((tmp_path / kind).glob("*.png"))
        assert [Path(name) for name in result.json["written"]] == written
        assert len(written) == counts[kind]
        pictures.append(pixels(tmp_path / kind / image.name))
    assert np.array_equal(pictures[0], pictures[1])
    assert np.array_equal(pictures[0], pictures[2])
    assert set(np.unique(pictures[0])) == {0, 255}
    in_python = ushape.load(tiny_run).predict(pixels(image))
    assert np.array_equal(in_python, pictures[0])


def test_probabilities_are_those_of_the_labels(cli, tiny_run, tiny_data, tmp_path):
    arguments = ("predict", tiny_run, tiny_data / "images" / "cells_00[01].png", "--out", tmp_path)
    assert cli(*arguments, "--probabilities", "--format", "tif").code == 0
    for name in ("cells_000", "cells_001"):
        probabilities = tifffile.imread(tmp_path / f"{name}.probabilities.tif")
        labels = tifffile.imread(tmp_path / f"{name}.tif")
        assert probabilities.dtype == np.float32
        assert probabilities.min() >= 0
        assert probabilities.max() <= 1
        assert np.ptp(probabilities) > 0.5
        assert np.array_equal(labels, np.where(np.squeeze(probabilities) > 0.5, 255, 0))
    # Evaluation passes over the probabilities beside the labels.
    scores = cli("evaluate", tmp_path, tiny_data, "--json")
    assert scores.code == 0
    assert [case["id"] for case in scores.json["cases"]] == ["cells_000", "cells_001"]
    assert scores.json["truths_without_prediction"] == 6


def test_mirroring_can_be_switched_and_matters(cli, tiny_run, tiny_data, tmp_path):
    image = tiny_data / "images" / "cells_000.png"
    for flag in ("--mirror", "--no-mirror"):
        cli("predict", tiny_run, image, "--out", tmp_path / flag, flag, "--probabilities")
    views, one = (
        tifffile.imread(tmp_path / flag / "cells_000.probabilities.tif")
        for flag in ("--mirror", "--no-mirror")
    )
    assert 1e-4 < np.abs(views - one).max() < 0.9


def as_gaps(image, label):
    """Three values with gaps: the middle of cells apart from their rims."""
    inner = np.array(Image.fromarray(label).resize((label.shape[1] // 2, label.shape[0] // 2)))
    values = np.where(label > 0, 40, 7).astype(np.uint8)
    values[: inner.shape[0], : inner.shape[1]][inner > 0] = 200
    return image, values


def as_colours(image, label):
    colours = np.array([[10, 20, 30], [200, 0, 0]], np.uint8)
    return image, colours[(label > 0).astype(int)]


def as_rgb_image(image, label):
    return np.stack([image, 255 - image, image // 2], axis=-1), label


def as_16_bit(image, label):
    return image.astype(np.uint16) * 200 + 1000, label


def as_16_bit_rgb(image, label):
    return np.stack([image.astype(np.uint16) * k for k in (100, 150, 200)], axis=-1), label


KINDS = {
    "three values with gaps": (as_gaps, {7, 40, 200}),
    "colours": (as_colours, {0x0A141E, 0xC80000}),
    "RGB images": (as_rgb_image, {0, 255}),
    "16-bit images": (as_16_bit, {0, 255}),
    "16-bit RGB images": (as_16_bit_rgb, {0, 255}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_predictions_come_in_the_labels_own_values(kind, cli, tiny_network, tmp_path):
    change, values = KINDS[kind]
    sizes = [(67, 53), (50, 81), (64, 64)]  # odd ones; each of its own
    cases = [change(*next(drawn(1, size, seed=n))) for n, size in enumerate(sizes)]
    data = write_cases(tmp_path / "data", cases)
    run, masks = tmp_path / "run", tmp_path / "masks"
    trained = cli("train", data, "--out", run, "--steps", 8, "--val", "case 2", *tiny_network)
    assert trained.code == 0, trained.err
    assert cli("predict", run, data, "--out", masks).code == 0
    seen = set()
    for number, size in enumerate(sizes):
        picture = pixels(masks / f"case {number}.png")
        assert picture.shape[:2] == size
        if kind == "colours":
            assert picture.shape[2] == 3
            picture = picture.astype(int) @ [65536, 256, 1]
        seen |= set(np.unique(picture).tolist())
    assert seen <= values
    result = cli("evaluate", masks, data, "--json")
    assert result.code == 0, result.err
    assert len(result.json["cases"]) == 3
    assert len(set(result.json["summary"]) - {"v_rand"}) == len(values) - 1


def test_sixteen_bits_and_grey_in_colours_are_read_alike(cli, tiny_run, tiny_data, tmp_path):
    """Another number type or three equal channels change nothing in what is predicted."""
    image = pixels(tiny_data / "images" / "cells_000.png")
    Image.fromarray(image).save(tmp_path / "a.png")
    Image.fromarray(image.astype(np.uint16) * 256).save(tmp_path / "b.png")
    Image.fromarray(np.stack([image] * 3, axis=-1)).save(tmp_path / "c.png")
    assert cli("predict", tiny_run, tmp_path, "--out", tmp_path / "out").code == 0
    first, *others = (pixels(tmp_path / "out" / f"{name}.png") for name in "abc")
    assert np.ptp(first) == 255
    for other in others:
        assert np.mean(other != first) < 1e-3  # rounding may turn a pixel at one half


@pytest.mark.parametrize("name", ["unet_padding", "unet_original"])
def test_the_papers_networks_go_all_the_way(name, cli, tiny_data, tmp_path):
    width = ("--set", "model.options.width=2", "--set", "patch.batch=1")
    result = cli(
        *("train", tiny_data, "--out", tmp_path / "run", "--model", name, "--steps", 2, *width),
        *("--val", "cells_000", "--json"),
    )
    assert result.code == 0, result.err
    assert result.json["steps"] == 2
    assert pixels(tmp_path / "run/fold_0/predictions/cells_000.png").shape == (64, 64)
    config = (tmp_path / "run" / "config.yaml").read_text()
    assert f"name: {name}  # asked for" in config


def test_bad_files_among_good_ones_are_listed_and_the_rest_is_done(
    cli, tiny_run, tiny_data, tmp_path
):
    mixed = tmp_path / "mixed"
    mixed.mkdir()
    for name in ("cells_000.png", "cells_001.png"):
        shutil.copy(tiny_data / "images" / name, mixed)
    (mixed / "broken.png").write_bytes((mixed / "cells_000.png").read_bytes()[:200])
    (mixed / "notes.png").write_text("no picture")
    for extra in ((), ("--json",)):
        result = cli("predict", tiny_run, mixed, "--out", tmp_path / "out", *extra)
        assert result.code == 1
        assert len([line for line in result.err.splitlines() if line.startswith("  ! ")]) == 2
        for name in ("broken.png", "notes.png"):
            assert result.err.count(str(mixed / name)) == 1
        assert sorted(path.name for path in (tmp_path / "out").glob("*.png")) == [
            "cells_000.png",
            "cells_001.png",
        ]
    assert set(result.json["failed"]) == {str(mixed / "broken.png"), str(mixed / "notes.png")}
    # What failed then is not forgotten by the scores of the rest.
    scores = cli("evaluate", tmp_path / "out", tiny_data)
    assert scores.code == 1
    assert "was not predicted" in scores.err


def test_training_leaves_bad_cases_out_and_says_so(cli, tiny_data, tiny_network, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(tiny_data, data)
    (data / "images" / "cells_002.png").write_bytes(b"")
    (data / "labels" / "cells_005.png").unlink()
    check = cli("data", "check", data, "--json")
    assert check.code == 1
    assert {Path(problem["path"]).name for problem in check.json["problems"]} >= {
        "cells_002.png",
        "cells_005.png",
    }
    result = cli("train", data, "--out", tmp_path / "run", "--steps", 2, *tiny_network)
    assert result.code == 1
    assert "cells_002.png" in result.err
    assert "cells_005.png" in result.err
    split = json.loads((tmp_path / "run" / "split.json").read_text())
    assert len(split["train"] + split["val"]) == 6
    assert "cells_002" in (tmp_path / "run" / "report.html").read_text()


VALS = {
    "cells_003": {3},
    "cells_003.png": {3},
    "0-1,cells_005": {0, 1, 5},
    "cells_002-cells_004": {2, 3, 4},
    "*_00[67]": {6, 7},
    "LIST": {1, 4},
    "none": set(),
}


@pytest.mark.parametrize("val", VALS)
def test_the_forms_of_val(val, cli, tiny_data, tmp_path):
    if val == "LIST":
        (tmp_path / "list.txt").write_text("cells_001  # the first\n\ncells_004.png\n")
    given = tmp_path / "list.txt" if val == "LIST" else val
    split = cli("plan", tiny_data, "--val", given, "--json").json["split"]
    assert split["val"] == [f"cells_{number:03d}" for number in sorted(VALS[val])]
    assert sorted(split["train"] + split["val"]) == [f"cells_{n:03d}" for n in range(8)]


@pytest.mark.parametrize(("val", "count"), [("0.25", 2), ("50%", 4), (None, 2)])
def test_a_fraction_of_val_is_drawn_by_the_seed(val, count, cli, tiny_data):
    option = ("--val", val) if val else ()
    splits = [
        cli("plan", tiny_data, *option, "--seed", seed, "--json").json["split"]["val"]
        for seed in (0, 0, 1, 2, 3)
    ]
    assert {len(split) for split in splits} == {count}
    assert splits[0] == splits[1]
    assert len({tuple(split) for split in splits}) > 1


def test_consecutive_numbers_are_split_by_one_block(cli, tmp_path):
    for number, (image, label) in enumerate(drawn(10, (32, 32))):
        for folder, array in (("image", image), ("label", label)):
            (tmp_path / "train" / folder).mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(tmp_path / "train" / folder / f"{number}.tif")
    split = cli("plan", tmp_path, "--json").json["split"]
    assert split["val"] == ["8", "9"]


def test_training_without_validation(cli, tiny_data, tiny_network, tmp_path):
    run = tmp_path / "run"
    result = cli(
        *("train", tiny_data, "--out", run, "--steps", 2, "--val", "none", "--json", *tiny_network)
    )
    assert result.code == 0, result.err
    assert result.json["evaluation"] is None
    assert result.json["best_score"] is None
    assert (run / "report.html").exists()
    assert cli("predict", run, tiny_data, "--out", tmp_path / "out").code == 0


def test_foreground_inverts_and_the_choice_is_kept(cli, tiny_data, tiny_network, tmp_path):
    run, masks = tmp_path / "run", tmp_path / "masks"
    assert cli("plan", tiny_data, "--json").json["labels"]["classes"][1]["value"] == 255
    options = ("--foreground", "0", "--steps", 60, "--val", "6-7", *tiny_network)
    trained = cli("train", tiny_data, "--out", run, *options, "--json")
    assert trained.code == 0, trained.err
    assert cli("predict", run, tiny_data / "images" / "cells_00[67].png", "--out", masks).code == 0
    case = trained.json["evaluation"]["cases"][0]
    found, truth = (pixels(d / f"{case['id']}.png") == 0 for d in (masks, tiny_data / "labels"))
    assert case["foreground"]["dice"] == pytest.approx(dice_of(found, truth))
    assert case["foreground"]["dice"] > 0.8
    # predictions.json remembers which value is the foreground; --foreground says otherwise.
    kept = cli("evaluate", masks, tiny_data, "--json").json["summary"]["foreground"]["dice"]
    other = cli("evaluate", masks, tiny_data, "--foreground", "255", "--json").json
    assert kept["mean"] == pytest.approx(
        trained.json["evaluation"]["summary"]["foreground"]["dice"]["mean"]
    )
    assert other["summary"]["foreground"]["dice"]["mean"] != pytest.approx(kept["mean"])


def test_names_of_classes_reach_the_tables(cli, tiny_data, tmp_path):
    labels = ("--labels", "outside=0,nucleus=255")
    plan = cli("plan", tiny_data, *labels, "--json").json
    assert [entry["name"] for entry in plan["labels"]["classes"]] == ["outside", "nucleus"]
    scores = cli("evaluate", tiny_data / "labels", tiny_data, *labels, "--out", tmp_path, "--json")
    assert scores.json["summary"]["nucleus"]["dice"]["mean"] == 1
    assert (tmp_path / "evaluation.csv").read_text().startswith("case,nucleus_dice,")
    assert not (tiny_data / "labels" / "evaluation.csv").exists()


def test_a_written_plan_is_the_run_that_follows(cli, tiny_data, tiny_network, tmp_path):
    plan = tmp_path / "plan.yaml"
    options = ("--steps", 3, "--val", "0-1", "--seed", 4, "--labels", "a=0,b=255", *tiny_network)
    assert cli("plan", tiny_data, *options, "--out", plan).code == 0
    trained = cli("train", tiny_data, "--config", plan, "--out", tmp_path / "run")
    assert trained.code == 0, trained.err

    def settings(path):
        return [line.partition("  # ")[0] for line in path.read_text().splitlines()[1:]]

    assert settings(tmp_path / "run" / "config.yaml") == settings(plan)


def test_what_is_typed_wins_over_a_settings_file(cli, tiny_data, tmp_path):
    (tmp_path / "a.yaml").write_text(
        "model: {name: unet_padding, options: {width: 8, levels: 4}}\n"
        "schedule: {budget_s: 600}\ndata: {validation: '0-3'}\ntrain: {seed: 9}\nloss: bce\n"
    )
    base = cli("plan", tiny_data, "--config", tmp_path / "a.yaml", "--json").json
    assert base["config"]["model"]["options"]["width"] == 8
    assert base["config"]["schedule"]["budget_s"] == 600
    assert len(base["split"]["val"]) == 4
    typed = cli(
        *("plan", tiny_data, "--config", tmp_path / "a.yaml", "--json", "--steps", 5),
        *(
            "--val",
            "cells_007",
            "--seed",
            1,
            "--set",
            "model.options.width=16",
            "--set",
            "loss=dice",
        ),
    ).json
    config = typed["config"]
    assert config["model"]["options"] == {"width": 16, "levels": 4}
    assert (config["schedule"]["steps"], config["schedule"]["budget_s"]) == (5, None)
    assert (config["train"]["seed"], config["loss"]) == (1, "dice")
    assert config["data"]["validation"] == "cells_007"
    assert typed["split"]["val"] == ["cells_007"]
    other = cli(
        *("plan", tiny_data, "--config", tmp_path / "a.yaml", "--json"),
        *("--model", "unet_original", "--set", "schedule.steps=7"),
    ).json["config"]
    assert other["model"]["name"] == "unet_original"
    assert other["model"]["options"] == {}  # those of the file are another network's
    assert (other["schedule"]["steps"], other["schedule"]["budget_s"]) == (7, None)


def test_every_command_prints_one_json_object(cli, tiny_data, tiny_run, tiny_network, tmp_path):
    out = tmp_path / "out"
    commands = [
        ("data", "synth", "lines", "--out", tmp_path / "lines", "--cases", 2, "--size", "32x48"),
        ("data", "check", tiny_data),
        ("plan", tiny_data, "--out", tmp_path / "plan.yaml"),
        ("train", tiny_data, "--out", tmp_path / "run", "--steps", 1, *tiny_network),
        ("predict", tiny_run, tiny_data, "--out", out),
        ("evaluate", out, tiny_data),
        ("models",),
        ("models", "unet_padding", "--set", "width=8", "--size", "64x64"),
    ]
    for command in commands:
        result = cli(*command, "--json")
        assert result.code == 0, result.err
        assert isinstance(result.json, dict), command
        assert result.out.endswith("}\n")


def test_the_demonstration(cli, tmp_path, monkeypatch):
    """The same on a smaller scale: four images of 64 x 64, two seconds."""
    monkeypatch.setattr("ushape.demo.NUM_TRAIN", 4)
    monkeypatch.setattr("ushape.demo.NUM_NEW", 2)
    monkeypatch.setattr("ushape.demo.SIZE", (64, 64))
    result = cli("demo", "--out", tmp_path, "--budget", "2s", "--json")
    assert result.code == 0, result.err
    assert Path(result.json["report"]).exists()
    assert [case["id"] for case in result.json["evaluation"]["cases"]] == [
        "membrane_000",
        "membrane_001",
    ]
    seen, new = (pixels(tmp_path / part / "images/membrane_000.png") for part in ("data", "new"))
    assert not np.array_equal(seen, new)  # it is scored on images that training never saw


def test_the_figure_of_the_paper(cli):
    result = cli("models", "unet_original", "--size", "572x572")
    assert result.code == 0
    golden = Path(__file__).parents[1] / "golden" / "nets" / "unet_original_572.txt"
    wanted = [line.split() for line in golden.read_text().splitlines()]
    printed = iter([line.split() for line in result.out.splitlines()])
    assert [line for line in wanted if line not in printed] == []  # in order, among the costs
    assert "388 x 388" in result.out
    listed = cli("models")
    assert listed.code == 0
    assert {"unet_original", "unet_padding"} <= {
        line.split(" ")[0] for line in listed.out.splitlines()
    }


def test_names_with_dots_spaces_and_letters_of_any_language(cli, tiny_run, tiny_data, tmp_path):
    source = tiny_data / "images" / "cells_000.png"
    names = ["a.b.c.png", "ä ö 漢.png", "x[1]#%.png", "-dash.png"]
    for name in names:
        shutil.copy(source, tmp_path / name)
    result = cli("predict", tiny_run, tmp_path, "--out", tmp_path / "out", "--json")
    assert result.code == 0, result.err
    assert sorted(path.name for path in (tmp_path / "out").glob("*.png")) == sorted(names)
    assert cli("predict", tiny_run, tmp_path / names[2], "--out", tmp_path / "one").code == 0


def test_the_installed_program_in_processes_of_its_own(tiny_run, tiny_data, tmp_path):
    """What the other tests do inside this process: exit codes and streams, for real."""
    out = tmp_path / "out"
    runs = {
        0: ("predict", tiny_run, tiny_data, "--out", out, "--json"),
        1: ("predict", tiny_run, tmp_path, "--out", out),
        2: ("predict", tmp_path / "none", tiny_data, "--out", out),
    }
    shutil.copy(tiny_data / "images" / "cells_000.png", tmp_path)
    (tmp_path / "bad.png").write_bytes(b"")
    for code, arguments in runs.items():
        result = subprocess.run(
            [*PROGRAM, *map(str, arguments)], capture_output=True, text=True, check=False
        )
        assert result.returncode == code, result.stderr
        assert "Traceback" not in result.stderr
        if code == 0:
            assert len(json.loads(result.stdout)["written"]) == 8
            assert result.stderr == ""


def test_a_reader_that_stops_early_is_no_error():
    command = f"'{sys.executable}' -m ushape.cli.main models unet_original --size 572x572"
    result = subprocess.run(
        ["bash", "-c", f"{command} | head -1"], capture_output=True, text=True, check=False
    )
    assert result.stdout.startswith("unet_original: image 1 @ 572 x 572")
    assert result.stderr == ""
