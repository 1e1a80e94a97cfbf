"""Warn of volumes that lie unlike the others: spacing, direction, scale of intensities.

Pure functions on what `case` measured. What holds for several cases is said once.
"""

from __future__ import annotations

import re
import statistics
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from ushape.data.layouts import Problem
from ushape.data.scan.case import CaseScan

OBLIQUE_DEGREES = 1.0
"""Smaller angles are those of rounding, and of a patient who cannot lie straighter."""

SPACING_RATIO = 3.0
"""A voxel edge this many times longer or shorter than the median is odd."""

SCALE_RATIO = 20.0
"""Intensities that spread this many times wider or narrower than the median case are odd."""

WILD_RATIO = 10.0
"""A largest value this many times farther above the median than the 99.5 percentile is wild."""

_MAX_NAMED = 3
_NUMBER = re.compile(r"\d[\d.e+-]*")


def outlier_ratio(case: CaseScan) -> float:
    """Measure how far the largest value lies above the median, in reaches of the 99.5 percentile.

    1 at the least; also where that percentile is the median: clipped there, nothing would be left.
    """
    reach, usual = case.maximum - case.median, case.percentile_99_5 - case.median
    return max(1.0, reach / usual) if usual > 0 else 1.0


def warn_of_geometry(root: Path, cases: Sequence[CaseScan]) -> list[Problem]:
    """Warn of volumes that are hard to compare with each other, and of odd intensities."""
    problems: list[Problem] = []
    volumes = [case for case in cases if len(case.size) == 3]
    for warn in (_unknown_spacing, _odd_spacing, _orientations, _oblique):
        problems += warn(root, volumes)
    problems += _remarks(root, cases)
    problems += _labels(root, cases)
    if not any(case.dtype not in ("uint8", "bool") for case in cases):
        return problems  # bytes have one scale, and no room for wild values
    return problems + _odd_scale(root, cases) + _wild_values(root, cases)


def _unknown_spacing(root: Path, cases: Sequence[CaseScan]) -> list[Problem]:
    unknown = [case for case in cases if case.spacing_mm is None]
    text = "the edges of the voxels are not told in {}: they are taken for equal along all axes"
    return _one_line(root, unknown, text)


def _odd_spacing(root: Path, cases: Sequence[CaseScan]) -> list[Problem]:
    edges = [case.spacing_mm for case in cases if case.spacing_mm is not None]
    if len(edges) < 3:
        return []
    usual = tuple(statistics.median(axis) for axis in zip(*edges, strict=True))
    odd = [case for case in cases if case.spacing_mm and _is_odd(case.spacing_mm, usual)]
    text = f"voxels unlike the median, {_edges(usual)} mm (z y x), in {{}}: is the header right?"
    return _one_line(root, odd, text, {case.id: _edges(case.spacing_mm or ()) for case in odd})


def _is_odd(edges: Sequence[float], usual: Sequence[float]) -> bool:
    ratios = [edge / middle for edge, middle in zip(edges, usual, strict=True)]
    return max(ratios) > SPACING_RATIO or min(ratios) < 1 / SPACING_RATIO


def _orientations(root: Path, cases: Sequence[CaseScan]) -> list[Problem]:
    kinds = Counter(case.orientation for case in cases)
    if len(kinds) < 2:
        return []
    listed = ", ".join(f"{kind} in {count}" for kind, count in kinds.most_common())
    text = f"the axes of the files point to different sides ({listed}): all are turned to one"
    return [Problem(root, f"{text} order, and predictions back", "warning")]


def _oblique(root: Path, cases: Sequence[CaseScan]) -> list[Problem]:
    tilted = [case for case in cases if case.oblique_degrees > OBLIQUE_DEGREES]
    largest = max((case.oblique_degrees for case in tilted), default=0.0)
    text = f"oblique axes, by up to {largest:.1f} degrees, in {{}}: they are trained on along their"
    return _one_line(root, tilted, f"{text} own axes, not straightened")


def _remarks(root: Path, cases: Sequence[CaseScan]) -> list[Problem]:
    """Say what the readers found odd, once for all cases whose remarks differ in numbers only."""
    holders: dict[str, list[tuple[str, CaseScan]]] = {}
    for case in cases:
        for remark in case.remarks:
            holders.setdefault(_NUMBER.sub("#", remark), []).append((remark, case))
    problems = []
    for among in holders.values():
        remark, first = among[0]
        is_one = len(among) == 1
        text = remark if is_one else f"{first.id}: {remark}; so it is in {len(among)} cases"
        problems.append(Problem(first.image if is_one else root, text, "warning"))
    return problems


def _labels(root: Path, cases: Sequence[CaseScan]) -> list[Problem]:
    floats = [case for case in cases if case.is_label_float]
    aligned = [case for case in cases if case.is_aligned]
    return [
        *_one_line(root, floats, "the labels of {} are stored as fractions: they are rounded"),
        *_one_line(root, aligned, "the labels of {} are resampled onto the grids of their images"),
    ]


def _odd_scale(root: Path, cases: Sequence[CaseScan]) -> list[Problem]:
    reach = {case.id: case.percentile_99_5 - case.percentile_0_5 for case in cases}
    seen = [spread for spread in reach.values() if spread > 0]
    if len(seen) < 3:
        return []
    usual = statistics.median(seen)
    odd = [
        case
        for case in cases
        if reach[case.id] > SCALE_RATIO * usual or 0 < reach[case.id] < usual / SCALE_RATIO
    ]
    text = f"99 % of the intensities lie within a span of {usual:.4g} in most images, but not in "
    text += "{}: normalise each image by itself"
    return _one_line(root, odd, text, {case.id: f"{reach[case.id]:.4g}" for case in odd})


def _wild_values(root: Path, cases: Sequence[CaseScan]) -> list[Problem]:
    wild = [case for case in cases if outlier_ratio(case) > WILD_RATIO]
    detail = {c.id: f"{c.maximum:.4g} above {c.percentile_99_5:.4g}" for c in wild}
    text = "single values far above the 99.5 percentile in {}: clip them (preprocess.clip)"
    return _one_line(root, wild, text, detail)


def _one_line(
    root: Path,
    found: Sequence[CaseScan],
    text: str,
    detail: dict[str, str] | None = None,
) -> list[Problem]:
    """Make one warning of all cases of a kind; `{}` stands for their number and names."""
    if not found:
        return []
    if len(found) > 1:
        who = f"{len(found)} cases ({_named(found, detail)})"
        return [Problem(root, text.format(who), "warning")]
    told = detail[found[0].id] if detail else ""
    who = f"this case ({told})" if told else "this case"
    return [Problem(found[0].image, text.format(who), "warning")]


def _named(found: Sequence[CaseScan], detail: dict[str, str] | None = None) -> str:
    told = detail or {}
    names = [f"{c.id}: {told[c.id]}" if c.id in told else c.id for c in found[:_MAX_NAMED]]
    more = f" and {len(found) - _MAX_NAMED} more" if len(found) > _MAX_NAMED else ""
    return ("; " if told else ", ").join(names) + more


def _edges(edges: Sequence[float]) -> str:
    return " x ".join(f"{edge:.3g}" for edge in edges)
