"""Reading and writing in one form: round trips, several files, labels, places that are kept."""

import contextlib
import errno
import subprocess
import sys
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from ushape.data.io import (
    Grid,
    format_of,
    group_channels,
    path_inside,
    read_header,
    read_label_volume,
    read_stack,
    read_volume,
    split_channel,
    stem_of,
    write_label_volume,
    write_volume,
)
from ushape.errors import DataError, StorageError

PLACED = [".nii", ".nii.gz", ".nrrd", ".mha", ".npz"]
GRID = Grid.of((4, 5, 6), (3, 2, 1.25), (7, -6, 5))


@pytest.fixture
def oblique(turned):
    return Grid.of((4, 5, 6), (3, 2, 1.25), (7, -6, 5), np.reshape(turned, (3, 3)))


class TestRoundTrip:
    @pytest.mark.parametrize("suffix", PLACED)
    @pytest.mark.parametrize("name", ["u1", "i2", "i4", "i8", "f4", "f8"])
    @pytest.mark.parametrize("channels", [1, 3])
    def test_formats_that_keep_the_place(self, tmp_path, scan, oblique, suffix, name, channels):
        values = np.stack([scan.astype(name) + k for k in range(channels)])
        write_volume(tmp_path / f"a{suffix}", values, oblique)
        volume = read_volume(tmp_path / f"a{suffix}")
        np.testing.assert_array_equal(volume.values, values)
        assert volume.values.dtype == np.dtype(name)
        assert oblique.shift_voxels(volume.grid) < 1e-5
        assert [path.name for path in tmp_path.iterdir()] == [f"a{suffix}"]

    @pytest.mark.parametrize("suffix", [".tif", ".ome.tif"])
    @pytest.mark.parametrize("channels", [1, 2, 3])
    @pytest.mark.parametrize("size", [(4, 5, 6), (5, 6)])
    def test_tiff(self, tmp_path, suffix, channels, size):
        values = np.random.default_rng(0).normal(size=(channels, *size)).astype(np.float32)
        grid = Grid.of(size, (5e-5, 4e-6, 3e-6)[-len(size) :])
        write_volume(tmp_path / f"a{suffix}", values, grid)
        volume = read_volume(tmp_path / f"a{suffix}")
        np.testing.assert_array_equal(volume.values, values)
        np.testing.assert_allclose(volume.grid.spacing_mm, grid.spacing_mm)

    def test_npy(self, tmp_path, scan):
        write_volume(tmp_path / "a.npy", np.stack([scan, scan]), Grid.of(scan.shape))
        assert read_volume(tmp_path / "a.npy").values.shape == (2, 4, 5, 6)
        with pytest.raises(DataError, match="would read as slices"):
            write_volume(tmp_path / "b.npy", scan[:2], Grid.of((5, 6)))

    @pytest.mark.parametrize("channels", [1, 3])
    def test_png(self, tmp_path, scan, channels):
        write_volume(tmp_path / "a.png", scan[:channels], Grid.of((5, 6)))
        np.testing.assert_array_equal(read_volume(tmp_path / "a.png").values, scan[:channels])

    @pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".npz"])
    def test_two_axes(self, tmp_path, scan, suffix):
        grid = Grid.of((5, 6), (2, 1.25), (7, -6), [[0, -1], [1, 0]])
        write_volume(tmp_path / f"a{suffix}", scan[:2], grid)
        volume = read_volume(tmp_path / f"a{suffix}")
        np.testing.assert_array_equal(volume.values, scan[:2])
        assert grid.shift_voxels(volume.grid) < 1e-3

    def test_small_types(self, tmp_path, scan):
        for values in (scan > 50, scan.astype(np.float16)):
            write_volume(tmp_path / "a.nii.gz", values[np.newaxis], GRID)
            np.testing.assert_array_equal(read_volume(tmp_path / "a.nii.gz").values[0], values)


