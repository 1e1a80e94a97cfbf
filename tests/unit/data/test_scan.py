"""What the scan measures, and every problem it must find with its file."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from ushape.data.layouts import Problem, find_cases, list_problems
from ushape.data.scan import scan_cases
from ushape.errors import DataError

SIZE = (16, 20)


class DataSet:
    """Write a small data set, case by case."""

    def __init__(self, root):
        self.root = root
        self.rng = np.random.default_rng(0)
        for folder in ("images", "labels"):
            (root / folder).mkdir()

    def image(self, size=SIZE, channels=None):
        shape = size if channels is None else (*size, channels)
        return self.rng.integers(0, 256, shape, dtype=np.uint8)

    def label(self, size=SIZE, values=(0, 255)):
        label = np.full(size, values[0], np.uint8)
        for number, value in enumerate(values):
            label[2 * number : 2 * number + 2, 1:9] = value
        return label

    def add(self, name, image=None, label=None, image_suffix=".png", label_suffix=".png"):
        image = self.image() if image is None else image
        label = self.label() if label is None else label
        Image.fromarray(image).save(self.root / "images" / f"{name}{image_suffix}")
        Image.fromarray(label).save(self.root / "labels" / f"{name}{label_suffix}")

    def scan(self, **options):
        return scan_cases(find_cases(self.root), **options)


@pytest.fixture
def data(tmp_path):
    return DataSet(tmp_path)


def only_problem(scan, severity, name, *words):
    (problem,) = scan.problems
    assert problem.severity == severity
    assert problem.path.name == name
    for word in words:
        assert word in problem.message
    return problem


def test_measures_agree_with_numpy(data):
    image = data.image(channels=3)
    label = data.label(values=(3, 7))
    data.add("a", image, label)
    (case,) = data.scan().cases
    assert (case.size, case.num_channels, case.dtype) == (SIZE, 3, "uint8")
    assert (case.minimum, case.maximum) == (image.min(), image.max())
    assert case.mean == pytest.approx(image.mean())
    assert case.std == pytest.approx(image.std())
    for value, percent in ((case.percentile_0_5, 0.5), (case.percentile_99_5, 99.5)):
        assert value == np.percentile(image, percent, method="inverted_cdf")
    assert case.label_counts == {3: 16 * 20 - 16, 7: 16}


def test_measures_of_floats_agree_with_numpy(data):
    data.add("a")
    image = data.rng.normal(1000, 5, SIZE).astype(np.float32)
    tifffile.imwrite(data.root / "images" / "a.tif", image)
    (data.root / "images" / "a.png").unlink()
    (case,) = data.scan().cases
    assert case.dtype == "float32"
    assert case.mean == pytest.approx(image.mean(dtype=float))
    assert case.std == pytest.approx(image.std(dtype=float))
    assert case.percentile_99_5 == np.percentile(image, 99.5, method="inverted_cdf")


def test_label_values_are_pooled_over_the_cases(data):
    labels = [data.label(), data.label(), np.zeros(SIZE, np.uint8)]
    for number, label in enumerate(labels):
        data.add(str(number), label=label)
    expected = Counter(np.concatenate([label.ravel() for label in labels]).tolist())
    assert data.scan().label_counts == dict(expected)


def test_a_clean_set_has_no_problems_and_is_plain_json(data):
    data.add("a")
    data.add("b")
    seen = []
    scan = data.scan(progress=lambda done, total: seen.append((done, total)))
    assert scan.problems == ()
    assert seen == [(1, 2), (2, 2)]
    plain = json.loads(json.dumps(scan.to_json(), allow_nan=False))
    assert plain["cases"][1]["id"] == "b"
    assert plain["cases"][1]["size"] == list(SIZE)
    assert plain["label_counts"] == {str(v): n for v, n in scan.label_counts.items()}


@pytest.mark.parametrize("folder", ["images", "labels"])
def test_an_unreadable_file_leaves_its_case_out(data, folder):
    data.add("a")
    data.add("b")
    (data.root / folder / "b.png").write_bytes(b"")
    scan = data.scan()
    assert [case.id for case in scan.cases] == ["a"]
    problem = only_problem(scan, "error", "b.png", "unreadable", "0 bytes")
    assert problem.path.parent.name == folder
    assert str(problem.path) not in problem.message  # str(problem) says it already
    assert scan.errors == scan.problems


def test_the_problems_of_the_layout_come_along(data):
    data.add("a")
    data.add("b")
    (data.root / "labels" / "b.png").unlink()
    only_problem(data.scan(), "error", "b.png", "no label of this name")


def test_label_of_another_size(data):
    data.add("a")
    data.add("b", label=data.label((20, 16)))
    scan = data.scan()
    assert len(scan.cases) == 1
    only_problem(scan, "error", "b.png", "20 x 16", "16 x 20", "turned?")


def test_too_small_an_image(data):
    data.add("a")
    data.add("b", data.image((1, 1)), np.zeros((1, 1), np.uint8))
    only_problem(data.scan(), "error", "b.png", "1 x 1", "8 x 8 is the least")


def test_more_values_than_classes_in_one_label(data):
    data.add("a")
    data.add("b", label=np.arange(320, dtype=np.uint16).reshape(SIZE))
    scan = data.scan()
    assert len(scan.cases) == 1
    only_problem(scan, "error", "b.png", "320 different values", "instance numbers")


def test_more_values_than_classes_in_all_labels(data):
    for number in range(2):
        data.add(
            str(number),
            label=np.arange(160, dtype=np.uint16).repeat(2).reshape(SIZE) + 160 * number,
        )
    scan = data.scan()
    assert len(scan.cases) == 2
    only_problem(scan, "error", data.root.name, "320 different values", "instance numbers")


def test_the_odd_one_of_the_channels_is_left_out(data):
    data.add("a")
    data.add("b")
    data.add("c", data.image(channels=3))
    scan = data.scan()
    assert [case.id for case in scan.cases] == ["a", "b"]
    only_problem(scan, "error", "c.png", "the image is colour", "2 of 3 images are grey")


class TestColors:
    def colors(self, data, value=(200, 10, 0)):
        label = np.zeros((*SIZE, 3), np.uint8)
        label[:5] = value
        return label

    def test_are_packed(self, data):
        data.add("a", label=self.colors(data))
        data.add("b", label=self.colors(data))
        scan = data.scan()
        assert scan.is_color
        assert scan.label_counts == {0: 2 * 11 * 20, 0xC80A00: 2 * 5 * 20}
        assert scan.problems == ()

    def test_a_grey_label_in_a_colour_file_fits(self, data):
        data.add("a", label=self.colors(data))
        data.add("b", label=self.colors(data))
        data.add("c", label=self.colors(data, (255, 255, 255)))
        scan = data.scan()
        assert len(scan.cases) == 3
        assert 0xFFFFFF in scan.label_counts
        only_problem(scan, "warning", "c.png", "#ffffff (100 pixels in c.png)")

    def test_a_grey_file_among_colours_is_left_out(self, data):
        data.add("a", label=self.colors(data))
        data.add("b")
        data.add("c", label=self.colors(data))
        scan = data.scan()
        assert scan.is_color
        only_problem(scan, "error", "b.png", "the label is grey, most others are colours")

    def test_colours_among_grey_files_are_left_out(self, data):
        data.add("a", label=self.colors(data))
        data.add("b")
        data.add("c")
        scan = data.scan()
        assert not scan.is_color
        only_problem(scan, "error", "a.png", "the label is coloured, most others are grey")


class TestWarnings:
    """The case stays in the set."""

    def test_constant_image(self, data):
        data.add("a")
        data.add("b", np.full(SIZE, 9, np.uint8))
        scan = data.scan()
        assert len(scan.cases) == 2
        only_problem(scan, "warning", "b.png", "constant (9 everywhere)")

    def test_empty_label(self, data):
        data.add("a")
        data.add("b", label=np.zeros(SIZE, np.uint8))
        scan = data.scan()
        assert len(scan.cases) == 2
        only_problem(scan, "warning", "b.png", "one value only (0)")

    def test_value_in_a_single_pixel(self, data):
        label = data.label()
        label[12, 3] = 128
        data.add("a", label=label)
        only_problem(data.scan(), "warning", "a.png", "128 (1 pixel in a.png)")

    def test_value_in_a_single_case(self, data):
        data.add("a", label=data.label(values=(0, 255, 77)))
        data.add("b")
        only_problem(data.scan(), "warning", "a.png", "77 (16 pixels in a.png)")

    def test_many_such_values_give_one_line(self, data):
        data.add("a", label=np.arange(40, dtype=np.uint8).repeat(8).reshape(SIZE))
        data.add("b", label=data.label(values=(0, 1)))
        problem = only_problem(data.scan(), "warning", data.root.name, "and 33 more")
        assert problem.message.count("pixels in a.png") == 5

    def test_the_same_picture_twice(self, data):
        image = data.image()
        data.add("a", image)
        data.add("b")
        data.add("c", image, image_suffix=".tif")
        only_problem(data.scan(), "warning", "c.tif", "same picture as a.png")

    def test_equal_bytes_of_another_size_are_another_picture(self, data):
        image = data.image()
        data.add("a", image)
        data.add("b", image.reshape(20, 16), data.label((20, 16)))
        assert data.scan().problems == ()

    def test_jpeg_labels(self, data):
        data.add("a", label=np.zeros(SIZE, np.uint8), label_suffix=".jpg")
        data.add("b", label=np.zeros(SIZE, np.uint8), label_suffix=".jpg")
        jpeg = [problem for problem in data.scan().problems if "JPEG" in problem.message]
        assert len(jpeg) == 1
        assert "2 labels are JPEG" in jpeg[0].message
        assert jpeg[0].path == data.root / "labels"

    def test_grey_stored_as_colours(self, data):
        data.add("a", np.stack([data.image()] * 3, -1))
        data.add("b", data.image(channels=3))
        only_problem(data.scan(), "warning", "a.png", "1 of 2 images", "three equal")


def test_nothing_usable_lists_what_is_wrong_once(data):
    for number in range(7):
        data.add(str(number))
        (data.root / "images" / f"{number}.png").write_bytes(b"" if number else b"no picture")
    with pytest.raises(DataError, match=r"no usable case is left") as caught:
        data.scan()
    message = str(caught.value)
    assert message.count("0 bytes") == 1
    assert "1.png: unreadable" in message
    assert "(and 5 more: 2.png, 3.png, 4.png, ...)" in message
    assert "0.png: unreadable" in message


def test_five_kinds_of_problems_are_listed():
    kinds = ["it holds nan", "it is small", "its size is 3 x 4", "no label", "no image", "odd", "o"]
    problems = [Problem(Path(f"{k}.png"), text, "error") for k, text in enumerate(kinds)]
    message = list_problems(problems)
    assert message.endswith("; 4.png: no image; and 2 more")
    assert message.count(";") == 5
    assert list_problems(problems[:1]) == "0.png: it holds nan"
    assert list_problems([]) == ""


def test_refused_grids_are_told_once_with_the_numbers_of_the_first():
    """Four cases were 2 kB in one line."""
    problems = [
        Problem(
            Path(f"labels/{name}.nii.gz"),
            f"the label does not lie on the grid of /data/images/{name}: origin {n} x -{n}.5 x 2e-3"
            " against 0 x 0 x 0 mm (z y x); voxels lie up to 15 voxel edges apart; give the label",
            "error",
        )
        for n, name in enumerate("abcd")
    ]
    message = list_problems(problems)
    assert message == f"{problems[0]} (and 3 more: b.nii.gz, c.nii.gz, d.nii.gz)"
