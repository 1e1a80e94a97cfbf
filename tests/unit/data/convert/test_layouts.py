"""Data sets change their layout: files that nnU-Net and the Decathlon's tools understand."""

import json
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from ushape.data.convert import run as run_module
from ushape.data.convert.from_layout import take_layout
from ushape.data.io import Grid, read_volume, write_label_volume, write_volume
from ushape.data.layouts import CaseFiles, Layout
from ushape.errors import ConfigError, DataError
from ushape.labels import LabelWish

from .conftest import SIZE, grey, messages, pixels, save, write

TURN = [[1, 0, 0], [0, -1, 0], [0, 0, -1]]
GRID = Grid.of((3, 5, 6), (4.0, 0.5, 0.25), (10.0, -20.0, 30.0), TURN)


def pictures(root, values=(0, 128, 255), *, colors=False, count=2):
    """Write a folder of pictures with labels of these values."""
    for number in range(count):
        image = grey(number, (*SIZE, 3) if colors else SIZE)
        label = np.asarray(values, np.uint8)[np.arange(SIZE[0] * SIZE[1]) % len(values)]
        save(root / "images" / f"c{number}.png", image)
        save(root / "labels" / f"c{number}.png", label.reshape(SIZE))
    return root


def volumes(root, *, channels=1, values=(0, 2, 7), count=2, kind="folders", wish=None):
    """Write scans, a file a channel, and describe them as `find_cases` does."""
    rng = np.random.default_rng(0)
    cases = []
    for number in range(count):
        paths = tuple(root / f"s{number}_{k:04d}.nii.gz" for k in range(channels))
        for path in paths:
            write_volume(path, rng.normal(size=(1, *GRID.size)).astype(np.float32), GRID)
        label = np.asarray(values)[rng.integers(0, len(values), GRID.size)].astype(np.uint8)
        label.ravel()[: len(values)] = values
        write_label_volume(root / f"l{number}.nii.gz", label, GRID)
        cases.append(
            CaseFiles(
                f"s{number}", paths[0], root / f"l{number}.nii.gz", channels=paths[1:] and paths
            )
        )
    return Layout("volumes", root, tuple(cases), (), root, kind, wish)


@pytest.fixture
def convert_layout(convert, monkeypatch):
    """Convert cases that are described, whatever `find_cases` recognises."""

    def run(layout, **options):
        monkeypatch.setattr(
            run_module, "read_source", lambda path, wish, **_: take_layout(layout, wish)
        )
        return convert(layout.root, **options)

    return run


def placed(path):
    image = sitk.ReadImage(str(path))
    return image.GetSpacing(), image.GetOrigin(), image.GetDirection(), image.GetSize()


def check_rules_of_nnunet(root):
    """Check what nnU-Net's documentation asks of a data set."""
    content = json.loads((root / "dataset.json").read_text())
    ending, labels = content["file_ending"], dict(content["labels"])
    assert labels["background"] == 0
    ignore = labels.pop("ignore", None)
    members = [v if isinstance(v, list) else [v] for v in labels.values()]
    numbers = sorted({number for member in members for number in member})
    assert numbers == list(range(len(numbers)))
    assert ignore in (None, len(numbers))
    names = [path.name.removesuffix(ending) for path in (root / "labelsTr").iterdir()]
    assert len(names) == content["numTraining"]
    allowed = {*numbers, *([] if ignore is None else [ignore])}
    num_channels = set()
    for name in names:
        label = read_volume(root / "labelsTr" / f"{name}{ending}")
        files = sorted((root / "imagesTr").glob(f"{name}_[0-9][0-9][0-9][0-9]{ending}"))
        image = read_volume(files)
        assert set(np.unique(label.values)) <= allowed
        assert image.grid.is_same(label.grid)
        num_channels.add(image.num_channels)
    assert num_channels == {len(content["channel_names"])}
    assert len(list((root / "imagesTr").iterdir())) % len(names) == 0
    if any(isinstance(value, list) for value in labels.values()):
        assert len(content["regions_class_order"]) == len(labels) - 1