class TestPlaces:
    @pytest.mark.parametrize(
        ("name", "grid", "lost"),
        [
            ("a.tif", GRID, "origin"),
            ("a.npy", GRID, "spacing and origin"),
            ("a.tif", Grid.of((4, 5, 6), (1, 1, 1), None, np.diag([1, -1, -1])), "direction"),
            ("a.zarr", Grid.of((4, 5, 6), (1, 1, 1), None, np.diag([1, -1, -1])), "direction"),
        ],
    )
    def test_what_would_be_lost_is_refused_unless_asked_for(self, tmp_path, scan, name, grid, lost):
        with pytest.raises(DataError, match=rf"cannot hold its {lost}, so .*\.nii\.gz"):
            write_volume(tmp_path / name, scan[np.newaxis], grid)
        assert list(tmp_path.iterdir()) == []
        if name != "a.zarr":
            write_volume(tmp_path / name, scan[np.newaxis], grid, keep_place=False)
            np.testing.assert_array_equal(read_volume(tmp_path / name).values[0], scan)

    @pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
    @pytest.mark.parametrize("source", [".nii.gz", ".nrrd", ".mha"])
    def test_predictions_lie_exactly_on_their_scan(self, tmp_path, scan, turned, source, suffix):
        image = sitk.GetImageFromArray(scan.astype(np.float32))
        image.SetSpacing((0.7, 0.9, 2.3))
        image.SetOrigin((-101.7, 33.3, 1.1))
        image.SetDirection(turned)
        sitk.WriteImage(image, str(tmp_path / f"scan{source}"))
        volume = read_volume(tmp_path / f"scan{source}")
        write_label_volume(tmp_path / f"p{suffix}", volume.values[0] > 90, volume.grid)
        read = sitk.ReadImage(str(tmp_path / f"scan{source}"))
        mask = sitk.ReadImage(str(tmp_path / f"p{suffix}"))
        if suffix == source:
            assert mask.GetSpacing() == read.GetSpacing()
            assert mask.GetOrigin() == read.GetOrigin()
        if suffix != ".nii.gz" or source == ".nii.gz":  # NIfTI rounds to single precision
            sitk.Mask(read, mask)  # refuses images that do not occupy the same space
        np.testing.assert_allclose(mask.GetSpacing(), read.GetSpacing(), rtol=1e-7)
        np.testing.assert_allclose(mask.GetOrigin(), read.GetOrigin(), rtol=1e-7)
        np.testing.assert_allclose(mask.GetDirection(), read.GetDirection(), atol=3e-7)
        np.testing.assert_array_equal(sitk.GetArrayFromImage(mask), scan > 90)


class TestWriting:
    @pytest.mark.parametrize(
        ("name", "values", "message"),
        [
            ("a.xyz", np.zeros((1, 4, 5, 6)), r"\.xyz is not written; use \.nii\.gz"),
            ("a.mhd", np.zeros((1, 4, 5, 6)), r"\.mhd is not written"),
            ("a.nii", np.zeros((4, 5, 6)), "is not .channels, 4, 5, 6., the size of the grid"),
            ("a.nii", np.zeros((1, 4, 5, 6), complex), "no real number"),
            ("a.tif", np.zeros((1, 4, 5, 6), np.int64), "TIFF holds no int64"),
            ("a.png", np.zeros((1, 4, 5, 6), np.uint8), "PNG holds 2D images"),
        ],
    )
    def test_what_cannot_be_written(self, tmp_path, name, values, message):
        with pytest.raises(DataError, match=message):
            write_volume(tmp_path / name, values, GRID, keep_place=False)
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("suffix", [*PLACED, ".tif", ".npy"])
    def test_a_full_disk_keeps_the_old_file(self, tmp_path, monkeypatch, scan, suffix):
        path, grid = tmp_path / f"a{suffix}", Grid.of(scan.shape)
        write_volume(path, scan[np.newaxis], grid)
        replace = Path.replace

        def full(self, target):
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(Path, "replace", full)
        with pytest.raises(StorageError, match="disk is full"):
            write_volume(path, scan[np.newaxis] + 1, grid)
        monkeypatch.setattr(Path, "replace", replace)
        np.testing.assert_array_equal(read_volume(path).values[0], scan)
        assert [entry.name for entry in tmp_path.iterdir()] == [path.name]

    def test_no_permission(self, tmp_path, scan):
        (tmp_path / "file").write_text("in the way")
        with pytest.raises(StorageError, match="a file stands where a folder is needed"):
            write_volume(tmp_path / "file" / "a.nii.gz", scan[np.newaxis], GRID)


