"""Read one folder a case: `case_01/{ct,pet}.nii.gz` with `case_01/seg.nii.gz`."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ushape.data.layouts.cases import CaseFiles, ClassMask, Layout, Problem, natural_key
from ushape.data.layouts.dataset_json import read_description
from ushape.data.layouts.listing import (
    entries,
    folders_named,
    has_ending,
    images_in,
    is_image_folder,
    name_of,
)

LABEL_WORDS = (
    *("label", "labels", "labelmap", "seg", "segmentation", "mask", "masks", "gt", "groundtruth"),
    *("ground_truth", "truth", "annotation", "target", "manual"),
)
"""Names of label files; also as a part of a name (`spleen_mask`)."""

IMAGE_WORDS = ("image", "images", "img", "scan", "volume", "data", "input", "raw", "")
"""Names of image files that say nothing of a channel."""

_JOINTS = re.compile(r"[ _.-]+")
_MAX_TOLD = 3


@dataclass
class _Folder:
    """One case, its files by the part of the name that says what they are."""

    path: Path
    images: dict[str, Path] = field(default_factory=dict)
    label: Path | None = None
    label_role: str = ""
    masks: dict[str, Path] = field(default_factory=dict)
    unused: list[Path] = field(default_factory=list)
    doubt: str = ""


def find_case_folders(root: Path, endings: Collection[str]) -> Layout | None:
    """Read a data set with a folder for each case, in it or in its `train/`.

    Which file is the label is told by its name: `label`, `seg`, `mask` and the like, also behind
    the name of the case. All others are channels, in the order of their names.

    Returns:
        The cases; None where no folder holds an image and a label.
    """
    for parent in (root, *folders_named(root, ("train", "training"))):
        folders = [_look(folder, endings) for folder in _with_images(parent, endings)]
        decided = [each for each in folders if _is_decided(each)]
        if decided:
            return _layout(root, parent, folders, decided)
    return None


def why_not_case_folders(root: Path, endings: Collection[str]) -> str:
    """Say why folders with images were not taken for cases; empty where there are none."""
    for folder in _with_images(root, endings):
        seen = _look(folder, endings)
        files = ", ".join(path.name for path in images_in(folder, endings)[:6])
        if seen.doubt or seen.images:
            why = seen.doubt or "which file is the label cannot be told by the names"
            return (
                f"one folder a case? In {folder.name}/ ({files}) {why}: name the label "
                "label, seg or mask, or write a manifest.csv with the columns image and label"
            )
    return ""


def _with_images(parent: Path, endings: Collection[str]) -> list[Path]:
    found = [entry for entry in entries(parent) if entry.is_dir()]
    found = [entry for entry in found if not has_ending(entry, (".zarr",))]
    folders = [entry for entry in found if images_in(entry, endings) or is_image_folder(entry)]
    return sorted(folders, key=lambda path: natural_key(path.name))


def _is_decided(folder: _Folder) -> bool:
    has_label = folder.label is not None or bool(folder.masks)
    return not folder.doubt and bool(folder.images) and has_label


def _look(path: Path, endings: Collection[str]) -> _Folder:
    """Tell images from labels in one folder."""
    files = images_in(path, endings)
    slices = [file for file in files if file.is_file() and has_ending(file, (".dcm",))]
    files = [file for file in files if file not in slices]
    found = _Folder(path)
    parts = _roles(path.name, files)
    if slices:
        found.images["dicom"] = path
    labels = {role: file for file, role in parts.items() if _label_word(role)}
    for file, role in parts.items():
        if role in labels:
            continue
        if role in found.images:
            found.doubt = f"{found.images[role].name} and {file.name} are the same image"
        found.images[role] = file
    if len(labels) + len(found.images) < len(parts) + bool(slices) and not found.doubt:
        found.doubt = "two labels have the same name"
    _choose_label(found, labels)
    return found


def _choose_label(found: _Folder, labels: Mapping[str, Path]) -> None:
    """Take the one label, or one mask a class; note doubt."""
    plain = [role for role in labels if role in LABEL_WORDS]
    if len(plain) == 1 or len(labels) == 1:
        chosen = (plain or list(labels))[0]
        found.label, found.label_role = labels[chosen], chosen
        found.unused = [path for role, path in labels.items() if role != chosen]
        return
    if not labels:
        found.doubt = found.doubt or "no file is called a label by its name"
        return
    first = {_JOINTS.split(role)[0] for role in labels}
    if not plain and len(first) == 1 and first <= set(LABEL_WORDS):
        word = first.pop()
        found.masks = {_JOINTS.sub("_", role[len(word) + 1 :]): p for role, p in labels.items()}
        return
    names = ", ".join(path.name for path in labels.values())
    found.doubt = found.doubt or f"several files are called labels ({names})"


def _label_word(role: str) -> bool:
    return role in LABEL_WORDS or any(part in LABEL_WORDS for part in _JOINTS.split(role))


def _roles(case: str, files: Sequence[Path]) -> dict[Path, str]:
    """Name each file without what all names of the folder begin with, in lower case."""
    names = {path: name_of(path).lower() for path in files}
    common = _common_start(list(names.values())) if len(names) > 1 else ""
    joint = max((match.end() for match in _JOINTS.finditer(common)), default=0)
    # a_b.nii and a_b_seg.nii: the shorter is all that they have in common.
    whole = common if common in names.values() else common[:joint]
    is_case = all(re.match(rf"{re.escape(case.lower())}(?:[ _.-]|$)", n) for n in names.values())
    start = case.lower() if is_case and len(case) > len(whole) else whole
    return {path: _JOINTS.sub("_", name[len(start) :]).strip("_") for path, name in names.items()}


def _common_start(names: Sequence[str]) -> str:
    low, high = min(names), max(names)
    same = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(low, high, strict=False))
    return low[: sum(1 for _ in same)]


def _layout(root: Path, parent: Path, folders: list[_Folder], decided: list[_Folder]) -> Layout:
    """Keep the folders that hold what most hold."""
    problems = [
        Problem(each.path, f"left out: {each.doubt or 'no image beside the label'}", "error")
        for each in folders
        if not _is_decided(each)
    ]
    usual = _usual([each.images for each in decided])
    has_masks = 2 * sum(bool(each.masks) for each in decided) > len(decided)
    classes = _usual([each.masks for each in decided if each.masks]) if has_masks else ()
    cases = []
    for each in decided:
        lacking = [role or "image" for role in usual if role not in each.images]
        lacking += [f"mask {name}" for name in classes if name not in each.masks]
        if lacking:
            text = f"left out: it has no {', '.join(lacking)}, which other folders have"
            problems.append(Problem(each.path, text, "error"))
            continue
        if bool(each.masks) != bool(classes):
            text = "left out: it has masks of classes, other folders have one label"
            problems.append(Problem(each.path, text, "error"))
            continue
        unused = [*each.unused, *(p for role, p in each.images.items() if role not in usual)]
        unused += [p for name, p in each.masks.items() if name not in classes]
        if unused:
            text = f"not used: {', '.join(path.name for path in unused[:_MAX_TOLD])}"
            problems.append(Problem(each.path, text, "warning"))
        cases.append(_case(each, usual, classes))
    described = read_description(root)
    names = usual if len(usual) > 1 or usual[0] not in (*IMAGE_WORDS, "dicom") else ()
    return Layout(
        _name(root, parent, decided[0], usual, classes),
        root,
        tuple(cases),
        tuple(problems),
        parent,
        "case-folders",
        described.wish if described else None,
        (described.channel_names if described else ()) or names,
    )


def _usual(held: Sequence[Collection[str]]) -> tuple[str, ...]:
    """Name what most folders hold; where there is no such thing, what the first of most holds."""
    counts = Counter(role for roles in held for role in roles)
    most = [role for role, count in counts.items() if 2 * count > len(held)]
    alike = Counter(tuple(sorted(roles)) for roles in held)
    return tuple(sorted(most or alike.most_common(1)[0][0], key=natural_key))


def _case(folder: _Folder, usual: Sequence[str], classes: Sequence[str]) -> CaseFiles:
    images = tuple(folder.images[role] for role in usual)
    return CaseFiles(
        folder.path.name,
        images[0],
        None if classes else folder.label,
        tuple(ClassMask(name, folder.masks[name]) for name in classes),
        images if len(images) > 1 else (),
    )


def _name(
    root: Path, parent: Path, first: _Folder, usual: Sequence[str], classes: Sequence[str]
) -> str:
    """Name what was recognised, such as `*/ (ct, pet + seg)`."""
    inner = "" if parent == root else f"{parent.name}/"
    images = ", ".join(role or "image" for role in usual)
    return f"{inner}*/ ({images} + {', '.join(classes) or first.label_role})"
