"""Open Keras weight files without Keras, and without trusting them.

Three forms are read: `.h5` of Keras 2 (and `model.save("x.h5")` of Keras 3), `.weights.h5` and
`.keras` of Keras 3; which one it is shows in the content, not in the name. The only importer of
h5py, an optional dependency. Nothing in a file is executed, links out of it are not followed, and
an array is read only after its shape was compared with the one that is wanted.
"""

from __future__ import annotations

import json
import math
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from ushape.errors import ConfigError, DataError, UshapeError

try:
    import h5py
except ImportError:  # said when a file is opened: the rest of ushape needs no h5py
    h5py = None

Shape = tuple[int, ...]

SPARE_BYTES = 1 << 26
"""What an HDF5 file may hold besides the weights, and what one chunk of an array may take."""

MOST_NAMES = 100_000
MOST_CONFIG_BYTES = 1 << 26
_HDF5_START = b"\x89HDF\r\n\x1a\n"
_ZIP_START = b"PK\x03\x04"


class KerasFile:
    """An opened file: groups, attributes and arrays, each looked at with care.

    Attributes:
        path: Where it stands, for messages.
        config: The model's own description, where the file holds one.
    """

    def __init__(self, path: Path, root: Any, config: Mapping[str, Any] | None) -> None:
        self.path = path
        self.config = config if config is not None else _config_of(root)
        self._root = root

    def children(self, group: str) -> tuple[str, ...]:
        """List the names in a group; none for a group that is not there, or for an array."""
        found = self._find(group)
        if not isinstance(found, h5py.Group):
            return ()
        self._check_count(len(found), group)
        return tuple(found)

    def is_array(self, place: str) -> bool:
        """Say whether an array stands there."""
        return isinstance(self._find(place), h5py.Dataset)

    def shape(self, place: str) -> Shape:
        """Return the claimed shape of an array of weights; nothing is allocated.

        Raises:
            DataError: There is no such array, or it is not made of floating-point numbers.
        """
        return tuple(map(int, self._array(place).shape))

    def read(self, place: str, shape: Shape) -> npt.NDArray[np.float64]:
        """Read an array whose shape is known to be wanted.

        Raises:
            DataError: Its shape is another, it is stored elsewhere, or not finite.
        """
        array = self._array(place)
        assert tuple(array.shape) == shape, "compared before"
        if array.is_virtual or array.external:
            raise DataError(f"{self.path}: {place} is stored in another file; save the model anew")
        if array.chunks and math.prod(array.chunks) * array.dtype.itemsize > SPARE_BYTES + (
            2 * math.prod(shape) * array.dtype.itemsize
        ):
            raise DataError(f"{self.path}: {place} claims pieces of {array.chunks}: damaged")
        values = np.asarray(array[()], dtype=np.float64)
        if not np.isfinite(values).all():
            raise DataError(f"{self.path}: {place} holds values that are not finite (nan or inf)")
        return values

    def text(self, group: str, name: str) -> str | None:
        """Return an attribute that is one text, if there is one."""
        found = self._find(group)
        value = None if found is None else found.attrs.get(name)
        return _decode(value) if isinstance(value, str | bytes) else None

    def texts(self, group: str, name: str) -> tuple[str, ...] | None:
        """Return an attribute that is a list of texts; Keras cuts long ones into name0, name1."""
        found = self._find(group)
        if found is None:
            return None
        if name in found.attrs:
            return self._texts(found, name)
        pieces: list[str] = []
        number = 0
        while f"{name}{number}" in found.attrs:
            pieces += self._texts(found, f"{name}{number}")
            self._check_count(len(pieces), name)
            number += 1
        return tuple(pieces) if number else None

    def _texts(self, found: Any, name: str) -> tuple[str, ...]:
        self._check_count(math.prod(found.attrs.get_id(name).shape or (1,)), name)
        return tuple(_decode(value) for value in np.atleast_1d(found.attrs[name]))

    def _check_count(self, count: int, what: str) -> None:
        if count > MOST_NAMES:
            raise DataError(f"{self.path}: {what} lists {count} names: not a file of weights")

    def _array(self, place: str) -> Any:
        array = self._find(place)
        if not isinstance(array, h5py.Dataset):
            raise DataError(f"{self.path}: the array {place} is missing: damaged, or cut short")
        if array.dtype.kind != "f" or array.shape is None:
            raise DataError(
                f"{self.path}: {place} is of type {array.dtype}, not floating-point: quantised "
                "models cannot be converted"
            )
        return array

    def _find(self, place: str) -> Any:
        """Walk to a place by hard links only: others may lead into other files or in circles."""
        found = self._root
        for name in filter(None, place.split("/")):
            link = found.get(name, getlink=True) if isinstance(found, h5py.Group) else None
            if link is None:
                return None
            if not isinstance(link, h5py.HardLink):
                raise DataError(f"{self.path}: {place} is a link, not data; save the model anew")
            found = found[name]
        return found


