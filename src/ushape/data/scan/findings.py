"""Compare the cases of a data set: odd ones out, copies, empty labels, suspicious values.

Pure functions on what `case` measured; no file is opened.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

from ushape.data.layouts import Problem
from ushape.data.scan.case import CaseScan
from ushape.data.scan.label import MAX_LABEL_VALUES
from ushape.sizes import format_size

_MAX_NAMED = 5
_KINDS = {1: "grey", 3: "colour"}
_DIMS = {2: "a 2D picture", 3: "a volume"}


def leave_out_odd_cases(
    cases: list[CaseScan], *, is_stack: bool = False
) -> tuple[list[CaseScan], list[Problem]]:
    """Leave out cases that do not fit the majority: axes and channels of images, form of labels.

    Args:
        cases: All that can be read.
        is_stack: They are slices of stacks, all alike in one stack.

    Returns:
        The remaining cases, with grey labels of colour files as packed colours where the
        others are colours; and an error for every case left out.
    """
    problems: list[Problem] = []
    for leave_out in (_same_dims, _same_channels, _same_masks, _same_label_colors):
        cases, more = leave_out(cases)
        problems += more
    if is_stack:
        cases, more = _same_slices(cases)
        problems += more
    return cases, problems


def _same_dims(cases: list[CaseScan]) -> tuple[list[CaseScan], list[Problem]]:
    """Leave out pictures among volumes, or volumes among pictures."""
    kinds = Counter(len(case.size) for case in cases)
    if len(kinds) < 2:
        return cases, []
    usual, num_usual = kinds.most_common(1)[0]
    problems = [
        Problem(
            case.image,
            f"the image is {_DIMS[len(case.size)]} ({format_size(case.size)}), {num_usual} of "
            f"{len(cases)} are {_DIMS[usual].removeprefix('a ')}s: train on one kind at a time",
            "error",
        )
        for case in cases
        if len(case.size) != usual
    ]
    return [case for case in cases if len(case.size) == usual], problems


def _same_slices(cases: list[CaseScan]) -> tuple[list[CaseScan], list[Problem]]:
    """Leave out slices that differ from most of their stack."""
    kinds: dict[str | None, Counter[tuple[tuple[int, ...], str]]] = {}
    for case in cases:
        kinds.setdefault(case.group, Counter())[case.size, case.dtype] += 1
    usual = {group: counts.most_common(1)[0][0] for group, counts in kinds.items()}
    kept, problems = [], []
    for case in cases:
        size, dtype = usual[case.group]
        if (case.size, case.dtype) == (size, dtype):
            kept.append(case)
            continue
        text = f"the slice has {format_size(case.size)} pixels of {case.dtype}, most of its stack "
        text += f"have {format_size(size)} of {dtype}: all slices of a stack must be alike"
        problems.append(Problem(case.image, text, "error"))
    return kept, problems


def _same_masks(cases: list[CaseScan]) -> tuple[list[CaseScan], list[Problem]]:
    """Leave out cases whose labels have another form, or other masks, than most have."""
    kinds = Counter((case.form, case.mask_names) for case in cases)
    if len(kinds) < 2:
        return cases, []
    usual, num_usual = kinds.most_common(1)[0]
    problems = [
        Problem(
            case.label_file,
            f"the label has {_form_text((case.form, case.mask_names))}, {num_usual} of "
            f"{len(cases)} labels have {_form_text(usual)}: save all in one way",
            "error",
        )
        for case in cases
        if (case.form, case.mask_names) != usual
    ]
    return [case for case in cases if (case.form, case.mask_names) == usual], problems


def _form_text(kind: tuple[str, tuple[str, ...]]) -> str:
    form, names = kind
    return f"{len(names)} masks" if names else f"one picture of {form}"


def _same_channels(cases: list[CaseScan]) -> tuple[list[CaseScan], list[Problem]]:
    kinds = Counter(case.num_channels for case in cases)
    if len(kinds) < 2:
        return cases, []
    usual, num_usual = kinds.most_common(1)[0]
    problems = [
        Problem(
            case.image,
            f"the image is {_kind(case.num_channels)}, {num_usual} of {len(cases)} images are "
            f"{_kind(usual)}: save all in one way",
            "error",
        )
        for case in cases
        if case.num_channels != usual
    ]
    return [case for case in cases if case.num_channels == usual], problems


def _kind(num_channels: int) -> str:
    return _KINDS.get(num_channels, f"of {num_channels} channels")


def _same_label_colors(cases: list[CaseScan]) -> tuple[list[CaseScan], list[Problem]]:
    num_colors = sum(case.has_label_colors for case in cases)
    if num_colors == 0:
        return cases, []
    # A colour file that happens to hold only grey (an empty label, say) fits to both kinds.
    num_grey = sum(case.num_label_channels == 1 for case in cases)
    keep_colors = num_colors >= num_grey
    kept, problems = [], []
    for case in cases:
        if case.has_label_colors == keep_colors:
            kept.append(case)
        elif keep_colors and case.num_label_channels == 3:
            kept.append(_with_packed_greys(case))
        else:
            kind, others = ("grey", "colours") if keep_colors else ("coloured", "grey")
            text = f"the label is {kind}, most others are {others}: save all labels in one way"
            problems.append(Problem(case.label_file, text, "error"))
    return kept, problems


def _with_packed_greys(case: CaseScan) -> CaseScan:
    counts = {value * 0x010101: count for value, count in case.label_counts.items()}
    return replace(case, label_counts=counts, has_label_colors=True)


def warn_of_cases(cases: list[CaseScan]) -> list[Problem]:
    """Warn of single cases: constant images, labels of one value, copies of earlier images."""
    problems = []
    first_with: dict[str, CaseScan] = {}
    for case in cases:
        if case.minimum == case.maximum:
            text = f"the image is constant ({case.minimum:g} everywhere): there is nothing to see"
            problems.append(Problem(case.image, text, "warning"))
        if len(case.label_counts) == 1:
            value = _text(next(iter(case.label_counts)), case)
            text = f"the label is empty: it holds one value only ({value})"
            problems.append(Problem(case.label_file, text, "warning"))
        earlier = first_with.setdefault(case.image_hash, case)
        if earlier is not case:
            kind = "picture" if len(case.size) == 2 else "volume"
            text = f"the same {kind} as {earlier.image.name}: a copy in training and validation"
            problems.append(Problem(case.image, f"{text} spoils the score", "warning"))
    return problems


def warn_of_set(root: Path, cases: list[CaseScan]) -> list[Problem]:
    """Warn of the data set: JPEG labels, grey in colours, values seen once, too many values."""
    problems = []
    jpegs = [c.label for c in cases if c.label and c.label.suffix.lower() in (".jpg", ".jpeg")]
    if jpegs:
        text = f"{len(jpegs)} labels are JPEG, whose compression invents values: save them as PNG"
        problems.append(Problem(jpegs[0] if len(jpegs) == 1 else jpegs[0].parent, text, "warning"))
    grey = [case for case in cases if case.is_grey_in_colors]
    if grey:
        text = f"{len(grey)} of {len(cases)} images store grey as three equal colour channels"
        path = grey[0].image if len(grey) == 1 else grey[0].image.parent
        use = "grey" if len(grey) == len(cases) else "colour images"
        problems.append(Problem(path, f"{text}: they are used as {use}", "warning"))
    if any(case.form != "values" for case in cases):
        return problems
    holders: dict[int, list[CaseScan]] = {}
    for case in cases:
        for value in case.label_counts:
            holders.setdefault(value, []).append(case)
    if len(holders) > MAX_LABEL_VALUES:
        text = f"the labels have {len(holders)} different values in all: they look like instance"
        problems.append(
            Problem(root, f"{text} numbers or grey levels; save one value a class", "error")
        )
        return problems
    num_marked = sum(len(case.label_counts) > 1 for case in cases)
    return problems + _seen_once(root, holders, num_marked)


def _seen_once(root: Path, holders: dict[int, list[CaseScan]], num_marked: int) -> list[Problem]:
    """Warn of values in a single pixel or a single case: resampling and JPEG leave such values."""
    found = []
    for value, among in sorted(holders.items()):
        count = among[0].label_counts[value]
        if len(among) == 1 and (count == 1 or num_marked > 1):
            name = among[0].label_file.name
            pixels = f"{count} {among[0].unit}{'s' * (count != 1)}"
            found.append((f"{_text(value, among[0])} ({pixels} in {name})", among[0]))
    if not found:
        return []
    listed = ", ".join(text for text, _ in found[:_MAX_NAMED])
    more = f" and {len(found) - _MAX_NAMED} more" if len(found) > _MAX_NAMED else ""
    path = found[0][1].label_file if len(found) == 1 else root
    text = f"label values seen in one case only: {listed}{more}; if they are not meant, resampling"
    return [Problem(path, f"{text} or JPEG may have made them", "warning")]


def _text(value: int, case: CaseScan) -> str:
    return f"#{value:06x}" if case.has_label_colors else str(value)
