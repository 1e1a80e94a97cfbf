"""Folders of images and labels in every format, with channels, subjects and sides of a split."""

import pytest

from ushape.data.layouts import LAYOUT_KINDS, find_cases, find_images, find_inputs
from ushape.errors import ConfigError, DataError

from .conftest import relative


class TestFormats:
    def test_every_format_pairs_with_any_other(self, make):
        root = make(
            *("images/a.nii.gz", "labels/a.nrrd", "images/b.NII", "labels/b.mha"),
            *("images/c.mhd", "images/c.raw", "labels/c.npz", "images/d.npy", "labels/d.png"),
            *("images/e.ome.tif", "labels/e.tiff", "images/f.0.nrrd", "labels/f.0.nii.gz"),
        )
        layout = find_cases(root)
        assert [case.id for case in layout.cases] == ["a", "b", "c", "d", "e", "f.0"]
        assert layout.problems == ()

    def test_folders_that_are_images(self, make):
        root = make(
            *("images/a/1.dcm", "images/a/2.dcm", "labels/a.nii.gz"),
            *("images/b.zarr/.zattrs", "labels/b.ome.zarr/.zattrs"),
            *("images/v1.5/x.dcm", "labels/v1.5.nii.gz"),
        )
        (root / "images/s").mkdir()
        (root / "images/s/IM0001").write_bytes(bytes(128) + b"DICM")
        (root / "labels/s.nrrd").touch()
        assert relative(find_cases(root)) == [
            ("a", "images/a", "labels/a.nii.gz"),
            ("b", "images/b.zarr", "labels/b.ome.zarr"),
            ("s", "images/s", "labels/s.nrrd"),
            ("v1.5", "images/v1.5", "labels/v1.5.nii.gz"),
        ]

    def test_what_systems_leave_behind_is_no_image(self, make):
        root = make(
            *("images/a.nii.gz", "labels/a.nii.gz", "images/._a.nii.gz", "labels/._a.nii.gz"),
            *("images/Thumbs.db", "images/.DS_Store", "__MACOSX/images/a.png", "desktop.ini"),
        )
        layout = find_cases(root)
        assert [case.id for case in layout.cases] == ["a"]
        assert layout.problems == ()

    def test_one_case_in_two_formats_is_left_out(self, make):
        layout = find_cases(
            make("images/a.nii", "images/a.nrrd", "images/b.nii", "labels/a.nii", "labels/b.nii")
        )
        assert [case.id for case in layout.cases] == ["b"]
        (problem,) = layout.problems
        assert "'a' stands twice, also as a.nrrd" in problem.message


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        ("imgs", "segmentations"),
        ("scans", "GT"),
        ("Training/Images", "Training/ground_truth"),
        ("volumes", "annotations"),
    ],
)
def test_other_common_names(make, images, labels):
    layout = find_cases(make(f"{images}/a.nii", f"{labels}/a.nii"))
    assert layout.name == f"{images} + {labels}"


def test_folders_of_something_else_are_passed_over(make):
    root = make("images/a.png", "labels/notes.txt", "masks/a.png", "annotations/coco.json")
    layout = find_cases(root)
    assert layout.cases[0].label.parent.name == "masks"
    assert layout.problems == ()


class TestChannels:
    def test_numbers_at_the_end_of_names(self, make):
        names = [f"images/{c}_{k:04d}.nii.gz" for c in "ab" for k in range(2)]
        layout = find_cases(make(*names, "labels/a.nii.gz", "labels/b.nii.gz"))
        assert [case.id for case in layout.cases] == ["a", "b"]
        assert [path.name for path in layout.cases[0].channels] == [
            "a_0000.nii.gz",
            "a_0001.nii.gz",
        ]

    def test_numbers_that_labels_have_too_are_frames(self, make):
        names = [f"{f}/a_{k:04d}.png" for f in ("images", "labels") for k in range(3)]
        assert [case.channels for case in find_cases(make(*names)).cases] == [(), (), ()]

    def test_series_as_channels(self, make):
        root = make("images/a_0000/1.dcm", "images/a_0001/1.dcm", "labels/a.nii.gz")
        assert [path.name for path in find_cases(root).cases[0].channels] == ["a_0000", "a_0001"]

    def test_a_folder_a_channel(self, make):
        names = [f"images/{m}/{c}.nii.gz" for m in ("T1", "T2") for c in "ab"]
        layout = find_cases(make(*names, "images/T1/c.nii.gz", "labels/a.nii", "labels/b.nii"))
        assert layout.channel_names == ("T1", "T2")
        assert layout.name == "images/ (T1, T2) + labels"
        assert [path.parent.name for path in layout.cases[0].channels] == ["T1", "T2"]
        assert "'c' is not in T2/" in layout.problems[0].message

    def test_beside_folders_of_masks(self, make):
        names = [f"images/a_{k:04d}.png" for k in range(2)]
        layout = find_cases(make(*names, "labels/disc/a.png", "labels/rare/a.png"))
        (case,) = layout.cases
        assert len(case.channels) == 2
        assert [mask.name for mask in case.masks] == ["disc", "rare"]


