"""Read the files of one case and take its measures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from ushape.data.case_image import read_case_header, read_case_image
from ushape.data.io import Grid, to_canonical
from ushape.data.io.claims import file_bytes
from ushape.data.layouts import CaseFiles, Problem
from ushape.data.scan.label import file_problem, scan_label
from ushape.data.scan.measure import Inside, content_size, hash_image, measure_image
from ushape.data.threads import MemoryBudget, machine_budget
from ushape.errors import DataError
from ushape.labels import Colors, Form, LabelWish
from ushape.sizes import Size, format_size

MIN_EDGE = 8
"""Images with shorter edges hold nothing to segment. A volume may have fewer slices."""

COPIES = 3
"""A case in work takes this many times its image: decoded, turned, and its label with it."""

PICTURE_RATIO = 20
"""A compressed picture is seldom more than this many times larger in memory than on disk."""

_PICTURES = (".png", ".jpg", ".jpeg", ".bmp")


@dataclass(frozen=True)
class CaseScan:
    """What one readable case holds.

    Attributes:
        id: The name of the case.
        image: The image file.
        label: The label file, or None.
        size: Spatial size, (y, x); of a volume in canonical order, (z, y, x).
        num_channels: 1 grey, 3 colour, or any other number.
        dtype: Type of the intensities, such as uint8 or float32.
        minimum: Smallest intensity over all channels.
        maximum: Largest intensity.
        mean: Mean intensity.
        std: Standard deviation of the intensities.
        percentile_0_5: The intensity that 0.5 % of the values do not exceed.
        median: The intensity that half of the values do not exceed.
        percentile_99_5: The intensity that 99.5 % of the values do not exceed.
        is_whole: All intensities are whole numbers.
        is_grey_in_colors: The image is a picture with three channels, equal everywhere.
        image_hash: SHA-256 of the decoded image, to find copies.
        label_counts: Pixels of every label value, by rising value.
        has_label_colors: The label values are packed colours.
        num_label_channels: 3 when the label file stores colours, even grey ones; else 1.
        form: How the label files hold classes.
        mask_names: The classes of masks; their pixels are counted as values 1, 2, ..., and as 0
            those in no mask.
        num_overlap: Pixels in several masks.
        num_void: Pixels of the ignored value.
        inside: By label value, the intensities at its pixels.
        content_size: Size of the box around what is not zero in any channel.
        spacing_mm: Edges of a voxel, canonical z y x; None where nothing tells them, and of
            pictures, which are taken as they are.
        orientation: Where the axes of the file point, such as `SPL`; empty for pictures.
        oblique_degrees: Angle between the axes of the file and those of the body.
        group: The subject that the case belongs to, where that is known.
        is_label_float: The label file stores floats, which were rounded.
        is_aligned: The label lay on another grid and was resampled.
        remarks: What is odd about the image file but can be read.
        palette: Of a palette file of label values, its colours by index; else empty.
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
    median: float
    percentile_99_5: float
    is_whole: bool
    is_grey_in_colors: bool
    image_hash: str
    label_counts: dict[int, int]
    has_label_colors: bool
    num_label_channels: int
    form: Form = "values"
    mask_names: tuple[str, ...] = ()
    num_overlap: int = 0
    num_void: int = 0
    inside: Mapping[int, Inside] = field(default_factory=dict, repr=False, compare=False)
    content_size: Size = ()
    spacing_mm: tuple[float, ...] | None = None
    orientation: str = ""
    oblique_degrees: float = 0.0
    group: str | None = None
    is_label_float: bool = False
    is_aligned: bool = False
    remarks: tuple[str, ...] = ()
    palette: Colors = field(default=(), repr=False)

    @property
    def label_file(self) -> Path:
        """The label, or the image where there is none: what a message about the label names."""
        return self.label or self.image

    @property
    def unit(self) -> str:
        """What the elements of its image are called."""
        return "pixel" if len(self.size) == 2 else "voxel"

    def to_json(self) -> dict[str, Any]:
        """Return plain data for a JSON file; without `inside` and the palette."""
        plain = {each.name: getattr(self, each.name) for each in fields(self)}
        del plain["inside"], plain["palette"]
        lists = {name: list(value) for name, value in plain.items() if isinstance(value, tuple)}
        return {
            **plain,
            **lists,
            "image": str(self.image),
            "label": None if self.label is None else str(self.label),
            "label_counts": {str(value): count for value, count in self.label_counts.items()},
        }


def scan_case(
    files: CaseFiles,
    wish: LabelWish | None = None,
    *,
    is_alignable: bool = False,
    budget: MemoryBudget | None = None,
) -> CaseScan | Problem:
    """Read one case; a problem is returned when its image or its label is of no use.

    Args:
        files: Of the case.
        wish: What a person says about the labels.
        is_alignable: A label on another grid is resampled, not refused.
        budget: Memory that all threads share.
    """
    try:
        num_bytes, remarks = _look(files)
    except DataError as error:
        return _image_problem(files, error)
    with (budget or machine_budget()).hold(num_bytes * COPIES):
        return _scan(files, remarks, wish or LabelWish(), is_alignable=is_alignable)


def _look(files: CaseFiles) -> tuple[int, tuple[str, ...]]:
    """Find the memory that an image takes, and what its header has that is odd."""
    if files.image.suffix.lower() in _PICTURES:  # Pillow decodes them to tell their size
        return PICTURE_RATIO * file_bytes(files.image), ()
    header = read_case_header(files)
    return header.num_bytes * max(1, len(files.channels)), header.remarks


def _scan(
    files: CaseFiles, remarks: tuple[str, ...], wish: LabelWish, *, is_alignable: bool
) -> CaseScan | Problem:
    try:
        volume, turn = to_canonical(read_case_image(files))
    except DataError as error:
        return _image_problem(files, error)
    image, grid = np.ascontiguousarray(volume.values), volume.grid
    if sorted(grid.size)[-2] < MIN_EDGE:
        return _too_small(files.image, grid.size)
    facts = scan_label(files, image, turn, wish, is_alignable=is_alignable)
    if isinstance(facts, Problem):
        return facts
    is_picture = grid.spatial_dims == 2
    is_colour = is_picture and len(image) == 3 and not files.channels
    return CaseScan(
        id=files.id,
        image=files.image,
        label=files.label,
        size=grid.size,
        num_channels=len(image),
        dtype=image.dtype.name,
        is_grey_in_colors=is_colour and bool(np.all(image == image[:1])),
        image_hash=hash_image(image),
        content_size=content_size(image),
        spacing_mm=None if is_picture else grid.spacing_mm,
        orientation="" if is_picture else turn.old.orientation,
        oblique_degrees=0.0 if is_picture else _oblique_degrees(grid),
        group=files.group,
        remarks=remarks,
        **measure_image(image),
        **vars(facts),
    )


def _image_problem(files: CaseFiles, error: DataError) -> Problem:
    return file_problem(files.image_paths, error, what="channel")


def _too_small(path: Path, size: Size) -> Problem:
    if len(size) == 2:
        text = f"the image has {format_size(size)} pixels: {MIN_EDGE} x {MIN_EDGE} is the least"
    else:
        text = f"the volume has {format_size(size)} voxels: two of its edges need {MIN_EDGE}"
    return Problem(path, text, "error")


def _oblique_degrees(grid: Grid) -> float:
    """Measure the largest angle between a canonical axis and the axis of the body it is near."""
    along = np.diagonal(np.asarray(grid.direction)).min()
    return float(np.degrees(np.arccos(np.clip(along, -1.0, 1.0))))
