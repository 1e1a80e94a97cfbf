"""Labels beside their images, in one folder or in one a subject."""

import pytest

from ushape.data.layouts import find_cases
from ushape.errors import DataError

from .conftest import relative


def test_in_the_folder_itself(make):
    layout = find_cases(make("s10.tif", "s10_mask.png", "s9.tif", "s9_mask.png", "notes.txt"))
    assert layout.kind == "pairs"
    assert layout.name == "NAME + NAME_mask"
    assert relative(layout) == [("s9", "s9.tif", "s9_mask.png"), ("s10", "s10.tif", "s10_mask.png")]
    assert layout.problems == ()


def test_in_one_folder_a_subject(make):
    names = [
        f"{subject}/{subject}_{n}{word}.nii.gz"
        for subject in ("p1", "p2")
        for n in (1, 12)
        for word in ("", "_gt")
    ]
    layout = find_cases(make(*names, "p1/p1_4d.nii.gz"))
    assert [(case.id, case.group) for case in layout.cases] == [
        *(("p1_1", "p1"), ("p1_12", "p1"), ("p2_1", "p2"), ("p2_12", "p2")),
    ]
    assert layout.name == "*/NAME + */NAME_gt"
    assert [(p.path.name, p.message) for p in layout.problems] == [
        ("p1_4d.nii.gz", "no label beside it")
    ]


@pytest.mark.parametrize("folder", ["images", "train", "all"])
def test_one_folder_around_all_is_no_subject(make, folder):
    names = [f"{folder}/{n}{word}.png" for n in (1, 2) for word in ("", "_mask")]
    layout = find_cases(make(*names))
    assert [(case.id, case.group) for case in layout.cases] == [("1", None), ("2", None)]
    assert dict(layout.split) == {}


def test_sides_of_a_split(make):
    pairs = (("train", 1), ("train", 2), ("Val", 2), ("Val", 3), ("test", 4), ("test", 5))
    names = [f"{side}/{n}{word}.png" for side, n in pairs for word in ("", "_mask")]
    layout = find_cases(make(*names))
    assert dict(layout.split) == {
        **{"train_1": "train", "train_2": "train", "Val_2": "val", "Val_3": "val"}
    }
    assert [case.group for case in layout.cases] == [None] * 4


def test_equal_names_are_told_apart_by_their_folder(make):
    names = [f"{s}/{n}{word}.png" for s in "ab" for n in (1, 2) for word in ("", "-SEG")]
    assert [case.id for case in find_cases(make(*names)).cases] == ["a_1", "a_2", "b_1", "b_2"]


def test_one_pair_a_folder_is_one_folder_a_case(make):
    names = [f"{s}/{s}{word}.png" for s in "ab" for word in ("", "_mask")]
    assert find_cases(make(*names)).kind == "case-folders"
    assert find_cases(make(), kind="pairs").kind == "pairs"


def test_two_labels_of_one_image(make):
    layout = find_cases(make("a.png", "a_mask.png", "a_gt.png", "b.png", "b_mask.png"))
    assert [case.id for case in layout.cases] == ["b"]
    assert "several labels (a_gt.png, a_mask.png)" in layout.problems[0].message


def test_no_pair(make):
    with pytest.raises(DataError, match="--layout pairs: no image has a label beside it"):
        find_cases(make("a.png", "b_mask.png"), kind="pairs")