class TestLabels:
    @pytest.mark.parametrize("suffix", [*PLACED, ".tif"])
    @pytest.mark.parametrize(("high", "name"), [(255, "u1"), (256, "u2"), (70000, "i4")])
    def test_the_narrowest_type(self, tmp_path, scan, suffix, high, name):
        values = np.where(scan > 100, high, 0).astype(np.int64)
        write_label_volume(tmp_path / f"a{suffix}", values, GRID, keep_place=False)
        label = read_label_volume(tmp_path / f"a{suffix}")
        np.testing.assert_array_equal(label.values, values)
        assert label.values.dtype == np.dtype(name)
        assert read_header(tmp_path / f"a{suffix}").dtype == np.dtype(name)

    def test_pictures(self, tmp_path):
        values = np.array([[0, 0x123456], [1, 2]])
        grid = Grid.of((2, 2))
        write_label_volume(tmp_path / "a.png", values, grid, is_color=True)
        label = read_label_volume(tmp_path / "a.png")
        np.testing.assert_array_equal(label.values, values)
        assert label.is_color

    @pytest.mark.parametrize(
        ("value", "read"), [(0.9999, 1), (1.0009, 1), (2.0, 2), (-0.0005, 0), (254.9995, 255)]
    )
    def test_floats_near_whole_numbers_are_rounded(self, tmp_path, value, read):
        values = np.zeros((1, 4, 5, 6), np.float32)
        values[0, 2, 3, 1] = value
        write_volume(tmp_path / "a.nii.gz", values, GRID)
        label = read_label_volume(tmp_path / "a.nii.gz")
        assert label.values[2, 3, 1] == read
        assert label.values.dtype == np.uint8
        assert np.count_nonzero(label.values) == (read != 0)

    @pytest.mark.parametrize(
        ("value", "message"),
        [
            (0.998, r"holds 0\.998 at index \(2, 3, 1\), which is no whole number; save whole"),
            (0.5, r"holds 0\.5 at index \(2, 3, 1\)"),
            (-1.0, "holds -1; label values must be 0 or larger"),
            (np.nan, r"1 of 120 values are nan or infinite, the first at index \(0, 2, 3, 1\)"),
            (3e9, r"holds 3e\+09; the largest"),
        ],
    )
    def test_other_floats_are_refused_with_their_place(self, tmp_path, value, message):
        values = np.zeros((1, 4, 5, 6), np.float32)
        values[0, 2, 3, 1] = value
        write_volume(tmp_path / "a.nii.gz", values, GRID)
        with pytest.raises(DataError, match=rf"a\.nii\.gz: .*{message}"):
            read_label_volume(tmp_path / "a.nii.gz")

    def test_whole_numbers_of_every_kind(self, tmp_path):
        for name in ("i2", "i8", "u8"):
            np.save(tmp_path / "a.npy", np.array([[0, 3]], name))
            assert read_label_volume(tmp_path / "a.npy").values.dtype == np.uint8
        np.save(tmp_path / "a.npy", np.array([[0, -3]]))
        with pytest.raises(DataError, match="holds -3"):
            read_label_volume(tmp_path / "a.npy")

    def test_channels_are_no_label(self, tmp_path, scan):
        write_volume(tmp_path / "a.nrrd", np.stack([scan, scan]), GRID)
        with pytest.raises(DataError, match="the label has 2 channels"):
            read_label_volume(tmp_path / "a.nrrd")

    def test_what_is_no_label_is_not_written(self, tmp_path):
        for values, message in (
            (np.full((4, 5, 6), -1), "values from -1"),
            (np.zeros((4, 5, 6)), "float64"),
            (np.zeros((4, 5, 7), int), "the size of the grid, 4 x 5 x 6"),
        ):
            with pytest.raises(DataError, match=message):
                write_label_volume(tmp_path / "a.nii.gz", values, GRID)


class TestNan:
    @pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
    def test_count_and_place(self, tmp_path, bad):
        values = np.zeros((2, 4, 5, 6), np.float32)
        values[1, 2, 3, 1] = values[1, 3, 0, 0] = bad
        write_volume(tmp_path / "a.nii.gz", values, GRID)
        message = r"2 of 240 values are nan or infinite, the first at index \(1, 2, 3, 1\); replace"
        with pytest.raises(DataError, match=message):
            read_volume(tmp_path / "a.nii.gz")
        kept = read_volume(tmp_path / "a.nii.gz", allow_nan=True)
        np.testing.assert_array_equal(kept.values, values)


