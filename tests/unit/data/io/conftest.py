"""Files made by hand, so that headers may say anything, and what SimpleITK makes of them."""

import gzip
import struct

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

RNG = np.random.default_rng(3)
SIFORM = (1, 0, 0, 5, 0, 2, 0, 6, 0, 0, 3, 7)


@pytest.fixture(scope="session")
def scan():
    """A small volume without symmetry, z y x."""
    return RNG.integers(0, 250, (4, 5, 6), dtype=np.uint8)


@pytest.fixture(scope="session")
def write_nifti():
    """Write a NIfTI-1 or 2 file by hand; keywords override its header."""

    def write(path, values, **override):
        """Values are z y x, or t z y x, or c t z y x."""
        order = override.get("order", "<")
        stored = np.asarray(values)
        code = override.get("datatype", TYPES[stored.dtype.newbyteorder("=").str[1:]])
        dim = override.get("dim", (stored.ndim, *stored.shape[::-1], *(1,) * (7 - stored.ndim)))
        head = bytearray(352)
        put = lambda layout, place, *numbers: struct.pack_into(  # noqa: E731
            order + layout, head, place, *numbers
        )
        put("i", 0, 348)
        put("8h", 40, *dim)
        put("hh", 70, code, stored.dtype.itemsize * 8)
        put("8f", 76, *override.get("pixdim", (1, 1, 2, 3, 1, 1, 1, 1)))
        put("3f", 108, 352, override.get("slope", 1), override.get("intercept", 0))
        put("B", 123, override.get("units", 2))
        put("hh", 252, override.get("qcode", 0), override.get("scode", 1))
        put("6f", 256, *override.get("quatern", (0, 0, 0)), *override.get("qoffset", (5, 6, 7)))
        put("12f", 280, *override.get("sform", SIFORM))
        head[344:348] = override.get("magic", b"n+1\0")
        content = bytes(head) + stored.astype(stored.dtype.newbyteorder(order)).tobytes()
        path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
        return path

    return write


TYPES = {
    "u1": 2, "i2": 4, "i4": 8, "f4": 16, "f8": 64, "i1": 256, "u2": 512, "u4": 768, "i8": 1024,
    "u8": 1280, "c8": 32,
}  # fmt: skip


@pytest.fixture(scope="session")
def same_as_itk():
    """Check a volume against what SimpleITK reads from a file: values and place."""

    def check(volume, path, *, exact=True):
        image = sitk.ReadImage(str(path))
        seen = sitk.GetArrayFromImage(image)
        seen = np.moveaxis(seen, -1, 0) if image.GetNumberOfComponentsPerPixel() > 1 else seen[None]
        np.testing.assert_array_equal(volume.values, seen)
        grid = volume.grid
        assert grid.size == image.GetSize()[::-1]
        tolerance = 0 if exact else 1e-6
        np.testing.assert_allclose(grid.edges_mm[::-1], image.GetSpacing(), atol=tolerance)
        np.testing.assert_allclose(grid.origin_mm[::-1], image.GetOrigin(), atol=tolerance)
        direction = np.asarray(grid.direction)[::-1, ::-1].ravel()
        np.testing.assert_allclose(direction, image.GetDirection(), atol=tolerance)

    return check


@pytest.fixture
def write_series(tmp_path):
    """Write a DICOM series with SimpleITK; returns the folder. Slices have 2.5 mm between them."""

    def write(values, *, folder="series", series="1.2.3.4", spacing=(2.5, 0.75, 0.5), **tags):
        home = tmp_path / folder
        home.mkdir(exist_ok=True)
        writer = sitk.ImageFileWriter()
        writer.KeepOriginalImageUIDOn()
        for number, plane in enumerate(values):
            image = sitk.GetImageFromArray(plane[np.newaxis])
            image.SetSpacing(spacing[::-1])
            place = tags.get("place", lambda n: (1.0, 2.0, 3.0 + spacing[0] * n))(number)
            notes = {
                "0008|0060": "CT",
                "0020|000d": "1.2.3",
                "0020|000e": series,
                "0008|0018": f"{series}.{number + 1}",
                "0020|0013": str(number),
                "0020|0032": "\\".join(f"{value:.6f}" for value in place),
                "0020|0037": tags.get("cosines", "1\\0\\0\\0\\1\\0"),
                **tags.get("notes", {}),
            }
            for key, value in notes.items():
                image.SetMetaData(key, value)
            writer.SetFileName(str(home / f"{tags.get('prefix', 's')}{number:02d}.dcm"))
            writer.Execute(image)
        return home

    return write


@pytest.fixture(scope="session")
def turned():
    """Return a direction turned about an oblique axis, in SimpleITK's order, as a list of nine."""
    axis = np.array([0.3, -0.5, 0.8]) / np.linalg.norm([0.3, -0.5, 0.8])
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    angle = 0.4
    matrix = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    return matrix.ravel().tolist()
