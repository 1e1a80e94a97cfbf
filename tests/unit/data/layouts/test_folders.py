"""Folders of images and labels in every format, with channels, subjects and sides of a split."""

import json

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

    @pytest.mark.parametrize("place", ["{side}/{part}/{stack}", "{part}/{side}/{stack}"])
    def test_equal_names_in_the_stacks_of_both_sides(self, make, place):
        wanted = [(side, stack) for side in ("train", "val") for stack in ("left", "right")]
        names = [
            place.format(side=side, part=part, stack=stack) + "/1.png"
            for side, stack in wanted
            for part in ("images", "labels")
        ]
        layout = find_cases(make(*names))
        found = {case.id: (layout.split[case.id], case.group) for case in layout.cases}
        assert found == {f"{side}_{stack}_1": (side, stack) for side, stack in wanted}
        assert len(layout.cases) == len(wanted)
        assert not any(case.channels or case.masks for case in layout.cases)

    @pytest.mark.parametrize("stacks", [(("a", "b_1"), ("a_b", "1"), ("a", "2"), ("a_b", "2"))])
    @pytest.mark.parametrize(
        "parts", [("images/{}/{}", "labels/{}/{}"), ("{}/{}", "{}/{}_mask")], ids=["in", "beside"]
    )
    def test_two_cases_never_have_one_name(self, make, stacks, parts):
        names = [f"{part.format(*each)}.png" for each in stacks for part in parts]
        with pytest.raises(DataError, match=r"'a_b_1', and so is .*manifest\.csv"):
            find_cases(make(*names))

    @pytest.mark.parametrize("part", [("images", "labels"), ("c0/img", "c0/seg")])
    def test_two_folders_of_one_side(self, make, part):
        names = [f"{side}/{p}" for side in ("train", "val", "valid", "training") for p in part]
        names = [name + ("/0.png" if "c0" not in name else ".png") for name in names]
        with pytest.raises(DataError, match="and so is"):
            find_cases(make(*names))

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


class TestChannelsByName:
    """The channels of images to predict, for a model that was trained with T1 and FLAIR."""

    names = ("T1", "FLAIR")

    def channels(self, path, names=names):
        (case,) = find_inputs(path, num_channels=len(names), channel_names=names)
        root = path if path.is_dir() else path.parent
        return [file.relative_to(root).as_posix() for file in case.image_paths]

    @pytest.mark.parametrize(
        ("columns", "expected"),
        [
            ("image_T1,image_FLAIR", ["a.nii", "b.nii"]),
            ("image_flair,image_t1", ["b.nii", "a.nii"]),
            ("image_0,image_1", ["a.nii", "b.nii"]),
            ("image_DWI,image_T1,image_FLAIR", ["b.nii", "c.nii"]),
        ],
    )
    def test_columns_of_a_manifest(self, make, columns, expected):
        files = ["a.nii", "b.nii", "c.nii"][: columns.count(",") + 1]
        root = make(*files, new__csv=f"{columns}\n{','.join(files)}\n")
        assert self.channels(root / "new.csv") == expected

    def test_a_manifest_is_told_by_a_description_or_by_columns(self, make):
        """Columns in another order than `dataset.json` tells are what they are called."""
        described = '{"channel_names": {"0": "T1", "1": "FLAIR"}, "labels": {"no": 0, "yes": 1}}'
        table = "image_FLAIR,image_T1,label\nf.nii,t.nii,l.nii\n"
        root = make("f.nii", "t.nii", "l.nii", dataset__json=described, manifest__csv=table)
        assert find_cases(root).channel_names == ("FLAIR", "T1")
        assert self.channels(root / "manifest.csv") == ["t.nii", "f.nii"]
        (root / "manifest.csv").write_text(table.replace("_FLAIR", "_0").replace("_T1", "_1"))
        assert self.channels(root / "manifest.csv", ("FLAIR", "T1")) == ["t.nii", "f.nii"]

    @pytest.mark.parametrize(
        "files",
        [
            ["images/flair/a.nii", "images/t1/a.nii", "labels/a.nii"],
            ["a/flair.nii", "a/t1.nii", "a/seg.nii"],
        ],
    )
    @pytest.mark.parametrize(
        ("described", "expected"),
        [(("T1", "FLAIR"), ("flair", "t1")), (("FLAIR", "T1"),) * 2, (("PET", "CT"),) * 2],
    )
    def test_a_description_names_channels_as_they_come(self, make, files, described, expected):
        """What is called T1 beside the data is not what lies in flair/."""
        names = dict(enumerate(described))
        root = make(*files, dataset__json=json.dumps({"channel_names": names}))
        layout = find_cases(root)
        assert layout.channel_names == expected
        assert ["flair" in str(path) for path in layout.cases[0].channels] == [True, False]

    def test_a_case_keeps_its_name(self, make):
        root = make("f.nii", "t.nii", new__csv="image_flair,image_t1\nf.nii,t.nii\n")
        (case,) = find_inputs(root / "new.csv", num_channels=2, channel_names=self.names)
        assert (case.id, case.image.name) == ("f", "t.nii")

    def test_a_folder_a_channel(self, make):
        assert self.channels(make("flair/a.nii", "t1/a.nii")) == ["t1/a.nii", "flair/a.nii"]
        make("dwi/a.nii")
        assert self.channels(make()) == ["t1/a.nii", "flair/a.nii"]

    def test_folders_of_two_images_are_channels_by_their_names(self, make):
        root = make(*(f"{channel}/{case}.nii" for channel in ("flair", "t1") for case in "ab"))
        found = find_inputs(root, num_channels=2, channel_names=self.names)
        assert [(case.id, case.image.parent.name) for case in found] == [("a", "t1"), ("b", "t1")]

    @pytest.mark.parametrize(
        ("files", "names", "expected"),
        [
            (["flair", "t1", "seg"], names, ["p/t1.nii", "p/flair.nii"]),
            (["p_T1", "p_FLAIR"], names, ["p/p_T1.nii", "p/p_FLAIR.nii"]),
            (["t1", "t1_ce"], ("t1_ce", "t1"), ["p/t1_ce.nii", "p/t1.nii"]),
            (["p_0000", "p_0001"], names, ["p/p_0000.nii", "p/p_0001.nii"]),
        ],
    )
    def test_one_folder_a_case(self, make, files, names, expected):
        assert self.channels(make(*(f"p/{name}.nii" for name in files)), names) == expected

    @pytest.mark.parametrize(
        ("files", "table", "message"),
        [
            (
                ["a.nii", "b.nii"],
                "image_T1,image_T2",
                r"new\.csv: the .* called T1, T2; .*FLAIR is",
            ),
            (["a.nii", "b.nii"], "image_x,image_y", "T1 is missing and FLAIR is missing: name"),
            (["t1/a.nii", "t2/a.nii"], "", "called t1, t2; the model takes T1, FLAIR, but FLAIR"),
            (["p/t1.nii", "p/dwi.nii"], "", r"p: the channels are called dwi, t1; .* FLAIR is"),
        ],
    )
    def test_a_missing_name_is_told(self, make, files, table, message):
        root = make(*files, new__csv=f"{table}\n{','.join(files)}\n")
        with pytest.raises(DataError, match=message):
            self.channels(root / "new.csv" if table else root)

    def test_one_file_may_hold_all_channels(self, make):
        assert self.channels(make("a.nii", new__csv="image_mri\na.nii\n") / "new.csv") == ["a.nii"]
