"""Headers that claim 10^12 voxels: refused by arithmetic, before any memory is taken."""

import gzip
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
import tifffile

from ushape.data.io import read_header, read_label_volume, read_volume
from ushape.data.io.claims import check_claim
from ushape.errors import DataError

EDGE = 10_000
ONE_MIB = 2**20


def nifti(path, scan, write_nifti):
    write_nifti(path, scan, dim=(3, EDGE, EDGE, EDGE, 1, 1, 1, 1))


def replaced(path, scan, old, new):
    sitk.WriteImage(sitk.GetImageFromArray(scan), str(path), useCompression="z" in path.stem)
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new))


def npy(path, scan):
    header = {"descr": "|u1", "fortran_order": False, "shape": (EDGE,) * 3}
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        file.write(scan.tobytes())


def npz(path, scan):
    npy(path.with_name("inner.npy"), scan)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(path.with_name("inner.npy"), "a.npy")


def tiff(path, scan, compression=None):
    tifffile.imwrite(path, scan, photometric="minisblack", metadata=None, compression=compression)
    with tifffile.TiffFile(path, mode="r+b") as tif:
        for page in tif.pages:
            page.tags["ImageWidth"].overwrite(10**6)
            page.tags["ImageLength"].overwrite(10**6)


def imagej(path, scan):
    notes = "ImageJ=1.53t\nimages=1000000000\nslices=1000000000\n"
    tifffile.imwrite(path, scan[0], description=notes, metadata=None)


SIZES = b"6 5 4", b"10000 10000 10000"
MAKERS = {
    "a.nii": nifti,
    "a.nii.gz": nifti,
    "a.nrrd": lambda path, scan: replaced(path, scan, *SIZES),
    "az.nrrd": lambda path, scan: replaced(path, scan, *SIZES),
    "a.mha": lambda path, scan: replaced(path, scan, *SIZES),
    "az.mha": lambda path, scan: replaced(path, scan, *SIZES),
    "a.npy": npy,
    "a.npz": npz,
    "a.tif": tiff,
    "b.tif": imagej,
    "c.tif": lambda path, scan: tiff(path, scan, "zlib"),
}


@pytest.mark.parametrize("name", MAKERS)
def test_a_trillion_voxels(tmp_path, scan, write_nifti, name):
    path = tmp_path / name
    MAKERS[name](*(path, scan, write_nifti)[: 3 if "nii" in name else 2])
    replies = []
    with pytest.raises(DataError):  # once without watching: imports take memory too
        read_header(path)
    tracemalloc.start()
    for read in (read_header, read_volume, read_label_volume):
        with pytest.raises(DataError, match=r"claims|truncated or damaged") as caught:
            read(path)
        replies.append(str(caught.value))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < ONE_MIB
    assert all(name in reply and "\n" not in reply and "; " in reply for reply in replies)


def test_a_dicom_slice_of_four_billion_pixels(write_series, scan):
    folder = write_series(scan[:1].astype(np.int16))
    path = folder / "s00.dcm"
    content = path.read_bytes()
    for tag in (b"\x28\x00\x10\x00\x02\x00\x00\x00", b"\x28\x00\x11\x00\x02\x00\x00\x00"):
        place = content.index(tag) + len(tag)
        content = content[:place] + struct.pack("<H", 65535) + content[place + 2 :]
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"s00\.dcm: its header claims .*65535 x 65535"):
        read_volume(path)


def test_a_compressed_file_may_expand_as_far_as_deflate_can(tmp_path, write_nifti):
    path = write_nifti(tmp_path / "a.nii.gz", np.zeros((200, 200, 200), np.uint8))
    assert len(path.read_bytes()) < 10_000
    assert read_volume(path).values.shape == (1, 200, 200, 200)


def test_a_zip_bomb_inside_its_bound_is_measured_against_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("ushape.data.io.claims.memory_bytes", lambda: 1000)
    np.save(tmp_path / "a.npy", np.zeros((20, 20, 20), np.uint8))
    with pytest.raises(DataError, match=r"8,000 bytes\); this machine has 1,000 bytes of memory"):
        read_volume(tmp_path / "a.npy")


def test_the_message_has_the_numbers(tmp_path):
    path = tmp_path / "a.nii.gz"
    path.write_bytes(gzip.compress(b"x"))
    message = r"claims 10 x 20 voxels \(800 bytes\), but 7 bytes are stored, which hold 70 at most"
    with pytest.raises(DataError, match=message):
        check_claim(path, (10, 20), 800, 7, ratio=10)
