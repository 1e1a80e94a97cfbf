"""Classes that few cases hold: which they are, and on which side of a split they are missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ushape.plan.fingerprint import Fingerprint
from ushape.plan.split import Split

SCARCE_BELOW = 1 / 3
"""A class is scarce that less than this share of the training cases hold."""

MOST_NAMED = 3


def cases_holding(fingerprint: Fingerprint, ids: Sequence[str]) -> dict[str, int]:
    """Count, by foreground class, which of the cases hold it; empty where that is not known.

    Args:
        fingerprint: The data set.
        ids: Of the cases.
    """
    known = fingerprint.cases_classes
    if not known:
        return {}
    counts = Counter(index for case in ids for index in known.get(case, ()))
    return {name: counts[i] for i, name in enumerate(fingerprint.labels.names) if i > 0}


def scarce_classes(fingerprint: Fingerprint, train: Sequence[str]) -> str:
    """Say which classes few of the training cases hold, as `x is in 3 of 60 cases`; or nothing."""
    holding = cases_holding(fingerprint, train).items()
    scarce = [
        f"{name} is in {number}"
        for name, number in holding
        if 0 < number < SCARCE_BELOW * len(train)
    ]
    if not scarce:
        return ""
    what = "slices" if fingerprint.is_stack else "cases"
    return f"{_some(scarce)} of {len(train)} training {what}"


def absent_classes(fingerprint: Fingerprint, split: Split) -> tuple[str, ...]:
    """Warn of classes that no training case holds, and of those that no validation case does."""
    everywhere = cases_holding(fingerprint, fingerprint.case_ids)
    warnings = []
    for ids, side, means in (
        (split.train, "training", "cannot be learnt"),
        (split.val, "validation", "has no score"),
    ):
        absent = [name for name, number in cases_holding(fingerprint, ids).items() if not number]
        if not ids or not absent:
            continue
        can_move = any(everywhere[name] > 1 for name in absent)
        todo = "choose other cases with --val" if can_move else "label more cases with it"
        what = "slice" if fingerprint.is_stack else "case"
        warnings.append(f"no {side} {what} holds {_some(absent)}, which {means}: {todo}")
    return tuple(warnings)


def _some(texts: Sequence[str]) -> str:
    more = f" and {len(texts) - MOST_NAMED} more" if len(texts) > MOST_NAMED else ""
    return ", ".join(texts[:MOST_NAMED]) + more
