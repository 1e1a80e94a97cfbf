"""One folder a case: which file is the label, which are channels, and what is left out."""

import pytest

from ushape.data.layouts import find_cases
from ushape.errors import DataError

from .conftest import relative


def files_of(layout):
    return {
        case.id: (
            [path.name for path in case.image_paths],
            [path.name for path in case.label_paths],
        )
        for case in layout.cases
    }


@pytest.mark.parametrize(
    ("files", "images", "label"),
    [
        (("image.nii.gz", "label.nii.gz"), ["image.nii.gz"], "label.nii.gz"),
        (("ct.nrrd", "Segmentation.nrrd"), ["ct.nrrd"], "Segmentation.nrrd"),
        (("t2.nii", "t10.nii", "mask.mha"), ["t2.nii", "t10.nii"], "mask.mha"),
        (("c1.nii", "c1_seg.nii"), ["c1.nii"], "c1_seg.nii"),
        (("c1_a.nii", "c1_b.nii", "c1_gt.nii"), ["c1_a.nii", "c1_b.nii"], "c1_gt.nii"),
        (("X7-ct.nii", "X7-seg.nii"), ["X7-ct.nii"], "X7-seg.nii"),
        (("ct.nii", "liver_mask.nii"), ["ct.nii"], "liver_mask.nii"),
        (("pet.nii", "seg.nii", "brain_mask.nii"), ["pet.nii"], "seg.nii"),
        (("t1.nii", "t1ce.nii", "t1ce_seg.nii"), ["t1.nii", "t1ce.nii"], "t1ce_seg.nii"),
        (("sea.png", "seg.png"), ["sea.png"], "seg.png"),  # "se" is no common word
    ],
)
def test_the_label_is_told_by_its_name(make, files, images, label):
    root = make(*(f"c1/{name}" for name in files))
    assert files_of(find_cases(root)) == {"c1": (images, [label])}


def test_channels_are_named_and_in_the_same_order_in_every_case(make):
    names = [f"B_{n}/B_{n}_{part}.nii.gz" for n in (2, 10) for part in ("t2", "flair", "seg", "t1")]
    layout = find_cases(make(*names))
    assert layout.kind == "case-folders"
    assert layout.name == "*/ (flair, t1, t2 + seg)"
    assert layout.channel_names == ("flair", "t1", "t2")
    assert [case.id for case in layout.cases] == ["B_2", "B_10"]
    assert [path.name for path in layout.cases[1].channels] == [
        f"B_10_{part}.nii.gz" for part in ("flair", "t1", "t2")
    ]


@pytest.mark.parametrize(("name", "expected"), [("ct", ("ct",)), ("image", ()), ("c1", ())])
def test_a_name_that_means_something_is_kept(make, name, expected):
    assert find_cases(make(f"c1/{name}.nii", "c1/label.nii")).channel_names == expected


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("a/ct.nii", "a/ct_seg.nii", "b/ct.nii", "b/ct_seg.nii"), ("ct",)),
        (("a/x1.nii", "a/x1_seg.nii", "b/x2.nii", "b/x2_seg.nii"), ()),
        (("a/a.nii", "a/a_seg.nii", "b/b.nii", "b/b_seg.nii"), ()),
    ],
)
def test_what_images_are_called_everywhere_is_kept(make, names, expected):
    layout = find_cases(make(*names))
    assert layout.channel_names == expected
    assert len(layout.cases) == 2


def test_a_missing_channel_leaves_its_case_out_and_a_further_file_is_told(make):
    names = [f"c{n}/{part}.nii" for n in (1, 2, 3) for part in ("t1", "t2", "seg")]
    names.remove("c2/t2.nii")
    layout = find_cases(make(*names, "c3/more.nii"))
    assert [case.id for case in layout.cases] == ["c1", "c3"]
    told = {problem.path.name: (problem.severity, problem.message) for problem in layout.problems}
    assert told["c2"] == ("error", "left out: it has no t2, which other folders have")
    assert told["c3"] == ("warning", "not used: more.nii")


def test_masks_of_classes(make):
    names = [f"{c}/{n}.png" for c in "ab" for n in ("image", "mask_disc", "mask_rare")]
    layout = find_cases(make(*names))
    assert [(m.name, m.path.name) for m in layout.cases[1].masks] == [
        ("disc", "mask_disc.png"),
        ("rare", "mask_rare.png"),
    ]
    assert layout.name == "*/ (image + disc, rare)"


def test_series_beside_their_label_and_in_folders(make):
    root = make("p1/1.dcm", "p1/2.dcm", "p1/seg.nrrd", "p2/1.dcm", "p2/seg.nrrd")
    assert relative(find_cases(root)) == [("p1", "p1", "p1/seg.nrrd"), ("p2", "p2", "p2/seg.nrrd")]
    root = make("q/1/ct/1.dcm", "q/1/seg.nrrd", "q/2/ct/1.dcm", "q/2/seg.nrrd")
    assert relative(find_cases(root / "q")) == [
        ("1", "1/ct", "1/seg.nrrd"),
        ("2", "2/ct", "2/seg.nrrd"),
    ]


def test_sides_of_a_split(make):
    names = [
        f"{side}/{n}/{part}.nii"
        for side, n in (("train", "a"), ("val", "b"))
        for part in ("ct", "seg")
    ]
    layout = find_cases(make(*names, "test/c/ct.nii"))
    assert layout.name == "train/*/ (ct + seg), val"
    assert dict(layout.split) == {"a": "train", "b": "val"}
    more = [f"{side}/1/{part}.nii" for side in ("train", "val") for part in ("ct", "seg")]
    layout = find_cases(make(*more))
    assert [case.id for case in layout.cases] == ["a", "b", "train_1", "val_1"]
    assert layout.split["val_1"] == "val"


def test_train_alone_divides_nothing(make):
    layout = find_cases(make("train/a/ct.nii", "train/a/seg.nii"))
    assert (layout.name, dict(layout.split)) == ("train/*/ (ct + seg)", {})


@pytest.mark.parametrize(
    ("files", "why"),
    [
        (("p1/a.nii", "p1/b.nii"), r"In p1/ \(a\.nii, b\.nii\) no file is called a label"),
        (("p1/a.nii", "p1/label.nii", "p1/mask.nii"), "several files are called labels"),
    ],
)
def test_what_cannot_be_decided_is_asked(make, files, why):
    with pytest.raises(DataError, match=why) as caught:
        find_cases(make(*files))
    assert "manifest.csv" in str(caught.value)


def test_one_folder_in_doubt_is_left_out(make):
    root = make("a/ct.nii", "a/seg.nii", "b/ct.nii", "b/seg.nii", "b/mask.nii", "b/label.nii")
    layout = find_cases(root)
    assert [case.id for case in layout.cases] == ["a"]
    assert "several files are called labels" in layout.problems[0].message
