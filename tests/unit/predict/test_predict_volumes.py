"""Volumes in, labels of the same place out: every format, any order of axes, stacks, channels."""

from __future__ import annotations

import itertools
import json
import shutil

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
import torch
from PIL import Image
from torch import nn

from ushape import build
from ushape.bundle import Bundle, BundleHeader
from ushape.config.schema import PreprocessConfig, TilingConfig
from ushape.data.io import Grid, read_label_volume, read_volume, write_volume
from ushape.data.layouts import CaseFiles
from ushape.errors import ConfigError, DataError, ShapeError
from ushape.labels import LabelClass, LabelTable
from ushape.nets import geometry_of, make_spec
from ushape.nets.network import Output
from ushape.predict import Predictor, predict_cases, predict_files

TABLE = LabelTable((LabelClass("rest", 0), LabelClass("blob", 7)))
SIZE = (6, 7, 8)
RNG = np.random.default_rng(8)


class Threshold(nn.Module):
    """Finds what is brighter than one half in a channel, and what is darker than minus one half."""

    def __init__(self, dims, logits=1, channels=1):
        super().__init__()
        self.spec = make_spec(
            "unet_padding",
            spatial_dims=dims,
            levels=3,
            width=2,
            in_channels=channels,
            classes=logits,
        )
        self.geometry, self.logits = geometry_of(self.spec), logits

    def forward(self, x):
        both = torch.cat([40 * (x[:, -1:] - 0.5), -40 * (x[:, -1:] + 0.5)], 1)
        return Output(both[:, : self.logits], ())


def predictor(*, table=TABLE, dims=3, channels=1, tile=8, **preprocess):
    network = build(
        "unet_padding", spatial_dims=dims, levels=3, width=2, in_channels=channels, classes=1
    )
    config = PreprocessConfig(channels, normalise="none", **preprocess)
    header = BundleHeader(table, config, TilingConfig((tile,) * dims))
    found = Predictor(Bundle("model.safetensors", network, header), device="cpu")
    found.network = Threshold(dims, table.num_logits, channels)
    return found


def blob(size=SIZE):
    """Bright where the prediction shall be 7, without symmetry."""
    return RNG.integers(0, 2, size).astype(np.float32)


def itk(path):
    image = sitk.ReadImage(str(path))
    return image, sitk.GetArrayFromImage(image)


def assert_same_place(one, other):
    assert one.GetSize() == other.GetSize()
    for name in ("GetSpacing", "GetOrigin", "GetDirection"):
        np.testing.assert_allclose(getattr(one, name)(), getattr(other, name)(), atol=1e-6)


ORDERS = [
    (order, flips)
    for order in itertools.permutations(range(3))
    for flips in ((1, 1, 1), (-1, 1, 1), (1, -1, -1))
]


@pytest.fixture(scope="module")
def turned():
    """Return an oblique direction, rows are world axes."""
    axis = np.array([0.3, -0.5, 0.8]) / np.linalg.norm([0.3, -0.5, 0.8])
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    return np.eye(3) + np.sin(0.4) * cross + (1 - np.cos(0.4)) * cross @ cross


def write_itk(path, values, direction):
    image = sitk.GetImageFromArray(values)
    image.SetSpacing((0.7, 0.9, 2.5))
    image.SetOrigin((-31.0, 12.5, 7.0))
    image.SetDirection(np.asarray(direction, float).ravel().tolist())
    sitk.WriteImage(image, str(path))