class TestInnerFolders:
    def test_one_folder_a_subject(self, make):
        names = [
            f"{f}/{s}/{n}.png" for f in ("images", "labels") for s in ("p2", "p10") for n in "ab"
        ]
        layout = find_cases(make(*names, "images/p3/a.png"))
        assert [(c.id, c.group) for c in layout.cases] == [
            *(("p2_a", "p2"), ("p2_b", "p2"), ("p10_a", "p10"), ("p10_b", "p10")),
        ]
        assert layout.name == "images/* + labels/*"
        assert [p.path.name for p in layout.problems] == ["p3"]

    def test_one_folder_around_all_is_no_subject(self, make):
        names = [f"{f}/all/{n}.png" for f in ("images", "labels") for n in range(2)]
        assert [case.group for case in find_cases(make(*names)).cases] == [None, None]

    def test_names_that_differ_stay(self, make):
        names = [f"{f}/p{n}/{n}.png" for f in ("images", "labels") for n in range(2)]
        assert [case.id for case in find_cases(make(*names)).cases] == ["0", "1"]

    @pytest.mark.parametrize(
        ("train", "val"),
        [
            (("train/images", "train/labels"), ("val/images", "val/labels")),
            (("images/training", "labels/training"), ("images/validation", "labels/validation")),
        ],
    )
    def test_sides_of_a_split(self, make, train, val):
        names = [f"{folder}/a.png" for folder in train] + [f"{folder}/b.png" for folder in val]
        layout = find_cases(make(*names, "images/test/c.png"))
        assert dict(layout.split) == {"a": "train", "b": "val"}
        assert layout.name.endswith(", val")

    def test_subjects_on_both_sides(self, make):
        names = [f"{s}/{f}/p{s}/1.png" for s in ("train", "val") for f in ("image", "label")]
        layout = find_cases(make(*names))
        assert [(c.id, c.group) for c in layout.cases] == [
            *(("ptrain_1", "ptrain"), ("pval_1", "pval")),
        ]
        assert dict(layout.split) == {"ptrain_1": "train", "pval_1": "val"}

    def test_equal_names_on_both_sides(self, make):
        names = [f"{s}/{f}/1.png" for s in ("train", "val") for f in ("images", "masks")]
        layout = find_cases(make(*names))
        assert dict(layout.split) == {"train_1": "train", "val_1": "val"}

    def test_train_alone_divides_nothing(self, make):
        assert dict(find_cases(make("train/image/a.png", "train/label/a.png")).split) == {}