class TestPictures:
    def test_nnunet_from_folders(self, convert, tmp_path):
        done = convert(pictures(tmp_path / "in"), to="nnunet", labels={"bg": 0, "b": 128, "c": 255})
        names = sorted(p.relative_to(done.out).as_posix() for p in done.out.rglob("*.png"))
        assert names == [
            *("imagesTr/c0_0000.png", "imagesTr/c1_0000.png"),
            *("labelsTr/c0.png", "labelsTr/c1.png"),
        ]
        label = pixels(done.out / "labelsTr" / "c0.png")
        assert sorted(np.unique(label)) == [0, 1, 2]
        before = pixels(tmp_path / "in" / "labels" / "c0.png")
        np.testing.assert_array_equal(np.array([0, 128, 255])[label], before)
        np.testing.assert_array_equal(pixels(done.out / "imagesTr" / "c1_0000.png"), grey(1))
        assert json.loads((done.out / "dataset.json").read_text()) == {
            "channel_names": {"0": "image"},
            "labels": {"background": 0, "b": 1, "c": 2},  # nnU-Net wants this name
            "numTraining": 2,
            "file_ending": ".png",
        }

    def test_the_void_value_becomes_the_highest_label(self, convert, tmp_path):
        done = convert(pictures(tmp_path / "in", (0, 1, 200, 255)), to="nnunet", ignore=255)
        assert done.labels == {"background": 0, "class_1": 1, "class_200": 2, "ignore": 3}
        label = pixels(done.out / "labelsTr" / "c0.png")
        before = pixels(tmp_path / "in" / "labels" / "c0.png")
        np.testing.assert_array_equal(label == 3, before == 255)
        check_rules_of_nnunet(done.out)

    def test_colours_stay_one_file(self, convert, tmp_path):
        done = convert(pictures(tmp_path / "in", colors=True), to="nnunet")
        check_rules_of_nnunet(done.out)
        content = json.loads((done.out / "dataset.json").read_text())
        assert content["channel_names"] == {"0": "R", "1": "G", "2": "B"}
        image = pixels(done.out / "imagesTr" / "c0_0000.png")
        np.testing.assert_array_equal(image, grey(0, (*SIZE, 3)))

    def test_regions_are_listed_large_before_small(self, convert, tmp_path):
        regions = {"pair": ("a", "b"), "all": ("a", "b", "c")}
        done = convert(
            pictures(tmp_path / "in", (0, 1, 2, 3)),
            to="nnunet",
            labels={"bg": 0, "a": 1, "b": 2, "c": 3},
            regions=regions,
        )
        content = json.loads((done.out / "dataset.json").read_text())
        assert content["labels"] == {
            **{"background": 0, "all": [1, 2, 3], "pair": [1, 2]},
            **{"a": 1, "b": 2, "c": 3},
        }
        assert content["regions_class_order"] == [1, 1, 1, 2, 3]
        check_rules_of_nnunet(done.out)
        # What nnU-Net makes of perfect predictions is the label again.
        painted = np.zeros(4, int)
        for order, value in zip(
            content["regions_class_order"], list(content["labels"].values())[1:], strict=True
        ):
            painted[np.isin(np.arange(4), value)] = order
        assert painted.tolist() == [0, 1, 2, 3]

    @pytest.mark.parametrize("order", [[1, 2, 3], None])
    def test_regions_of_nnunet_come_back_as_they_were(self, convert, tmp_path, order):
        """Labels without gaps were renumbered, and values in regions only became classes."""
        root = pictures(tmp_path / "in", (0, 1, 2, 3, 4))
        labels = {"background": 0, "whole": [1, 2, 3], "inner": [2, 3], "core": 3, "ignore": 4}
        write(root / "dataset.json", {"labels": labels, "regions_class_order": order})
        done = convert(root, to="nnunet")
        content = json.loads((done.out / "dataset.json").read_text())
        assert list(content["labels"].items()) == list(labels.items())
        assert content["regions_class_order"] == [1, 2, 3]
        for name in ("c0", "c1"):
            np.testing.assert_array_equal(
                pixels(done.out / "labelsTr" / f"{name}.png"),
                pixels(root / "labels" / f"{name}.png"),
            )

    def test_the_order_of_regions_is_that_of_the_source(self, convert, tmp_path):
        """Small before large, and numbers that change as the values do."""
        root = pictures(tmp_path / "in", (0, 2, 5, 7))
        labels = {"background": 0, "core": 7, "whole": [2, 5, 7], "inner": [5, 7]}
        write(root / "dataset.json", {"labels": labels, "regions_class_order": [2, 7, 5]})
        done = convert(root, to="nnunet")
        content = json.loads((done.out / "dataset.json").read_text())
        assert list(content["labels"].items()) == [
            *(("background", 0), ("core", 3), ("whole", [1, 2, 3]), ("inner", [2, 3]))
        ]
        assert content["regions_class_order"] == [1, 3, 2]

    def test_numbers_without_gaps_stay_whatever_the_order_of_names(self, convert, tmp_path):
        root = pictures(tmp_path / "in", (0, 1, 2))
        done = convert(root, to="nnunet", labels={"bg": 0, "b": 2, "a": 1})
        assert done.labels == {"background": 0, "a": 1, "b": 2}
        np.testing.assert_array_equal(
            pixels(done.out / "labelsTr" / "c0.png"), pixels(root / "labels" / "c0.png")
        )

    def test_a_region_of_a_value_that_no_label_has_is_made_of_the_others(self, convert, tmp_path):
        root = pictures(tmp_path / "in", (0, 1, 2))
        labels = {"background": 0, "whole": [1, 2, 3], "core": 2, "ignore": 9}
        write(root / "dataset.json", {"labels": labels})
        done = convert(root, to="nnunet")
        assert done.labels == {"background": 0, "whole": [1, 2], "core": 2}

    def test_the_decathlon_lists_pairs(self, convert, tmp_path):
        done = convert(pictures(tmp_path / "in"), to="msd", channels=("EM",))
        content = json.loads((done.out / "dataset.json").read_text())
        assert content["labels"] == {"0": "background", "1": "class_128", "2": "class_255"}
        assert content["modality"] == {"0": "EM"}
        assert content["numTraining"] == 2
        for pair in content["training"]:
            assert pair["image"].startswith("./imagesTr/c")
            for name in pair.values():
                assert (done.out / name).is_file()

    def test_masks_that_overlap_need_a_word_for_nnunet(self, convert, tmp_path):
        root = tmp_path / "in"
        for number in range(2):
            save(root / "images" / f"c{number}.png", grey(number))
            for place, name in enumerate(("a", "b")):
                mask = np.zeros(SIZE, np.uint8)
                mask[2 + 3 * place : 9 + 3 * place] = 255
                save(root / "labels" / name / f"c{number}.png", mask)
        with pytest.raises(ConfigError, match=r"the labels are multilabel.*--target multiclass"):
            convert(root, to="nnunet")
        done = convert(root, to="nnunet", form="multiclass")
        rows = pixels(done.out / "labelsTr" / "c0.png")[:, 0]
        assert rows.tolist() == [0, 0, 1, 1, 1, *[2] * 7, *[0] * 8]
        again = convert(root, out="B")  # as they are
        np.testing.assert_array_equal(
            pixels(again.out / "labels" / "b" / "c1.png"), pixels(root / "labels" / "b" / "c1.png")
        )

    def test_odd_images_are_left_out(self, convert, tmp_path):
        root = pictures(tmp_path / "in", count=3)
        save(root / "images" / "c1.png", grey(1, (*SIZE, 3)))
        (root / "images" / "c2.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
        save(root / "images" / "c3.png", grey(3))
        save(root / "labels" / "c3.png", grey(3)[:5] // 255)
        done = convert(root, to="nnunet")
        assert done.cases == ("c0",)
        assert {p.path.name for p in done.errors} == {"c1.png", "c2.png", "c3.png"}

    @pytest.mark.parametrize(
        ("options", "error", "pattern"),
        [
            ({"to": "nnunett"}, ConfigError, "did you mean 'nnunet'"),
            ({"kind": "yolo"}, ConfigError, "unknown kind of source 'yolo'"),
            ({"form": "instance"}, ConfigError, "did you mean 'instances'"),
            ({"line_width": -1}, ConfigError, "--line-width -1"),
            ({"regions": {"x": ("class_128",)}}, ConfigError, "only nnU-Net"),
            ({"to": "nnunet", "regions": {"x": ("class_12",)}}, ConfigError, "class_128"),
            (
                {"to": "nnunet", "labels": {"bg": 0, "background": 128, "c": 255}},
                ConfigError,
                "which nnU-Net gives to label 0",
            ),
            ({"ignore": 9}, ConfigError, "no label has that value"),
            ({"labels": {"bg": 0, "a": 9}}, ConfigError, "no label has that value"),
            ({"to": "nnunet", "channels": ("a", "b")}, ConfigError, "2 names for images with 1"),
            ({"form": "instances"}, ConfigError, "leave it out"),
        ],
    )
    def test_wrong_wishes_are_refused_before_anything_is_written(
        self, convert, tmp_path, options, error, pattern
    ):
        with pytest.raises(error, match=pattern):
            convert(pictures(tmp_path / "in"), **options)
        assert not (tmp_path / "OUT").exists()

    def test_nothing_is_overwritten(self, convert, tmp_path):
        root = pictures(tmp_path / "in")
        save(tmp_path / "OUT" / "mine.png", grey())
        with pytest.raises(DataError, match=r"not empty \(it holds mine\.png\)"):
            convert(root)
        (tmp_path / "OUT" / "mine.png").unlink()
        assert len(convert(root).cases) == 2  # an empty folder is free

    def test_progress_counts_cases(self, convert, tmp_path):
        seen = []
        convert(pictures(tmp_path / "in"), progress=lambda *numbers: seen.append(numbers))
        assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]  # read, then written


class TestVolumes:
    def test_nnunet_keeps_the_place_and_a_file_a_channel(self, convert_layout, tmp_path):
        layout = volumes(tmp_path / "in", channels=2)
        done = convert_layout(layout, to="nnunet", channels=("CT", "PET"))
        names = sorted(p.relative_to(done.out).as_posix() for p in done.out.rglob("*.nii.gz"))
        assert names == [
            *("imagesTr/s0_0000.nii.gz", "imagesTr/s0_0001.nii.gz"),
            *("imagesTr/s1_0000.nii.gz", "imagesTr/s1_0001.nii.gz"),
            *("labelsTr/s0.nii.gz", "labelsTr/s1.nii.gz"),
        ]
        scan = tmp_path / "in" / "s0_0000.nii.gz"
        for name in names[:2] + names[4:5]:
            for mine, its in zip(placed(done.out / name), placed(scan), strict=True):
                assert mine == pytest.approx(its)
        np.testing.assert_array_equal(
            read_volume(done.out / names[3]).values,
            read_volume(tmp_path / "in" / "s1_0001.nii.gz").values,
        )
        label = read_volume(done.out / "labelsTr" / "s1.nii.gz").values[0]
        before = read_volume(tmp_path / "in" / "l1.nii.gz").values[0]
        np.testing.assert_array_equal(np.array([0, 2, 7])[label], before)
        assert json.loads((done.out / "dataset.json").read_text())["file_ending"] == ".nii.gz"
        check_rules_of_nnunet(done.out)

    def test_the_decathlon_has_one_4d_file_and_the_way_back_reads_it(
        self, convert_layout, tmp_path
    ):
        layout = volumes(tmp_path / "in", channels=2)
        done = convert_layout(layout, to="msd", channels=("FLAIR", "T1w"))
        image = sitk.ReadImage(str(done.out / "imagesTr" / "s0.nii.gz"))
        assert image.GetSize() == (6, 5, 3, 2)
        assert image.GetSpacing()[:3] == pytest.approx((0.25, 0.5, 4.0))
        assert json.loads((done.out / "dataset.json").read_text())["tensorImageSize"] == "4D"
        cases = tuple(
            CaseFiles(
                name,
                done.out / "imagesTr" / f"{name}.nii.gz",
                done.out / "labelsTr" / f"{name}.nii.gz",
                frames_are_channels=True,
            )
            for name in done.cases
        )
        wish = LabelWish(names={"bg": 0, "a": 1, "b": 2, "never seen": 3})
        again = Layout("msd", done.out, cases, (), done.out, "msd", wish, ("FLAIR", "T1w"))
        back = convert_layout(again, out="BACK")
        assert back.labels == {"bg": 0, "a": 1, "b": 2}
        volume = read_volume(back.out / "images" / "s1.nii.gz")
        expected = [read_volume(tmp_path / "in" / f"s1_000{k}.nii.gz").values[0] for k in range(2)]
        np.testing.assert_array_equal(volume.values, expected)
        assert volume.grid.is_same(GRID)

    def test_a_stack_of_pictures_becomes_a_volume(self, convert_layout, tmp_path):
        root = pictures(tmp_path / "in", count=3)
        planes = tuple(
            CaseFiles(f"c{k}", root / "images" / f"c{k}.png", root / "labels" / f"c{k}.png")
            for k in range(3)
        )
        stack = CaseFiles("stack", planes[0].image, planes[0].label, planes=planes)
        layout = Layout("stack", root, (stack,), (), root, stack_mm=(5.0, 1.0, 1.0))
        done = convert_layout(layout, to="nnunet")
        image = read_volume(done.out / "imagesTr" / "stack_0000.nii.gz")
        np.testing.assert_array_equal(image.values[0], [grey(k) for k in range(3)])
        assert image.grid.spacing_mm == (5.0, 1.0, 1.0)
        label = read_volume(done.out / "labelsTr" / "stack.nii.gz").values[0]
        assert label.shape == (3, *SIZE)
        assert sorted(np.unique(label)) == [0, 1, 2]

    def test_images_are_copied_byte_for_byte(self, convert_layout, tmp_path):
        done = convert_layout(volumes(tmp_path / "in"))
        before = (tmp_path / "in" / "s0_0000.nii.gz").read_bytes()
        assert (done.out / "images" / "s0.nii.gz").read_bytes() == before
        assert done.problems == ()

    def test_images_of_two_files_are_written_anew(self, convert_layout, tmp_path):
        layout = volumes(tmp_path / "in", count=1)
        image = sitk.ReadImage(str(tmp_path / "in" / "s0_0000.nii.gz"))
        sitk.WriteImage(image, str(tmp_path / "in" / "s0.mhd"))  # and s0.raw
        label = tmp_path / "in" / "l0.nii.gz"
        case = CaseFiles("s0", tmp_path / "in" / "s0.mhd", label)
        done = convert_layout(Layout("x", layout.root, (case,), (), layout.root))
        assert [p.name for p in (done.out / "images").iterdir()] == ["s0.nii.gz"]
        assert placed(done.out / "images" / "s0.nii.gz")[1] == pytest.approx(placed(label)[1])

    def test_subjects_are_kept_in_a_table(self, convert_layout, tmp_path):
        layout = volumes(tmp_path / "in")
        cases = (replace(layout.cases[0], group="anna"), layout.cases[1])
        done = convert_layout(replace(layout, cases=cases))
        assert (done.out / "groups.csv").read_text() == "case,group\ns0,anna\ns1,s1\n"

    def test_labels_that_lie_elsewhere_leave_their_case_out(self, convert_layout, tmp_path):
        layout = volumes(tmp_path / "in")
        moved = Grid.of(GRID.size, GRID.spacing_mm, (10.0, -20.0, 33.0), TURN)
        label = read_volume(tmp_path / "in" / "l1.nii.gz").values[0]
        write_label_volume(tmp_path / "in" / "l1.nii.gz", label, moved)
        done = convert_layout(layout, to="nnunet")
        assert done.cases == ("s0",)
        (error,) = done.errors
        assert error.path == tmp_path / "in" / "l1.nii.gz", "not the image, which is right"
        assert error.message.startswith("the label does not lie on the grid of ")
        assert "--align" not in error.message, "an option of other commands"

    def test_an_unknown_spacing_is_told(self, convert_layout, tmp_path):
        rng = np.random.default_rng(0)
        write_volume(tmp_path / "a.npy", rng.normal(size=(1, 3, 5, 6)), Grid.of((3, 5, 6)))
        label = (rng.random((3, 5, 6)) < 0.3).astype(np.uint8)
        write_label_volume(tmp_path / "b.nii.gz", label, Grid.of((3, 5, 6)))
        case = CaseFiles("a", tmp_path / "a.npy", tmp_path / "b.nii.gz")
        layout = Layout("x", tmp_path, (case,), (), tmp_path)
        done = convert_layout(layout, to="nnunet")
        assert "do not say their spacing" in messages(done)[0]
