"""NRRD, MetaImage, NumPy and TIFF: what is read, what is refused."""

import gzip

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
import tifffile
from PIL import Image

from ushape.data.io import Grid, read_header, read_image, read_label_volume, read_volume
from ushape.errors import ConfigError, DataError


def itk_file(path, values, turned=None):
    image = sitk.GetImageFromArray(values)
    image.SetSpacing((1, 2, 3.5))
    image.SetOrigin((5, -6, 7))
    if turned is not None:
        image.SetDirection(turned)
    sitk.WriteImage(image, str(path), useCompression=path.suffix in (".nrrd", ".mha"))
    return path


class TestItkFormats:
    @pytest.mark.parametrize("suffix", [".nrrd", ".nhdr", ".mha", ".mhd"])
    @pytest.mark.parametrize("name", ["u1", "i2", "u4", "i8", "f4", "f8"])
    def test_values_and_place(self, tmp_path, same_as_itk, scan, turned, suffix, name):
        path = itk_file(tmp_path / f"a{suffix}", scan.astype(name), turned)
        volume = read_volume(path)
        same_as_itk(volume, path)
        np.testing.assert_array_equal(volume.values[0], scan)
        header = read_header(path)
        assert header.dtype == volume.values.dtype == np.dtype(name)
        assert header.grid == volume.grid

    def test_the_values_outlive_the_reader(self, tmp_path):
        big = np.random.default_rng(0).normal(size=(64, 64, 64))
        path = itk_file(tmp_path / "a.nrrd", big)
        values = read_volume(path).values
        del path
        rubbish = [sitk.Image(64, 64, 64, sitk.sitkFloat64) + k for k in range(3)]
        np.testing.assert_array_equal(values[0], big)
        values += 1  # writable: nobody else has this memory
        assert len(rubbish) == 3

    @pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
    def test_vectors_are_channels(self, tmp_path, same_as_itk, scan, suffix):
        image = sitk.Compose([sitk.GetImageFromArray(scan + k) for k in range(3)])
        sitk.WriteImage(image, str(tmp_path / f"a{suffix}"))
        volume = read_volume(tmp_path / f"a{suffix}")
        np.testing.assert_array_equal(volume.values, [scan, scan + 1, scan + 2])
        same_as_itk(volume, tmp_path / f"a{suffix}")
        assert read_header(tmp_path / f"a{suffix}").num_channels == 3

    @pytest.mark.parametrize("extra", ["", "HeaderSize = 7\n"])
    @pytest.mark.parametrize("msb", ["True", "False"])
    def test_byte_order_and_skipped_bytes_of_metaimage(
        self, tmp_path, same_as_itk, scan, msb, extra
    ):
        head = f"NDims = 3\nDimSize = 6 5 4\nElementSpacing = 1 2 3\n{extra}"
        head += (
            f"BinaryDataByteOrderMSB = {msb}\nElementType = MET_SHORT\nElementDataFile = a.raw\n"
        )
        (tmp_path / "a.mhd").write_text(head)
        stored = scan.astype(">i2" if msb == "True" else "<i2")
        (tmp_path / "a.raw").write_bytes(bytes(7 if extra else 0) + stored.tobytes())
        volume = read_volume(tmp_path / "a.mhd")
        np.testing.assert_array_equal(volume.values[0], scan)
        same_as_itk(volume, tmp_path / "a.mhd")

    @pytest.mark.parametrize(
        "place",
        [
            "space: RAS\nspace directions: (1,0,0) (0,2,0) (0,0,3)\nspace origin: (5,6,7)",
            "space: left-anterior-superior\nspace directions: (0,1,0) (0,0,2) (-3,0,0)",
            "space: LPS\nkinds: domain space ???\n"
            "space directions: (0.6,0.8,0) (-1.6,1.2,0) (0,0,3)",
            "space dimension: 3\nspace directions: (0,0,-1) (0,2,0) (3,0,0)\nspace origin: (1,2,3)",
            "spacings: 1 2 3.5",
        ],
    )
    @pytest.mark.parametrize("encoding", ["raw", "gzip"])
    @pytest.mark.parametrize("order", ["little", "big"])
    def test_spaces_of_nrrd(self, tmp_path, same_as_itk, scan, place, encoding, order):
        stored = scan.astype("<i2" if order == "little" else ">i2").tobytes()
        head = f"NRRD0005\ntype: signed short int\ndimension: 3\nsizes: 6 5 4\n{place}\n"
        head += f"endian: {order}\nencoding: {encoding}\nkey:=value\n\n"
        payload = gzip.compress(stored) if encoding == "gzip" else stored
        (tmp_path / "a.nrrd").write_bytes(head.encode() + payload)
        volume = read_volume(tmp_path / "a.nrrd")
        np.testing.assert_array_equal(volume.values[0], scan)
        same_as_itk(volume, tmp_path / "a.nrrd", exact=False)

    def test_a_list_axis_of_nrrd_is_channels_wherever_it_stands(self, tmp_path, scan):
        for kinds, values in (
            ("list domain domain domain", np.stack([scan, scan + 1], -1)),
            ("domain domain domain list", np.stack([scan, scan + 1])),
        ):
            sizes = " ".join(map(str, values.shape[::-1]))
            words = ["none" if kind == "list" else "" for kind in kinds.split()]
            vectors = iter(["(1,0,0)", "(0,2,0)", "(0,0,3)"])
            directions = " ".join(word or next(vectors) for word in words)
            head = f"NRRD0004\ntype: uint8_t\ndimension: 4\nspace: LPS\nsizes: {sizes}\n"
            head += f"space directions: {directions}\nkinds: {kinds}\nencoding: raw\n"
            head += 'space units: "mm" "mm" "mm"\n\n'
            (tmp_path / "a.nrrd").write_bytes(head.encode() + values.tobytes())
            volume = read_volume(tmp_path / "a.nrrd")
            np.testing.assert_array_equal(volume.values, [scan, scan + 1])
            assert volume.grid == Grid.of((4, 5, 6), (3, 2, 1))
            assert read_header(tmp_path / "a.nrrd").remarks == ()

    def test_odd_units_of_nrrd_are_remarked(self, tmp_path, scan):
        head = "NRRD0004\ntype: uchar\ndimension: 3\nspace: LPS\nsizes: 6 5 4\nencoding: raw\n"
        head += 'space directions: (1,0,0) (0,1,0) (0,0,1)\nspace units: "um" "um" "um"\n\n'
        (tmp_path / "a.nrrd").write_bytes(head.encode() + scan.tobytes())
        assert "um: taken for mm" in read_header(tmp_path / "a.nrrd").remarks[0]

    def test_an_nrrd_without_spacing_says_so(self, tmp_path, scan):
        head = "NRRD0004\ntype: uchar\ndimension: 3\nsizes: 6 5 4\nencoding: raw\n\n"
        (tmp_path / "a.nrrd").write_bytes(head.encode() + scan.tobytes())
        volume = read_volume(tmp_path / "a.nrrd")
        assert volume.grid == Grid.of((4, 5, 6))
        np.testing.assert_array_equal(volume.values[0], scan)

    @pytest.mark.parametrize("suffix", [".nrrd", ".mha", ".nii"])
    def test_four_axes(self, tmp_path, scan, suffix):
        image = sitk.JoinSeries([sitk.GetImageFromArray(scan + k) for k in range(2)])
        sitk.WriteImage(image, str(tmp_path / f"a{suffix}"))
        with pytest.raises(DataError, match="holds 2 images one after another"):
            read_volume(tmp_path / f"a{suffix}")
        values = read_volume(tmp_path / f"a{suffix}", axes="czyx").values
        np.testing.assert_array_equal(values, [scan, scan + 1])

    @pytest.mark.parametrize(
        ("suffix", "old", "new", "message"),
        [
            (".nhdr", "a.raw", "../a.raw", "outside its folder"),
            (".mhd", "a.raw", "../a.raw", "outside its folder"),
            (".mhd", "a.raw", "{folder}/a.raw", "outside its folder"),
            (".nhdr", "a.raw", "LIST\n../a.raw", "spread over several files"),
            (".mhd", "a.raw", "LIST\n../a.raw", "spread over several files"),
            (".nhdr", "a.raw", "b.raw", r"b\.raw: there is no such file"),
            (".nhdr", "(0,2,0)", "(0,0,0)", r"spacing is 3\.5 x 0 x 1 mm \(z y x\)"),
            (".mhd", "ElementSpacing = 1 2", "ElementSpacing = 0 2", r"spacing is 3\.5 x 2 x 0 mm"),
            (".nhdr", "6 5 4", "10000 10000 10000", r"but 120 bytes are stored"),
            (".mhd", "6 5 4", "10000 10000 10000", r"but 120 bytes are stored"),
            (".nhdr", "type: unsigned char", "type: block", "not understood"),
            (".mhd", "MET_UCHAR", "MET_WRONG", "not understood"),
            (".nhdr", "NRRD0004", "nothing", "no NRRD file"),
            (".mhd", "ObjectType = Image", "hello", "no MetaImage file"),
            (".mhd", "ElementDataFile", "Nothing", "header is cut off"),
            (".nhdr", "(0,2,0)", "(0.5,2,0)", "right angles"),
            (".nhdr", "encoding: raw", "encoding: ascii", "save it as raw or gzip"),
            (".nhdr", "encoding: raw", "encoding: raw\nbyte skip: 3", "skips bytes"),
            (".nhdr", "domain domain domain", "domain domain", "not understood"),
            (".nhdr", "sizes: 6 5 4", "sizes: 6 5 -4", "not understood"),
            (".mhd", "DimSize = 6 5 4", "DimSize = 6 5", "not understood"),
            (".mhd", "BinaryData = True", "BinaryData = False", "text or scaled"),
            (".mhd", "1 0 0 0 1 0 0 0 1", "1 0.5 0 0 1 0 0 0 1", "right angles"),
        ],
    )
    def test_bad_headers(self, tmp_path, scan, suffix, old, new, message):
        path = itk_file(tmp_path / f"a{suffix}", scan)
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new.format(folder=tmp_path)))
        with pytest.raises(DataError, match=message) as caught:
            read_volume(path)
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
    @pytest.mark.parametrize("kept", [0.5, 0.95])
    def test_truncated(self, tmp_path, capfd, suffix, kept):
        path = itk_file(tmp_path / f"a{suffix}", np.random.default_rng(0).normal(size=(9, 9, 9)))
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * kept)])
        with pytest.raises(DataError, match="truncated") as caught:
            read_volume(path)
        assert "\n" not in str(caught.value)
        assert capfd.readouterr().err == ""


