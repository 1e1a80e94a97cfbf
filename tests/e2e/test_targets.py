"""Kinds of target through the command line: files -> train -> predict -> files, in one form."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile
from PIL import Image
from safetensors import safe_open

from ushape.data.synth import make_case

NUM_CASES, SIZE = 6, (64, 64)
RNG = np.random.default_rng(5)


def save(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)
    return path


def pixels(path):
    with Image.open(path) as picture:
        return np.asarray(picture)


def dice_of(prediction, truth):
    total = np.count_nonzero(prediction) + np.count_nonzero(truth)
    return 2 * np.count_nonzero(prediction & truth) / max(total, 1)


@pytest.fixture(scope="module")
def cases():
    """Images of cells; their masks, and those of the lower half of the image, bright by half."""
    drawn = []
    for number in range(NUM_CASES):
        image, label = make_case("cells", SIZE, seed=number)
        half = np.zeros(SIZE, bool)
        half[:, 20:50] = True
        shaded = np.clip(image[0].astype(int) // 2 + 100 * half, 0, 255).astype(np.uint8)
        drawn.append((shaded, label > 0, half))
    return drawn


@pytest.fixture(scope="module")
def overlapping(cases, tmp_path_factory):
    """Two masks a case, in folders: cells, and a band that covers some of them."""
    root = tmp_path_factory.mktemp("overlapping")
    for number, (image, cell, half) in enumerate(cases):
        save(root / "images" / f"{number}.png", image)
        save(root / "labels" / "band" / f"{number}.png", half)
        save(root / "labels" / "cell" / f"{number}.png", cell.astype(np.uint8) * 255)
    return root


def train(cli, data, run, tiny_network, *more, steps=60):
    return cli("train", data, "--out", run, "--steps", steps, "--val", "4-5", *tiny_network, *more)


@pytest.fixture(scope="module")
def overlapping_run(cli, overlapping, tiny_network, tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "overlapping"
    result = train(cli, overlapping, run, tiny_network)
    assert result.code == 0, result.err
    assert "labels   multilabel: " in result.out
    assert "2 folders of masks, which overlap" in result.out
    return run


def test_folders_in_folders_out_and_the_classes_overlap(
    cli, overlapping, overlapping_run, cases, tmp_path
):
    out = tmp_path / "predictions"
    result = cli(
        "predict", overlapping_run, overlapping / "images", "--out", out, "--probabilities"
    )
    assert result.code == 0, result.err
    shared = 0
    for number, (_, cell, half) in enumerate(cases):
        band, found = (pixels(out / name / f"{number}.png") for name in ("band", "cell"))
        assert set(np.unique(band)) <= {0, 255}
        assert dice_of(band > 0, half) > 0.8
        assert dice_of(found > 0, cell) > 0.5
        shared += np.count_nonzero((band > 0) & (found > 0))
        probabilities = tifffile.imread(out / f"{number}.probabilities.tif")
        assert probabilities.shape == (2, *SIZE)
        np.testing.assert_array_equal(probabilities > 0.5, [band > 0, found > 0])
    assert shared > 100
    record = json.loads((out / "predictions.json").read_text())
    assert record["form"] == "folders"
    assert record["written"][0] == "band/0.png"
    # What was written is a data set again.
    (out / "labels").mkdir()
    for name in ("band", "cell"):
        (out / name).rename(out / "labels" / name)
    (out / "images").symlink_to(overlapping / "images")
    again = cli("plan", out, "--json").json
    assert again["labels"]["kind"] == "multilabel"


def test_every_class_is_scored_by_its_own_mask(overlapping_run, cases):
    found = json.loads((overlapping_run / "fold_0" / "evaluation.json").read_text())
    folder = overlapping_run / "fold_0" / "predictions"
    for case in found["cases"]:
        for place, name in ((2, "band"), (1, "cell")):
            truth = cases[int(case["id"])][place]
            predicted = pixels(folder / name / f"{case['id']}.png") > 0
            assert case[name]["dice"] == pytest.approx(dice_of(predicted, truth), abs=1e-9)
    assert "band + cell" in (overlapping_run / "report.html").read_text(encoding="utf-8")


def test_python_gives_masks(overlapping_run, cases):
    import ushape
    from ushape.errors import ConfigError

    model = ushape.load(overlapping_run, device="cpu")
    masks = model.predict(cases[0][0])
    assert masks.shape == (2, *SIZE)
    assert masks.dtype == bool
    strict = ushape.load(overlapping_run, device="cpu", thresholds={"cell": 0.9})
    fewer = strict.predict(cases[0][0])
    np.testing.assert_array_equal(fewer[0], masks[0])
    assert fewer[1].sum() < masks[1].sum()
    with pytest.raises(ConfigError, match="use predict_masks"):
        model.predict_classes(cases[0][0])
    with pytest.raises(ConfigError, match="did you mean 'cell'"):
        ushape.load(overlapping_run, device="cpu", thresholds={"cel": 0.9})


def test_one_file_of_channels_in_and_out(cli, cases, tiny_network, tmp_path):
    data, run, out = tmp_path / "data", tmp_path / "run", tmp_path / "out"
    (data / "labels").mkdir(parents=True)
    for number, (image, cell, half) in enumerate(cases):
        save(data / "images" / f"{number}.png", image)
        stack = np.stack([cell, half]).astype(np.uint8)
        tifffile.imwrite(data / "labels" / f"{number}.tif", stack, photometric="minisblack")
    names = ("--labels", "none=0,cell=1,band=2")
    result = train(cli, data, run, tiny_network, *names, steps=6)
    assert result.code == 0, result.err
    resumed = train(cli, data, run, tiny_network, *names, "--resume", steps=6)
    assert resumed.code == 0, resumed.err
    assert cli("predict", run, data / "images", "--out", out).code == 0
    stack = tifffile.imread(out / "0.tif")
    assert stack.shape == (2, *SIZE)
    assert set(np.unique(stack)) <= {0, 255}


COLORS = (0x101010, 0xFF0000, 0x00C0FF)


def save_palette(path, indices, colors=COLORS):
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(indices)
    picture.putpalette(b"".join(color.to_bytes(3, "big") for color in colors))
    picture.save(path)


def test_palettes_in_and_out(cli, cases, tiny_network, tmp_path):
    """Classes are named by colour, and predictions look as the labels do."""
    data, run, out = tmp_path / "data", tmp_path / "run", tmp_path / "out"
    for number, (image, cell, half) in enumerate(cases):
        save(data / "images" / f"{number}.png", image)
        save_palette(data / "labels" / f"{number}.png", (cell + 2 * (half & ~cell)).astype("u1"))
    names = ("--labels", "none=#101010,cell=#ff0000,band=#00c0ff")
    result = train(cli, data, run, tiny_network, *names, steps=2)
    assert result.code == 0, result.err
    assert "0 = none, 1 = cell, 2 = band" in result.out
    assert cli("predict", run, data / "images", "--out", out).code == 0
    files = [out / "0.png", run / "fold_0" / "predictions" / "4.png"]
    for path in files:
        with Image.open(path) as picture:
            assert picture.mode == "P"
            shown = np.asarray(picture.convert("RGB")).astype(int) @ (1 << 16, 1 << 8, 1)
        indices = pixels(path)
        assert indices.max() <= 2
        np.testing.assert_array_equal(shown, np.array(COLORS)[indices])
    scored = cli("evaluate", out, data, *names)  # by colour, on both sides
    assert scored.code == 0, scored.err
    wanted = "#101010 #ff0000 #00c0ff"
    assert json.loads((out / "predictions.json").read_text())["labels"]["palette"] == wanted
    with safe_open(run / "fold_0" / "best.safetensors", framework="np") as file:
        assert json.loads(file.metadata()["ushape"])["labels"]["palette"] == wanted


def test_colours_that_files_do_not_share_name_the_file(cli, cases, tmp_path):
    for number, (image, cell, _) in enumerate(cases):
        save(tmp_path / "images" / f"{number}.png", image)
        turned = COLORS if number != 3 else (*COLORS[:1], *COLORS[:0:-1])
        save_palette(tmp_path / "labels" / f"{number}.png", cell.astype("u1"), turned)
    result = cli("plan", tmp_path, "--labels", "none=0,cell=#ff0000")
    assert result.code == 2
    assert "--labels cell=#ff0000: index 1 is #ff0000 in " in result.error
    assert "3.png; give all label files one palette, or name the classes by index" in result.error
    assert cli("plan", tmp_path, "--labels", "none=0,cell=1").code == 0


def test_channels_stored_pixel_by_pixel_are_trained_and_scored(cli, cases, tiny_network, tmp_path):
    """Three grey samples a pixel: planned as channels, and once scored as colours."""
    data, run, out = tmp_path / "data", tmp_path / "run", tmp_path / "out"
    (data / "labels").mkdir(parents=True)
    options = {"photometric": "minisblack", "planarconfig": "contig"}
    for number, (image, cell, half) in enumerate(cases):
        save(data / "images" / f"{number}.png", image)
        masks = np.stack([cell, half, cell & half], axis=-1).astype(np.uint8) * 255
        tifffile.imwrite(data / "labels" / f"{number}.tif", masks, **options)
    result = train(cli, data, run, tiny_network, steps=2)
    assert result.code == 0, result.err
    assert "3 channels of masks" in result.out
    assert cli("predict", run, data / "images", "--out", out).code == 0
    assert tifffile.imread(out / "4.tif").shape == (3, *SIZE)
    scored = cli("evaluate", out, data, "--json")
    assert scored.code == 0, scored.err
    inside = json.loads((run / "fold_0" / "evaluation.json").read_text())
    masks = tifffile.imread(out / "4.tif") > 0
    for name, mask, truth in zip(
        ("class_1", "class_2", "class_3"),
        masks,
        (cases[4][1], cases[4][2], cases[4][1] & cases[4][2]),
        strict=True,
    ):
        wanted = pytest.approx(dice_of(mask, truth), abs=1e-9)
        assert inside["cases"][0][name]["dice"] == wanted
        by_id = {case["id"]: case for case in scored.json["cases"]}
        assert by_id["4"][name]["dice"] == wanted


def test_regions_are_written_as_masks(cli, cases, tiny_network, tmp_path):
    data, run = tmp_path / "data", tmp_path / "run"
    for number, (image, cell, half) in enumerate(cases):
        save(data / "images" / f"{number}.png", image)
        save(data / "labels" / f"{number}.png", (cell + 2 * (half & ~cell)).astype(np.uint8))
    options = ("--labels", "none=0,cell=1,band=2", "--region", "any=cell+band")
    result = train(cli, data, run, tiny_network, *options, steps=6)
    assert result.code == 0, result.err
    assert "regions over labels overlap them (any = cell + band)" in result.out
    for name in ("cell", "band", "any"):
        assert (run / "fold_0" / "predictions" / name / "5.png").exists()
    truth = json.loads((run / "fold_0" / "evaluation.json").read_text())
    assert set(truth["cases"][0]) >= {"cell", "band", "any"}
    again = cli("train", data, "--out", run, "--resume")
    assert again.code == 0, again.err


def test_a_run_remembers_its_folder_of_labels(cli, cases, tiny_network, tmp_path):
    data, run = tmp_path / "data", tmp_path / "run"
    for number, (image, cell, half) in enumerate(cases):
        save(data / "images" / f"{number}.png", image)
        save(data / "labels" / f"{number}.png", cell.astype(np.uint8))
        save(data / "labels_2nd" / f"{number}.png", half.astype(np.uint8) * 7)
    result = train(cli, data, run, tiny_network, "--label-folder", "labels_2nd", steps=6)
    assert result.code == 0, result.err
    assert "images + labels_2nd" in result.out
    found = json.loads((run / "fold_0" / "evaluation.json").read_text())
    predicted = pixels(run / "fold_0" / "predictions" / "4.png")
    assert set(np.unique(predicted)) <= {0, 7}
    wanted = dice_of(predicted > 0, cases[4][2])
    assert found["cases"][0]["foreground"]["dice"] == pytest.approx(wanted, abs=1e-9)
    assert cli("train", data, "--out", run, "--resume").code == 0
    refused = cli("train", data, "--out", run, "--resume", "--label-folder", "labels")
    assert refused.code == 2


# ---------------------------------------------------------------- void pixels


def test_void_pixels_change_nothing(cli, cases, tiny_network, tmp_path):
    """What a label says below void pixels is not even read, so both runs are the same."""
    weights = []
    for name, void_value in (("first", 200), ("second", 77)):
        data, run = tmp_path / name, tmp_path / f"{name}-run"
        for number, (image, cell, _) in enumerate(cases):
            label = cell.astype(np.uint8)
            label[10:30, 10:40] = void_value
            save(data / "images" / f"{number}.png", image)
            save(data / "labels" / f"{number}.png", label)
        result = train(cli, data, run, tiny_network, "--ignore", void_value, steps=6)
        assert result.code == 0, result.err
        assert f"{void_value} = void" in result.out
        assert set(np.unique(pixels(run / "fold_0" / "predictions" / "4.png"))) <= {0, 1}
        with safe_open(run / "fold_0" / "last.safetensors", framework="np") as file:
            weights.append({key: file.get_tensor(key) for key in file.keys()})  # noqa: SIM118
        scores = json.loads((run / "fold_0" / "evaluation.json").read_text())
        predicted = pixels(run / "fold_0" / "predictions" / "4.png") > 0
        truth = pixels(data / "labels" / "4.png")
        seen = truth != void_value
        wanted = dice_of(predicted & seen, (truth == 1) & seen)
        assert scores["cases"][0]["foreground"]["dice"] == pytest.approx(wanted, abs=1e-9)
    assert all(np.array_equal(value, weights[1][key]) for key, value in weights[0].items())


# ---------------------------------------------------------------- objects, lines, weights


@pytest.mark.parametrize("target", ["instances", "instances+border"])
def test_numbers_of_objects_in_and_out(target, cli, cases, tiny_network, tmp_path):
    from scipy import ndimage

    data, run = tmp_path / "data", tmp_path / "run"
    for number, (image, cell, _) in enumerate(cases):
        numbers = ndimage.label(cell)[0].astype(np.uint16)
        numbers[numbers > 0] += 300
        save(data / "images" / f"{number}.png", image)
        save(data / "labels" / f"{number}.png", numbers)
    result = train(cli, data, run, tiny_network, "--target", target, steps=40)
    assert result.code == 0, result.err
    assert f"--target {target}: every value but 0 is an object" in result.out
    found = pixels(run / "fold_0" / "predictions" / "4.png")
    assert found.max() == len(np.unique(found)) - 1


def test_lines_are_learnt_beside_blurred_copies(cli, tiny_network, tmp_path):
    data, run, out = tmp_path / "data", tmp_path / "run", tmp_path / "out"
    assert cli("data", "synth", "lines", "--out", data, "--cases", 6, "--size", "64x64").code == 0
    lines = ("--set", "lines.classes=[foreground]", "--set", "balance=auto")
    result = train(cli, data, run, tiny_network, *lines, steps=40)
    assert result.code == 0, result.err
    config = cli("plan", data, *lines, "--val", "4-5", "--json").json["config"]
    assert config["model"]["classes"] == 1 + 3
    with safe_open(run / "fold_0" / "best.safetensors", framework="np") as file:
        header = json.loads(file.metadata()["ushape"])
    assert header["thin_classes"] == ["foreground"]
    assert 0 < header["thresholds"]["foreground"] < 1
    assert cli("predict", run, data / "images", "--out", out, "--probabilities").code == 0
    name = next(path.stem for path in (data / "images").iterdir())
    probabilities = tifffile.imread(out / f"{name}.probabilities.tif")
    assert probabilities.squeeze().shape == (64, 64), "the blurred copies are no result"
    whole = pixels(out / f"{name}.png") > 0
    np.testing.assert_array_equal(
        whole, probabilities.squeeze() > header["thresholds"]["foreground"]
    )
    thin = tmp_path / "thin"
    assert cli("predict", run, data / "images", "--out", thin, "--skeleton").code == 0
    skeleton = pixels(thin / f"{name}.png") > 0
    assert not (skeleton & ~whole).any()
    blocks = skeleton[1:, 1:] & skeleton[:-1, 1:] & skeleton[1:, :-1] & skeleton[:-1, :-1]
    assert not blocks.any()
    assert skeleton.any() == whole.any()


def test_weights_of_gaps_are_computed_once(cli, tiny_data, tiny_network, tmp_path):
    run = tmp_path / "run"
    use = ("--set", "weight_map.use=true")
    arguments = (tiny_data, "--out", run, "--steps", 4, "--val", "6-7", *tiny_network, *use)
    assert cli("train", *arguments).code == 0
    maps = sorted((run / "cache").glob("*-weight-10-5.npy"))
    assert len(maps) == 8
    assert float(np.load(maps[0]).max()) > 2
    before = [path.stat().st_mtime_ns for path in maps]
    assert cli("train", *arguments, "--resume").code == 0
    assert [path.stat().st_mtime_ns for path in maps] == before


# ---------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--target", "multilable"), "did you mean 'multilabel'"),
        (("--target", "multiclass"), "the masks overlap"),
        (("--target", "instances"), "not pictures of object numbers"),
        (("--foreground", "1"), "the labels are one folder a class"),
        (("--label-folder", "labls"), "--label-folder labls: there is no such folder"),
        (
            ("--set", "lines.classes=[cel]"),
            "lines.classes: unknown class 'cel': did you mean 'cell'",
        ),
        (("--set", "lines.classes=[cell, cell]"), "a class stands twice"),
        (("--set", "loss={cel: dice}"), "unknown class 'cel': did you mean 'cell'"),
        (("--set", "loss={cell: dice}"), "no loss for band"),
        (("--set", "loss=dice + ce"), "these overlap; use bce"),
        (("--set", "lines.loss=dicee"), "lines.loss"),
        (("--set", "lines.sigma=[]"), "lines.sigma"),
        (("--region", "both=band"), None),
        (("--region", "both"), "write name=label+label"),
        (("--region", "cell=band"), "a label has that name"),
        (("--ignore", "1.5"), "label value '1.5' is not understood"),
    ],
)
def test_wrong_wishes_are_one_line(cli, overlapping, options, words):
    result = cli("plan", overlapping, *options)
    if words is None:
        assert result.code == 0, result.err
    else:
        assert result.code == 2
        assert words in result.error


def test_a_skeleton_needs_lines(cli, overlapping, overlapping_run, tmp_path):
    result = cli(
        "predict", overlapping_run, overlapping / "images", "--out", tmp_path, "--skeleton"
    )
    assert result.code == 2
    assert "no class of this model is a line" in result.error


def test_other_labels_than_a_run_has_are_refused(
    cli, overlapping, overlapping_run, cases, tmp_path
):
    for number, (image, cell, _) in enumerate(cases):
        save(tmp_path / "images" / f"{number}.png", image)
        save(tmp_path / "labels" / f"{number}.png", cell.astype(np.uint8))
    result = cli("plan", tmp_path, "--config", overlapping_run / "config.yaml")
    assert result.code == 2
    assert "the settings say that the labels are folders" in result.error
