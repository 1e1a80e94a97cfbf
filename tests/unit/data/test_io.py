"""Reading every kind of picture, refusing every kind of bad file, writing without loss."""

import errno
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from ushape.data.io import read_image, read_label, write_label, write_probabilities
from ushape.data.io.sniff import MAX_PIXELS
from ushape.errors import DataError, StorageError

RNG = np.random.default_rng(0)
GREY8 = RNG.integers(0, 256, (9, 13), dtype=np.uint8)
GREY16 = RNG.integers(0, 65536, (9, 13), dtype=np.uint16)
COLOR8 = RNG.integers(0, 256, (9, 13, 3), dtype=np.uint8)
COLOR16 = RNG.integers(0, 65536, (9, 13, 3), dtype=np.uint16)
OPAQUE = np.full((9, 13, 1), 255, np.uint8)


def png(path, width, height, *, bits=8, color_type=0, rows=b""):
    """Write a PNG by hand, so that its header may lie."""

    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, bits, color_type, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    return path


def saved(path, array, **options):
    Image.fromarray(array).save(path, **options)
    return path


def palette_png(path, indices, colors, **options):
    picture = Image.fromarray(indices)
    picture.putpalette(np.asarray(colors, np.uint8).ravel().tolist())
    picture.save(path, **options)
    return path


