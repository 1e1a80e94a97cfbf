"""Measure how one large volume is prepared, its prediction restored, and patches read.

    python benchmarks/preprocess.py [--edge 512] [--storage]

Every part runs in a process of its own, whose largest resident memory is told. `--storage` also
reads patches of the prepared image from an uncompressed .npy file and from chunks compressed with
zarr's Blosc codecs (which needs zarr), each time from the disk's cache in memory and without it,
and resamples a volume with scipy's spline beside ours.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy import ndimage

from ushape.config.schema import PreprocessConfig
from ushape.data.io import Grid, write_label_volume
from ushape.data.layouts import CaseFiles
from ushape.data.placement import Placement
from ushape.data.preprocess import prepare_cases
from ushape.data.preprocess.cache import load_array, load_placement
from ushape.data.preprocess.resample import resample_image
from ushape.data.restore import Restorer
from ushape.labels import LabelClass, LabelTable

TABLE = LabelTable(tuple(LabelClass(name, i) for i, name in enumerate(("background", "a", "b"))))
SPACING = (0.8, 0.7, 0.7)
CONFIG = PreprocessConfig(
    1, clip=(0.5, 99.5), spacing_mm=tuple(0.9 * edge for edge in SPACING), crop="nonzero"
)
BAND = 32
PATCHES = 40


def make(root: Path, edge: int) -> None:
    """Write a smooth float32 volume with noise, as a NIfTI file, plane by plane, and its label."""
    import SimpleITK as sitk  # noqa: N813

    small = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(64,) * 3), 4)
    volume = np.empty((edge,) * 3, np.float32)
    rng = np.random.default_rng(1)
    zoomed = ndimage.zoom(small.astype(np.float32), (1, edge / 64, edge / 64), order=1)
    for index in range(edge):
        volume[index] = 4000 * zoomed[index * 64 // edge] + rng.normal(100, 5, (edge, edge))
    image = sitk.GetImageFromArray(volume)
    image.SetSpacing(SPACING[::-1])
    sitk.WriteImage(image, str(root / "image.nii"))
    z, y, x = np.ogrid[:edge, :edge, :edge]
    ball = (z - edge / 2) ** 2 + (y - edge / 2) ** 2 + (x - edge / 2) ** 2 < (edge / 3) ** 2
    label = ball.astype(np.uint8)
    label[: edge // 2] *= 2
    write_label_volume(root / "label.nii.gz", label, Grid.of(label.shape, SPACING))


def prepare(root: Path) -> None:
    case = CaseFiles("a", root / "image.nii", root / "label.nii.gz")
    # The origin that SimpleITK writes is that of ours: both are 0.
    (found,) = prepare_cases([case], TABLE, CONFIG, root / "cache")
    assert isinstance(found.placement, Placement)
    print(f"prepared {found.placement.size} of {found.placement.cropped}", end=" ")


def restore(root: Path) -> None:
    placement = load_placement(next(root.glob("cache/*-placement.json")))
    target = load_array(next(root.glob("cache/*-target.npy")))
    restorer = Restorer(placement, TABLE)
    for first in range(0, len(target), BAND):
        band = np.asarray(target[first : first + BAND])
        restorer.put(first, np.stack([band == k for k in range(3)]).astype(np.float32))
    print(f"restored {restorer.classes().shape}", end=" ")


def forget(path: Path) -> None:
    """Drop a file, or the files of a folder, from the disk's cache."""
    for file in [path] if path.is_file() else path.rglob("*"):
        if file.is_file():
            descriptor = os.open(file, os.O_RDONLY)
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)


def storage(root: Path) -> None:
    import zarr
    from zarr.codecs import BloscCodec

    path = next(root.glob("cache/*-image.npy"))
    image = np.load(path, mmap_mode="r")[0]
    stores: dict[str, tuple[Path, Callable[[], object]]] = {
        "uncompressed .npy": (path, lambda: np.load(path, mmap_mode="r")[0])
    }
    for codec in ("lz4", "zstd"):
        folder = root / f"{codec}.zarr"
        stored = zarr.create_array(
            folder,
            shape=image.shape,
            chunks=(64,) * 3,
            dtype="f4",
            compressors=BloscCodec(cname=codec, clevel=3, shuffle="bitshuffle"),
        )
        stored[...] = image
        stores[f"zarr, blosc {codec}, 64^3"] = (folder, lambda folder=folder: zarr.open(folder))
    print()
    for name, (where, opened) in stores.items():
        files = [where] if where.is_file() else [f for f in where.rglob("*") if f.is_file()]
        size = sum(file.stat().st_size for file in files) / 2**20
        for edge in (64, 128):
            times = []
            for is_cold in (True, False):
                if is_cold:
                    forget(where)
                array, rng = opened(), np.random.default_rng(3)
                start = time.perf_counter()
                for _ in range(PATCHES):
                    corner = [int(rng.integers(0, n - edge + 1)) for n in image.shape]
                    cut = tuple(slice(c, c + edge) for c in corner)
                    np.ascontiguousarray(array[cut])
                times.append((time.perf_counter() - start) / PATCHES * 1e3)
            print(
                f"  {name}: {size:.0f} MiB; {edge}^3 patch {times[0]:.1f} ms from the disk, "
                f"{times[1]:.2f} ms from its cache"
            )


def resample(_: Path) -> None:
    """Sample 256^3 voxels on 284^3: ours, and the spline of scipy that nnU-Net uses."""
    values = np.random.default_rng(0).normal(size=(256,) * 3).astype(np.float32)
    size = (284,) * 3

    def ours() -> None:
        out = np.empty(size, np.float32)
        resample_image(values, size, ("cubic",) * 3, lambda plane: plane, out)

    def scipy() -> None:
        ndimage.zoom(values, [n / 256 for n in size], order=3, grid_mode=True, mode="nearest")

    for name, run in (("ours", ours), ("scipy", scipy)):
        start = time.process_time()
        run()
        print(f"cubic {name} {time.process_time() - start:.2f} s of one core,", end=" ")


PARTS = {"prepare": prepare, "restore": restore, "storage": storage, "resample": resample}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--edge", type=int, default=512)
    parser.add_argument("--storage", action="store_true")
    parser.add_argument("--part", choices=[*PARTS, "make"])
    parser.add_argument("--root", type=Path)
    given = parser.parse_args()
    if given.part == "make":
        make(given.root, given.edge)
        return
    if given.part:
        start = time.perf_counter()
        PARTS[given.part](given.root)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(
            f"in {time.perf_counter() - start:.1f} s ({time.process_time():.1f} s of one core), "
            f"{peak:.2f} GiB at most",
            flush=True,
        )
        return
    root = Path(tempfile.mkdtemp())
    try:
        parts = ["make", "prepare", "restore", *(["storage", "resample"] if given.storage else [])]
        for part in parts:
            arguments = ["--part", part, "--root", str(root), "--edge", str(given.edge)]
            subprocess.run([sys.executable, __file__, *arguments], check=True)
    finally:
        shutil.rmtree(root)


if __name__ == "__main__":
    main()
