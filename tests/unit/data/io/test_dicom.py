"""DICOM series written with SimpleITK: whole, with a slice missing, mixed, tilted, damaged."""

import locale
import shutil

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from ushape.data.io import read_header, read_volume
from ushape.errors import DataError

VALUES = np.random.default_rng(5).integers(-1000, 1000, (6, 7, 8)).astype(np.int16)


def refuse(folder, pattern):
    with pytest.raises(DataError, match=pattern) as caught:
        read_header(folder)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "; " in str(caught.value)


def test_a_series_lies_where_simpleitk_has_it(write_series):
    folder = write_series(VALUES)
    volume = read_volume(folder)
    names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder))
    image = sitk.ReadImage(names)
    np.testing.assert_array_equal(volume.values[0], sitk.GetArrayFromImage(image))
    np.testing.assert_array_equal(volume.values[0], VALUES)
    assert volume.values.dtype == np.int16
    assert volume.grid.spacing_mm == pytest.approx(image.GetSpacing()[::-1])
    assert volume.grid.origin_mm == pytest.approx(image.GetOrigin()[::-1])
    direction = np.asarray(volume.grid.direction)[::-1, ::-1].ravel()
    np.testing.assert_allclose(direction, image.GetDirection())
    assert read_header(folder).grid == volume.grid


def test_an_oblique_series(write_series, turned):
    matrix = np.reshape(turned, (3, 3))  # columns are the directions of x, y, z
    cosines = "\\".join(f"{value:.10f}" for value in matrix[:, :2].T.ravel())
    folder = write_series(
        VALUES, cosines=cosines, place=lambda n: matrix @ (0, 0, 2.5 * n) + (1, 2, 3)
    )
    volume = read_volume(folder)
    image = sitk.ReadImage(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder)))
    np.testing.assert_array_equal(volume.values[0], sitk.GetArrayFromImage(image))
    direction = np.asarray(volume.grid.direction)[::-1, ::-1].ravel()
    np.testing.assert_allclose(direction, image.GetDirection(), atol=1e-5)
    np.testing.assert_allclose(volume.grid.spacing_mm, (2.5, 0.75, 0.5), atol=1e-5)


def test_text_is_written_as_before_after_reading(write_series):
    folder = write_series(VALUES)
    locale.setlocale(locale.LC_ALL, "C.UTF-8")  # writing the series has changed it
    read_volume(folder)
    assert locale.nl_langinfo(locale.CODESET) == "UTF-8"


def test_order_comes_from_the_place_and_not_from_the_name(write_series):
    folder = write_series(VALUES, place=lambda n: (1.0, 2.0, 3.0 - 2.5 * n))
    volume = read_volume(folder)
    np.testing.assert_array_equal(volume.values[0], VALUES[::-1])
    assert volume.grid.origin_mm[0] == pytest.approx(3 - 2.5 * 5)


def test_a_missing_slice_is_named(write_series):
    folder = write_series(VALUES)
    (folder / "s03.dcm").unlink()
    refuse(folder, r"1 slice missing between s02\.dcm and s04\.dcm \(5 mm apart, others 2\.5 mm\)")


def test_two_missing_slices(write_series):
    folder = write_series(np.concatenate([VALUES, VALUES]))
    (folder / "s03.dcm").unlink()
    (folder / "s04.dcm").unlink()
    refuse(folder, r"2 slices missing between s02\.dcm and s05\.dcm")


def test_uneven_distances(write_series):
    folder = write_series(VALUES, place=lambda n: (1, 2, 2.5 * n + (0.4 if n == 5 else 0)))
    refuse(folder, r"different slice distances: s04\.dcm and s05\.dcm \(2\.9 mm apart")


def test_positions_rounded_in_the_file_are_even(write_series):
    folder = write_series(VALUES, place=lambda n: (1, 2, round(1.6667 * n, 2)))
    assert read_volume(folder).grid.spacing_mm[0] == pytest.approx(1.67, abs=0.01)


def test_doubles(write_series):
    folder = write_series(VALUES)
    shutil.copy(folder / "s02.dcm", folder / "copy.dcm")
    refuse(folder, r"copy\.dcm and s02\.dcm lie at the same place.*doubles")


def test_mixed_series(write_series):
    write_series(VALUES)
    folder = write_series(VALUES[:2], series="9.9", prefix="t")
    refuse(folder, r"2 series \(1\.2\.3\.4: 6 files such as s00\.dcm, 9\.9: 2 files such as t00")
    assert read_volume(sorted(folder.glob("s*.dcm"))[0]).values.shape == (1, 7, 8)


@pytest.mark.parametrize(
    ("values", "options", "what"),
    [
        (VALUES[:2, :5], {}, "size"),
        (VALUES[:2], {"spacing": (2.5, 0.75, 0.6)}, "pixel spacing"),
        (VALUES[:2], {"cosines": "1\\0\\0\\0\\0\\-1"}, "direction"),
    ],
)
def test_slices_that_differ(write_series, values, options, what):
    write_series(VALUES)
    folder = write_series(values, prefix="t", **options)
    refuse(folder, rf"t00\.dcm has {what} .*, s00\.dcm has")


def test_a_tilted_gantry(write_series):
    folder = write_series(VALUES, place=lambda n: (1, 2 + 0.5 * n, 2.5 * n))
    refuse(folder, r"shifted sideways by 0\.5 mm \(a tilted gantry\); resample")


def test_a_single_slice_is_a_picture(write_series):
    folder = write_series(VALUES[:1])
    for source in (folder, folder / "s00.dcm"):
        volume = read_volume(source)
        np.testing.assert_array_equal(volume.values, VALUES[:1])
        assert volume.grid.spacing_mm == (0.75, 0.5)


def test_files_without_ending_and_other_files(write_series):
    folder = write_series(VALUES)
    for path in list(folder.iterdir()):
        path.rename(path.with_suffix(""))
    (folder / "README.txt").write_text("hello")
    (folder / "DICOMDIR").write_bytes(bytes(128) + b"DICM")
    np.testing.assert_array_equal(read_volume(folder).values[0], VALUES)
    assert read_header(folder / "s00").format == "DICOM"


def test_a_folder_without_dicom(tmp_path):
    (tmp_path / "a.txt").write_text("hello")
    refuse(tmp_path, "the folder holds no DICOM files")


def test_a_damaged_slice_is_named(write_series):
    folder = write_series(VALUES)
    path = folder / "s02.dcm"
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DataError, match=r"s02\.dcm"):
        read_volume(folder)


def test_a_list_of_files_is_channels_but_not_for_dicom(write_series):
    folder = write_series(VALUES)
    files = sorted(folder.iterdir())
    assert read_volume(files[:3]).values.shape == (3, 7, 8)


def test_slices_with_scales_of_their_own_are_not_cut_to_whole_numbers(write_series):
    folder = write_series(VALUES)
    for path in list(folder.iterdir())[:3]:  # SimpleITK does not write a slope that is no integer
        slope = b"\x28\x00\x53\x10\x02\x00\x00\x00"
        content = path.read_bytes()
        assert slope + b"1 " in content
        path.write_bytes(content.replace(slope + b"1 ", slope + b".5"))
    planes = [
        sitk.GetArrayFromImage(sitk.ReadImage(str(path)))[0] for path in sorted(folder.iterdir())
    ]
    volume = read_volume(folder)
    assert {plane.dtype.kind for plane in planes} == {"i", "f"}
    assert volume.values.dtype == np.float32
    np.testing.assert_array_equal(volume.values[0], planes)
