"""Slices of a stack: pictures that belong together, one above the other.

Slices are scanned and divided like cases of their own, so that `--val 24-29` means sections; for a
3D network those of one side of the division that lie next to each other become one volume.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ushape.data.layouts import CaseFiles


def join_slices(
    slices: Sequence[CaseFiles],
    chosen: Collection[str],
    spacing_mm: tuple[float, float, float],
) -> tuple[CaseFiles, ...]:
    """Join chosen slices that lie next to each other into cases with `planes`.

    Args:
        slices: All slices of all stacks, in order; those of one stack have one `group`. Where
            they know their `position`, neighbours differ by one; else all are neighbours.
        chosen: Ids of the slices to take.
        spacing_mm: Voxel edges, z y x.

    Returns:
        One case for every unbroken run of chosen slices, named `FIRST-LAST` after its ends (or as
        the slice, if it is but one).
    """
    runs: list[list[CaseFiles]] = []
    before: CaseFiles | None = None
    for each in slices:
        if each.id in chosen:
            if before is not None and before.id in chosen and _are_neighbours(before, each):
                runs[-1].append(each)
            else:
                runs.append([each])
        before = each
    return tuple(_joined(run, spacing_mm) for run in runs)


def _are_neighbours(before: CaseFiles, after: CaseFiles) -> bool:
    """Tell whether two slices in order lie next to each other in one stack."""
    if before.group != after.group:
        return False
    places = before.position, after.position
    return None in places or places[1] == (places[0] or 0) + 1


def _joined(run: Sequence[CaseFiles], spacing_mm: tuple[float, float, float]) -> CaseFiles:
    first, last = run[0], run[-1]
    name = first.id if len(run) == 1 else f"{first.id}-{last.id}"
    return CaseFiles(
        name,
        first.image,
        first.label,
        planes=tuple(run),
        group=first.group,
        spacing_mm=spacing_mm,
        sampling_weight=sum(each.sampling_weight for each in run) / len(run),
    )