class TestKinds:
    def test_a_person_wins(self, make):
        root = make("images/a.png", "labels/a.png", "imagesTr/b_0000.png", "labelsTr/b.png")
        assert [case.id for case in find_cases(root).cases] == ["a"]
        assert [case.id for case in find_cases(root, kind="nnunet").cases] == ["b"]
        assert find_cases(root, kind="nnunet").kind == "nnunet"

    def test_channels_of_the_decathlon(self, make):
        root = make("imagesTr/a.nii.gz", "labelsTr/a.nii.gz")
        assert [case.frames_are_channels for case in find_cases(root).cases] == [False]
        assert [case.frames_are_channels for case in find_cases(root, kind="msd").cases] == [True]
        make(dataset__json='{"modality": {"0": "CT"}, "labels": {"0": "bg", "1": "a"}}')
        layout = find_cases(root)
        assert (layout.kind, layout.channel_names) == ("msd", ("CT",))
        assert layout.cases[0].frames_are_channels

    def test_channels_that_are_named_may_be_the_images_of_a_4d_file(self, make):
        named = '{"channel_names": {"0": "T1", "1": "T2"}}'
        root = make("images/a.nii.gz", "labels/a.nii.gz", dataset__json=named)
        assert find_cases(root).cases[0].frames_are_channels
        make(dataset__json='{"channel_names": {"0": "T1"}}')
        assert not find_cases(root).cases[0].frames_are_channels

    @pytest.mark.parametrize("kind", LAYOUT_KINDS)
    def test_what_is_not_there_is_said(self, make, kind):
        with pytest.raises(DataError, match=r"no manifest|there is no|there are no|expected"):
            find_cases(make("notes.txt"), kind=kind)

    def test_an_unknown_kind(self, make):
        with pytest.raises(ConfigError, match=r"--layout: unknown layout 'nnUnet'.*'nnunet'"):
            find_cases(make("images/a.png"), kind="nnUnet")

    def test_a_folder_of_labels_goes_with_folders(self, make):
        with pytest.raises(ConfigError, match="--label-folder second goes with --layout folders"):
            find_cases(make("images/a.png"), kind="msd", label_folder="second")


class TestInputs:
    """Images to predict."""

    def test_volumes_and_folders_that_are_images(self, make):
        root = make("a.nii.gz", "b.zarr/.zattrs", "c/1.dcm", "c/2.dcm", "notes.txt")
        assert [path.name for path in find_images(root)] == ["a.nii.gz", "b.zarr", "c"]
        assert find_images(root / "c") == (root / "c",)
        assert find_images(root / "b.zarr") == (root / "b.zarr",)

    @pytest.mark.parametrize("folder", ["scans", "imagesTs"])
    def test_files_become_channels_if_the_model_takes_as_many(self, make, folder):
        root = make(*(f"{folder}/{c}_{k:04d}.nii" for c in ("s1", "s10") for k in range(2)))
        found = find_inputs(root / folder, num_channels=2)
        assert [(case.id, len(case.channels)) for case in found] == [("s1", 2), ("s10", 2)]

    def test_frames_stay_images(self, make):
        root = make(*(f"frame_{k:04d}.png" for k in range(4)))
        assert [case.id for case in find_inputs(root, num_channels=3)] == [
            f"frame_{k:04d}" for k in range(4)
        ]
        assert len(find_inputs(root)) == 4

    def test_a_missing_channel(self, make):
        root = make("imagesTs/a_0000.nii", "imagesTs/a_0001.nii", "imagesTs/a_0002.nii")
        with pytest.raises(DataError, match=r"'a' has 3 channels .* takes 2"):
            find_inputs(root / "imagesTs", num_channels=2)

    def test_a_folder_a_channel(self, make):
        root = make("t1/a.nii", "t2/a.nii", "t1/b.nii")
        with pytest.raises(DataError, match="'b' is not in t2/"):
            find_inputs(root, num_channels=2)
        make("t2/b.nii")
        assert [len(case.channels) for case in find_inputs(root, num_channels=2)] == [2, 2]

    def test_one_folder_a_case(self, make):
        root = make("p2/t1.nii", "p2/t2.nii", "p2/seg.nii", "p10/t1.nii", "p10/t2.nii")
        found = find_inputs(root, num_channels=2)
        assert [(case.id, [path.name for path in case.channels]) for case in found] == [
            *(("p2", ["t1.nii", "t2.nii"]), ("p10", ["t1.nii", "t2.nii"])),
        ]
        with pytest.raises(DataError, match=r"p2: it holds t1\.nii, t2\.nii; the model takes 1 ch"):
            find_inputs(root)

    def test_a_manifest_without_labels(self, make):
        root = make("a.nii", "b.nii", manifest__csv="image,id,spacing_mm\na.nii,x,3x1x1\n")
        assert [case.id for case in find_inputs(root / "manifest.csv")] == ["x"]
        assert find_inputs(root / "manifest.csv")[0].spacing_mm == (3.0, 1.0, 1.0)
        assert [case.id for case in find_inputs(root)] == ["a", "b"]
        make(manifest__csv="image\nabsent.nii\n")
        with pytest.raises(DataError, match="line 2: there is no image absent"):
            find_inputs(root / "manifest.csv")