class TestChannels:
    def test_several_files_are_one_image(self, tmp_path, scan):
        for number, name in enumerate(("u1", "i2")):
            values = (scan + number).astype(name)[np.newaxis]
            write_volume(tmp_path / f"a_{number:04d}.nii.gz", values, GRID)
        files = group_channels(tmp_path.iterdir())["a"]
        volume = read_volume(files)
        np.testing.assert_array_equal(volume.values, [scan, scan + 1])
        assert volume.values.dtype == np.float32
        assert GRID.is_same(volume.grid)
        assert read_volume([files[0], files[0]]).values.dtype == np.uint8

    def test_files_on_different_grids_are_refused(self, tmp_path, scan):
        write_volume(tmp_path / "a.nii", scan[np.newaxis], GRID)
        other = Grid.of(GRID.size, (3, 2, 1), GRID.origin_mm)
        write_volume(tmp_path / "b.nii", scan[np.newaxis], other)
        with pytest.raises(DataError, match=r"b\.nii.*spacing 3 x 2 x 1 against 3 x 2 x 1\.25"):
            read_volume([tmp_path / "a.nii", tmp_path / "b.nii"])

    def test_names(self):
        assert split_channel("x/BRATS_001_0002.nii.gz") == ("BRATS_001", 2)
        assert split_channel("case_12.nii") == ("case_12", None)
        groups = group_channels(["b_0001.png", "b_0000.png", "a_0001.png", "a_0000.png"])
        assert [path.name for path in groups["b"]] == ["b_0000.png", "b_0001.png"]
        assert list(groups) == ["a", "b"]

    def test_gaps_and_doubles(self):
        with pytest.raises(DataError, match="case 'a' lacks the channels _0000"):
            group_channels(["a_0001.nii", "b_0000.nii", "b_0001.nii"])
        with pytest.raises(DataError, match="case 'b' lacks the channels _0001"):
            group_channels(["a_0000.nii", "a_0001.nii", "b_0000.nii"])
        with pytest.raises(DataError, match="case 'a' has channel 0 twice"):
            group_channels(["a_0000.nii", "a_0000.nii.gz"])


class TestTurnedPictures:
    """A camera's orientation, wherever a file notes it."""

    values = np.arange(40, dtype=np.uint8).reshape(5, 8)
    upright = np.rot90(values, -1)  # orientation 6: turn clockwise

    @staticmethod
    def chunk(kind, content):
        body = kind + content
        return len(content).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")

    def moved(self, path, kind, content):
        """Put a chunk behind the pixels of a PNG."""
        Image.fromarray(self.values).save(path)
        raw = path.read_bytes()
        end = raw.index(b"IEND") - 4
        path.write_bytes(raw[:end] + self.chunk(kind, content) + raw[end:])
        return path

    def check(self, path):
        assert read_header(path).shape == (1, 8, 5)
        np.testing.assert_array_equal(read_volume(path).values[0], self.upright)

    def exif(self):
        exif = Image.Exif()
        exif[0x0112] = 6
        return exif

    def test_before_the_pixels(self, tmp_path):
        Image.fromarray(self.values).save(tmp_path / "a.png", exif=self.exif())
        self.check(tmp_path / "a.png")

    def test_behind_them(self, tmp_path):
        exif = self.exif().tobytes().removeprefix(b"Exif\0\0")
        self.check(self.moved(tmp_path / "a.png", b"eXIf", exif))

    def test_as_text_behind_them(self, tmp_path):
        note = b"XML:com.adobe.xmp" + b"\0" * 5 + b'<x tiff:Orientation="6"/>'
        self.check(self.moved(tmp_path / "a.png", b"iTXt", note))

    def test_a_header_is_read_without_the_pixels(self, tmp_path, monkeypatch):
        """Pillow's own way to ask a PNG for its orientation decodes it first."""
        path = self.moved(tmp_path / "a.png", b"tEXt", b"date:create\0" + b"2020" * 50)
        loads = []
        load = PngImageFile.load
        monkeypatch.setattr(PngImageFile, "load", lambda self: loads.append(1) or load(self))
        assert read_header(path).shape == (1, 5, 8)
        assert loads == []
        np.testing.assert_array_equal(read_volume(path).values[0], self.values)

    def test_damaged_notes_hide_no_picture(self, tmp_path):
        path = self.moved(tmp_path / "a.png", b"eXIf", b"MM\0*\xff\xff")
        np.testing.assert_array_equal(read_volume(path).values[0], self.values)


