"""Read one pair of files and take its measures."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ushape.data.io import LabelPicture, read_image
from ushape.data.layouts import CaseFiles, Problem
from ushape.data.masks import CaseMasks, read_masks, read_values
from ushape.data.targets import VOID, encode_labels
from ushape.errors import DataError
from ushape.labels import Form, LabelWish, instance_table
from ushape.sizes import Size, format_size

MAX_LABEL_VALUES = 256
"""More different values than this are instance numbers or grey levels, not classes."""

MIN_EDGE = 8
"""Pictures with a shorter edge, in pixels, hold nothing to segment."""


@dataclass(frozen=True)
class CaseScan:
    """What one readable case holds.

    Attributes:
        id: The name of the case.
        image: The image file.
        label: The label file, or None.
        size: Spatial size, (y, x).
        num_channels: 1 grey, 3 colour.
        dtype: Type of the intensities: uint8, uint16 or float32.
        minimum: Smallest intensity over all channels.
        maximum: Largest intensity.
        mean: Mean intensity.
        std: Standard deviation of the intensities.
        percentile_0_5: The intensity that 0.5 % of the values do not exceed.
        percentile_99_5: The intensity that 99.5 % of the values do not exceed.
        is_grey_in_colors: The image has three channels, equal everywhere.
        image_hash: SHA-256 of the decoded image, to find copies.
        label_counts: Pixels of every label value, by rising value.
        has_label_colors: The label values are packed colours.
        num_label_channels: 3 when the label file stores colours, even grey ones; else 1.
        form: How the label files hold classes.
        mask_names: The classes of masks; their pixels are counted as values 1, 2, ..., and as 0
            those in no mask.
        num_overlap: Pixels in several masks.
        num_void: Pixels of the ignored value.
    """

    id: str
    image: Path
    label: Path | None
    size: Size
    num_channels: int
    dtype: str
    minimum: float
    maximum: float
    mean: float
    std: float
    percentile_0_5: float
    percentile_99_5: float
    is_grey_in_colors: bool
    image_hash: str
    label_counts: dict[int, int]
    has_label_colors: bool
    num_label_channels: int
    form: Form = "values"
    mask_names: tuple[str, ...] = ()
    num_overlap: int = 0
    num_void: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return plain data for a JSON file."""
        return asdict(self) | {
            "image": str(self.image),
            "label": None if self.label is None else str(self.label),
            "size": list(self.size),
            "mask_names": list(self.mask_names),
            "label_counts": {str(value): count for value, count in self.label_counts.items()},
        }


@dataclass(frozen=True)
class _LabelFacts:
    """What a case's label files hold; the attributes are those of `CaseScan`."""

    label_counts: dict[int, int]
    has_label_colors: bool = False
    num_label_channels: int = 1
    form: Form = "values"
    mask_names: tuple[str, ...] = ()
    num_overlap: int = 0
    num_void: int = 0


def scan_case(files: CaseFiles, wish: LabelWish | None = None) -> CaseScan | Problem:
    """Read one case; a problem is returned when its image or its label is of no use.

    Args:
        files: Of the case.
        wish: What a person says about the labels.
    """
    if files.channels:
        text = f"its {len(files.channels)} channels lie in files of their own, which training does "
        return Problem(files.image, text + "not read yet: save them as one colour image", "error")
    try:
        image = read_image(files.image)
    except DataError as error:
        return _unreadable(files.image, error)
    size = tuple(image.shape[1:])
    if min(size) < MIN_EDGE:
        text = f"the image has {format_size(size)} pixels: {MIN_EDGE} x {MIN_EDGE} is the least"
        return Problem(files.image, text, "error")
    facts = _scan_label(files, size, wish or LabelWish())
    if isinstance(facts, Problem):
        return facts
    measures: dict[str, Any] = {**_measure(image), **vars(facts)}
    return CaseScan(
        id=files.id,
        image=files.image,
        label=files.label,
        size=size,
        num_channels=image.shape[0],
        dtype=image.dtype.name,
        is_grey_in_colors=len(image) == 3 and bool(np.all(image == image[:1])),
        image_hash=_hash(image),
        **measures,
    )


def _scan_label(files: CaseFiles, size: Size, wish: LabelWish) -> _LabelFacts | Problem:
    paths = files.label_paths
    if not paths:
        return _LabelFacts({})
    try:
        found = read_masks(files, size, ignore=wish.void)
        if found is not None:
            form: Form = "folders" if files.masks else "channels"
            return _mask_facts(found, form)
        picture = read_values(paths[0])
    except DataError as error:
        return _label_problem(paths, error)
    if wish.has_instances and not picture.is_color:
        return _with_size(paths[0], picture, size) or _instance_facts(picture, wish)
    counts = count_values(picture.values)
    unfit = _unfit_label(paths[0], picture, counts, size)
    if unfit is not None:
        return unfit
    num_void = 0 if wish.void is None else counts.get(wish.void, 0)
    return _LabelFacts(counts, picture.is_color, picture.num_channels, num_void=num_void)