class TestNumpy:
    @pytest.mark.parametrize("suffix", [".npy", ".npz"])
    @pytest.mark.parametrize("shape", [(5, 6), (4, 5, 6), (2, 4, 5, 6)])
    @pytest.mark.parametrize("order", "CF")
    def test_shapes(self, tmp_path, suffix, shape, order):
        values = np.asarray(np.arange(np.prod(shape), dtype=">i4").reshape(shape), order=order)
        np.save(tmp_path / "a.npy", values)
        np.savez_compressed(tmp_path / "a.npz", anything=values)
        volume = read_volume(tmp_path / f"a{suffix}")
        expected = values if len(shape) == 4 else values[np.newaxis]
        np.testing.assert_array_equal(volume.values, expected)
        assert volume.values.dtype == np.int32
        assert volume.values.dtype.isnative
        assert volume.grid == Grid.of(expected.shape[1:])

    def test_axes_can_be_told(self, tmp_path, scan):
        np.save(tmp_path / "a.npy", scan)
        volume = read_volume(tmp_path / "a.npy", axes="cyx")
        assert volume.values.shape == (4, 5, 6)
        turned = read_volume(tmp_path / "a.npy", axes="yxc").values
        np.testing.assert_array_equal(turned, np.moveaxis(scan, -1, 0))
        with pytest.raises(DataError, match=r"it has 3 axes.*axes 'yx' name 2"):
            read_volume(tmp_path / "a.npy", axes="yx")
        for wrong in ("abc", "xx", "zy", "zyy"):
            with pytest.raises(ConfigError, match="not understood"):
                read_volume(tmp_path / "a.npy", axes=wrong)

    def test_one_of_several_arrays_is_named(self, tmp_path, scan):
        np.savez(tmp_path / "a.npz", image=scan, label=scan > 9)
        with pytest.raises(DataError, match=r"holds 2 arrays \(image, label\); name the one"):
            read_volume(tmp_path / "a.npz")
        np.testing.assert_array_equal(
            read_volume(tmp_path / "a.npz", array="image").values[0], scan
        )
        label = read_label_volume(tmp_path / "a.npz", array="label")
        np.testing.assert_array_equal(label.values, scan > 9)
        assert label.values.dtype == np.uint8
        with pytest.raises(DataError, match="did you mean 'label'"):
            read_volume(tmp_path / "a.npz", array="lable")

    @pytest.mark.parametrize("suffix", [".npy", ".npz"])
    def test_objects_are_never_unpickled(self, tmp_path, suffix):
        class Trap:
            def __reduce__(self):
                return (pytest.fail, ("it was run",))

        values = np.array([[Trap()]], object)
        np.save(tmp_path / "a.npy", values, allow_pickle=True)
        np.savez(tmp_path / "a.npz", allow_pickle=True, a=values)
        with pytest.raises(DataError, match="Python objects, which could run code"):
            read_volume(tmp_path / f"a{suffix}")

    def test_truncated(self, tmp_path, scan):
        for name, save in (("a.npy", np.save), ("a.npz", np.savez_compressed)):
            save(tmp_path / name, scan)
            content = (tmp_path / name).read_bytes()
            (tmp_path / name).write_bytes(content[:-20])
            with pytest.raises(DataError, match="truncated or damaged"):
                read_volume(tmp_path / name)

    @pytest.mark.parametrize(
        "values", [np.zeros(3), np.zeros((0, 3)), np.zeros((2, 2), complex), np.array([["a"]])]
    )
    def test_what_is_no_image(self, tmp_path, values):
        np.save(tmp_path / "a.npy", values)
        with pytest.raises(DataError, match=r"its shape is|its numbers are"):
            read_volume(tmp_path / "a.npy")


