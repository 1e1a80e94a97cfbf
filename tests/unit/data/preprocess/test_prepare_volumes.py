"""Volumes from their files to prepared arrays: turned, cropped, resampled, labels with them."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from PIL import Image

from ushape.config.schema import PreprocessConfig, SamplingConfig, WeightMapConfig
from ushape.data.case_image import read_case_image
from ushape.data.instances import find_borders
from ushape.data.io import Grid, Volume, write_label_volume, write_volume
from ushape.data.layouts import CaseFiles, ClassMask, find_cases
from ushape.data.preprocess import (
    normalise,
    normalise_image,
    place_image,
    prepare_cases,
    prepare_image,
    read_case_target,
    read_sample,
)
from ushape.data.restore import Restorer
from ushape.data.targets import VOID, class_masks
from ushape.errors import DataError
from ushape.labels import LabelClass, LabelTable
from ushape.losses import weight_map

RNG = np.random.default_rng(5)
SIZE = (8, 12, 10)
TURNED = Grid.of(SIZE, (0.8, 2.5, 0.8), (5, -7, 30), [[0, -1, 0], [0, 0, 1], [-1, 0, 0]])
MOVED = replace(TURNED, origin_mm=(7.5, -7.0, 30.0))
VALUES = RNG.integers(-1000, 2000, (1, *SIZE)).astype(np.int16)
LABEL = RNG.integers(0, 3, SIZE).astype(np.uint8)
TABLE = LabelTable(tuple(LabelClass(name, i) for i, name in enumerate(("bg", "a", "b"))))
PLAIN = PreprocessConfig(1, "none")


@pytest.fixture
def case(tmp_path):
    files = CaseFiles("a", tmp_path / "image.nii.gz", tmp_path / "label.nii.gz")
    write_volume(files.image, VALUES, TURNED)
    write_label_volume(files.label, LABEL, TURNED)
    return files


def canonical(values):
    """Turn by hand what TURNED says: its x falls along z, y falls along ... ."""
    return np.flip(np.moveaxis(values, (-2, -1, -3), (-3, -2, -1)), (-3, -1))


class TestGeometry:
    def test_image_label_and_spacing_are_turned_together(self, case):
        sample = read_sample(case, TABLE, PLAIN)
        assert sample.size == (12, 10, 8)
        assert sample.spacing_mm == pytest.approx((2.5, 0.8, 0.8))
        np.testing.assert_array_equal(sample.image, canonical(VALUES))
        np.testing.assert_array_equal(sample.target, canonical(LABEL))

    def test_what_comes_back_lies_on_the_file(self, case, tmp_path):
        """Seen by SimpleITK, also after a crop and another spacing."""
        config = replace(PLAIN, spacing_mm=(2.0, 0.8, 0.9), crop="nonzero")
        _, placement = prepare_image(read_case_image(case), config)
        restorer = Restorer(placement, TABLE)
        restorer.put(0, np.full((3, *placement.size), 1 / 3, np.float32))
        path = tmp_path / "prediction.nii.gz"
        write_label_volume(path, restorer.classes(), placement.grid)
        seen, scan = sitk.ReadImage(str(path)), sitk.ReadImage(str(case.image))
        assert seen.GetSize() == scan.GetSize()
        np.testing.assert_allclose(seen.GetOrigin(), scan.GetOrigin(), atol=1e-5)
        np.testing.assert_allclose(seen.GetSpacing(), scan.GetSpacing(), atol=1e-6)
        np.testing.assert_allclose(seen.GetDirection(), scan.GetDirection(), atol=1e-6)

    def test_spacing_counts_from_outer_face_to_outer_face(self, case):
        config = replace(PLAIN, spacing_mm=(2.5, 1.1, 0.5))
        sample = read_sample(case, TABLE, config)
        assert sample.size == (12, 7, 13)
        assert sample.spacing_mm == pytest.approx((2.5, 8 / 7, 6.4 / 13))
        assert sample.target.shape == sample.size
        assert set(np.unique(sample.target)) <= {0, 1, 2}

    @pytest.mark.parametrize("suffix", [".nii", ".nrrd", ".mha", ".npz"])
    def test_nothing_hangs_on_the_rounding_of_a_format(self, tmp_path, suffix):
        """The edges are in a ratio of three, and every axis ends in half a voxel of the new."""
        grid = Grid.of((5, 7, 9), (2.1, 0.7, 0.7), (0.1, 0.2, 0.3))
        values = np.arange(315.0, dtype=np.float32).reshape(1, 5, 7, 9) ** 2
        config = replace(PLAIN, spacing_mm=(4.2, 1.4, 1.4))
        expected, _ = prepare_image(Volume(values, grid, "a"), config)
        assert expected.shape == (1, 3, 4, 5)
        path = tmp_path / f"a{suffix}"
        write_volume(path, values, grid)
        sample = read_sample(CaseFiles("a", path, None), TABLE, config)
        np.testing.assert_array_equal(sample.image, expected)

    def test_one_voxel_is_left_of_a_thin_axis(self, case):
        sample = read_sample(case, TABLE, replace(PLAIN, spacing_mm=(100, 1, 1)))
        assert sample.size[0] == 1

    def test_what_is_zero_all_around_is_cut_off(self):
        values = np.zeros((2, *SIZE), np.int16)
        values[0, 3, 4:7, 2], values[1, 5, 6, 3] = -4, 9
        volume = Volume(values, TURNED, "a")
        _, placement = prepare_image(volume, PreprocessConfig(2, "none", crop="nonzero"))
        np.testing.assert_array_equal(placement.box(values), canonical(values[:, 3:6, 4:7, 2:4]))
        empty = Volume(np.zeros((1, *SIZE)), TURNED, "a")
        placement = place_image(empty, replace(PLAIN, crop="nonzero"))
        assert not placement.is_cropped

    def test_statistics_are_of_the_box(self):
        values = np.zeros((1, *SIZE), np.float32)
        values[0, 2:6, 3:8, 1:9] = RNG.normal(50, 7, (4, 5, 8))
        config = PreprocessConfig(1, crop="nonzero")
        image, _ = prepare_image(Volume(values, Grid.of(SIZE, (1, 1, 1)), "a"), config)
        np.testing.assert_allclose((image.mean(), image.std()), (0, 1), atol=1e-5)

    def test_a_spacing_that_cannot_be(self, case, tmp_path):
        config = replace(PLAIN, spacing_mm=(1e-4, 1e-4, 1e-4))
        with pytest.raises(DataError, match=r"image\.nii\.gz: resampled .*bytes of memory: check"):
            read_sample(case, TABLE, config)
        np.save(tmp_path / "bare.npy", VALUES[0])
        bare = CaseFiles("b", tmp_path / "bare.npy", None)
        wanted = replace(PLAIN, spacing_mm=(1, 1, 1))
        with pytest.raises(DataError, match=r"bare\.npy: it does not say its spacing"):
            read_sample(bare, TABLE, wanted)
        told = read_sample(replace(bare, spacing_mm=(2.0, 1.0, 0.5)), TABLE, wanted)
        assert told.size == (16, 12, 5)
        with pytest.raises(DataError, match=r"bare\.npy: it has 3 axes .* but 2 edges"):
            read_sample(replace(bare, spacing_mm=(1.0, 1.0)), TABLE, PLAIN)
        with pytest.raises(DataError, match=r"bare\.npy: it has 3 axes .*images of 2"):
            read_sample(bare, TABLE, replace(PLAIN, spacing_mm=(1, 1)))


class TestIntensities:
    def test_ct_is_the_same_for_every_image(self):
        rows = ((-100.0, 300.0, 50.0, 20.0), (0.0, 10.0, -1.0, 4.0))
        config = PreprocessConfig(2, "ct", intensity=rows)
        values = RNG.integers(-500, 500, (2, *SIZE)).astype(np.int16)
        out = normalise_image(values, config)
        for channel, given, (low, high, mean, deviation) in zip(out, values, rows, strict=True):
            expected = (np.clip(given, low, high) - mean) / deviation
            np.testing.assert_allclose(channel, expected, atol=1e-5)

    def test_a_wild_voxel_is_clipped_before_it_is_spread(self):
        values = RNG.normal(50, 10, (1, 16, 16, 16)).astype(np.float32)
        wild = values.copy()
        wild[0, 8, 8, 8] = 1.7e6
        config = PreprocessConfig(1, clip=(0.5, 99.5), spacing_mm=(0.7, 0.7, 0.7))
        tame, spiked = (
            prepare_image(Volume(v, Grid.of(v.shape[1:], (1, 1, 1)), "a"), config)[0]
            for v in (values, wild)
        )
        assert np.abs(spiked).max() < 4
        np.testing.assert_allclose(
            np.quantile(spiked, [0.1, 0.9]), np.quantile(tame, [0.1, 0.9]), atol=0.01
        )

    def test_moments_of_slabs_are_those_of_the_whole(self, monkeypatch):
        values = RNG.normal(3e4, 5, (1, 20, 9, 9)).astype(np.float32)
        values[0, :3] = 0
        for config in (PreprocessConfig(1), PreprocessConfig(1, nonzero=True, clip=(1, 98))):
            whole = normalise_image(values, config)
            monkeypatch.setattr(normalise, "SLAB", 2 * 81)
            np.testing.assert_allclose(normalise_image(values, config), whole, rtol=1e-5, atol=1e-6)

    @pytest.mark.parametrize("config", [PreprocessConfig(1), PreprocessConfig(1, clip=(1, 99))])
    def test_no_second_copy_is_held(self, config, monkeypatch):
        """A double precision copy of a channel alone would be twice its size."""
        monkeypatch.setattr(normalise, "SLAB", 1 << 14)
        values = RNG.normal(0, 1, (1, 96, 96, 96)).astype(np.float32)
        grid = Grid.of(values.shape[1:], (1, 1, 1), (0, 0, 0), np.eye(3)[::-1])
        for spacing in (None, (1.1, 1.1, 1.1)):
            tracemalloc.start()
            prepare_image(Volume(values, grid, "a"), replace(config, spacing_mm=spacing))
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            assert peak < 1.35 * values.nbytes


class TestLabels:
    def test_another_grid_is_refused_with_the_numbers_or_resampled(self, case, tmp_path):
        write_label_volume(case.label, LABEL, MOVED)
        numbers = r"label\.nii\.gz does not lie .*origin 7\.5 x -7 x 30 against 5 x -7 x 30 mm"
        with pytest.raises(DataError, match=rf"{numbers}.*up to 1 voxel edges.*--align"):
            read_sample(case, TABLE, PLAIN)
        expected = np.zeros_like(LABEL)
        expected[:, :-1] = LABEL[:, 1:]  # whose second axis falls from the world's z
        sample = read_sample(case, TABLE, PLAIN, align=True)
        np.testing.assert_array_equal(sample.target, canonical(expected))

    def test_what_an_aligned_label_does_not_cover_is_void_where_there_is_void(self, case):
        small = Grid.of((4, 12, 10), TURNED.spacing_mm, TURNED.origin_mm, TURNED.direction)
        write_label_volume(case.label, LABEL[:4], small)
        table = replace(TABLE, ignore=9)
        target = read_sample(case, table, PLAIN, align=True).target
        assert np.count_nonzero(target == VOID) == 4 * 120

    def test_another_size_is_told(self, case, tmp_path):
        np.save(tmp_path / "label.npy", LABEL[:4])
        other = replace(case, label=tmp_path / "label.npy")
        with pytest.raises(
            DataError, match=r"label\.npy: the label has 4 x 12 x 10 .* 8 x 12 x 10"
        ):
            read_sample(other, TABLE, PLAIN)

    def test_labels_without_geometry_lie_as_their_image(self, case, tmp_path):
        np.save(tmp_path / "label.npy", LABEL)
        sample = read_sample(replace(case, label=tmp_path / "label.npy"), TABLE, PLAIN)
        np.testing.assert_array_equal(sample.target, canonical(LABEL))

    @pytest.mark.parametrize("form", ["folders", "channels"])
    def test_masks_by_class(self, case, tmp_path, form):
        masks = RNG.random((2, *SIZE)) < 0.5
        table = LabelTable(TABLE.classes, kind="multilabel", form=form)
        if form == "channels":
            write_volume(case.label, masks, TURNED)
            files = case
        else:
            paths = [ClassMask(name, tmp_path / f"{name}.nii.gz") for name in "ab"]
            for mask, (_, path) in zip(masks, paths, strict=True):
                write_label_volume(path, mask.astype(np.uint8) * 7, TURNED)
            files = replace(case, label=None, masks=tuple(paths))
        sample = read_sample(files, table, PLAIN)
        np.testing.assert_array_equal(class_masks(sample.target, table), canonical(masks))
        halved = read_sample(files, table, replace(PLAIN, spacing_mm=(2.5, 0.4, 0.4)))
        doubled = class_masks(halved.target, table)[:, :, ::2, 1::2]
        assert np.mean(doubled == canonical(masks)) > 0.8
        in_file = read_case_target(files, table, TURNED)
        np.testing.assert_array_equal(class_masks(in_file, table), masks)
        where = files.label or files.masks[0].path
        if form == "channels":
            write_volume(where, masks, MOVED)
        else:
            write_label_volume(where, masks[0].astype(np.uint8), MOVED)
        with pytest.raises(DataError, match=f"{where.name} does not lie on the grid"):
            read_sample(files, table, PLAIN)
        assert read_sample(files, table, PLAIN, align=True).target.any()

    def test_borders_between_objects_are_found_on_the_new_voxels(self, case):
        numbers = np.zeros(SIZE, np.uint16)
        numbers[:, 2:6, 2:8], numbers[:, 6:10, 2:8] = 300, 700
        write_label_volume(case.label, numbers, TURNED)
        entries = (LabelClass(name, i) for i, name in enumerate(("bg", "object", "border")))
        table = LabelTable(tuple(entries), form="instances")
        config = replace(PLAIN, spacing_mm=(1.25, 0.8, 0.8))
        target = read_sample(case, table, config).target
        assert target.shape == (24, 10, 8)
        fine = np.repeat(canonical(numbers), 2, axis=0)
        np.testing.assert_array_equal(target, np.where(find_borders(fine), 2, fine > 0))
        settings = WeightMapConfig(use=True)
        (prepared,) = prepare_cases(
            [case], table, config, case.image.parent / "cache", weights=settings
        )
        expected = weight_map(fine, spacing=(1.25 / 0.8, 1.0, 1.0))
        np.testing.assert_allclose(prepared.open().weight, expected, rtol=1e-5)


class TestWeights:
    """The unit of `sigma` is the finest edge of a voxel."""

    settings = WeightMapConfig(use=True, w0=8.0, sigma=3.0)

    @pytest.fixture
    def cells(self):
        cells = np.zeros((9, 12, 12), np.uint8)
        cells[1:3, 2:6, 2:6], cells[5:8, 2:6, 2:6], cells[1:3, 2:6, 9:11] = 1, 1, 1
        return cells

    def weights(self, root, cells, spacing_mm):
        grid = Grid.of(cells.shape, spacing_mm)
        files = CaseFiles("a", root / "image.nii.gz", root / "label.nii.gz")
        write_volume(files.image, cells[None].astype(np.int16), grid)
        write_label_volume(files.label, cells, grid)
        (prepared,) = prepare_cases([files], TABLE, PLAIN, root / "cache", weights=self.settings)
        return prepared.open().weight

    @pytest.mark.parametrize("edges", [(3.0, 1.0, 1.0), (1.0, 2.5, 1.0)])
    def test_thick_slices_count_as_they_are_whatever_the_unit(self, tmp_path, cells, edges):
        expected = weight_map(cells, w0=8.0, sigma=3.0, spacing=edges)
        for unit in (1.0, 0.7):  # mm
            root = tmp_path / str(unit)
            found = self.weights(root, cells, [edge * unit for edge in edges])
            np.testing.assert_allclose(found, expected, rtol=1e-4)
        assert not np.allclose(expected, weight_map(cells, w0=8.0, sigma=3.0), rtol=1e-2)

    def test_cubic_voxels_of_any_size_count_as_pixels(self, tmp_path, cells):
        expected = weight_map(cells, w0=8.0, sigma=3.0)
        found = self.weights(tmp_path, cells, (0.3, 0.3, 0.3))
        np.testing.assert_array_equal(found, expected)
        assert list((tmp_path / "cache").glob("*-weight-8-3.npy")), "made before, used again"


class TestSeveralFiles:
    def test_channels(self, case, tmp_path):
        other = tmp_path / "second.nii.gz"
        write_volume(other, VALUES + 1, TURNED)
        files = replace(case, channels=(case.image, other))
        sample = read_sample(files, TABLE, replace(PLAIN, channels=2))
        np.testing.assert_array_equal(sample.image[1], canonical(VALUES[0] + 1))
        write_volume(other, VALUES, replace(TURNED, origin_mm=(0.0, 0.0, 0.0)))
        with pytest.raises(DataError, match=r"second\.nii\.gz does not lie on the grid"):
            read_sample(files, TABLE, replace(PLAIN, channels=2))

    def test_a_stack_goes_there_and_back(self, tmp_path):
        label, planes = LABEL, []
        for number, plane in enumerate(label):
            stem = tmp_path / f"{number:02d}"
            Image.fromarray(plane * 50).save(f"{stem}-i.png")
            Image.fromarray(plane).save(f"{stem}-l.png")
            paths = [stem.with_name(f"{stem.name}-{kind}.png") for kind in "il"]
            planes.append(CaseFiles(stem.name, *paths))
        files = replace(planes[0], id="00-07", planes=tuple(planes), spacing_mm=(50.0, 4.0, 4.0))
        config = replace(PLAIN, spacing_mm=(50.0, 5.0, 4.0))
        sample = read_sample(files, TABLE, PLAIN)
        np.testing.assert_array_equal(sample.target, label)
        np.testing.assert_array_equal(sample.image[0], label * 50)
        assert sample.spacing_mm == (50.0, 4.0, 4.0)
        assert read_sample(files, TABLE, config).size == (8, 10, 10)
        (prepared,) = prepare_cases([files], TABLE, PLAIN, tmp_path / "cache")
        assert prepared.open().spacing_mm == (50.0, 4.0, 4.0)
        restorer = Restorer(prepared.placement, TABLE)
        restorer.put(0, np.stack([label == value for value in range(3)]).astype(np.float32))
        np.testing.assert_array_equal(restorer.classes(), label)
        Image.fromarray(label[0, :5]).save(planes[3].label)
        with pytest.raises(DataError, match=r"03-l\.png: the label has 5 x 10"):
            read_sample(files, TABLE, PLAIN)

    def test_weights_of_slices_that_number_their_objects_each_for_itself(self, tmp_path):
        """Object 1 of the first slice is not object 1 of the second, which lies elsewhere."""
        numbers, planes = np.zeros((3, 16, 16), np.uint8), []
        numbers[0, 2:6, 2:14], numbers[0, 8:12, 2:14] = 1, 2
        numbers[1, 8:12, 2:14], numbers[1, 2:6, 2:14] = 1, 2
        numbers[2, 4:9, 3:8] = 1
        for number, plane in enumerate(numbers):
            paths = [tmp_path / f"{kind}{number}.png" for kind in "il"]
            for path in paths:
                Image.fromarray(plane).save(path)
            planes.append(CaseFiles(str(number), *paths))
        files = replace(planes[0], id="0-2", planes=tuple(planes), spacing_mm=(3.0, 1.0, 1.0))
        names = (LabelClass(name, i) for i, name in enumerate(("bg", "object", "border")))
        table = LabelTable(tuple(names), form="instances")
        settings = WeightMapConfig(use=True)
        cache = tmp_path / "cache"
        (prepared,) = prepare_cases([files], table, PLAIN, cache, weights=settings)
        expected = [weight_map(plane) for plane in numbers]
        np.testing.assert_allclose(prepared.open().weight, expected, rtol=1e-5)

    def test_masks_of_slices(self, tmp_path):
        masks, planes = RNG.random((2, *SIZE)) < 0.5, []
        for number in range(SIZE[0]):
            image = tmp_path / f"{number}.png"
            Image.fromarray(LABEL[number]).save(image)
            found = [ClassMask(name, tmp_path / f"{name}{number}.png") for name in "ab"]
            for mask, (_, path) in zip(masks[:, number], found, strict=True):
                Image.fromarray(mask.astype(np.uint8) * 255).save(path)
            planes.append(CaseFiles(str(number), image, None, tuple(found)))
        files = replace(planes[0], planes=tuple(planes), spacing_mm=(3.0, 1.0, 1.0))
        table = LabelTable(TABLE.classes, kind="multilabel", form="folders")
        target = read_sample(files, table, PLAIN).target
        np.testing.assert_array_equal(class_masks(target, table), masks)

    def test_images_in_time_are_channels_where_the_layout_says_so(self, tmp_path, case):
        import SimpleITK as sitk  # noqa: N813

        four = np.concatenate([VALUES, VALUES + 5])
        path = tmp_path / "images" / "four.nii.gz"
        for folder in ("images", "labels"):
            (tmp_path / folder).mkdir()
        sitk.WriteImage(sitk.GetImageFromArray(four, isVector=False), str(path))
        write_label_volume(tmp_path / "labels" / "four.nii.gz", LABEL, Grid.of(SIZE))
        told = r"four\.nii\.gz.*2 images one after another.* name the channels in dataset\.json"
        with pytest.raises(DataError, match=told):
            read_case_image(find_cases(tmp_path).cases[0])
        (tmp_path / "dataset.json").write_text('{"channel_names": {"0": "T1", "1": "T2"}}')
        np.testing.assert_array_equal(read_case_image(find_cases(tmp_path).cases[0]).values, four)


def test_prepared_volumes_are_mapped_with_places_and_placement(case, tmp_path):
    config = PreprocessConfig(1, spacing_mm=(2.5, 1.0, 1.0), crop="nonzero")
    (prepared,) = prepare_cases(
        [case], TABLE, config, tmp_path / "cache", sampling=SamplingConfig(0.5)
    )
    sample, expected = prepared.open(), read_sample(case, TABLE, config)
    np.testing.assert_array_equal(sample.image, expected.image)
    np.testing.assert_array_equal(sample.target, expected.target)
    assert sample.spacing_mm == expected.spacing_mm == prepared.placement.spacing_mm
    assert isinstance(sample.image.base, np.memmap)
    for index, places in enumerate(sample.places, start=1):
        np.testing.assert_array_equal(places, np.argwhere(expected.target == index))
    assert prepared.placement.grid.is_same(TURNED, 1e-3)