class TestPlace:
    @pytest.mark.parametrize(("order", "flips"), ORDERS)
    def test_every_order_of_axes(self, tmp_path, order, flips):
        """The prediction of each voxel is its own, however the scan is stored."""
        values = blob()
        write_itk(tmp_path / "scan.nii.gz", values, np.eye(3)[:, order] * flips)
        found = predict_files(predictor(), [tmp_path / "scan.nii.gz"], tmp_path / "out")
        assert found.problems == ()
        assert found.written == (tmp_path / "out" / "scan.nii.gz",)
        scan, _ = itk(tmp_path / "scan.nii.gz")
        result, labels = itk(found.written[0])
        assert_same_place(scan, result)
        assert labels.dtype == np.uint8
        np.testing.assert_array_equal(labels, 7 * values)

    @pytest.mark.parametrize("suffix", ["nii", "nii.gz", "nrrd", "mha"])
    def test_formats_and_an_oblique_scan(self, tmp_path, turned, suffix):
        values = blob()
        path = tmp_path / f"scan.{suffix}"
        write_itk(path, values, turned)
        found = predict_files(predictor(), [path], tmp_path / "out")
        assert [each.name for each in found.written] == [path.name]
        (scan, _), (result, labels) = itk(path), itk(found.written[0])
        assert_same_place(scan, result)
        np.testing.assert_array_equal(labels, 7 * values)

    @pytest.mark.parametrize("suffix", ["tif", "ome.tif", "npz", "npy", "ome.zarr"])
    def test_formats_that_simpleitk_does_not_read(self, tmp_path, suffix):
        if suffix == "ome.zarr":
            pytest.importorskip("zarr")
        values = blob()
        spacing = None if suffix == "npy" else (2.5, 0.9, 0.7)
        path = tmp_path / f"scan.{suffix}"
        write_volume(path, values[None], Grid.of(SIZE, spacing))
        found = predict_files(predictor(), [path], tmp_path / "out")
        assert [each.name for each in found.written] == [path.name]
        labels = read_label_volume(found.written[0])
        assert labels.grid == read_volume(path).grid
        np.testing.assert_array_equal(labels.values, 7 * values)

    def test_resampled_and_cropped_scans_come_back(self, tmp_path, turned):
        """A ball of 6 mm is found where it is, though the model sees voxels of 1 mm."""
        size, spacing = (14, 40, 44), np.array((2.5, 0.9, 0.7))
        place = [(np.arange(n) + 0.5) * edge for n, edge in zip(size, spacing, strict=True)]
        away = sum((p - c) ** 2 for p, c in zip(np.ix_(*place), (17, 14, 18), strict=True))
        inside = away < 36
        values = np.where(inside, 1.0, 0.1).astype(np.float32)
        values[:2], values[:, -5:] = 0, 0  # cropped
        values[0] = 0
        write_itk(tmp_path / "scan.nrrd", values, turned)
        model = predictor(spacing_mm=(1.0, 1.0, 1.0), crop="nonzero", tile=16)
        found = predict_files(model, [tmp_path / "scan.nrrd"], tmp_path / "out")
        assert found.problems == ()
        (scan, _), (result, labels) = itk(tmp_path / "scan.nrrd"), itk(found.written[0])
        assert_same_place(scan, result)
        both = np.count_nonzero((labels == 7) & inside)
        assert 2 * both / (np.count_nonzero(labels) + np.count_nonzero(inside)) > 0.93
        centres = [np.argwhere(m).mean(0) * spacing for m in (labels == 7, inside)]
        np.testing.assert_allclose(*centres, atol=0.12)

    def test_dicom_becomes_nifti_and_says_so(self, tmp_path):
        values = (100 * blob()).astype(np.int16)
        folder = tmp_path / "series"
        folder.mkdir()
        writer = sitk.ImageFileWriter()
        writer.KeepOriginalImageUIDOn()
        for number, plane in enumerate(values):
            image = sitk.GetImageFromArray(plane[None])
            image.SetSpacing((0.5, 0.75, 2.5))
            for key, value in {
                "0008|0060": "CT",
                "0020|000d": "1.2.3",
                "0020|000e": "1.2.3.4",
                "0008|0018": f"1.2.3.4.{number + 1}",
                "0020|0013": str(number),
                "0020|0032": f"1\\2\\{3 + 2.5 * number}",
                "0020|0037": "1\\0\\0\\0\\1\\0",
            }.items():
                image.SetMetaData(key, value)
            writer.SetFileName(str(folder / f"{number}.dcm"))
            writer.Execute(image)
        found = predict_files(predictor(), [folder], tmp_path / "out")
        assert found.written == (tmp_path / "out" / "series.nii.gz",)
        assert found.notes == ("DICOM is not written: the results are .nii.gz",)
        # Its slices one by one are the same series, in the order of their places.
        slices = sorted(folder.iterdir(), reverse=True)
        again = predict_files(predictor(), slices, tmp_path / "again")
        assert (
            again.notes[0] == f"the DICOM slices of {folder} are read as the series of that folder"
        )
        assert again.written[0].read_bytes() == found.written[0].read_bytes()
        result, labels = itk(found.written[0])
        assert result.GetSpacing() == pytest.approx((0.5, 0.75, 2.5))
        assert result.GetOrigin() == pytest.approx((1, 2, 3))
        np.testing.assert_array_equal(labels, 7 * (values > 0))