class TestImages:
    @pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".TIFF"])
    def test_grey_keeps_every_value(self, tmp_path, suffix):
        image = read_image(saved(tmp_path / f"a{suffix}", GREY8))
        np.testing.assert_array_equal(image, GREY8[np.newaxis])
        assert image.dtype == np.uint8

    @pytest.mark.parametrize("suffix", [".png", ".tif"])
    def test_sixteen_bits_are_not_scaled(self, tmp_path, suffix):
        image = read_image(saved(tmp_path / f"a{suffix}", GREY16))
        np.testing.assert_array_equal(image[0], GREY16)
        assert image.dtype == np.uint16

    @pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif"])
    def test_channels_come_first_in_red_green_blue_order(self, tmp_path, suffix):
        image = read_image(saved(tmp_path / f"a{suffix}", COLOR8))
        np.testing.assert_array_equal(image, np.moveaxis(COLOR8, -1, 0))
        assert image.flags.c_contiguous

    @pytest.mark.parametrize("planar", ["contig", "separate"])
    def test_both_sample_orders_of_colour_tiff(self, tmp_path, planar):
        stored = COLOR16 if planar == "contig" else np.moveaxis(COLOR16, -1, 0)
        tifffile.imwrite(tmp_path / "a.tif", stored, photometric="rgb", planarconfig=planar)
        np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), np.moveaxis(COLOR16, -1, 0))

    @pytest.mark.parametrize("byteorder", ["<", ">"])
    def test_byte_order_becomes_native(self, tmp_path, byteorder):
        tifffile.imwrite(tmp_path / "a.tif", GREY16, byteorder=byteorder)
        image = read_image(tmp_path / "a.tif")
        np.testing.assert_array_equal(image[0], GREY16)
        assert image.dtype.isnative

    @pytest.mark.parametrize("compression", ["tiff_lzw", "packbits", "tiff_deflate"])
    @pytest.mark.parametrize("array", [GREY8, GREY16, COLOR8], ids=["grey8", "grey16", "color8"])
    def test_tiff_compressions(self, tmp_path, compression, array):
        image = read_image(saved(tmp_path / "a.tif", array, compression=compression))
        np.testing.assert_array_equal(np.squeeze(np.moveaxis(image, 0, -1)), array)

    def test_sixteen_bit_colour_that_would_lose_bits_is_refused(self, tmp_path):
        path = png(tmp_path / "a.png", 2, 1, bits=16, color_type=2, rows=b"\0" * 13)
        with pytest.raises(DataError, match=r"16-bit colour PNG.*TIFF"):
            read_image(path)

    def test_jpeg_is_close(self, tmp_path):
        smooth = np.linspace(0, 255, 64 * 64).reshape(64, 64).astype(np.uint8)
        image = read_image(saved(tmp_path / "a.jpg", smooth, quality=95))
        assert np.abs(image[0].astype(int) - smooth).max() < 8

    def test_camera_orientation_is_applied(self, tmp_path):
        exif = Image.Exif()
        exif[0x0112] = 6  # turn by 90 degrees to be upright
        Image.fromarray(np.zeros((8, 16), np.uint8)).save(tmp_path / "a.jpg", exif=exif)
        assert read_image(tmp_path / "a.jpg").shape == (1, 16, 8)

    def test_palette_becomes_colours(self, tmp_path):
        path = palette_png(tmp_path / "a.png", np.array([[0, 1], [2, 1]], np.uint8), COLOR8[0, :3])
        image = read_image(path)
        np.testing.assert_array_equal(image[:, 1, 0], COLOR8[0, 2])
        np.testing.assert_array_equal(image[:, 0, 1], image[:, 1, 1])

    def test_palette_of_a_tiff_becomes_colours(self, tmp_path):
        colors = np.zeros((3, 256), np.uint16)
        colors[:, 7] = (255 * 257, 16 * 257, 0)
        tifffile.imwrite(
            tmp_path / "a.tif",
            np.full((8, 8), 7, np.uint8),
            photometric="palette",
            colormap=colors,
        )
        np.testing.assert_array_equal(read_image(tmp_path / "a.tif")[:, 0, 0], [255, 16, 0])
        assert read_label(tmp_path / "a.tif").values.max() == 7

    @pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif"])
    def test_one_bit_becomes_0_and_255(self, tmp_path, suffix):
        mask = GREY8 > 128
        path = saved(tmp_path / f"a{suffix}", mask)
        np.testing.assert_array_equal(read_image(path)[0], mask * 255)
        np.testing.assert_array_equal(read_label(path).values, mask * 255)

    @pytest.mark.parametrize("compression", [None, "tiff_lzw"])
    def test_white_is_zero_comes_as_displayed(self, tmp_path, compression):
        path = tmp_path / "a.tif"
        if compression is None:
            tifffile.imwrite(path, 255 - GREY8, photometric="miniswhite")
        else:
            Image.fromarray(255 - GREY8).save(path, compression=compression, tiffinfo={262: 0})
        expected = GREY8 if compression is None else np.asarray(Image.open(path))
        np.testing.assert_array_equal(read_image(path)[0], expected)

    @pytest.mark.parametrize("channels", [1, 3])
    def test_opaque_alpha_is_dropped_and_transparent_refused(self, tmp_path, channels):
        color = COLOR8[..., :channels]
        path = saved(tmp_path / "a.png", np.concatenate([color, OPAQUE], -1))
        np.testing.assert_array_equal(read_image(path), np.moveaxis(color, -1, 0))
        holed = OPAQUE.copy()
        holed[3, 4] = 254
        path = saved(tmp_path / "b.png", np.concatenate([color, holed], -1))
        with pytest.raises(DataError, match=r"b\.png.*transparent.*alpha"):
            read_image(path)

    def test_alpha_of_tiff(self, tmp_path):
        rgba = np.concatenate([COLOR8, OPAQUE], -1)
        tifffile.imwrite(tmp_path / "a.tif", rgba, photometric="rgb", extrasamples=[2])
        np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), np.moveaxis(COLOR8, -1, 0))

    def test_a_transparent_key_colour_counts_as_transparency(self, tmp_path):
        flat = np.zeros((4, 4), np.uint8)
        flat[0, 0] = 9
        Image.fromarray(flat).save(tmp_path / "hit.png", transparency=9)
        Image.fromarray(flat).save(tmp_path / "miss.png", transparency=8)
        with pytest.raises(DataError, match="transparent"):
            read_image(tmp_path / "hit.png")
        np.testing.assert_array_equal(read_image(tmp_path / "miss.png")[0], flat)

    def test_equal_channels_stay_three(self, tmp_path):
        path = saved(tmp_path / "a.png", np.stack([GREY8] * 3, -1))
        assert read_image(path).shape == (3, 9, 13)

    @pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16, np.int32])
    def test_other_types_become_float32(self, tmp_path, dtype):
        values = np.array([[-3, 2], [1000, 7]] * 4, dtype)
        tifffile.imwrite(tmp_path / "a.tif", values)
        image = read_image(tmp_path / "a.tif")
        assert image.dtype == np.float32
        np.testing.assert_array_equal(image[0], values)

    @pytest.mark.parametrize("bad", [np.nan, np.inf])
    def test_not_a_number_is_refused(self, tmp_path, bad):
        values = np.ones((8, 8), np.float32)
        values[1, 2] = bad
        tifffile.imwrite(tmp_path / "a.tif", values)
        with pytest.raises(DataError, match=r"a\.tif: 1 values are nan or infinite; replace"):
            read_image(tmp_path / "a.tif")

    def test_stack_is_refused(self, tmp_path):
        tifffile.imwrite(tmp_path / "a.tif", np.zeros((5, 8, 8), np.uint8))
        with pytest.raises(DataError, match=r"stack of 5 pages.*own file"):
            read_image(tmp_path / "a.tif")

    def test_imagej_stack_is_refused(self, tmp_path):
        # ImageJ stores the planes behind a single page entry: counting pages is not enough.
        tifffile.imwrite(tmp_path / "a.tif", np.zeros((5, 8, 8), np.uint8), imagej=True)
        with pytest.raises(DataError, match="stack of 5 pages"):
            read_image(tmp_path / "a.tif")

    def test_two_channels_without_meaning_are_refused(self, tmp_path):
        tifffile.imwrite(
            tmp_path / "a.tif",
            np.zeros((8, 8, 5), np.uint8),
            photometric="minisblack",
            planarconfig="contig",
        )
        with pytest.raises(DataError, match="5 channels"):
            read_image(tmp_path / "a.tif")

    def test_cmyk_is_refused(self, tmp_path):
        Image.new("CMYK", (8, 8)).save(tmp_path / "a.jpg")
        with pytest.raises(DataError, match="CMYK; save it as grey or RGB"):
            read_image(tmp_path / "a.jpg")

    def test_a_long_strip_works(self, tmp_path):
        strip = np.zeros((64, 20000), np.uint8)
        strip[5, 19999] = 7
        assert read_image(saved(tmp_path / "a.png", strip))[0, 5, 19999] == 7

    def test_large_pictures_give_no_warning_and_leave_the_limit_of_pillow(
        self, tmp_path, monkeypatch
    ):
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50)  # 9 x 13 lies above twice the limit
        assert read_image(saved(tmp_path / "a.png", GREY8)).shape == (1, 9, 13)
        assert Image.MAX_IMAGE_PIXELS == 50


