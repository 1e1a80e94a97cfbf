"""Tell images from labels in the folder of one case, by the names of its files."""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ushape.data.layouts.listing import has_ending, images_in, name_of

LABEL_WORDS = (
    *("label", "labels", "labelmap", "seg", "segmentation", "mask", "masks", "gt", "groundtruth"),
    *("ground_truth", "truth", "annotation", "target", "manual"),
)
"""Names of label files; also as a part of a name (`spleen_mask`)."""

IMAGE_WORDS = ("image", "images", "img", "scan", "volume", "data", "input", "raw", "")
"""Names of image files that say nothing of a channel."""

_JOINTS = re.compile(r"[ _.-]+")


@dataclass
class CaseFolder:
    """The files of one case.

    Attributes:
        path: The folder.
        images: By the part of their names that says what they are; "" where nothing does.
        label: File of labels.
        label_role: The part of its name that says so.
        masks: By class, instead of one label.
        unused: Further files that seem to be labels.
        doubt: Why it cannot be told what is what.
    """

    path: Path
    images: dict[str, Path] = field(default_factory=dict)
    label: Path | None = None
    label_role: str = ""
    masks: dict[str, Path] = field(default_factory=dict)
    unused: list[Path] = field(default_factory=list)
    doubt: str = ""

    @property
    def is_decided(self) -> bool:
        """Whether it is known what is what."""
        has_label = self.label is not None or bool(self.masks)
        return not self.doubt and bool(self.images) and has_label


def look_into(path: Path, endings: Collection[str]) -> CaseFolder:
    """Tell images from labels in one folder."""
    files = images_in(path, endings)
    slices = [file for file in files if file.is_file() and has_ending(file, (".dcm",))]
    files = [file for file in files if file not in slices]
    found = CaseFolder(path)
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


def _choose_label(found: CaseFolder, labels: Mapping[str, Path]) -> None:
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
    """Name each file without the case and what all names of the folder begin with, lower case."""
    names = {path: name_of(path).lower() for path in files}
    common = _common_start(list(names.values())) if len(names) > 1 else ""
    joint = max((match.end() for match in _JOINTS.finditer(common)), default=0)
    # a_b.nii and a_b_seg.nii: the shorter is all that they have in common.
    is_whole = all(re.match(r"$|[ _.-]", name[len(common) :]) for name in names.values())
    whole = common if is_whole else common[:joint]
    of_case = re.compile(rf"{re.escape(case.lower())}(?:[ _.-]|$)")
    roles = {}
    for path, name in names.items():
        is_named = len(case) > len(whole) and of_case.match(name) is not None
        rest = name[len(case) if is_named else len(whole) :]
        roles[path] = _JOINTS.sub("_", rest).strip("_")
    return roles


def _common_start(names: Sequence[str]) -> str:
    low, high = min(names), max(names)
    same = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(low, high, strict=False))
    return low[: sum(1 for _ in same)]