class TestFormat:
    def test_it_is_what_was_asked_for(self, tmp_path, turned):
        values = blob()
        write_itk(tmp_path / "scan.nii.gz", values, turned)
        found = predict_files(
            predictor(), [tmp_path / "scan.nii.gz"], tmp_path / "out", format="mha"
        )
        assert found.written == (tmp_path / "out" / "scan.mha",)
        assert_same_place(itk(tmp_path / "scan.nii.gz")[0], itk(found.written[0])[0])

    @pytest.mark.parametrize(
        ("format", "message"),
        [("tif", "TIFF cannot hold its origin and direction"), ("png", "PNG holds 2D images")],
    )
    def test_one_that_loses_the_place_is_refused_before_anything_is_computed(
        self, tmp_path, turned, format, message, monkeypatch
    ):
        write_itk(tmp_path / "scan.nii.gz", blob(), turned)
        monkeypatch.setattr(Predictor, "predict_classes", lambda *_, **__: pytest.fail("too late"))
        found = predict_files(
            predictor(), [tmp_path / "scan.nii.gz"], tmp_path / "out", format=format
        )
        assert found.written == ()
        assert message in found.problems[0].message

    def test_an_unknown_one_is_refused_with_the_nearest(self, tmp_path):
        with pytest.raises(ConfigError, match=r"'nii\.gzip': did you mean 'nii\.gz'"):
            predict_files(predictor(), [], tmp_path, format="nii.gzip")


class TestArrays:
    def test_with_and_without_a_channel_axis(self):
        values = blob()
        model = predictor()
        for array in (values, values[None], values.astype(np.int64)):
            np.testing.assert_array_equal(model.predict(array), 7 * values)
        assert model.predict_probabilities(values).shape == (1, *SIZE)

    def test_a_model_that_resamples_must_know_the_spacing(self):
        model, values = predictor(spacing_mm=(1.0, 1.0, 1.0)), np.kron(blob(), np.ones((4, 4, 4)))
        with pytest.raises(DataError, match="resamples images to 1 x 1 x 1 mm: say it with spacin"):
            model.predict(values)
        labels = model.predict(values, spacing_mm=(0.5, 0.5, 0.5))
        assert labels.shape == values.shape
        assert np.mean((labels == 7) == (values > 0)) > 0.9
        with pytest.raises(ShapeError, match="spacing"):
            model.predict(values, spacing_mm=(0.5, 0.5))

    def test_forms_that_do_not_fit(self):
        with pytest.raises(ShapeError, match=r"give \(z, y, x\) or \(channel, z, y, x\)"):
            predictor().predict(np.zeros((4, 4)))
        with pytest.raises(DataError, match="3 channel"):
            predictor().predict(np.arange(192.0).reshape(3, 4, 4, 4))


def save_slices(folder, planes):
    folder.mkdir(parents=True)
    for number, plane in enumerate(planes, start=8):
        Image.fromarray(plane).save(folder / f"s{number}.png")
    return sorted(folder.iterdir(), key=lambda path: int(path.stem[1:]))