class TestBadFiles:
    """Every message is one line with the file and what to do."""

    def check(self, path, pattern):
        for read in (read_image, read_label):
            with pytest.raises(DataError, match=pattern) as caught:
                read(path)
            assert str(path) in str(caught.value)
            assert "\n" not in str(caught.value)
            assert "; " in str(caught.value)

    @pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".tif"])
    @pytest.mark.parametrize("kept", [0.9, 0.5])
    def test_truncated(self, tmp_path, suffix, kept):
        path = saved(tmp_path / f"a{suffix}", RNG.integers(0, 256, (80, 80), dtype=np.uint8))
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * kept)])
        self.check(path, "truncated or damaged.*copy it again")

    def test_truncated_header(self, tmp_path):
        path = saved(tmp_path / "a.png", GREY8)
        path.write_bytes(path.read_bytes()[:20])
        self.check(path, "header is cut off")

    def test_text(self, tmp_path):
        path = tmp_path / "a.png"
        path.write_text("Label values:\n0 background\n")
        self.check(path, "it holds plain text; give PNG")

    def test_empty(self, tmp_path):
        path = tmp_path / "a.png"
        path.touch()
        self.check(path, "0 bytes")

    def test_noise(self, tmp_path):
        path = tmp_path / "a.png"
        path.write_bytes(bytes(range(128, 256)))
        self.check(path, "it holds no picture")

    def test_missing(self, tmp_path):
        self.check(tmp_path / "a.png", "no such file")

    def test_folder(self, tmp_path):
        (tmp_path / "a.png").mkdir()
        self.check(tmp_path / "a.png", "is a folder")

    def test_no_permission(self, tmp_path, monkeypatch):
        path = saved(tmp_path / "a.png", GREY8)

        def refuse(self, *args, **kwargs):
            raise PermissionError(errno.EACCES, "Permission denied")

        monkeypatch.setattr(Path, "open", refuse)  # chmod does not stop root
        self.check(path, "no permission to read it; allow it with chmod")

    def test_wrong_ending(self, tmp_path):
        path = tmp_path / "a.png"
        Image.fromarray(GREY8).save(path, format="JPEG")
        self.check(path, r"JPEG picture but its name ends in \.png; rename it to \*\.jpg")

    def test_foreign_format(self, tmp_path):
        path = tmp_path / "a.gif"
        Image.fromarray(GREY8).save(path)
        self.check(path, "a GIF file; give PNG, JPEG, BMP or TIFF")

    def test_gigantic_png_header_is_refused_before_memory_is_taken(self, tmp_path):
        path = png(tmp_path / "a.png", 10**6, 10**6)
        self.check(path, "claims 1,000,000,000,000 pixels")

    def test_gigantic_tiff_header_is_refused_before_memory_is_taken(self, tmp_path):
        path = tmp_path / "a.tif"
        tifffile.imwrite(path, GREY8)
        with tifffile.TiffFile(path, mode="r+b") as tif:
            tif.pages[0].tags["ImageWidth"].overwrite(10**6)
            tif.pages[0].tags["ImageLength"].overwrite(10**6)
        self.check(path, f"allowed: {MAX_PIXELS:,}")

    def test_gigantic_bmp_header(self, tmp_path):
        path = saved(tmp_path / "a.bmp", GREY8)
        content = bytearray(path.read_bytes())
        content[18:26] = struct.pack("<ii", 10**6, 10**6)
        path.write_bytes(content)
        self.check(path, "claims 1,000,000,000,000 pixels")

    def test_png_header_that_claims_more_than_the_file_can_hold(self, tmp_path):
        path = png(tmp_path / "a.png", 40000, 40000, rows=b"\0" * 100)
        self.check(path, "claims 40000 x 40000 pixels, more than the file can hold")


