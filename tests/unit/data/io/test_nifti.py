"""NIfTI files made by hand, against what SimpleITK reads from them."""

import warnings

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from ushape.data.io import read_header, read_label_volume, read_volume
from ushape.errors import DataError

QFORM = {"qcode": 1, "quatern": (0.1, -0.2, 0.3)}


@pytest.fixture(autouse=True)
def quiet():
    sitk.ProcessObject_SetGlobalWarningDisplay(False)
    yield
    sitk.ProcessObject_SetGlobalWarningDisplay(True)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("name", ["u1", "i1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"])
def test_every_type_and_byte_order(tmp_path, write_nifti, same_as_itk, scan, suffix, order, name):
    values = (scan.astype(float) - (100 if name[0] != "u" else 0)).astype(name)
    path = write_nifti(tmp_path / f"a{suffix}", values, order=order)
    volume = read_volume(path)
    np.testing.assert_array_equal(volume.values[0], values)
    assert volume.values.dtype == np.dtype(name)
    assert read_header(path).dtype == np.dtype(name)
    same_as_itk(volume, path)


@pytest.mark.parametrize(
    "header",
    [
        {},
        {"scode": 0, **QFORM},
        {"scode": 0, "qcode": 1, "quatern": (0, 0, 1), "pixdim": (-1, 1, 2, 3, 1, 1, 1, 1)},
        {"scode": 1, **QFORM},  # sform of scanner space wins over another qform
        {"scode": 2, **QFORM},  # an aligned one does not
        {"scode": 1, **QFORM, "sform": (1, 0.5, 0, 5, 0, 2, 0, 6, 0, 0, 3, 7)},  # sheared
        {"scode": 1, "sform": (0, 0, -3, 5, -1, 0, 0, 6, 0, 2, 0, 7)},
        {"scode": 0, "qcode": 0},
        {"scode": 1, "sform": (2, 0, 0, 5, 0, 2, 0, 6, 0, 0, 3, 7)},  # contradicts pixdim
        {"units": 3, "pixdim": (1, 1000, 2000, 3000, 1, 1, 1, 1)},
    ],
)
def test_the_place_is_the_one_of_simpleitk(tmp_path, write_nifti, same_as_itk, scan, header):
    path = write_nifti(tmp_path / "a.nii", scan, **header)
    same_as_itk(read_volume(path), path, exact=False)


@pytest.mark.parametrize(
    ("header", "remark"),
    [
        ({"scode": 2, **QFORM}, "sform and qform differ.*the qform is used"),
        ({"scode": 1, **QFORM}, "sform and qform differ.*the sform is used"),
        ({"scode": 0}, "neither qform nor sform"),
        ({"sform": (2, 0, 0, 5, 0, 2, 0, 6, 0, 0, 3, 7)}, r"spacing 2 x 2 x 3.*pixdim 1 x 2 x 3"),
        ({"units": 3}, "micrometre"),
    ],
)
def test_what_is_odd_is_remarked(tmp_path, write_nifti, scan, header, remark):
    import re

    path = write_nifti(tmp_path / "a.nii", scan, **header)
    remarks = read_header(path).remarks
    assert any(re.search(remark, each) for each in remarks), remarks


def test_a_usual_file_gives_no_remark(tmp_path, write_nifti, scan):
    matrix = {"sform": (1, 0, 0, 5, 0, 2, 0, 6, 0, 0, 3, 7), "quatern": (0, 0, 0), "qcode": 1}
    assert read_header(write_nifti(tmp_path / "a.nii", scan, **matrix)).remarks == ()


@pytest.mark.parametrize("name", ["u1", "i2", "f4", "f8"])
def test_slope_and_intercept(tmp_path, write_nifti, same_as_itk, scan, name):
    path = write_nifti(tmp_path / "a.nii", scan.astype(name), slope=2.5, intercept=-7)
    volume = read_volume(path)
    expected = np.float64 if name == "f8" else np.float32
    np.testing.assert_array_equal(volume.values[0], scan.astype(expected) * 2.5 - 7)
    assert volume.values.dtype == read_header(path).dtype == expected
    same_as_itk(volume, path)


@pytest.mark.parametrize("slope", [0, np.nan])
def test_no_slope_means_unscaled(tmp_path, write_nifti, scan, slope):
    path = write_nifti(tmp_path / "a.nii", scan, slope=slope, intercept=3)
    np.testing.assert_array_equal(read_volume(path).values[0], scan)
    assert read_header(path).dtype == np.uint8


def test_label_values_of_255_stay(tmp_path, write_nifti, scan):
    path = write_nifti(tmp_path / "a.nii.gz", np.where(scan > 90, 255, 0).astype(np.uint8))
    label = read_label_volume(path)
    assert set(np.unique(label.values)) == {0, 255}
    assert label.values.dtype == np.uint8