def write_tiff(path, size=(3, 8, 9), **options):
    tifffile.imwrite(path, np.zeros(size, np.uint8), photometric="minisblack", **options)


class TestTiffStacks:
    def test_imagej(self, tmp_path):
        values = np.arange(5 * 2 * 8 * 9, dtype=np.uint16).reshape(5, 2, 8, 9)
        tifffile.imwrite(
            tmp_path / "a.tif",
            values,
            imagej=True,
            resolution=(1 / 0.25, 1 / 0.5),
            metadata={"axes": "ZCYX", "spacing": 2.5, "unit": "um"},
        )
        volume = read_volume(tmp_path / "a.tif")
        np.testing.assert_array_equal(volume.values, values.swapaxes(0, 1))
        np.testing.assert_allclose(volume.grid.spacing_mm, (0.0025, 0.0005, 0.00025))
        header = read_header(tmp_path / "a.tif")
        assert (header.num_channels, header.grid) == (2, volume.grid)

    @pytest.mark.parametrize(
        ("unit", "scale"), [("nm", 1e-6), ("\\u00B5m", 1e-3), ("micron", 1e-3), ("cm", 10)]
    )
    def test_units_of_imagej(self, tmp_path, unit, scale):
        metadata = {"axes": "ZYX", "unit": unit}  # ImageJ leaves out a spacing of 1
        tifffile.imwrite(
            tmp_path / "a.tif",
            np.zeros((3, 4, 5), np.uint8),
            imagej=True,
            resolution=(2, 4),
            metadata=metadata,
        )
        spacing = read_volume(tmp_path / "a.tif").grid.spacing_mm
        np.testing.assert_allclose(spacing, np.array([1, 0.25, 0.5]) * scale)

    def test_resolution_without_unit_is_not_believed(self, tmp_path):
        tifffile.imwrite(tmp_path / "a.tif", np.zeros((6, 7, 8), np.uint8), resolution=(72, 72))
        assert read_volume(tmp_path / "a.tif").grid.spacing_mm is None

    @pytest.mark.parametrize("bigtiff", [False, True])
    def test_ome(self, tmp_path, bigtiff):
        values = np.arange(2 * 5 * 8 * 9, dtype=np.int32).reshape(2, 5, 8, 9)
        metadata = {
            "axes": "CZYX",
            "PhysicalSizeX": 4,
            "PhysicalSizeXUnit": "nm",
            "PhysicalSizeY": 0.5,  # micrometre where no unit is named
            "PhysicalSizeZ": 50,
            "PhysicalSizeZUnit": "nm",
        }
        tifffile.imwrite(
            tmp_path / "a.ome.tif",
            values,
            bigtiff=bigtiff,
            compression="zlib",
            photometric="minisblack",
            metadata=metadata,
        )
        volume = read_volume(tmp_path / "a.ome.tif")
        np.testing.assert_array_equal(volume.values, values)
        np.testing.assert_allclose(volume.grid.spacing_mm, (50e-6, 0.5e-3, 4e-6))

    @pytest.mark.parametrize("axis", "zyx")
    def test_an_edge_that_ome_does_not_tell_is_remarked(self, tmp_path, axis):
        """Two edges were dropped without a word."""
        edges = {each: size for each, size in zip("zyx", (50, 4, 2), strict=True) if each != axis}
        metadata = {f"PhysicalSize{each.upper()}": size for each, size in edges.items()}
        path = tmp_path / "a.ome.tif"
        write_tiff(path, metadata={"axes": "ZYX", **metadata})
        header = read_header(path)
        assert header.grid.spacing_mm is None
        (remark,) = header.remarks
        told = " x ".join(f"{size / 1000:g}" for size in edges.values())
        assert f"along {', '.join(edges)} ({told} mm) but not along {axis}" in remark
        assert "spacing_mm" in remark

    @pytest.mark.parametrize("metadata", [{}, {"PhysicalSizeX": 1, "PhysicalSizeY": 1,
                                               "PhysicalSizeZ": 2}])  # fmt: skip
    def test_all_edges_or_none_need_no_remark(self, tmp_path, metadata):
        write_tiff(tmp_path / "a.ome.tif", metadata={"axes": "ZYX", **metadata})
        assert read_header(tmp_path / "a.ome.tif").remarks == ()

    @pytest.mark.parametrize("size", [(3, 8, 9), (8, 9)])
    def test_an_edge_in_ome_that_is_no_number_is_named(self, tmp_path, size):
        """It was called a damaged file."""
        path = tmp_path / "a.ome.tif"
        write_tiff(path, size, metadata={"axes": "ZYX"[-len(size) :], "PhysicalSizeX": "abc"})
        with pytest.raises(DataError, match=r"PhysicalSizeX in its OME metadata is 'abc'.*save it"):
            read_header(path)

    def test_a_spacing_of_imagej_that_is_no_number_is_named(self, tmp_path):
        metadata = {"axes": "ZYX", "unit": "um", "spacing": "abc"}
        write_tiff(tmp_path / "a.tif", imagej=True, resolution=(2, 4), metadata=metadata)
        with pytest.raises(DataError, match=r"a\.tif: spacing in its ImageJ metadata is 'abc'"):
            read_header(tmp_path / "a.tif")

    def test_plain_pages_are_slices(self, tmp_path, scan):
        tifffile.imwrite(tmp_path / "a.tif", scan, photometric="minisblack")
        with tifffile.TiffWriter(tmp_path / "b.tif") as file:
            for plane in scan:
                file.write(plane, contiguous=False)
        pages = [Image.fromarray(plane) for plane in scan]
        options = {"save_all": True, "append_images": pages[1:], "compression": "tiff_lzw"}
        pages[0].save(tmp_path / "c.tif", **options)
        for name in ("a.tif", "b.tif", "c.tif"):
            np.testing.assert_array_equal(read_volume(tmp_path / name).values[0], scan)
            assert read_volume(tmp_path / name).grid.spacing_mm is None

    def test_colour_pages_are_channels(self, tmp_path):
        colors = np.arange(4 * 8 * 9 * 3, dtype=np.uint8).reshape(4, 8, 9, 3)
        tifffile.imwrite(tmp_path / "a.tif", colors, photometric="rgb")
        np.testing.assert_array_equal(
            read_volume(tmp_path / "a.tif").values, np.moveaxis(colors, -1, 0)
        )

    def test_many_channels_on_one_page(self, tmp_path):
        values = np.arange(8 * 9 * 5, dtype=np.uint16).reshape(8, 9, 5)
        tifffile.imwrite(
            tmp_path / "a.tif", values, photometric="minisblack", planarconfig="contig"
        )
        volume = read_volume(tmp_path / "a.tif")
        np.testing.assert_array_equal(volume.values, np.moveaxis(values, -1, 0))
        assert volume.grid == Grid.of((8, 9))

    def test_axes_without_meaning_are_asked_for(self, tmp_path, scan):
        pairs = np.stack([scan, scan + 1])
        tifffile.imwrite(tmp_path / "a.tif", pairs, photometric="minisblack")
        with pytest.raises(DataError, match=r'does not say what its axes mean.*axes="czyx"'):
            read_volume(tmp_path / "a.tif")
        np.testing.assert_array_equal(read_volume(tmp_path / "a.tif", axes="czyx").values, pairs)

    def test_a_time_series_is_refused_unless_told_otherwise(self, tmp_path, scan):
        tifffile.imwrite(tmp_path / "a.tif", scan, imagej=True, metadata={"axes": "TYX"})
        with pytest.raises(DataError, match="holds 4 images one after another"):
            read_volume(tmp_path / "a.tif")
        np.testing.assert_array_equal(read_volume(tmp_path / "a.tif", axes="zyx").values[0], scan)

    def test_pages_that_differ(self, tmp_path, scan):
        with tifffile.TiffWriter(tmp_path / "a.tif") as file:
            file.write(scan[0])
            file.write(scan[0, :, :4])
        with pytest.raises(DataError, match=r"differ in size or type \(5 x 6, 5 x 4\)"):
            read_volume(tmp_path / "a.tif")

    @pytest.mark.parametrize("compression", [None, "zlib"])
    @pytest.mark.parametrize("kept", [0.4, 0.8, 0.99])
    def test_truncated(self, tmp_path, compression, kept):
        noise = np.random.default_rng(0).normal(size=(9, 40, 40)).astype(np.float32)
        tifffile.imwrite(tmp_path / "a.tif", noise, compression=compression, bigtiff=True)
        content = (tmp_path / "a.tif").read_bytes()
        (tmp_path / "a.tif").write_bytes(content[: int(len(content) * kept)])
        with pytest.raises(DataError, match=r"truncated or damaged|is truncated") as caught:
            read_volume(tmp_path / "a.tif")
        assert "\n" not in str(caught.value)


