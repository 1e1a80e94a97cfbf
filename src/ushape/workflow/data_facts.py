"""What was understood of a data set, as titled lines: for the terminal and for pages."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Sequence

from ushape.data.scan import CaseScan, Scan
from ushape.labels import LabelClass
from ushape.plan import Fingerprint
from ushape.sizes import Size, format_size

Fact = tuple[str, tuple[str, ...]]
"""A title and its lines."""

_UNITS = {"mm": 1.0, "µm": 1e-3, "nm": 1e-6}
_VOLUME_UNITS = {"cm³": 1e3, "mm³": 1.0, "µm³": 1e-9}
_MOST_GROUPS = 3


def data_facts(found: Fingerprint, scan: Scan | None = None) -> tuple[Fact, ...]:
    """Say what was understood of a data set.

    Args:
        found: The data set summed up.
        scan: Every case; adds how files are stored, and how large classes are in the median case.
    """
    is_volume = found.spatial_dims == 3
    images = [_images_line(found)]
    if is_volume:
        images += _space_lines(found, scan)
    facts: list[Fact] = [
        ("data", (f"{found.name}: {_count_line(found)} in {found.layout}",)),
        ("images", tuple(images)),
    ]
    if found.groups:
        facts.append(("groups", (_groups_line(found),)))
    return (*facts, ("labels", tuple(_label_lines(found, scan))))


def format_lengths(edges_mm: Sequence[float]) -> str:
    """Write lengths in the unit in which the shortest is at least 0.05.

    >>> format_lengths((3.0, 1.0, 0.75)), format_lengths((5e-5, 4e-6, 4e-6))
    ('3 x 1 x 0.75 mm', '50 x 4 x 4 nm')
    """
    shortest = min(edges_mm)
    unit = next((name for name, scale in _UNITS.items() if shortest >= 0.05 * scale), "nm")
    return " x ".join(f"{edge / _UNITS[unit]:.4g}" for edge in edges_mm) + f" {unit}"


def format_volume(volume_mm3: float) -> str:
    """Write a volume in the largest unit of which there is a tenth.

    >>> format_volume(1740.0), format_volume(3.2e-6)
    ('1.74 cm³', '3.2e+03 µm³')
    """
    units = _VOLUME_UNITS.items()
    unit = next((name for name, scale in units if volume_mm3 >= 0.1 * scale), "µm³")
    return f"{volume_mm3 / _VOLUME_UNITS[unit]:.3g} {unit}"


def _count_line(found: Fingerprint) -> str:
    count = len(found.case_ids)
    return f"{count} slices" if found.is_stack else f"{count} cases"


def _images_line(found: Fingerprint) -> str:
    sizes = format_size(found.median_size)
    if found.smallest_size != found.largest_size:
        sizes += f" (from {format_size(found.smallest_size)} to {format_size(found.largest_size)})"
    low, high = found.value_range
    kinds = {1: "grey", 3: "RGB"} if found.spatial_dims == 2 else {1: "1 channel"}
    kind = kinds.get(found.channels, f"{found.channels} channels")
    if found.channel_names:
        kind += f" ({', '.join(found.channel_names)})"
    unit = "pixels" if found.spatial_dims == 2 else "voxels z y x"
    return f"{sizes} {unit}, {kind}, {', '.join(found.value_types)}, values {low:g} to {high:g}"


def _space_lines(found: Fingerprint, scan: Scan | None) -> list[str]:
    """Say how large volumes and their voxels are, how they are stored, and what they show."""
    lines = []
    if found.spacing_mm is None:
        lines.append("the files do not tell the edges of their voxels")
    else:
        whole = [n * edge for n, edge in zip(found.median_size, found.spacing_mm, strict=True)]
        edges = format_lengths(found.spacing_mm)
        least, most = found.smallest_spacing_mm, found.largest_spacing_mm
        if least is not None and most is not None and least != most:
            edges += f" (from {format_lengths(least)} to {format_lengths(most)})"
        lines.append(f"{format_lengths(whole)} large, voxels of {edges}")
    if scan is not None and found.spacing_mm is not None and not found.is_stack:
        kinds = Counter(case.orientation for case in scan.cases).most_common()
        stored = ", ".join(f"{kind} in {count}" for kind, count in kinds)
        stored = kinds[0][0] if len(kinds) == 1 else stored
        lines.append(f"axes of the files: {stored}; worked on as SPL")
    if found.content_size and found.content_size != found.median_size:
        lines.append(f"without empty borders {format_size(found.content_size)}")
    if found.modality == "ct":
        lines.append("computed tomography, in Hounsfield units")
    if found.intensities and found.modality == "ct":
        inside = found.intensities[0]
        lines.append(
            f"inside the foreground {inside.percentile_0_5:.4g} to {inside.percentile_99_5:.4g} "
            f"(99 %), mean {inside.mean:.4g}, deviation {inside.std:.4g}"
        )
    return lines


def _groups_line(found: Fingerprint) -> str:
    counts = Counter(found.groups.values())
    what = "stacks" if found.is_stack else "subjects"
    noun = what.removesuffix("s") if len(counts) == 1 else what
    largest = ", ".join(f"{name}: {count}" for name, count in counts.most_common(_MOST_GROUPS))
    more = ", ..." if len(counts) > _MOST_GROUPS else ""
    unknown = len(found.case_ids) - len(found.groups)
    told = f"; {unknown} of {len(found.case_ids)} cases belong to none" if unknown else ""
    return f"{len(counts)} {noun} ({largest}{more}){told}"


def _label_lines(found: Fingerprint, scan: Scan | None) -> list[str]:
    lines = [f"{found.labels.target}: {found.labels.describe()}", found.labels.reason]
    width = max(len(entry.name) for entry in found.labels.classes)
    unit = "pixels" if found.spatial_dims == 2 or found.is_stack else "voxels"
    for number, entry in enumerate(found.labels.classes):
        line = (
            f"{entry.name:{width}}  {found.class_fractions[number]:7.2%} of the {unit}, "
            f"in {found.class_cases[number]} of {_count_line(found)}"
        )
        if scan is not None and number and found.spatial_dims == 3 and not found.is_stack:
            line += _median_volume(scan.cases, entry)
        lines.append(line)
    if found.labels.ignore is not None:
        lines.append(f"{'void':{width}}  {found.void_fraction:7.2%} of all {unit}")
    return lines


def _median_volume(cases: Sequence[CaseScan], entry: LabelClass) -> str:
    """Say how large a class is in the median case that holds it."""
    sizes = []
    for case in cases:
        count = sum(case.label_counts.get(value, 0) for value in entry.members)
        if count and case.spacing_mm is not None:
            sizes.append(count * math.prod(case.spacing_mm))
    return f", {format_volume(statistics.median(sizes))} in the median" if sizes else ""


def physical_size(size: Size, spacing_mm: Sequence[float] | None) -> str:
    """Write a size in voxels, and in lengths where these are known."""
    if spacing_mm is None:
        return format_size(size)
    whole = [edge * number for edge, number in zip(spacing_mm, size, strict=True)]
    return f"{format_size(size)}, {format_lengths(whole)}"
