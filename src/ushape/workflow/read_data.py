"""Read a data set once and sum it up: what planning and checking both begin with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ushape.data.layouts import Layout, find_cases
from ushape.data.scan import Scan, scan_cases
from ushape.labels import join_wishes
from ushape.plan import Fingerprint, settle_wish, take_fingerprint
from ushape.workflow.wishes import Wishes


def read_data(
    data: str | Path, wishes: Wishes, progress: Callable[[int, int], None] | None
) -> tuple[Layout, Scan, Fingerprint]:
    """Find the cases, read every one, and understand their labels.

    Args:
        data: As of `ushape.train`.
        wishes: What a person says of layout and labels wins, field by field, over what lies
            beside the data.
        progress: Called with (cases read, cases in all).

    Raises:
        DataError: No case is usable.
        ConfigError: The labels make no classes; the message says what to give.
    """
    request, said = wishes.request, wishes.labels
    layout = find_cases(
        data, label_folder=request.label_folder, kind=request.layout, stack_mm=request.stack_mm
    )
    joined = join_wishes(said, layout.wish)
    scan = scan_cases(layout, wish=joined, align=request.align, progress=progress)
    return layout, scan, take_fingerprint(scan, settle_wish(scan, said, layout.wish))