class TestPictures:
    @pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp", ".jpg"])
    @pytest.mark.parametrize("mode", ["L", "RGB", "P", "1"])
    def test_a_picture_is_a_volume_of_two_axes(self, tmp_path, scan, suffix, mode):
        if suffix == ".jpg" and mode in ("P", "1"):
            pytest.skip("JPEG has no such mode")
        Image.fromarray(scan[0]).convert(mode).save(tmp_path / f"a{suffix}")
        volume = read_volume(tmp_path / f"a{suffix}")
        np.testing.assert_array_equal(volume.values, read_image(tmp_path / f"a{suffix}"))
        header = read_header(tmp_path / f"a{suffix}")
        assert volume.grid == header.grid == Grid.of((5, 6))
        assert (header.num_channels, header.dtype) == (volume.num_channels, volume.values.dtype)

    def test_sixteen_bit_and_float(self, tmp_path, scan):
        Image.fromarray(scan[0].astype(np.uint16)).save(tmp_path / "a.png")
        tifffile.imwrite(tmp_path / "b.tif", scan[0].astype(np.float64))
        for name in ("a.png", "b.tif"):
            assert read_header(tmp_path / name).dtype == read_volume(tmp_path / name).values.dtype

    def test_spacing_of_a_picture_of_a_microscope(self, tmp_path, scan):
        tifffile.imwrite(
            tmp_path / "a.tif", scan[0], imagej=True, resolution=(2, 4), metadata={"unit": "um"}
        )
        np.testing.assert_allclose(read_volume(tmp_path / "a.tif").grid.spacing_mm, (25e-5, 5e-4))

    def test_labels_of_pictures_are_read_as_ever(self, tmp_path, scan):
        colors = np.stack([scan[0], scan[1], scan[2]], -1)
        Image.fromarray(colors).save(tmp_path / "a.png")
        label = read_label_volume(tmp_path / "a.png")
        assert label.is_color
        assert label.values[2, 3] == int.from_bytes(colors[2, 3].tobytes(), "big")
