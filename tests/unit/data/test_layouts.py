"""Pairing of images and labels by name, and what is said when they do not pair."""

import numpy as np
import pytest
from PIL import Image

from ushape.data.layouts import find_cases, find_images, natural_key
from ushape.errors import DataError


@pytest.fixture
def make(tmp_path):
    def make(*names):
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()  # layouts go by names; nothing is opened
        return tmp_path

    return make


def test_natural_order():
    names = ["b10", "a", "b9", "b09", "B2", "10", "9"]
    assert sorted(names, key=natural_key) == ["9", "10", "a", "B2", "b09", "b9", "b10"]


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        ("images", "labels"),
        ("images", "masks"),
        ("image", "label"),
        ("Images", "Mask"),
        ("train/image", "train/label"),
        ("train/images", "train/masks"),
    ],
)
def test_known_layouts(make, images, labels):
    root = make(f"{images}/s10.png", f"{labels}/s10.tif", f"{images}/s9.JPG", f"{labels}/s9.png")
    layout = find_cases(root)
    assert [case.id for case in layout.cases] == ["s9", "s10"]
    assert layout.cases[1].image == root / images / "s10.png"
    assert layout.cases[1].label == root / labels / "s10.tif"
    assert layout.name == f"{images} + {labels}"
    assert layout.problems == ()


def test_everything_else_is_ignored(make):
    root = make(
        "images/a.png",
        "labels/a.png",
        "images/.hidden.png",
        "images/notes.txt",
        "labels/inner/b.png",
        "test_images/t.png",
        "SOURCE.txt",
    )
    layout = find_cases(root)
    assert [case.id for case in layout.cases] == ["a"]
    assert layout.problems == ()


def test_the_top_folders_come_before_train(make):
    root = make("images/a.png", "labels/a.png", "train/images/b.png", "train/labels/b.png")
    assert [case.id for case in find_cases(root).cases] == ["a"]


def test_two_label_folders_are_told(make):
    layout = find_cases(make("images/a.png", "labels/a.png", "masks/a.png"))
    (problem,) = layout.problems
    assert problem.severity == "warning"
    assert problem.path.name == "masks"
    assert "labels/" in problem.message
    assert layout.cases[0].label.parent.name == "labels"


def test_missing_partners_are_errors_with_their_file(make):
    root = make("images/a.png", "images/b.png", "labels/a.png", "labels/c.png")
    layout = find_cases(root)
    assert [case.id for case in layout.cases] == ["a"]
    assert [(p.path, p.severity) for p in layout.problems] == [
        (root / "images/b.png", "error"),
        (root / "labels/c.png", "error"),
    ]
    assert "no label of this name in labels/" in layout.problems[0].message
    assert "no image of this name in images/" in layout.problems[1].message


def test_a_name_that_stands_twice_is_left_out_and_both_files_named(make):
    root = make("images/a.png", "images/a.tif", "images/b.png", "labels/a.png", "labels/b.png")
    layout = find_cases(root)
    assert [case.id for case in layout.cases] == ["b"]
    (problem,) = layout.problems
    assert "a.png" in str(problem.path)
    assert "a.tif" in problem.message


def test_a_constant_ending_is_pointed_out(make):
    root = make("images/ok.png", "labels/ok.png", "images/a.png", "labels/a_mask.png")
    problems = find_cases(root).problems
    assert all("extra ending '_mask'" in problem.message for problem in problems)
    assert "the labels carry" in problems[0].message


def test_no_pair_at_all(make):
    root = make("images/a.png", "images/ab.png", "labels/a_mask.png", "labels/ab_mask.png")
    with pytest.raises(DataError, match=r"no image has a label.*extra ending '_mask'"):
        find_cases(root)


def test_foreign_formats_are_told_once(make):
    root = make("images/a.png", "labels/a.png", "images/b.svs", "images/c.svs")
    (problem,) = find_cases(root).problems
    assert problem.severity == "warning"
    assert "2 files" in problem.message
    assert "b.svs" in problem.message


@pytest.mark.parametrize(
    ("names", "pattern"),
    [
        ((), r"no images/ folder; found: nothing; expected"),
        (("pictures/a.png",), r"found: pictures/; expected"),
        (("images/a.png",), r"no folder with labels; found: images/; expected"),
        (("images/a.txt", "labels/a.png"), r"images/ holds no image.* but a\.txt"),
    ],
)
def test_what_was_found_and_what_is_expected(make, names, pattern):
    with pytest.raises(DataError, match=pattern) as caught:
        find_cases(make(*names))
    assert "images/ (or image/) and labels/ (or masks/" in str(caught.value)


def test_no_such_folder_and_a_file(make):
    root = make("a.png")
    with pytest.raises(DataError, match="no such folder"):
        find_cases(root / "absent")
    with pytest.raises(DataError, match="this is a file; give the folder"):
        find_cases(root / "a.png")


@pytest.mark.parametrize("folder", ["images", "labels"])
def test_the_folder_of_pictures_by_mistake(make, folder):
    root = make("images/a.png", "labels/a.png")
    with pytest.raises(DataError, match="give its parent") as caught:
        find_cases(root / folder)
    assert f"parent {root}," in str(caught.value)


class TestFindImages:
    def test_a_file(self, make):
        assert find_images(make("a.png") / "a.png") == (make() / "a.png",)

    def test_a_folder_in_natural_order(self, make):
        root = make("s10.png", "s9.tif", "notes.txt", ".s1.png", "inner/b.png")
        assert [path.name for path in find_images(root)] == ["s9.tif", "s10.png"]

    def test_the_images_of_a_data_set(self, make):
        root = make("images/a.png", "labels/a.png", "SOURCE.txt")
        assert find_images(root) == (root / "images/a.png",)

    def test_pictures_in_the_folder_come_first(self, make):
        root = make("top.png", "images/a.png")
        assert find_images(root) == (root / "top.png",)

    def test_patterns(self, make):
        root = make("a/1.png", "a/2.png", "b/1.png", "b/readme.txt")
        assert find_images(f"{root}/*/1.png") == (root / "a/1.png", root / "b/1.png")
        assert len(find_images(f"{root}/**/*")) == 3

    def test_a_file_whose_name_looks_like_a_pattern(self, make):
        root = make("a[1].png")
        assert find_images(root / "a[1].png") == (root / "a[1].png",)

    @pytest.mark.parametrize(
        ("given", "pattern"),
        [
            ("absent.png", "no such file or folder"),
            ("*.tif", "matches no image"),
            ("*.txt", r"1 other files or folders"),
            ("", r"it holds notes\.txt"),
        ],
    )
    def test_nothing_found(self, make, given, pattern):
        with pytest.raises(DataError, match=pattern):
            find_images(make("notes.txt") / given)


def test_found_files_are_the_ones_that_can_be_read(tmp_path):
    from ushape.data.io import PICTURE_SUFFIXES, read_image

    for suffix in PICTURE_SUFFIXES:
        Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / f"a{suffix}")
    paths = find_images(tmp_path)
    assert len(paths) == len(PICTURE_SUFFIXES)
    assert all(read_image(path).shape == (1, 8, 8) for path in paths)