def test_components_are_channels(tmp_path, same_as_itk, scan):
    image = sitk.Compose([sitk.GetImageFromArray(scan), sitk.GetImageFromArray(scan + 1)])
    sitk.WriteImage(image, str(tmp_path / "a.nii.gz"))
    volume = read_volume(tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(volume.values, [scan, scan + 1])
    same_as_itk(volume, tmp_path / "a.nii.gz")


def test_four_axes_are_refused_with_advice_that_works(tmp_path, write_nifti, scan):
    path = write_nifti(tmp_path / "a.nii.gz", np.stack([scan, scan + 1, scan + 2]))
    assert read_header(path).num_frames == 3
    with pytest.raises(DataError, match=r'a\.nii\.gz: it holds 3 images.*axes="czyx"'):
        read_volume(path)
    volume = read_volume(path, axes="czyx")
    np.testing.assert_array_equal(volume.values, [scan, scan + 1, scan + 2])
    assert volume.grid.spacing_mm == (3, 2, 1)
    assert volume.num_channels == read_header(path, axes="czyx").num_channels == 3


def test_a_fourth_axis_of_one_is_none(tmp_path, write_nifti, scan):
    path = write_nifti(tmp_path / "a.nii", scan[np.newaxis])
    np.testing.assert_array_equal(read_volume(path).values[0], scan)


def test_rgb_voxels_are_channels(tmp_path, write_nifti):
    colors = np.arange(4 * 5 * 6 * 3, dtype=np.uint8).reshape(4, 5, 6, 3)
    path = write_nifti(tmp_path / "a.nii", colors, datatype=128, dim=(3, 6, 5, 4, 1, 1, 1, 1))
    np.testing.assert_array_equal(read_volume(path).values, np.moveaxis(colors, -1, 0))


def test_nifti_2_in_two_axes(tmp_path, scan):
    image = sitk.GetImageFromArray(scan[0])
    image.SetSpacing((0.5, 0.25))
    sitk.WriteImage(image, str(tmp_path / "a.nii"))
    volume = read_volume(tmp_path / "a.nii")
    np.testing.assert_array_equal(volume.values, scan[:1])
    assert volume.grid.spacing_mm == (0.25, 0.5)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ({"pixdim": (1, 0, 2, 3, 1, 1, 1, 1)}, r"spacing is 3 x 2 x 0 mm \(z y x\).*true geometry"),
        ({"pixdim": (1, -1, 2, 3, 1, 1, 1, 1)}, "spacing is 3 x 2 x -1"),
        ({"pixdim": (1, np.nan, 2, 3, 1, 1, 1, 1)}, "spacing is 3 x 2 x nan"),
        ({"sform": (0,) * 12}, "sform is sheared or singular and it has no qform"),
        ({"sform": (1, 0.5, 0, 5, 0, 2, 0, 6, 0, 0, 3, 7)}, "sheared"),
        ({"sform": (1, 0, 0, np.nan, 0, 2, 0, 6, 0, 0, 3, 7)}, "singular"),
        ({"magic": b"ni1\0"}, r"pair of \.hdr and \.img; convert"),
        ({"magic": b"abc\0"}, "no NIfTI file"),
        ({"dim": (3, 6, -5, 4, 1, 1, 1, 1)}, "claims the dimensions"),
        ({"dim": (0, 6, 5, 4, 1, 1, 1, 1)}, "claims the dimensions"),
        ({"dim": (6, 6, 5, 4, 1, 1, 2, 1)}, "claims the dimensions"),
        ({"dim": (3, 6, 5, 5, 1, 1, 1, 1)}, r"claims 5 x 5 x 6 voxels \(150 bytes\), but 120"),
        ({"datatype": 32}, "NIfTI type 32; save real numbers"),
    ],
)
def test_bad_headers(tmp_path, write_nifti, scan, header, message):
    path = write_nifti(tmp_path / "a.nii", scan, **header)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(DataError, match=message) as caught:
            read_volume(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kept", [0.3, 0.7, 0.98])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_truncated(tmp_path, write_nifti, suffix, kept):
    noise = np.random.default_rng(0).normal(size=(16, 16, 16)).astype(np.float32)
    path = write_nifti(tmp_path / f"a{suffix}", noise)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(DataError, match=r"truncated or damaged.*copy it again"):
        read_volume(path)


def test_a_flipped_bit_in_a_compressed_file(tmp_path, write_nifti):
    path = write_nifti(tmp_path / "a.nii.gz", np.random.default_rng(0).normal(size=(9, 9, 9)))
    content = bytearray(path.read_bytes())
    content[-7] ^= 1  # the check sum: all voxels arrive, and are not those that were written
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"damaged.*CRC"):
        read_volume(path)


def test_names_that_lie_about_compression(tmp_path, write_nifti, scan):
    plain, packed = (write_nifti(tmp_path / name, scan) for name in ("a.nii", "b.nii.gz"))
    plain.rename(tmp_path / "a.nii.gz")
    packed.rename(tmp_path / "b.nii")
    with pytest.raises(DataError, match=r"a\.nii\.gz: it is not compressed.*rename it to \*\.nii$"):
        read_volume(tmp_path / "a.nii.gz")
    with pytest.raises(DataError, match=r"compressed with gzip.*rename it to \*\.nii\.gz$"):
        read_volume(tmp_path / "b.nii")


@pytest.mark.parametrize("content", [b"hello", b"x" * 1000, b"\x1f\x8b" + b"x" * 600])
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_other_content(tmp_path, content, name):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=r"a\.nii"):
        read_header(tmp_path / name)