class TestStacks:
    def test_slices_become_a_volume(self, tmp_path, scan):
        for number, plane in enumerate(scan):
            Image.fromarray(plane).save(tmp_path / f"{number}.png")
        volume = read_stack(sorted(tmp_path.iterdir()), spacing_mm=(50e-6, 4e-6, 4e-6))
        np.testing.assert_array_equal(volume.values[0], scan)
        assert volume.grid == Grid.of(scan.shape, (50e-6, 4e-6, 4e-6))

    def test_slices_that_differ(self, tmp_path, scan):
        Image.fromarray(scan[0]).save(tmp_path / "0.png")
        Image.fromarray(scan[0, :4]).save(tmp_path / "1.png")
        write_volume(tmp_path / "2.nii", scan[np.newaxis], GRID)
        with pytest.raises(DataError, match=r"1\.png: it has shape \(1, 4, 6\)"):
            read_stack([tmp_path / "0.png", tmp_path / "1.png"])
        with pytest.raises(DataError, match=r"2\.nii: it is no single slice"):
            read_stack([tmp_path / "2.nii"])


class TestNames:
    def test_endings(self):
        assert stem_of("a/b.c.nii.gz") == "b.c"
        assert stem_of("x.ome.tif") == "x"
        assert format_of("A.NII.GZ") == "NIfTI"
        assert format_of("x.OME.TIFF") == "TIFF"
        assert format_of("a.gz") is None

    @pytest.mark.parametrize(
        "name",
        [
            "../x",
            "a/../../x",
            "/etc/passwd",
            "..",
            "",
            "a\\..\\..\\x",
            "C:\\x",
            "~/x",
            "a/..",
            "\0",
        ],
    )
    def test_names_that_climb_out(self, name):
        with pytest.raises(DataError, match=r"leads out of cases: .*rename it"):
            path_inside("cases", name)

    def test_names_that_stay(self):
        for name in ("a.nii", "a/b.nii", "..a", "a..b/c", "./a"):
            assert path_inside("cases", name) == Path("cases") / name

    def test_unknown_endings(self, tmp_path):
        (tmp_path / "a.xyz").write_text("hello")
        with pytest.raises(DataError, match=r"ending \.xyz is not known; known are \.png"):
            read_volume(tmp_path / "a.xyz")
        with pytest.raises(DataError, match="no such file"):
            read_volume(tmp_path / "a.nii")


def test_slow_libraries_are_imported_on_use_only():
    code = "import sys, ushape.data.io; assert not {'SimpleITK', 'zarr'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha", ".npz", ".tif"])
@pytest.mark.parametrize("place", [0.3, 0.5, 0.7, 0.8, 0.9, 0.95])
def test_a_flipped_bit_never_reads_as_another_image(tmp_path, suffix, place):
    values = np.random.default_rng(0).integers(0, 9, (1, 16, 16, 16), dtype=np.uint8)
    path = tmp_path / f"a{suffix}"
    write_volume(path, values, Grid.of(values.shape[1:]))
    content = bytearray(path.read_bytes())
    content[int(len(content) * place)] ^= 0x40
    path.write_bytes(content)
    with contextlib.suppress(DataError):
        np.testing.assert_array_equal(read_volume(path).values, values)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha", ".npy", ".npz", ".tif"])
def test_memory_peaks_at_the_values(tmp_path, suffix):
    values = np.zeros((1, 128, 160, 160), np.float32)
    values[0, 5] = 3
    path = tmp_path / f"a{suffix}"
    write_volume(path, values, Grid.of(values.shape[1:]))
    read_header(path)  # imports take memory too
    tracemalloc.start()
    read = read_volume(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    np.testing.assert_array_equal(read.values[:, :9], values[:, :9])
    assert peak < 1.35 * values.nbytes
