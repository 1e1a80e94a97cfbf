"""A data set in a few numbers: all that the rules need to know of it."""

from __future__ import annotations

import math
import statistics
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ushape.data.scan import CaseScan, Scan, outlier_ratio
from ushape.errors import ConfigError, DataError
from ushape.labels import (
    LabelClass,
    LabelTable,
    LabelWish,
    choose_labels,
    choose_masks,
    join_wishes,
)
from ushape.plan.intensity import Intensity, find_modality, pool_intensities
from ushape.sizes import Size


@dataclass(frozen=True)
class Fingerprint:
    """What was understood of a data set.

    Attributes:
        name: The folder's name.
        root: The folder.
        layout: The folders that were recognised.
        case_ids: Usable cases, in natural order; slices in the order of their places.
        median_size: Median of each spatial axis, pixels.
        smallest_size: Smallest of each axis.
        largest_size: Largest of each axis.
        channels: Channels that a network needs: 1 if all images are grey (also grey in RGB).
        value_types: Number types in the files.
        value_range: Smallest and largest value in any image.
        labels: The classes.
        class_fractions: Share of all pixels by class index.
        class_cases: Number of cases that hold the class, by class index.
        void_fraction: Share of all pixels that are void; the class fractions are of the others.
        is_stack: The cases are slices of stacks; the sizes above are those of the stacks, z y x.
        spacing_mm: Median voxel edge of each axis; None where half of the files or more do not tell
            it, and of pictures.
        smallest_spacing_mm: Smallest of each axis, or None.
        largest_spacing_mm: Largest of each axis, or None.
        content_size: Median size of the box around what is not zero.
        outlier_ratio: How far the largest value of an image lies above its median, in multiples of
            how far its 99.5 percentile does: the largest over all cases.
        channel_names: What a file beside the data calls the image's channels.
        modality: `ct` where such a name or the values say so, else `other`.
        intensities: Of each channel, inside the foreground of all cases.
        groups: By case id, the subject it belongs to, where that is known.
        cases_classes: By case id, the indices of the foreground classes that it holds.
        contacts: By class name, its pixels on and beside small classes, where that was measured.
    """

    name: str
    root: Path
    layout: str
    case_ids: tuple[str, ...]
    median_size: Size
    smallest_size: Size
    largest_size: Size
    channels: int
    value_types: tuple[str, ...]
    value_range: tuple[float, float]
    labels: LabelTable
    class_fractions: tuple[float, ...]
    class_cases: tuple[int, ...]
    void_fraction: float = 0.0
    is_stack: bool = False
    spacing_mm: tuple[float, ...] | None = None
    smallest_spacing_mm: tuple[float, ...] | None = None
    largest_spacing_mm: tuple[float, ...] | None = None
    content_size: Size = ()
    outlier_ratio: float = 1.0
    channel_names: tuple[str, ...] = ()
    modality: Literal["ct", "other"] = "other"
    intensities: tuple[Intensity, ...] = ()
    groups: Mapping[str, str] = field(default_factory=dict)
    cases_classes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    contacts: Mapping[str, int] = field(default_factory=dict)

    @property
    def spatial_dims(self) -> int:
        """2 for pictures, 3 for volumes and stacks."""
        return len(self.median_size)

    @property
    def edges(self) -> tuple[float, ...]:
        """Voxel edges, in mm, or 1 for every axis where they are not known."""
        return self.spacing_mm or (1.0,) * self.spatial_dims

    @property
    def logit_fractions(self) -> tuple[float, ...]:
        """Class fractions by logit channel: without the background's where it has none."""
        return self.class_fractions[len(self.class_fractions) - self.labels.num_logits :]


def take_fingerprint(scan: Scan, wish: LabelWish | None = None) -> Fingerprint:
    """Sum up a scan.

    Args:
        scan: Every case, read once.
        wish: What a person says about the labels.

    Raises:
        ConfigError: The label values make no classes; the message says what to give.
        DataError: Labels are missing.
    """
    labels = understand_labels(scan, wish or LabelWish())
    cases = scan.cases
    sizes = list(zip(*_grouped(scan, [case.size for case in cases]), strict=True))
    contents = zip(*_grouped(scan, [case.content_size for case in cases]), strict=True)
    is_grey = all(case.num_channels == 1 or case.is_grey_in_colors for case in cases)
    num_pixels = sum(math.prod(case.size) for case in cases)
    median, smallest, largest = _spacings(scan)
    return Fingerprint(
        name=_name_of(scan.root),
        root=scan.root,
        layout=scan.name,
        case_ids=tuple(case.id for case in cases),
        median_size=_medians(sizes),
        smallest_size=tuple(min(axis) for axis in sizes),
        largest_size=tuple(max(axis) for axis in sizes),
        channels=1 if is_grey else max(case.num_channels for case in cases),
        value_types=tuple(sorted({case.dtype for case in cases})),
        value_range=(min(case.minimum for case in cases), max(case.maximum for case in cases)),
        labels=labels,
        class_fractions=class_fractions(scan, labels),
        class_cases=tuple(
            sum(1 for case in cases if _count(case, entry)) for entry in labels.classes
        ),
        void_fraction=sum(case.num_void for case in cases) / num_pixels,
        is_stack=scan.stack_mm is not None,
        spacing_mm=median,
        smallest_spacing_mm=smallest,
        largest_spacing_mm=largest,
        content_size=_medians(contents),
        outlier_ratio=max(outlier_ratio(case) for case in cases),
        channel_names=scan.channel_names,
        modality=find_modality(scan),
        intensities=pool_intensities(cases, labels),
        groups={case.id: case.group for case in cases if case.group is not None},
        cases_classes={case.id: _classes_in(case, labels) for case in cases},
    )


