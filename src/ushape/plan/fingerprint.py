"""A data set in a few numbers: all that the rules need to know of it."""

from __future__ import annotations

import statistics
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from ushape.data.scan import Scan
from ushape.errors import DataError
from ushape.labels import LabelTable, choose_labels
from ushape.sizes import Size


@dataclass(frozen=True)
class Fingerprint:
    """What was understood of a data set.

    Attributes:
        name: The folder's name.
        root: The folder.
        layout: The folders that were recognised.
        case_ids: Usable cases, in natural order.
        median_size: Median of each spatial axis, pixels.
        smallest_size: Smallest of each axis.
        largest_size: Largest of each axis.
        channels: Channels that a network needs: 1 if all images are grey (also grey in RGB).
        value_types: Number types in the files.
        value_range: Smallest and largest value in any image.
        labels: The classes.
        class_fractions: Share of all pixels by class index.
        class_cases: Number of cases that hold the class, by class index.
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

    @property
    def logit_fractions(self) -> tuple[float, ...]:
        """Class fractions by logit channel: the foreground's for a binary target."""
        return self.class_fractions[1:] if self.labels.num_logits == 1 else self.class_fractions


def take_fingerprint(
    scan: Scan,
    *,
    foreground: str | None = None,
    names: Mapping[str, int] | None = None,
) -> Fingerprint:
    """Sum up a scan.

    Args:
        scan: Every case, read once.
        foreground: The label value that is the one foreground (`--foreground`).
        names: Class names with their values (`--labels`).

    Raises:
        ConfigError: The label values make no classes; the message says what to give.
        DataError: Labels are missing.
    """
    if not scan.label_counts:
        raise DataError(f"{scan.root}: no case has a label")
    labels = choose_labels(
        scan.label_counts, is_color=scan.is_color, foreground=foreground, names=names
    )
    sizes = list(zip(*(case.size for case in scan.cases), strict=True))
    is_grey = all(case.num_channels == 1 or case.is_grey_in_colors for case in scan.cases)
    return Fingerprint(
        name=scan.root.resolve().name,
        root=scan.root,
        layout=scan.name,
        case_ids=tuple(case.id for case in scan.cases),
        median_size=tuple(int(statistics.median(axis)) for axis in sizes),
        smallest_size=tuple(min(axis) for axis in sizes),
        largest_size=tuple(max(axis) for axis in sizes),
        channels=1 if is_grey else max(case.num_channels for case in scan.cases),
        value_types=tuple(sorted({case.dtype for case in scan.cases})),
        value_range=(
            min(case.minimum for case in scan.cases),
            max(case.maximum for case in scan.cases),
        ),
        labels=labels,
        class_fractions=class_fractions(scan, labels),
        class_cases=tuple(
            sum(1 for case in scan.cases if case.label_counts.get(value, 0))
            for value in labels.values
        ),
    )


def class_fractions(
    scan: Scan, labels: LabelTable, ids: Collection[str] | None = None
) -> tuple[float, ...]:
    """Give the share of all pixels by class index, over some cases or all."""
    cases = [case for case in scan.cases if ids is None or case.id in ids]
    counts = [sum(case.label_counts.get(value, 0) for case in cases) for value in labels.values]
    return tuple(count / sum(counts) for count in counts)