class TestLabels:
    def test_palette_gives_the_index(self, tmp_path):
        indices = np.array([[0, 1], [2, 1]], np.uint8)
        path = palette_png(tmp_path / "a.png", indices, COLOR8[0, :3], transparency=0)
        label = read_label(path)
        np.testing.assert_array_equal(label.values, indices)
        assert not label.is_color
        assert label.num_channels == 1
        packed = [int.from_bytes(color.tobytes(), "big") for color in COLOR8[0, :3]]
        assert list(label.palette[:3]) == packed

    def test_colours_are_packed(self, tmp_path):
        colors = np.zeros((4, 4, 3), np.uint8)
        colors[0, 0] = (0x12, 0x34, 0x56)
        label = read_label(saved(tmp_path / "a.png", colors))
        assert label.is_color
        assert label.values[0, 0] == 0x123456
        assert label.values[1, 1] == 0

    def test_colours_of_an_opaque_alpha_file(self, tmp_path):
        label = read_label(saved(tmp_path / "a.png", np.concatenate([COLOR8, OPAQUE], -1)))
        assert label.values[2, 3] == int.from_bytes(COLOR8[2, 3].tobytes(), "big")

    def test_transparent_label_is_refused(self, tmp_path):
        path = saved(tmp_path / "a.png", np.concatenate([COLOR8, OPAQUE - 100], -1))
        with pytest.raises(DataError, match="the label are transparent"):
            read_label(path)

    def test_equal_channels_give_grey_unless_colours_are_asked_for(self, tmp_path):
        path = saved(tmp_path / "a.png", np.stack([GREY8] * 3, -1))
        label = read_label(path)
        np.testing.assert_array_equal(label.values, GREY8)
        assert (label.is_color, label.num_channels) == (False, 3)
        packed = read_label(path, is_color=True)
        np.testing.assert_array_equal(packed.values, GREY8.astype(int) * 0x010101)
        assert packed.is_color

    def test_wrong_kind_is_refused(self, tmp_path):
        with pytest.raises(DataError, match="grey, the other labels are colours"):
            read_label(saved(tmp_path / "a.png", GREY8), is_color=True)
        with pytest.raises(DataError, match="has colours, the other labels are grey"):
            read_label(saved(tmp_path / "b.png", COLOR8), is_color=False)

    def test_sixteen_bit_colours_are_refused(self, tmp_path):
        tifffile.imwrite(tmp_path / "a.tif", COLOR16, photometric="rgb")
        with pytest.raises(DataError, match="16 bit"):
            read_label(tmp_path / "a.tif")

    def test_whole_floats_are_labels(self, tmp_path):
        tifffile.imwrite(tmp_path / "a.tif", np.array([[0.0, 2.0]] * 8, np.float32))
        label = read_label(tmp_path / "a.tif")
        np.testing.assert_array_equal(label.values[0], [0, 2])
        assert label.values.dtype.kind == "i"

    @pytest.mark.parametrize(
        ("value", "message"),
        [(0.5, "fractions"), (np.nan, "nan or infinity"), (-1.0, "holds -1"), (3e9, "3e\\+09")],
    )
    def test_other_floats_are_refused(self, tmp_path, value, message):
        tifffile.imwrite(tmp_path / "a.tif", np.array([[0.0, value]] * 8, np.float32))
        with pytest.raises(DataError, match=rf"a\.tif.*{message}.*; "):
            read_label(tmp_path / "a.tif")

    def test_negative_integers_are_refused(self, tmp_path):
        tifffile.imwrite(tmp_path / "a.tif", np.array([[0, -2]] * 8, np.int16))
        with pytest.raises(DataError, match="holds -2; label values must be 0 or larger"):
            read_label(tmp_path / "a.tif")

    def test_large_integers(self, tmp_path):
        tifffile.imwrite(tmp_path / "a.tif", np.array([[0, 70000]] * 8, np.uint32))
        assert read_label(tmp_path / "a.tif").values.max() == 70000