@contextmanager
def open_keras_file(path: str | Path, *, most_bytes: int) -> Iterator[KerasFile]:
    """Open a Keras file of weights.

    Args:
        path: `.h5`, `.hdf5`, `.weights.h5` or `.keras`.
        most_bytes: What the weights inside a `.keras` archive may take, unpacked.

    Raises:
        ConfigError: h5py is not installed.
        DataError: No such file, another kind of file, or a damaged one.
    """
    source = Path(path)
    if h5py is None:
        raise ConfigError(
            "Keras files need the package h5py, which is not installed: "
            "pip install 'ushape[keras]', or pip install h5py"
        )
    try:
        with source.open("rb") as file:
            start = file.read(len(_HDF5_START))
        if start.startswith(_ZIP_START):
            with _opened_archive(source, most_bytes) as opened:
                yield opened
        elif start == _HDF5_START:
            with h5py.File(source, "r") as root:
                yield KerasFile(source, root, None)
        else:
            raise DataError(
                f"{source}: neither HDF5 nor a .keras archive; give a file written by "
                "model.save(...) or model.save_weights(...) of Keras"
            )
    except UshapeError:
        raise
    except FileNotFoundError as error:
        raise DataError(f"{source}: no such file") from error
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, zipfile.BadZipFile) as error:
        reason = " ".join(str(error).split())[:200]
        raise DataError(
            f"{source}: cannot be read, it is damaged or cut short ({reason})"
        ) from error


@contextmanager
def _opened_archive(source: Path, most_bytes: int) -> Iterator[KerasFile]:
    """Open a `.keras` archive: JSON and an HDF5 file, which is unpacked beside nothing of ours."""
    with zipfile.ZipFile(source) as archive, tempfile.TemporaryDirectory() as folder:
        names = set(archive.namelist())
        if "model.weights.h5" not in names:
            raise DataError(
                f"{source}: an archive without model.weights.h5; give a .keras file of Keras 3, "
                "or a file of model.save_weights(...)"
            )
        config = None
        if "config.json" in names:
            if archive.getinfo("config.json").file_size > MOST_CONFIG_BYTES:
                raise DataError(f"{source}: its config.json is too large for a network")
            config = json.loads(archive.read("config.json"))
        size = archive.getinfo("model.weights.h5").file_size
        if size > most_bytes:
            raise DataError(
                f"{source}: holds {size / 2**20:.0f} MiB of weights, the network needs "
                f"{most_bytes / 2**20:.0f} at most, with the state of an optimiser: not the same "
                "network"
            )
        unpacked = Path(folder) / "model.weights.h5"
        with archive.open("model.weights.h5") as member, unpacked.open("wb") as copy:
            _copy(member, copy)
        with h5py.File(unpacked, "r") as root:
            yield KerasFile(source, root, config if isinstance(config, Mapping) else None)


def _copy(member: Any, copy: BinaryIO) -> None:
    """Unpack; `zipfile` stops at the size that was checked, whatever the stream holds."""
    shutil.copyfileobj(member, copy, 1 << 20)


def _config_of(root: Any) -> Mapping[str, Any] | None:
    """Read the description that `model.save("x.h5")` leaves, if there is one."""
    value = root.attrs.get("model_config")
    if not isinstance(value, str | bytes):
        return None
    config = json.loads(_decode(value))
    return config if isinstance(config, Mapping) else None


def _decode(value: Any) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)