class TestStacks:
    def test_a_folder_of_pictures_is_one_stack_in_natural_order(self, tmp_path, monkeypatch):
        """The stack is whole: a network that reads the slice above finds it."""
        planes = (RNG.integers(0, 2, (5, 9, 12)) * 255).astype(np.uint8)
        paths = save_slices(tmp_path / "slices", planes)
        model = predictor()
        monkeypatch.setattr(
            Threshold, "forward", lambda self, x: Output(40 * (x.roll(1, 2) - 0.5), ())
        )
        found = predict_files(model, paths, tmp_path / "out", keep_probabilities=True)
        assert [path.name for path in found.written] == [f"s{n}.png" for n in range(8, 13)]
        for number, path in enumerate(found.written):
            expected = planes[number - 1] if number else planes[-1] * 0
            if number:
                np.testing.assert_array_equal(np.asarray(Image.open(path)), expected // 255 * 7)
        assert (tmp_path / "out" / "s9.probabilities.tif").exists()
        assert found.notes == (
            f"the 5 pictures of {tmp_path / 'slices'} are taken for the slices of one stack, "
            "s8 to s12",
        )
        record = json.loads((tmp_path / "out" / "predictions.json").read_text())
        assert record["written"] == [f"s{n}.png" for n in range(8, 13)]

    def test_cases_with_planes(self, tmp_path):
        planes = (RNG.integers(0, 2, (4, 9, 12)) * 255).astype(np.uint8)
        paths = save_slices(tmp_path / "slices", planes)
        slices = tuple(CaseFiles(f"cut{n}", path, None) for n, path in enumerate(paths))
        case = CaseFiles("a-b", paths[0], None, planes=slices, spacing_mm=(5.0, 1.0, 1.0))
        found = predict_cases(predictor(), [case], tmp_path / "out")
        assert [path.name for path in found.written] == [f"cut{n}.png" for n in range(4)]
        np.testing.assert_array_equal(
            np.asarray(Image.open(found.written[2])), planes[2] // 255 * 7
        )
        whole = predict_cases(predictor(), [case], tmp_path / "whole", format="nii.gz")
        assert whole.written == (tmp_path / "whole" / "a-b.nii.gz",)
        image, labels = itk(whole.written[0])
        assert image.GetSpacing() == pytest.approx((1, 1, 5))
        np.testing.assert_array_equal(labels, planes // 255 * 7)

    def test_a_slice_that_cannot_be_read_spoils_its_stack(self, tmp_path):
        paths = save_slices(tmp_path / "slices", np.zeros((4, 9, 12), np.uint8))
        paths[1].write_bytes(paths[1].read_bytes()[:40])
        found = predict_files(predictor(), paths, tmp_path / "out")
        assert found.written == ()
        assert len(found.problems) == 1
        assert "s9.png" in found.problems[0].message
        record = json.loads((tmp_path / "out" / "predictions.json").read_text())
        assert list(record["failed"]) == [str(path) for path in paths]

    @pytest.mark.parametrize(
        ("names", "stacks"),
        [
            (("a_z1", "a_z2", "b_z1", "b_z2"), ["a_z1-a_z2", "b_z1-b_z2"]),
            (("z8", "z9", "z10", "z12"), ["z8-z10", "z12"]),
            (("2", "4", "6", "8"), ["slices"]),
            (("top", "middle", "low", "10"), ["slices"]),
        ],
    )
    def test_a_folder_of_several_stacks(self, tmp_path, names, stacks):
        """Slices that do not lie on each other do not come into one volume."""
        (tmp_path / "slices").mkdir()
        paths = [tmp_path / "slices" / f"{name}.png" for name in names]
        for path in paths:
            Image.fromarray(np.zeros((9, 12), np.uint8)).save(path)
        found = predict_files(predictor(), paths, tmp_path / "out", format="nii.gz")
        assert [path.name.removesuffix(".nii.gz") for path in found.written] == stacks
        several = "one stack" if len(stacks) == 1 else "2 stacks"
        assert f"the slices of {several}, {names[0]} to {names[-1]}" in found.notes[0]
        assert sum(len(itk(path)[1]) for path in found.written) == len(names)

    def test_slices_need_a_spacing_where_the_model_resamples(self, tmp_path):
        paths = save_slices(tmp_path / "slices", np.full((4, 9, 12), 255, np.uint8))
        model = predictor(spacing_mm=(1.0, 1.0, 1.0))
        (problem,) = predict_files(model, paths, tmp_path / "out").problems
        assert "--spacing" in problem.message
        found = predict_files(model, paths, tmp_path / "out", spacing_mm=(3.0, 1.0, 1.0))
        assert len(found.written) == 4
        with pytest.raises(ConfigError, match="takes pictures"):
            predict_files(predictor(dims=2), paths, tmp_path / "out", spacing_mm=(3.0, 1.0, 1.0))


class TestChannels:
    def test_in_files_of_their_own(self, tmp_path):
        """The network reads the last channel."""
        first, last = blob(), blob()
        for number, values in enumerate((first, last)):
            write_itk(tmp_path / f"scan_{number:04d}.nii.gz", values, np.eye(3))
        paths = sorted(tmp_path.glob("*.nii.gz"))
        found = predict_files(predictor(channels=2), paths, tmp_path / "out")
        assert found.written == (tmp_path / "out" / "scan.nii.gz",)
        np.testing.assert_array_equal(itk(found.written[0])[1], 7 * last)

    @pytest.mark.parametrize(
        ("given", "refused"),
        [
            (("t1", "flair"), ""),
            (("case_T1", "case_FLAIR"), ""),
            (("scan_0000", "scan_0001"), ""),
            (("flair", "t1"), "flair.npy: by its name this is the channel FLAIR, but it stands"),
            (("dwi", "t1"), "t1.npy: by its name this is the channel T1, but it stands"),
            (("t1/a", "t1/b"), ""),
            (("flair/a", "t1/a"), "a.npy: by its name this is the channel FLAIR"),
        ],
    )
    def test_the_order_of_named_channels(self, tmp_path, given, refused):
        model = predictor(channels=2)
        model.channel_names = ("T1", "FLAIR")
        paths = tuple(tmp_path / f"{name}.npy" for name in given)
        for path in paths:
            path.parent.mkdir(exist_ok=True)
            write_volume(path, blob()[None], Grid.of(SIZE))
        case = CaseFiles("case", paths[0], None, channels=paths)
        problems = predict_cases(model, [case], tmp_path / "out").problems
        assert bool(problems) == bool(refused)
        if refused:
            assert refused in f"{paths[0]}: {problems[0].message}"

    def test_one_after_another_in_a_file(self, tmp_path):
        values = np.stack([blob(), blob()])
        image = sitk.JoinSeries([sitk.GetImageFromArray(each) for each in values])
        sitk.WriteImage(image, str(tmp_path / "scan.nii.gz"))
        found = predict_files(predictor(channels=2), [tmp_path / "scan.nii.gz"], tmp_path / "out")
        assert found.problems == ()
        np.testing.assert_array_equal(itk(found.written[0])[1], 7 * values[1])


class TestMasks:
    names = LabelClass("rest", 0), LabelClass("light", 1), LabelClass("dark", 2)

    @pytest.fixture
    def scan(self, tmp_path, turned):
        values = RNG.integers(-1, 2, SIZE).astype(np.float32)
        write_itk(tmp_path / "scan.nii.gz", values, turned)
        return values, tmp_path / "scan.nii.gz"

    def test_a_folder_of_volumes_for_each_class(self, tmp_path, scan):
        values, path = scan
        table = LabelTable(self.names, kind="multilabel")
        found = predict_files(predictor(table=table), [path], tmp_path / "out")
        assert found.written == (tmp_path / "out" / "light" / "scan.nii.gz",)
        for name, mask in (("light", values > 0), ("dark", values < 0)):
            image, pixels = itk(tmp_path / "out" / name / "scan.nii.gz")
            np.testing.assert_array_equal(pixels, 255 * mask)
            assert_same_place(image, itk(path)[0])

    def test_a_volume_with_a_channel_for_each_class(self, tmp_path, scan):
        values, path = scan
        table = LabelTable(self.names, kind="multilabel", form="channels")
        found = predict_files(
            predictor(table=table), [path], tmp_path / "out", keep_probabilities=True
        )
        image, pixels = itk(found.written[0])
        np.testing.assert_array_equal(
            np.moveaxis(pixels, -1, 0), [255 * (values > 0), 255 * (values < 0)]
        )
        assert_same_place(image, itk(path)[0])
        image, probabilities = itk(tmp_path / "out" / "scan.probabilities.nii.gz")
        assert probabilities.dtype == np.float32
        np.testing.assert_array_equal(probabilities > 0.5, pixels > 0)
        assert_same_place(image, itk(path)[0])


class TestAnotherFormat:
    """A second prediction leaves one file a case."""

    def test_what_it_replaces_is_removed_and_nothing_else(self, tmp_path):
        out = tmp_path / "out"
        for name in "ab":
            write_itk(tmp_path / f"{name}.nii.gz", blob(), np.eye(3))
        paths = sorted(tmp_path.glob("*.nii.gz"))
        predict_files(predictor(), paths, out)
        (out / "a.mha").write_bytes(b"not ours")
        found = predict_files(predictor(), paths[:1], out, format="nrrd")
        assert sorted(p.name for p in out.iterdir()) == [
            "a.mha",
            "a.nrrd",
            "b.nii.gz",
            "predictions.json",
        ]
        assert found.notes == (
            f"removed 1 file of an earlier prediction in another format from {out}",
        )

    def test_what_could_not_be_predicted_anew_stays(self, tmp_path):
        write_itk(tmp_path / "a.nii.gz", blob(), np.eye(3))
        predict_files(predictor(), [tmp_path / "a.nii.gz"], tmp_path / "out")
        (tmp_path / "a.nii.gz").write_bytes(b"damaged")
        predict_files(predictor(), [tmp_path / "a.nii.gz"], tmp_path / "out", format="nrrd")
        assert (tmp_path / "out" / "a.nii.gz").exists()

    def test_masks_of_all_classes(self, tmp_path):
        table = LabelTable(TestMasks.names, kind="multilabel")
        write_itk(tmp_path / "a.nii.gz", blob(), np.eye(3))
        for format in (None, "nrrd"):
            found = predict_files(
                predictor(table=table), [tmp_path / "a.nii.gz"], tmp_path / "out", format=format
            )
            assert found.problems == ()
        for name in ("light", "dark"):
            assert [p.name for p in (tmp_path / "out" / name).iterdir()] == ["a.nrrd"]

    def test_a_stack_whole_and_in_slices(self, tmp_path):
        paths = save_slices(tmp_path / "slices", np.zeros((3, 9, 12), np.uint8))
        for format in ("nii.gz", None, "nii.gz"):
            predict_files(predictor(), paths, tmp_path / "out", format=format)
            names = sorted(path.name for path in (tmp_path / "out").iterdir())
            slices = ["s10.png", "s8.png", "s9.png"]
            assert names == ["predictions.json", *(["slices.nii.gz"] if format else slices)]

    @pytest.mark.parametrize("record", ["", "{}", '{"labels": {}, "written": ["../a.png"]}'])
    def test_a_record_that_says_nothing(self, tmp_path, record):
        write_itk(tmp_path / "a.nii.gz", blob(), np.eye(3))
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "predictions.json").write_text(record)
        found = predict_files(predictor(), [tmp_path / "a.nii.gz"], tmp_path / "out")
        assert found.problems == ()


class TestBadInput:
    def test_what_cannot_be_read_is_told_and_the_rest_is_done(self, tmp_path):
        values = blob()
        for name in "abc":
            write_itk(tmp_path / f"{name}.nii.gz", values, np.eye(3))
        broken = tmp_path / "b.nii.gz"
        broken.write_bytes(broken.read_bytes()[:200])
        Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "d.png")
        found = predict_files(predictor(), sorted(tmp_path.iterdir()), tmp_path / "out")
        names = [path.name for path in found.written]
        assert names == ["a.nii.gz", "c.nii.gz", "d.png"]
        assert [problem.path for problem in found.problems] == [broken]
        record = json.loads((tmp_path / "out" / "predictions.json").read_text())
        assert list(record["failed"]) == [str(broken)]
        assert record["written"] == names

    def test_a_model_of_pictures_refuses_volumes(self, tmp_path):
        write_itk(tmp_path / "a.nii.gz", blob(), np.eye(3))
        found = predict_files(predictor(dims=2), [tmp_path / "a.nii.gz"], tmp_path / "out")
        assert found.problems[0].message.startswith(
            "it is a volume of 6 x 7 x 8, this model takes pictures: train a 3D network"
        )

    def test_two_scans_of_one_name(self, tmp_path):
        write_itk(tmp_path / "a.nii.gz", blob(), np.eye(3))
        (tmp_path / "more").mkdir()
        shutil.copy(tmp_path / "a.nii.gz", tmp_path / "more" / "a.nii.gz")
        paths = [tmp_path / "a.nii.gz", tmp_path / "more" / "a.nii.gz"]
        with pytest.raises(ConfigError, match="would both be written as a"):
            predict_files(predictor(), paths, tmp_path / "out")