def _instance_facts(picture: LabelPicture, wish: LabelWish) -> _LabelFacts:
    """Count the pixels of objects (1) and of the borders between them (2)."""
    table = instance_table(wish)
    counts = count_values(encode_labels(picture.values, table))
    return _LabelFacts(
        {index: count for index, count in counts.items() if index != VOID},
        num_label_channels=picture.num_channels,
        form="instances",
        num_void=counts.get(VOID, 0),
    )


def _mask_facts(found: CaseMasks, form: Form) -> _LabelFacts:
    """Count the pixels of masks."""
    depth = found.masks.sum(axis=0, dtype=np.uint8)
    num_void = 0 if found.void is None else int(np.count_nonzero(found.void))
    counts = {0: int(np.count_nonzero(depth == 0)) - num_void}
    counts |= {number: int(np.count_nonzero(m)) for number, m in enumerate(found.masks, start=1)}
    return _LabelFacts(
        {value: count for value, count in counts.items() if count},
        form=form,
        mask_names=found.names,
        num_overlap=int(np.count_nonzero(depth > 1)),
        num_void=num_void,
    )


def count_values(values: np.ndarray[Any, Any]) -> dict[int, int]:
    """Count the pixels of every label value, by rising value."""
    if values.dtype.itemsize <= 2:
        counts = np.bincount(values.ravel())
        found = np.flatnonzero(counts)
        return {int(value): int(counts[value]) for value in found}
    found, counts = np.unique(values, return_counts=True)
    return {int(value): int(count) for value, count in zip(found, counts, strict=True)}


def _unfit_label(
    path: Path, picture: LabelPicture, counts: dict[int, int], size: Size
) -> Problem | None:
    odd = _with_size(path, picture, size)
    if odd is not None:
        return odd
    if len(counts) > MAX_LABEL_VALUES:
        is_jpeg = path.suffix.lower() in (".jpg", ".jpeg")
        cause = "JPEG compression invents values" if is_jpeg else "they look like instance numbers"
        text = f"the label has {len(counts)} different values: {cause} or grey levels, not classes"
        remedy = "save one value a class, as PNG"
        remedy += "" if is_jpeg else "; numbers of objects are read with --target instances"
        return Problem(path, f"{text}; {remedy}", "error")
    return None


def _with_size(path: Path, picture: LabelPicture, size: Size) -> Problem | None:
    """Refuse a label of another size than its image."""
    label_size = picture.values.shape
    if label_size == size:
        return None
    text = f"the label has {format_size(label_size)} pixels, its image {format_size(size)}"
    turned = " (turned?)" if label_size == size[::-1] else ""
    return Problem(path, f"{text}{turned}: both must have the same size", "error")


def _label_problem(paths: tuple[Path, ...], error: DataError) -> Problem:
    """Find the file that an error is about among those of a case."""
    text = str(error)
    for path in paths:
        if text.startswith(f"{path}: "):
            return Problem(path, text.removeprefix(f"{path}: "), "error")
    about = next((path for path in paths if text.startswith(f"cannot read {path}: ")), paths[0])
    return _unreadable(about, error)


def _unreadable(path: Path, error: DataError) -> Problem:
    text = str(error).removeprefix(f"cannot read {path}: ")
    return Problem(path, f"unreadable: {text}", "error")


def _measure(image: np.ndarray[Any, Any]) -> dict[str, float]:
    """Measure the intensities over all channels; integers exactly, from their histogram."""
    if image.dtype.kind == "u":
        counts = np.bincount(image.ravel())
        values = np.flatnonzero(counts)
        weights = counts[values]
    else:
        values, weights = np.sort(image, axis=None), np.ones(image.size, np.int64)
    below = np.cumsum(weights)
    mean = float(np.average(values.astype(np.float64), weights=weights))
    variance = float(np.average((values - mean) ** 2, weights=weights))
    ranks = {name: np.ceil(share * image.size) for name, share in _PERCENTILES.items()}
    return {
        "minimum": float(values[0]),
        "maximum": float(values[-1]),
        "mean": mean,
        "std": variance**0.5,
        **{name: float(values[np.searchsorted(below, rank)]) for name, rank in ranks.items()},
    }


_PERCENTILES = {"percentile_0_5": 0.005, "percentile_99_5": 0.995}


def _hash(image: np.ndarray[Any, Any]) -> str:
    digest = hashlib.sha256(f"{image.shape} {image.dtype}".encode())
    digest.update(image.data)
    return digest.hexdigest()