def _grouped(scan: Scan, sizes: Sequence[Size]) -> list[Size]:
    """Return the sizes of cases; of slices the sizes of their stacks, (slices, y, x)."""
    if scan.stack_mm is None:
        return list(sizes)
    stacks: dict[str | None, list[Size]] = {}
    for case, size in zip(scan.cases, sizes, strict=True):
        stacks.setdefault(case.group, []).append(size)
    return [(len(slices), *_medians(zip(*slices, strict=True))) for slices in stacks.values()]


def _medians(axes: Iterable[Sequence[int]]) -> Size:
    return tuple(int(statistics.median(axis)) for axis in axes)


def _spacings(scan: Scan) -> tuple[tuple[float, ...] | None, ...]:
    """Give the median, smallest and largest voxel edges; None where most files tell none."""
    if scan.stack_mm is not None:
        return (scan.stack_mm,) * 3
    known = [case.spacing_mm for case in scan.cases if case.spacing_mm is not None]
    if 2 * len(known) <= len(scan.cases):
        return None, None, None
    axes = list(zip(*known, strict=True))
    return tuple(
        tuple(float(take(axis)) for axis in axes) for take in (statistics.median, min, max)
    )


def _classes_in(case: CaseScan, labels: LabelTable) -> tuple[int, ...]:
    found = enumerate(labels.foreground, start=1)
    return tuple(index for index, entry in found if _count(case, entry))


def _name_of(root: Path) -> str:
    """Name a data set as its folder, or as its manifest without the ending."""
    return root.stem if root.is_file() else root.resolve().name


def settle_wish(scan: Scan, said: LabelWish, told: LabelWish | None) -> LabelWish:
    """Join what a person says of the labels with what a file beside the data tells.

    Args:
        scan: Every case, read once.
        said: By a person, who wins over the file in each field.
        told: By the file, if there is one. What no label holds is left out; masks have names and
            values of their own.
    """
    if told is not None and scan.mask_names:
        return join_wishes(said, LabelWish(ignore=told.ignore))
    return join_wishes(said, told, None if said.has_instances else scan.label_counts)


def understand_labels(scan: Scan, wish: LabelWish) -> LabelTable:
    """Decide what the labels of a scan mean; arguments and errors as of `take_fingerprint`."""
    if not scan.label_counts:
        raise DataError(f"{scan.root}: no case has a label")
    if wish.table is not None:
        return _recorded(scan, wish.table)
    if not scan.mask_names:
        return choose_labels(
            scan.label_counts,
            is_color=scan.is_color,
            foreground=wish.foreground,
            names=wish.names,
            target=wish.target,
            ignore=wish.ignore,
            regions=wish.regions,
            parts_only=wish.parts_only,
            order=wish.order,
            palette=scan.palette,
        )
    table = choose_masks(
        scan.mask_names, form=scan.form, overlap_fraction=scan.overlap_fraction, wish=wish
    )
    if not set(scan.label_counts) - {0}:
        void = f": is {wish.ignore} the value of the masks?" if wish.ignore is not None else ""
        raise ConfigError(f"{scan.root}: all masks are empty; no class can be learnt{void}")
    return table


def _recorded(scan: Scan, table: LabelTable) -> LabelTable:
    """Check that the labels are those that a settings file tells of."""
    known = {value for entry in table.classes for value in entry.members} | {table.ignore}
    strange = [value for value in scan.label_counts if value not in known]
    if table.form == scan.form and not strange and table.is_color == scan.is_color:
        return table
    found = ", ".join(table.value_text(value) for value in sorted(scan.label_counts))
    raise ConfigError(
        f"the settings say that the labels are {table.form} ({table.describe()}), the files hold "
        f"{scan.form} ({found}); say what they are with --labels, --foreground or --target"
    )


def _count(case: CaseScan, entry: LabelClass) -> int:
    return sum(case.label_counts.get(value, 0) for value in entry.members)


def class_fractions(
    scan: Scan, labels: LabelTable, ids: Collection[str] | None = None
) -> tuple[float, ...]:
    """Give the share of all pixels that are not void by class index, over some cases or all.

    The shares of classes that overlap add up to more than 1.
    """
    cases = [case for case in scan.cases if ids is None or case.id in ids]
    counts = [sum(_count(case, entry) for case in cases) for entry in labels.classes]
    total = sum(counts)
    if labels.is_overlapping:
        total = sum(math.prod(case.size) - case.num_void for case in cases)
    return tuple(count / max(total, 1) for count in counts)
