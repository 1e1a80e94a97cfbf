"""From files to normalised arrays on disk, which training reads through memory maps.

Every prepared case is two `.npy` files named by a hash of all that they depend on (the bytes of
the image and label files, and the settings), so a changed file or setting is prepared anew and
anything else is used again. Files are written atomically: a killed run leaves no half array.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ushape.config.schema import PreprocessConfig
from ushape.data.io import read_image, read_label
from ushape.data.layouts import CaseFiles
from ushape.data.sample import Sample
from ushape.data.targets import encode_labels
from ushape.errors import DataError
from ushape.files import atomic_path
from ushape.labels import LabelTable

FORMAT = 1
"""Part of every cache name; raise it when the stored arrays change in meaning."""


@dataclass(frozen=True)
class PreparedCase:
    """A case on disk, opened without reading it into memory."""

    id: str
    image_path: Path
    target_path: Path

    def open(self) -> Sample:
        """Map the arrays; pixels are read when they are used."""
        return Sample(self.id, _map(self.image_path), _map(self.target_path))


def normalise_image(image: npt.NDArray[Any], config: PreprocessConfig) -> npt.NDArray[np.float32]:
    """Bring an image as read from its file to the form that the network was trained on.

    Args:
        image: Shape (channel, *size), any number type.
        config: How many channels the network takes, and how intensities are scaled.

    Returns:
        Same shape, float32. A constant image gives zeros.

    Raises:
        DataError: The image has another number of channels than the network.
    """
    if image.shape[0] == 3 and config.channels == 1 and _is_grey(image):
        image = image[:1]
    if image.shape[0] != config.channels:
        raise DataError(
            f"the image has {image.shape[0]} channel(s), the model takes {config.channels}: "
            f"give {'grey' if config.channels == 1 else 'RGB'} images as in training"
        )
    axes = tuple(range(1, image.ndim))
    scaled = image.astype(np.float32)
    if config.normalise == "percentile":
        low, high = np.percentile(scaled, (0.5, 99.5), axis=axes, keepdims=True)
        middle, reach = (low + high) / 2, np.maximum((high - low) / 2, _least(low + high))
        return np.asarray((scaled - middle) / reach * 2, dtype=np.float32)
    mean = scaled.mean(axis=axes, keepdims=True, dtype=np.float64)
    deviation = scaled.std(axis=axes, keepdims=True, dtype=np.float64)
    return np.asarray((scaled - mean) / np.maximum(deviation, _least(mean)), dtype=np.float32)


def _least(level: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Give the spread below which an image counts as constant, whatever its unit."""
    return np.asarray(1e-6 * np.abs(level) + 1e-30)


def read_target(path: Path, table: LabelTable) -> npt.NDArray[np.uint8]:
    """Read a label file as class indices, with the file named in any error."""
    picture = read_label(path, is_color=table.is_color)
    try:
        return encode_labels(picture.values, table)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def read_sample(case: CaseFiles, table: LabelTable, config: PreprocessConfig) -> Sample:
    """Read one case from its files and normalise it."""
    try:
        image = normalise_image(read_image(case.image), config)
    except DataError as error:
        raise _naming(case.image, error) from error
    if case.label is None:
        return Sample(case.id, image)
    target = read_target(case.label, table)
    if target.shape != image.shape[1:]:
        raise DataError(f"{case.label}: size {target.shape}, its image has {image.shape[1:]}")
    return Sample(case.id, image, target)


def prepare_cases(
    cases: Sequence[CaseFiles],
    table: LabelTable,
    config: PreprocessConfig,
    cache: Path,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[PreparedCase, ...]:
    """Make every labelled case ready for training, using again what is prepared already.

    Args:
        cases: Cases with a label.
        cache: Folder of the prepared arrays.
        progress: Called with (done, total).
    """
    prepared = []
    for done, case in enumerate(cases):
        prepared.append(_prepare(case, table, config, cache))
        if progress:
            progress(done + 1, len(cases))
    return tuple(prepared)


def _prepare(
    case: CaseFiles, table: LabelTable, config: PreprocessConfig, cache: Path
) -> PreparedCase:
    assert case.label is not None
    key = _content_key(case.image, case.label, table, config)
    entry = PreparedCase(
        case.id, cache / f"{case.id}-{key}-image.npy", cache / f"{case.id}-{key}-target.npy"
    )
    if not (entry.image_path.exists() and entry.target_path.exists()):
        sample = read_sample(case, table, config)
        assert sample.target is not None
        _save(entry.image_path, sample.image)
        _save(entry.target_path, sample.target)
    return entry


def _content_key(image: Path, label: Path, table: LabelTable, config: PreprocessConfig) -> str:
    digest = hashlib.sha256()
    settings = {
        "format": FORMAT,
        "normalise": config.normalise,
        "channels": config.channels,
        "values": table.values,
        "is_color": table.is_color,
    }
    digest.update(json.dumps(settings, sort_keys=True).encode())
    for path in (image, label):
        try:
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        except OSError as error:
            raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    return digest.hexdigest()[:16]


def _save(path: Path, array: npt.NDArray[Any]) -> None:
    # Encoded in memory first: numpy's own writer hides why a disk refuses.
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    with atomic_path(path) as temporary:
        temporary.write_bytes(buffer.getbuffer())


def _map(path: Path) -> npt.NDArray[Any]:
    try:
        return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
    except (OSError, ValueError, EOFError) as error:
        raise DataError(
            f"{path}: the prepared array cannot be read ({error}); delete it and run again"
        ) from error


def _is_grey(image: npt.NDArray[Any]) -> bool:
    return bool(np.array_equal(image[0], image[1]) and np.array_equal(image[0], image[2]))


def _naming(path: Path, error: DataError) -> DataError:
    text = str(error)
    return DataError(text if str(path) in text else f"{path}: {text}")
