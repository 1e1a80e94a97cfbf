"""From files to normalised arrays on disk, which training reads through memory maps.

Every prepared case is two `.npy` files (one more with pixel weights, one more where patches are
centred on classes) named by a hash of all that they
depend on (the bytes of the image and label files, and the settings), so a changed file or setting
is prepared anew and anything else is used again. Files are written atomically: a killed run leaves
no half array.
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

from ushape.config.schema import PreprocessConfig, SamplingConfig, WeightMapConfig
from ushape.data.io import read_image
from ushape.data.layouts import CaseFiles
from ushape.data.masks import read_masks, read_values
from ushape.data.sample import Sample
from ushape.data.sampling import index_places, pack_places, unpack_places
from ushape.data.targets import (
    VOID,
    VOID_BIT,
    TargetMap,
    class_masks,
    encode_labels,
    encode_masks,
)
from ushape.errors import DataError
from ushape.files import atomic_path
from ushape.labels import LabelTable
from ushape.losses import weight_map

FORMAT = 2
"""Part of every cache name; raise it when the stored arrays change in meaning."""

SLAB = 1 << 20
"""Pixels that are scaled at once: in double precision a whole volume would fill the memory."""


@dataclass(frozen=True)
class PreparedCase:
    """A case on disk, opened without reading it into memory."""

    id: str
    image_path: Path
    target_path: Path
    weight_path: Path | None = None
    has_void: bool = False
    is_overlapping: bool = False
    places_path: Path | None = None

    def open(self) -> Sample:
        """Map the arrays; pixels are read when they are used, or once to count void ones."""
        target = _map(self.target_path)
        num_valid = None
        if self.has_void:
            void = target & VOID_BIT == VOID_BIT if self.is_overlapping else target == VOID
            num_valid = target.size - int(np.count_nonzero(void))
        weight = None if self.weight_path is None else _map(self.weight_path)
        places = (
            () if self.places_path is None else unpack_places(_map(self.places_path), target.ndim)
        )
        return Sample(self.id, _map(self.image_path), target, weight, num_valid, places=places)


def normalise_image(image: npt.NDArray[Any], config: PreprocessConfig) -> npt.NDArray[np.float32]:
    """Bring an image as read from its file to the form that the network was trained on.

    Args:
        image: Shape (channel, *size), any number type.
        config: How many channels the network takes, and how intensities are scaled.

    Returns:
        Same shape, float32, a copy. `zscore` and `percentile` make zeros of a constant image.

    Raises:
        DataError: The image has another number of channels than the network, or `unit` is asked
            of floats, whose type has no largest value to speak of.
    """
    if image.shape[0] == 3 and config.channels == 1 and _is_grey(image):
        image = image[:1]
    if image.shape[0] != config.channels:
        raise DataError(
            f"the image has {image.shape[0]} channel(s), the model takes {config.channels}: "
            f"give {'grey' if config.channels == 1 else 'RGB'} images as in training"
        )
    largest = _largest(image.dtype) if config.normalise == "unit" else 1
    scaled = image.astype(np.float32)
    for channel in scaled:  # in place
        _normalise_channel(channel, config)
    if config.normalise == "unit":
        scaled /= np.float32(largest)
    return scaled


def _normalise_channel(channel: npt.NDArray[np.float32], config: PreprocessConfig) -> None:
    """Clip a channel and bring it to its own scale, in place."""
    is_standard = config.normalise == "zscore"
    # Before clipping, which may lift zeros.
    kept = channel != 0 if is_standard and config.nonzero else None
    if config.clip is not None:
        low, high = np.percentile(channel, config.clip)
        np.clip(channel, np.float32(low), np.float32(high), out=channel)
    if config.normalise == "percentile":
        low, high = np.percentile(channel, (0.5, 99.5))
        middle, reach = (low + high) / 2, np.maximum((high - low) / 2, _least(low + high))
        _rescale(channel, middle, reach / 2)
    elif is_standard:
        values = channel if kept is None else channel[kept]
        if values.size:
            mean = values.mean(dtype=np.float64)
            deviation = values.std(dtype=np.float64)
            _rescale(channel, mean, np.maximum(deviation, _least(mean)))
        if kept is not None:
            channel[~kept] = 0


def _rescale(channel: npt.NDArray[np.float32], middle: Any, reach: Any) -> None:
    """Subtract and divide in place, in the precision of the numbers given."""
    height = max(1, SLAB // max(1, int(np.prod(channel.shape[1:]))))
    for start in range(0, len(channel), height):
        slab = channel[start : start + height]
        slab[...] = (slab - middle) / reach


def _largest(kind: np.dtype[Any]) -> int:
    """Give the largest value of a type of whole numbers."""
    if kind.kind == "b":
        return 1
    if kind.kind not in "iu":
        raise DataError(
            f"normalise=unit divides by the largest value of whole numbers, the image holds {kind}:"
            " use zscore"
        )
    return int(np.iinfo(kind).max)


def _least(level: Any) -> npt.NDArray[np.float64]:
    """Give the spread below which an image counts as constant, whatever its unit."""
    return np.asarray(1e-6 * np.abs(level) + 1e-30)


def read_target(path: Path, table: LabelTable) -> TargetMap:
    """Read a label picture of values as a target, with the file named in any error."""
    picture = read_values(path, is_color=table.is_color)
    try:
        return encode_labels(picture.values, table)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def read_case_target(case: CaseFiles, table: LabelTable, size: Sequence[int]) -> TargetMap:
    """Read the target of a labelled case, in whatever form its files are.

    Args:
        case: With a label.
        table: The classes.
        size: Of the image.

    Raises:
        DataError: A file cannot be read or does not fit; it is named.
    """
    if table.form in ("values", "instances"):
        assert case.label is not None
        target = read_target(case.label, table)
        if target.shape != tuple(size):
            raise DataError(f"{case.label}: size {target.shape}, its image has {tuple(size)}")
        return target
    found = read_masks(case, size, ignore=table.ignore)
    where = case.label_paths[0]
    if found is None:
        raise DataError(f"{where}: one picture of values; the model was trained on masks by class")
    try:
        return encode_masks(found.masks, found.void, table)
    except DataError as error:
        raise DataError(f"{where}: {error}") from error


def read_sample(case: CaseFiles, table: LabelTable, config: PreprocessConfig) -> Sample:
    """Read one case from its files and normalise it."""
    try:
        image = normalise_image(read_image(case.image), config)
    except DataError as error:
        raise _naming(case.image, error) from error
    if not case.label_paths:
        return Sample(case.id, image)
    return Sample(case.id, image, read_case_target(case, table, image.shape[1:]))


def make_weights(
    case: CaseFiles, target: TargetMap, table: LabelTable, config: WeightMapConfig
) -> npt.NDArray[np.float32]:
    """Compute the pixel weights of a case.

    Cells are the numbered objects where the labels number them, else the connected parts of
    everything that is not background. Void pixels are background here; they count nowhere.
    """
    if table.form == "instances":
        assert case.label is not None
        numbers = read_values(case.label).values
        cells: npt.NDArray[Any] = np.where(numbers == table.ignore, 0, numbers)
    else:
        cells = np.asarray(class_masks(target, table).any(axis=0))
    return weight_map(cells, w0=config.w0, sigma=config.sigma)


def prepare_cases(
    cases: Sequence[CaseFiles],
    table: LabelTable,
    config: PreprocessConfig,
    cache: Path,
    *,
    weights: WeightMapConfig | None = None,
    sampling: SamplingConfig | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[PreparedCase, ...]:
    """Make every labelled case ready for training, using again what is prepared already.

    Args:
        cases: Cases with a label.
        cache: Folder of the prepared arrays.
        weights: The pixel weights to compute, if any.
        sampling: Where patches will be cut; voxels of classes are indexed if it needs them.
        progress: Called with (done, total).
    """
    prepared = []
    for done, case in enumerate(cases):
        prepared.append(_prepare(case, table, config, cache, weights, sampling))
        if progress:
            progress(done + 1, len(cases))
    return tuple(prepared)


def _prepare(
    case: CaseFiles,
    table: LabelTable,
    config: PreprocessConfig,
    cache: Path,
    weights: WeightMapConfig | None,
    sampling: SamplingConfig | None,
) -> PreparedCase:
    key = _content_key(case, table, config)
    stem = f"{case.id}-{key}"
    is_indexed = sampling is not None and sampling.foreground_fraction > 0
    weighting = f"{weights.w0:g}-{weights.sigma:g}" if weights and weights.use else None
    entry = PreparedCase(
        case.id,
        cache / f"{stem}-image.npy",
        cache / f"{stem}-target.npy",
        cache / f"{stem}-weight-{weighting}.npy" if weighting else None,
        has_void=table.ignore is not None,
        is_overlapping=table.is_overlapping,
        places_path=cache / f"{stem}-places.npy" if is_indexed else None,
    )
    if not (entry.image_path.exists() and entry.target_path.exists()):
        sample = read_sample(case, table, config)
        assert sample.target is not None
        _save(entry.image_path, sample.image)
        _save(entry.target_path, sample.target)
    if entry.weight_path is not None and not entry.weight_path.exists():
        assert weights is not None
        _save(entry.weight_path, make_weights(case, _map(entry.target_path), table, weights))
    if entry.places_path is not None and not entry.places_path.exists():
        places = index_places(_map(entry.target_path), table, int(key, 16))
        _save(entry.places_path, pack_places(places))
    return entry


def _content_key(case: CaseFiles, table: LabelTable, config: PreprocessConfig) -> str:
    digest = hashlib.sha256()
    settings = {
        "format": FORMAT,
        "normalise": config.normalise,
        "clip": config.clip,
        "nonzero": config.nonzero,
        "channels": config.channels,
        "labels": [entry.members for entry in table.classes],
        "form": [table.form, table.is_color, table.is_overlapping, table.ignore],
    }
    digest.update(json.dumps(settings, sort_keys=True).encode())
    for path in (case.image, *case.label_paths):
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