class TestWriting:
    def test_width_of_the_file_follows_the_values(self, tmp_path):
        for high, mode in ((255, "L"), (256, "I;16")):
            write_label(tmp_path / "a.png", np.array([[0, high]]))
            with Image.open(tmp_path / "a.png") as picture:
                assert picture.mode == mode

    @pytest.mark.parametrize("name", ["a.png", "a.tif"])
    @pytest.mark.parametrize("num_colors", [2, 5, 17, 256])
    def test_palettes_come_back(self, tmp_path, name, num_colors):
        """Pillow packs small palettes into few bits."""
        colors = [int(color) for color in RNG.integers(1, 1 << 24, num_colors)]
        values = np.array([[0, 1, 0], [num_colors - 1, 0, 1]])
        write_label(tmp_path / name, values, palette=colors)
        label = read_label(tmp_path / name)
        np.testing.assert_array_equal(label.values, values)
        assert not label.is_color
        assert label.palette[:num_colors] == tuple(colors)
        shown = read_image(tmp_path / name)[:, 0, 1]
        assert int.from_bytes(shown.tobytes(), "big") == colors[1]

    @pytest.mark.parametrize("highest", [2, 255, 256])
    def test_values_beyond_a_palette_are_grey(self, tmp_path, highest):
        write_label(tmp_path / "a.png", np.array([[0, highest]]), palette=(0, 0xFF0000))
        label = read_label(tmp_path / "a.png")
        assert (label.values.max(), label.palette) == (highest, ())

    @pytest.mark.parametrize(
        ("name", "values", "message"),
        [
            ("a.jpg", [[1]], "does not keep label values"),
            ("a.png", [[65536]], "0 to 65535 are allowed"),
            ("a.png", [[-1]], "values from -1"),
            ("a.png", [[0.5]], "float64; labels are integers"),
            ("a.png", [[[1]]], r"shape \(1, 1, 1\)"),
        ],
    )
    def test_what_would_be_lost_is_refused(self, tmp_path, name, values, message):
        with pytest.raises(DataError, match=message):
            write_label(tmp_path / name, np.array(values))
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("name", ["a.png", "a.tif"])
    def test_a_full_disk_keeps_the_old_file(self, tmp_path, monkeypatch, name):
        write_label(tmp_path / name, GREY8)
        replace = Path.replace

        def full(self, target):
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(Path, "replace", full)
        with pytest.raises(StorageError, match="disk is full"):
            write_label(tmp_path / name, GREY8 + 1)
        monkeypatch.setattr(Path, "replace", replace)
        np.testing.assert_array_equal(read_label(tmp_path / name).values, GREY8)
        assert [entry.name for entry in tmp_path.iterdir()] == [name]

    def test_probabilities_come_back_as_pages(self, tmp_path):
        probabilities = RNG.random((3, 5, 7), dtype=np.float32)
        write_probabilities(tmp_path / "p.tif", probabilities)
        stored = tifffile.imread(tmp_path / "p.tif")
        assert stored.dtype == np.float32
        np.testing.assert_array_equal(stored, probabilities)

    def test_probabilities_of_another_shape_are_refused(self, tmp_path):
        with pytest.raises(DataError, match=r"not \(K, y, x\)"):
            write_probabilities(tmp_path / "p.tif", np.zeros((5, 7)))
        with pytest.raises(DataError, match=r"end in \.tif"):
            write_probabilities(tmp_path / "p.png", np.zeros((1, 5, 7)))