def test_progress_tells_cases_and_the_tiles_of_each(tmp_path):
    for name in "ab":
        write_volume(
            tmp_path / f"{name}.npy", np.zeros((1, 20, 8, 8), np.float32), Grid.of((20, 8, 8))
        )
    cases, tiles = [], []
    predict_cases(
        predictor(),
        [CaseFiles(name, tmp_path / f"{name}.npy", None) for name in "ab"],
        tmp_path / "out",
        progress=lambda *told: cases.append(told),
        tiles=lambda *told: tiles.append(told),
    )
    assert cases == [(0, 2, "a.npy"), (1, 2, "b.npy"), (2, 2, "")]
    assert tiles == 2 * [(n + 1, tiles[0][1]) for n in range(tiles[0][1])]
    assert tiles[0][1] > 1


@pytest.mark.parametrize("format", ["nii.gz", "nrrd", "npz", "tif", "png"])
def test_pictures_in_any_format(tmp_path, format):
    pixels = (RNG.integers(0, 2, (9, 12)) * 255).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    model = predictor(dims=2)
    found = predict_files(model, [tmp_path / "a.png"], tmp_path / "out", format=format)
    assert [path.name for path in found.written] == [f"a.{format}"]
    np.testing.assert_array_equal(read_label_volume(found.written[0]).values, pixels // 255 * 7)


def test_probabilities_of_a_volume_are_never_whole_in_memory():
    """Eight classes of 192 planes: only bands of 8 planes are held."""
    import tracemalloc

    table = LabelTable(tuple(LabelClass(f"c{n}", n) for n in range(8)), kind="multiclass")

    class Eight(Threshold):
        def forward(self, x):
            return Output(torch.cat([x * n for n in range(8)], 1), ())

    model = predictor(table=table)
    model.network = Eight(3, 8)
    size = (192, 24, 24)
    whole = 8 * 4 * int(np.prod(size))
    array = np.ones(size, np.uint8)
    for call in (model.predict_classes, model.predict_probabilities):
        tracemalloc.start()
        call(array)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert (peak < 0.4 * whole) == (call == model.predict_classes)
