"""DICOM series in a folder of their case, as archives export them."""

import pytest

from ushape.data.layouts import find_cases, find_inputs
from ushape.errors import DataError

from .conftest import relative


@pytest.mark.parametrize("inner", ["ser1", "1.2.840.113619.2", "study/ser1"])
@pytest.mark.parametrize("places", [("images", "labels"), ("imagesTr", "labelsTr")])
def test_the_only_series_of_a_folder_is_the_case(make, inner, places):
    """Catches series taken for channels (one folder a channel), and names of the inner folder."""
    images, labels = places
    root = make(*(f"{images}/{case}/{inner}/{n}.dcm" for case in ("a", "b10", "b9") for n in "12"),
                *(f"{labels}/{case}.nii.gz" for case in ("a", "b10", "b9")))  # fmt: skip
    layout = find_cases(root)
    assert relative(layout) == [
        (case, f"{images}/{case}/{inner}", f"{labels}/{case}.nii.gz") for case in ("a", "b9", "b10")
    ]
    assert layout.problems == ()
    assert [case.channels for case in layout.cases] == [()] * 3
    assert layout.channel_names == ()


def test_series_of_any_name_beside_flat_ones_and_files(make):
    root = make("images/a/s1/1.dcm", "images/b/s2/1.dcm", "images/c/1.dcm", "images/d.nii",
                *(f"labels/{case}.nii.gz" for case in "abcd"))  # fmt: skip
    layout = find_cases(root)
    assert [(case, image) for case, image, _ in relative(layout)] == [
        ("a", "images/a/s1"), ("b", "images/b/s2"), ("c", "images/c"), ("d", "images/d.nii"),
    ]  # fmt: skip
    assert layout.problems == ()


def test_several_series_are_named_with_the_remedy(make):
    root = make("images/a/s1/1.dcm", "images/a/s2/1.dcm", "images/b/s1/1.dcm",
                "labels/a.nii.gz", "labels/b.nii.gz")  # fmt: skip
    layout = find_cases(root)
    assert [case.id for case in layout.cases] == ["b"]
    (problem,) = layout.problems
    assert (problem.path, problem.severity) == (root / "images/a", "error")
    assert "2 DICOM series (s1, s2)" in problem.message
    assert "manifest.csv" in problem.message
    for case in ("b", "c"):
        make(f"images/{case}/s9/1.dcm")
    with pytest.raises(DataError, match=r"images/a: it holds 2 DICOM series \(s1, s2\): keep the"):
        find_cases(root)


def test_a_case_without_label_and_a_label_without_case_are_told(make):
    root = make("images/a/s1/1.dcm", "images/x/s1/1.dcm", "labels/a.nii.gz", "labels/y.nii.gz")
    layout = find_cases(root)
    assert [case.id for case in layout.cases] == ["a"]
    told = [(problem.path.relative_to(root).as_posix(), problem.message) for problem in
            layout.problems]  # fmt: skip
    assert told[0][0] == "images/x/s1"
    assert told[0][1].startswith("no label of this name")
    assert told[1] == ("labels/y.nii.gz", "no image of this name in images/")


def test_a_name_that_stands_twice_is_told(make):
    root = make("images/a/s1/1.dcm", "images/a.nii.gz", "images/b/s1/1.dcm",
                "labels/a.nii.gz", "labels/b.nii.gz")  # fmt: skip
    layout = find_cases(root)
    assert [case.id for case in layout.cases] == ["b"]
    assert "'a' stands twice, also as a.nii.gz" in layout.problems[0].message


def test_folders_of_channels_stay_channels(make):
    root = make(*(f"images/{channel}/{case}/1.dcm" for channel in ("T1", "T2") for case in "ab"),
                "labels/a.nii.gz", "labels/b.nii.gz")  # fmt: skip
    layout = find_cases(root)
    assert layout.channel_names == ("T1", "T2")
    assert [len(case.channels) for case in layout.cases] == [2, 2]


def test_numbered_channels_with_a_folder_each(make):
    root = make("images/a_0000/s1/1.dcm", "images/a_0001/s2/1.dcm", "labels/a.nii.gz")
    (case,) = find_cases(root).cases
    assert [path.name for path in case.channels] == ["s1", "s2"]
    assert case.id == "a"


def test_masks_by_class_too(make):
    root = make("images/a/s1/1.dcm", "labels/disc/a.nii.gz", "labels/bone/a.nii.gz")
    (case,) = find_cases(root).cases
    assert case.image == root / "images/a/s1"
    assert [mask.name for mask in case.masks] == ["bone", "disc"]


def test_predictions_get_the_name_of_the_case(make):
    root = make("images/a/s1/1.dcm", "images/b/study/s7/1.dcm")
    found = find_inputs(root / "images")
    assert [(case.id, case.image.name) for case in found] == [("a", "s1"), ("b", "s7")]
    make("images/b/study/s8/1.dcm")
    with pytest.raises(DataError, match=r"images/b: it holds s7, s8; the model takes 1 channel"):
        find_inputs(root / "images")


def test_beside_the_label_in_the_folder_of_a_case(make):
    """Archives name series by numbers of their own: each case would lack the series of others."""
    root = make(*(f"p{case}/1.2.{case}/{n}.dcm" for case in (1, 2, 3) for n in "12"),
                *(f"p{case}/seg.nii.gz" for case in (1, 2, 3)))  # fmt: skip
    layout = find_cases(root)
    assert relative(layout) == [(f"p{n}", f"p{n}/1.2.{n}", f"p{n}/seg.nii.gz") for n in (1, 2, 3)]
    assert layout.problems == ()
    assert layout.channel_names == ()


def test_series_of_one_name_beside_the_label_keep_it(make):
    root = make("p1/ct/1.dcm", "p1/seg.nii.gz", "p2/ct/1.dcm", "p2/seg.nii.gz")
    layout = find_cases(root)
    assert layout.channel_names == ("ct",)
    assert layout.name == "*/ (ct + seg)"
