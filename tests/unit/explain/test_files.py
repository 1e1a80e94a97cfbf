"""From files to files: which labels belong to which images, what is written, what is refused."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

import ushape
from ushape.bundle import BundleHeader, save_bundle
from ushape.config.schema import PreprocessConfig, TilingConfig
from ushape.data.io import Grid, write_label_volume, write_volume
from ushape.errors import BundleError, DataError
from ushape.explain import explain_files
from ushape.explain.sources import find_chosen, read_cases
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


def read(paths, truth, header, spatial_dims=2):
    return read_cases(find_chosen(paths, header, spatial_dims)[0], truth, header, spatial_dims)


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
    folder, _ = read(chosen, pictures / "labels", HEADER)
    data_set, _ = read(chosen, pictures, HEADER)
    single, _ = read(chosen[:1], pictures / "labels" / "0.png", HEADER)
    for found in (folder, data_set, single):
        assert found[0].name == "0"
        assert found[0].masks.shape == (1, 40, 48)
        assert found[0].masks.sum() == 22 * 23
    assert folder[1].masks.sum() == data_set[1].masks.sum() == 21 * 23
    (without, *_), _ = read(chosen, None, HEADER)
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
    cases, problems = read(images(pictures), tmp_path / "masks", header)
    assert [case.masks.sum(axis=(1, 2)).tolist() for case in cases] == [[200, 100], [220, 110]]
    assert len(problems) == 1


def test_strange_label_files_are_told_with_their_names(pictures):
    path = pictures / "labels" / "1.png"
    Image.fromarray(np.full((40, 48), 7, np.uint8)).save(path)
    cases, problems = read(images(pictures)[:2], pictures / "labels", HEADER)
    assert len(cases) == 1
    assert "label value 7 is in no class" in problems[0].message


def test_many_images_are_thinned_out_evenly(model, pictures, tmp_path):
    paths = images(pictures)[:1] * 40
    many = [Path(f"{number}.png") for number in range(100)]
    chosen, count = find_chosen(many, HEADER, 2)
    assert (len(chosen), count) == (16, 100)
    assert set(np.diff([int(case.id) for case in chosen]).tolist()) <= {6, 7}
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


@pytest.fixture
def volumes(tmp_path):
    """Write a data set in nnU-Net's layout: two scans with a box, and a model for volumes."""
    generator = np.random.default_rng(0)
    for number in range(2):
        mask = np.zeros((8, 20, 24), np.uint8)
        mask[2:6, 5 + number : 14, 6:18] = 255
        image = (mask // 3 + generator.integers(0, 60, mask.shape)).astype(np.int16)
        grid = Grid.of(mask.shape, (2.0, 1.0, 1.0), direction=np.diag([-1.0, 1, 1]))
        write_volume(tmp_path / "imagesTr" / f"{number}_0000.nii.gz", image[None], grid)
        write_label_volume(tmp_path / "labelsTr" / f"{number}.nii.gz", mask, grid)
    header = BundleHeader(TABLE, PreprocessConfig(1), TilingConfig((8, 24, 24)))
    network = ushape.build("unet_padding", spatial_dims=3, width=4, levels=3)
    save_bundle(tmp_path / "model.safetensors", network, header)
    return tmp_path


def test_volumes_and_their_labels_in_the_layout_of_nnunet(volumes):
    paths = sorted((volumes / "imagesTr").iterdir())
    for truth in (volumes, volumes / "labelsTr"):
        cases, problems = read(paths, truth, HEADER, 3)
        assert problems == []
        assert [case.name for case in cases] == ["0", "1"]
        # In canonical order, as the network takes them: z is turned.
        assert [int(case.masks.sum()) for case in cases] == [4 * 9 * 12, 4 * 8 * 12]
    found = explain_files(
        volumes / "model.safetensors", paths, volumes / "out", truth=volumes / "labelsTr"
    )
    assert found.problems == ()
    assert found.response.has_truth
    assert (volumes / "out" / "a_b_c.png").is_file()


def test_channel_numbers_in_folders_of_any_name(volumes):
    moved = (volumes / "imagesTr").rename(volumes / "scans")
    cases, problems = read(sorted(moved.iterdir()), volumes / "labelsTr", HEADER, 3)
    assert problems == []
    assert [case.name for case in cases] == ["0_0000", "1_0000"]
    assert cases[0].masks.any()


def test_a_stack_takes_the_label_of_every_slice(pictures):
    cases, problems = read(images(pictures)[:2], pictures / "labels", HEADER, 3)
    assert problems == []
    assert cases[0].masks.shape == (1, 2, 40, 48)
    assert cases[0].masks.sum(axis=(0, 2, 3)).tolist() == [22 * 23, 21 * 23]
    cases, (problem,) = read(images(pictures), pictures / "labels", HEADER, 3)
    assert cases == []
    assert problem.path.name == "2.png"


def test_a_model_of_pictures_and_a_volume(volumes):
    cases, problems = read(sorted((volumes / "imagesTr").iterdir()), None, HEADER, 2)
    assert cases == []
    assert problems[0].message == "it is a volume, this model takes pictures: give such"


def test_pixels_are_shown_as_long_as_they_are(volumes, monkeypatch):
    """The spacing comes from the file; between slices it does not matter here."""
    figures = []
    save = Figure.savefig
    monkeypatch.setattr(
        Figure,
        "savefig",
        lambda self, *args, **more: figures.append(self) or save(self, *args, **more),
    )
    heights = []
    for edges in ((5.0, 1.0, 1.0), (5.0, 2.0, 1.0)):
        image = volumes / f"{edges[1]}.nii.gz"
        values = np.random.default_rng(1).normal(size=(1, 6, 16, 32)).astype(np.float32)
        write_volume(image, values, Grid.of(values.shape[1:], edges))
        mask = np.zeros(values.shape[1:], np.uint8)
        mask[2:4, 4:9, 8:20] = 255
        label = volumes / f"label-{edges[1]}.nii.gz"
        write_label_volume(label, mask, Grid.of(mask.shape, edges))
        explain_files(volumes / "model.safetensors", [image], volumes / "out", truth=label)
        figure = figures.pop()
        aspects = [axis.get_aspect() for axis in figure.axes if axis.images]
        assert len(aspects) > 10
        assert aspects == pytest.approx([edges[1]] * len(aspects))
        heights.append(figure.get_figheight())
    assert heights[1] > 1.5 * heights[0], "room for them"


def test_a_spacing_that_the_files_do_not_tell(cli, volumes, pictures, model):
    header = BundleHeader(
        TABLE, PreprocessConfig(1, spacing_mm=(1.0, 1.0, 1.0)), TilingConfig((8, 24, 24))
    )
    network = ushape.build("unet_padding", spatial_dims=3, width=4, levels=3)
    save_bundle(volumes / "resampling.safetensors", network, header)
    values = np.random.default_rng(1).normal(size=(1, 6, 16, 16)).astype(np.float32)
    write_volume(volumes / "a.npy", values, Grid.of(values.shape[1:]))
    (case,), _ = find_chosen([volumes / "a.npy"], header, 3, (2.0, 1.0, 1.0))
    (found,), problems = read_cases([case], None, header, 3)
    assert problems == []
    assert found.image.shape == (1, 12, 16, 16)
    assert found.spacing_mm == (1.0, 1.0, 1.0)
    command = ("explain", volumes / "resampling.safetensors", volumes / "a.npy")
    out = ("--out", volumes / "found")
    assert "does not say its spacing" in cli(*command, *out).err
    assert "does not say its spacing" not in cli(*command, *out, "--spacing", "2x1x1").err
    picture = images(pictures)[0]
    result = cli("explain", model, picture, *out, "--spacing", "2x1x1")
    assert "takes pictures" in result.err
