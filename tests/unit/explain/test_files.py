"""From files to files: which labels belong to which images, what is written, what is refused."""

import csv
import io
import json

import numpy as np
import pytest
from PIL import Image

import ushape
from ushape.bundle import BundleHeader, save_bundle
from ushape.config.schema import PreprocessConfig, TilingConfig
from ushape.errors import BundleError, DataError
from ushape.explain import explain_files
from ushape.explain.sources import read_cases, thin_out
from ushape.labels import LabelClass, LabelTable

TABLE = LabelTable((LabelClass("ground", 0), LabelClass("a b/c", 255)))
HEADER = BundleHeader(TABLE, PreprocessConfig(1), TilingConfig((64, 64)))


@pytest.fixture
def model(tmp_path):
    network = ushape.build("unet_padding", width=4, levels=3)
    path = tmp_path / "model.safetensors"
    save_bundle(path, network, HEADER)
    return path


@pytest.fixture
def pictures(tmp_path):
    """Write three images, and labels of the first two."""
    generator = np.random.default_rng(0)
    for name in ("images", "labels"):
        (tmp_path / "data" / name).mkdir(parents=True)
    for number in range(3):
        mask = np.zeros((40, 48), np.uint8)
        mask[8 + number : 30, 10:33] = 255
        image = (mask // 3 + generator.integers(0, 60, mask.shape)).astype(np.uint8)
        Image.fromarray(image).save(tmp_path / "data" / "images" / f"{number}.png")
        if number < 2:
            Image.fromarray(mask).save(tmp_path / "data" / "labels" / f"{number}.png")
    return tmp_path / "data"


def images(folder):
    return sorted((folder / "images").iterdir())


def test_what_is_written(model, pictures, tmp_path):
    out = tmp_path / "out"
    found = explain_files(model, images(pictures), out, truth=pictures / "labels")
    assert sorted(path.name for path in out.iterdir()) == [
        "a_b_c.png",
        "explain.json",
        "response.csv",
    ]
    assert {path.name for path in found.written} == {path.name for path in out.iterdir()}
    assert [str(problem.path.name) for problem in found.problems] == ["2.png"]
    assert "no label of this name" in found.problems[0].message

    record = json.loads((out / "explain.json").read_text())
    assert record == found.to_json()
    assert record["fitted_on"] == "truth"
    assert record["images"] == 2
    rows = list(csv.DictReader(io.StringIO((out / "response.csv").read_text())))
    assert [row["node"] for row in rows] == ["x_0_0", "x_1_0", "x_2_0", "x_1_1", "x_0_2"]
    for row, node in zip(rows, record["classes"][0]["nodes"], strict=True):
        assert row["class"] == "a b/c"
        assert float(row["probe_dice"]) == pytest.approx(node["probe_dice"], abs=1e-5)
    with Image.open(out / "a_b_c.png") as sheet:
        sheet.load()
        assert min(sheet.size) > 400


def test_same_input_same_bytes(model, pictures, tmp_path):
    for name in ("first", "second"):
        explain_files(model, images(pictures)[:2], tmp_path / name, truth=pictures)
    for path in (tmp_path / "first").iterdir():
        assert path.read_bytes() == (tmp_path / "second" / path.name).read_bytes(), path.name


def test_labels_are_found_in_a_file_a_folder_and_a_data_set(pictures):
    chosen = images(pictures)[:2]
    folder, _ = read_cases(chosen, pictures / "labels", HEADER)
    data_set, _ = read_cases(chosen, pictures, HEADER)
    single, _ = read_cases(chosen[:1], pictures / "labels" / "0.png", HEADER)
    for found in (folder, data_set, single):
        assert found[0].name == "0"
        assert found[0].masks.shape == (1, 40, 48)
        assert found[0].masks.sum() == 22 * 23
    assert folder[1].masks.sum() == data_set[1].masks.sum() == 21 * 23
    (without, *_), _ = read_cases(chosen, None, HEADER)
    assert without.masks is None
    assert abs(without.image.mean()) < 1e-5, "normalised as in training"


def test_labels_in_a_folder_for_each_class(pictures, tmp_path):
    for name in ("a", "b"):
        (tmp_path / "masks" / name).mkdir(parents=True)
        for number in range(2):
            mask = np.zeros((40, 48), np.uint8)
            mask[: 10 + number, : 20 if name == "a" else 10] = 255
            Image.fromarray(mask).save(tmp_path / "masks" / name / f"{number}.png")
    classes = tuple(LabelClass(name, value) for value, name in enumerate(("ground", "a", "b")))
    table = LabelTable(classes, kind="multilabel", form="folders")
    header = BundleHeader(table, PreprocessConfig(1), TilingConfig((64, 64)))
    cases, problems = read_cases(images(pictures), tmp_path / "masks", header)
    assert [case.masks.sum(axis=(1, 2)).tolist() for case in cases] == [[200, 100], [220, 110]]
    assert len(problems) == 1


def test_strange_label_files_are_told_with_their_names(pictures):
    path = pictures / "labels" / "1.png"
    Image.fromarray(np.full((40, 48), 7, np.uint8)).save(path)
    cases, problems = read_cases(images(pictures)[:2], pictures / "labels", HEADER)
    assert len(cases) == 1
    assert "label value 7 is in no class" in problems[0].message


def test_many_images_are_thinned_out_evenly(model, pictures, tmp_path):
    paths = images(pictures)[:1] * 40
    assert len(thin_out(paths)) == 16
    numbers = thin_out(range(100))
    assert set(np.diff(numbers).tolist()) <= {6, 7}
    found = explain_files(model, paths, tmp_path / "out", truth=pictures / "labels")
    assert found.response.notes[0] == "16 of 40 images were looked at, evenly over the list"


def test_refusals(model, pictures, tmp_path):
    chosen, out = images(pictures), tmp_path / "out"
    with pytest.raises(DataError, match="one file for 3 images"):
        explain_files(model, chosen, out, truth=pictures / "labels" / "0.png")
    with pytest.raises(DataError, match="there is no such file or folder"):
        explain_files(model, chosen, out, truth=pictures / "label")
    with pytest.raises(DataError, match="no image can be used"):
        explain_files(model, chosen[2:], out, truth=pictures / "labels")
    with pytest.raises(BundleError, match="no such file"):
        explain_files(tmp_path / "nothing", chosen, out)
    assert not out.exists()


def test_class_names_that_become_one_file_name_get_numbers(pictures, tmp_path):
    from ushape.explain.files import _file_name

    assert _file_name("a/b", set()) == "a_b"
    assert _file_name("a b", {"a_b"}) == "a_b_2"
    assert _file_name("A b", {"a_b"}) == "A_b_2"
    assert _file_name("../..", set()) == "class"
