"""Files that lie or are damaged, prepared: one line that names the file, and nothing is written."""

import gzip
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from ushape.config.schema import PreprocessConfig
from ushape.data.io import Grid, write_label_volume, write_volume
from ushape.data.layouts import CaseFiles
from ushape.data.preprocess import prepare_cases, read_sample
from ushape.errors import DataError
from ushape.labels import LabelClass, LabelTable

SIZE = (5, 6, 7)
GRID = Grid.of(SIZE, (2, 1, 1))
TABLE = LabelTable((LabelClass("bg", 0), LabelClass("a", 1)))
CONFIG = PreprocessConfig(1, spacing_mm=(1, 1, 1))
RNG = np.random.default_rng(0)
VALUES = RNG.normal(size=SIZE).astype(np.float32)
LABEL = RNG.integers(0, 2, SIZE).astype(np.uint8)
DIM, PIXDIM = 40, 76
"""Where a NIfTI header has its sizes and spacings."""


@pytest.fixture
def case(tmp_path):
    files = CaseFiles("a", tmp_path / "image.nii", tmp_path / "label.nii")
    write_volume(files.image, VALUES[np.newaxis], GRID)
    write_label_volume(files.label, LABEL, GRID)
    return files


def overwrite(path, place, numbers, kind):
    content = bytearray(path.read_bytes())
    stored = np.array(numbers, kind).tobytes()
    content[place : place + len(stored)] = stored
    path.write_bytes(bytes(content))


def with_nan(case):
    values = VALUES.copy()
    values[1, 2, 3] = np.nan
    write_volume(case.image, values[np.newaxis], GRID)
    return case.image, "1 of 210 values are nan"


def with_zero_spacing(case):
    overwrite(case.image, PIXDIM, [1, 0, 1, 2], "<f4")
    return case.image, "pacing"


def with_four_axes(case):
    image = sitk.GetImageFromArray(np.stack([VALUES] * 2), isVector=False)
    sitk.WriteImage(image, str(case.image))
    return case.image, "2 images one after another"


def with_a_trillion_voxels(case):
    overwrite(case.image, DIM, [3, 10000, 10000, 10000], "<i2")
    return case.image, "claims 10000 x 10000 x 10000 voxels"


def with_a_truncated_label(case):
    packed = gzip.compress(case.label.read_bytes())
    path = case.label.with_name("label.nii.gz")
    path.write_bytes(packed[:-20])
    return path, "truncated or damaged"


def with_fractions(case):
    image = sitk.GetImageFromArray(np.where(LABEL, 0.9, 0).astype(np.float32))
    image.SetSpacing((1, 1, 2))
    sitk.WriteImage(image, str(case.label))
    return case.label, "no whole number"


def with_strange_values(case):
    write_label_volume(case.label, LABEL * 3, GRID)
    return case.label, "label value 3 is in no class"


def with_numbers_too_large(case):
    write_volume(case.image, VALUES[np.newaxis].astype(np.float64) * 1e300, GRID)
    return case.image, "more than float32 does"


def with_too_many_channels(case):
    write_volume(case.image, np.stack([VALUES] * 2), GRID)
    return case.image, "2 channel.*takes 1"


@pytest.mark.parametrize(
    "spoil",
    [
        with_nan,
        with_zero_spacing,
        with_four_axes,
        with_a_trillion_voxels,
        with_a_truncated_label,
        with_fractions,
        with_strange_values,
        with_too_many_channels,
        with_numbers_too_large,
    ],
)
def test_one_line_names_the_file(case, spoil, tmp_path):
    path, message = spoil(case)
    files = replace(case, label=path) if "label" in path.name else case
    for read in (
        lambda: read_sample(files, TABLE, CONFIG),
        lambda: prepare_cases([files], TABLE, CONFIG, tmp_path / "cache"),
    ):
        with pytest.raises(DataError, match=rf"{path.name}\b.*{message}") as caught:
            read()
        assert str(caught.value).count(str(path)) == 1
        assert "\n" not in str(caught.value)
    assert not list(tmp_path.glob("cache/*target*"))


def test_a_label_stored_as_almost_whole_floats_is_rounded(case):
    image = sitk.GetImageFromArray(np.where(LABEL, 0.9999, 0).astype(np.float32))
    image.SetSpacing((1, 1, 2))
    sitk.WriteImage(image, str(case.label))
    whole = replace(CONFIG, spacing_mm=None)
    # SimpleITK writes the origin in the corner of the other two axes.
    image = sitk.GetImageFromArray(VALUES)
    image.SetSpacing((1, 1, 2))
    sitk.WriteImage(image, str(case.image))
    sample = read_sample(case, TABLE, whole)
    np.testing.assert_array_equal(np.sort(sample.target, axis=None), np.sort(LABEL, axis=None))


def test_an_oblique_scan_is_taken_along_its_own_axes(case):
    cosine, sine = np.cos(0.3), np.sin(0.3)
    direction = np.array([[1, 0, 0], [0, cosine, -sine], [0, sine, cosine]])
    oblique = Grid.of(SIZE, (2, 1, 1), (4, 5, 6), direction)
    write_volume(case.image, VALUES[np.newaxis], oblique)
    write_label_volume(case.label, LABEL, oblique)
    sample = read_sample(case, TABLE, replace(CONFIG, spacing_mm=None, normalise="none"))
    np.testing.assert_array_equal(sample.image[0], VALUES)
    np.testing.assert_array_equal(sample.target, LABEL)


def test_a_series_with_a_missing_slice(case, tmp_path):
    folder = tmp_path / "series"
    folder.mkdir()
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    for number in (0, 1, 3, 4, 5):
        image = sitk.GetImageFromArray(np.full((1, 6, 7), number, np.int16))
        for key, value in {
            "0008|0060": "CT",
            "0020|000d": "1.2.3",
            "0020|000e": "1.2.3.4",
            "0008|0018": f"1.2.3.4.{number + 1}",
            "0020|0013": str(number),
            "0020|0032": f"0\\0\\{2.0 * number}",
            "0020|0037": "1\\0\\0\\0\\1\\0",
        }.items():
            image.SetMetaData(key, value)
        writer.SetFileName(str(folder / f"{number}.dcm"))
        writer.Execute(image)
    with pytest.raises(DataError, match=r"series.*missing"):
        read_sample(replace(case, image=folder), TABLE, CONFIG)
