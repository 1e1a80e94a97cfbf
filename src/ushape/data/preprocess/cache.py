"""Prepared arrays on disk: their names, which say what they depend on, and how they are stored.

Every prepared case is an image with the record of its placement beside it and a target (one file
more with pixel weights, one more where patches are centred on classes). A name holds a hash of all
that the array depends on: the bytes of its files (of a folder, their names in it too) and the
settings that change it. So a changed file or setting prepares anew what it changes, and anything
else is used again.

Arrays are uncompressed `.npy`, read through memory maps, and written atomically and in pieces: a
killed run leaves no half array, and an array is not held twice.
"""

from __future__ import annotations

import glob
import hashlib
import json
import os
import re
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib import format as npy

from ushape.config.schema import PreprocessConfig
from ushape.data.io import path_inside
from ushape.data.layouts import CaseFiles
from ushape.data.placement import Placement
from ushape.data.preprocess.normalise import slabs
from ushape.data.sample import Sample
from ushape.data.sampling import unpack_places
from ushape.data.targets import VOID, VOID_BIT
from ushape.errors import DataError
from ushape.files import atomic_path, write_json
from ushape.labels import LabelTable

FORMAT = 3
"""Part of every cache name; raise it when the stored arrays change in meaning."""

_PIECE_BYTES = 1 << 24

_STALE_S = 600.0
"""A half written file that did not grow for so long is nobody's."""

_DATA_FILE = re.compile(rb"^\s*(?:ElementDataFile\s*=|data ?file:)\s*(.+?)\s*$", re.I | re.M)


@dataclass(frozen=True)
class PreparedCase:
    """A case on disk, opened without reading it into memory."""

    id: str
    image_path: Path
    target_path: Path
    placement: Placement
    weight_path: Path | None = None
    has_void: bool = False
    is_overlapping: bool = False
    places_path: Path | None = None
    sampling_weight: float = 1.0

    def open(self) -> Sample:
        """Map the arrays; pixels are read when they are used, or once to count void ones."""
        target = load_array(self.target_path)
        num_valid = None
        if self.has_void:
            num_valid = target.size - sum(self._count_void(target[s]) for s in slabs(target.shape))
        weight = None if self.weight_path is None else load_array(self.weight_path)
        places = (
            ()
            if self.places_path is None
            else unpack_places(load_array(self.places_path), target.ndim)
        )
        spacing = self.placement.spacing_mm if target.ndim == 3 else None
        image = load_array(self.image_path)
        return Sample(
            self.id, image, target, weight, num_valid, places, spacing, self.sampling_weight
        )

    def _count_void(self, target: npt.NDArray[Any]) -> int:
        void = target & VOID_BIT == VOID_BIT if self.is_overlapping else target == VOID
        return int(np.count_nonzero(void))


def image_key(case: CaseFiles, config: PreprocessConfig) -> str:
    """Hash all that a prepared image depends on."""
    settings = {
        "normalise": config.normalise,
        "clip": config.clip,
        "nonzero": config.nonzero,
        "intensity": config.intensity if config.normalise == "ct" else None,
        "channels": config.channels,
        "spacing_mm": config.spacing_mm,
        "crop": config.crop,
        "told": [case.spacing_mm, case.frames_are_channels, len(case.planes)],
    }
    return _key(settings, case.image_paths)


def target_key(case: CaseFiles, table: LabelTable, placement: Placement, *, align: bool) -> str:
    """Hash all that a prepared target depends on: of the image, no more than where it lies."""
    settings = {
        "labels": [entry.members for entry in table.classes],
        "form": [table.form, table.is_color, table.is_overlapping, table.ignore],
        "placement": placement.to_json(),
        "align": align,
        "told": [case.spacing_mm, len(case.planes)],
    }
    return _key(settings, case.label_paths)


def entry_path(cache: Path, case_id: str, name: str) -> Path:
    """Name a file of a case in the cache.

    Raises:
        DataError: The case's name leads out of the cache.
    """
    return path_inside(cache, f"{case_id}-{name}")


def save_array(path: Path, array: npt.NDArray[Any]) -> None:
    """Write an array atomically, in pieces: numpy's own writer hides why a disk refuses."""
    contiguous = np.ascontiguousarray(array)
    data = contiguous.reshape(-1).view(np.uint8).data
    _sweep(path)
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        npy.write_array_header_1_0(file, npy.header_data_from_array_1_0(contiguous))
        for start in range(0, len(data), _PIECE_BYTES):
            file.write(data[start : start + _PIECE_BYTES])


def _sweep(path: Path) -> None:
    """Remove what a killed run left of this array, unless another process may still write it."""
    for part in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
        with suppress(OSError):
            if time.time() - part.stat().st_mtime > _STALE_S:
                part.unlink()


def load_array(path: Path) -> npt.NDArray[Any]:
    """Map an array of the cache.

    Raises:
        DataError: It is damaged.
    """
    try:
        return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
    except (OSError, ValueError, EOFError) as error:
        raise DataError(
            f"{path}: the prepared array cannot be read ({error}); delete it and run again"
        ) from error


def save_placement(path: Path, placement: Placement) -> None:
    """Write how a case was prepared."""
    write_json(path, placement.to_json())


def load_placement(path: Path) -> Placement:
    """Read how a case was prepared.

    Raises:
        DataError: The record is damaged.
    """
    try:
        return Placement.from_json(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path}: the record of a prepared case cannot be read ({error}); delete it and run "
            "again"
        ) from error


def _key(settings: Mapping[str, Any], paths: Iterable[Path]) -> str:
    digest = hashlib.sha256(json.dumps({"format": FORMAT, **settings}, sort_keys=True).encode())
    for path in paths:
        try:
            is_folder = path.is_dir()
            for file in _files(path):
                if is_folder:  # a chunk of another name lies elsewhere in the image
                    digest.update(os.fsencode(file.relative_to(path).as_posix()) + b"\0")
                digest.update(_hash(file))
        except OSError as error:
            raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    return digest.hexdigest()[:16]


def _files(path: Path) -> list[Path]:
    """List the files that an image consists of: those of its folder, or with a header's voxels."""
    if path.is_dir():
        return sorted(file for file in path.rglob("*") if file.is_file())
    if path.suffix.lower() not in (".mhd", ".nhdr"):
        return [path]
    named = _DATA_FILE.findall(path.read_bytes())
    data = [path.parent / name.decode(errors="replace") for name in named]
    return [path, *(file for file in data if file.is_file())]


def _hash(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
