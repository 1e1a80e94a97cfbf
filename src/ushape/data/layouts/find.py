"""Recognise the layout of a data set. Of the files, nothing is opened but tables of their names."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from ushape.data.io import READ_FORMATS
from ushape.data.layouts.case_folders import find_case_folders, why_not_case_folders
from ushape.data.layouts.cases import LAYOUT_KINDS, CaseFiles, Layout
from ushape.data.layouts.folders import find_in_folders, find_in_nnunet, of_pictures_themselves
from ushape.data.layouts.listing import folder_named
from ushape.data.layouts.manifest import find_manifest, read_manifest
from ushape.data.layouts.pairs import find_pairs
from ushape.data.layouts.places import EXPECTED, IMAGE_FOLDERS, LABEL_FOLDERS, no_layout
from ushape.data.layouts.slices import as_slices
from ushape.errors import ConfigError, DataError, unknown_name


def find_cases(
    root: str | Path,
    *,
    label_folder: str | None = None,
    endings: Collection[str] = READ_FORMATS,
    kind: str | None = None,
    stack_mm: tuple[float, float, float] | None = None,
) -> Layout:
    """Find the images of a data set and their labels.

    In this order, the first that is there: a manifest; `images/ + labels/` (also in `train/`);
    `imagesTr/ + labelsTr/` of nnU-Net and the Decathlon; one folder a case, or labels beside their
    images. See docs/layouts.md.

    Args:
        root: The folder of the data set, or its manifest (CSV or JSON).
        label_folder: Name of the folder beside `images/` to take the labels from.
        endings: Of the images that are looked for.
        kind: One of `LAYOUT_KINDS`, instead of what is recognised.
        stack_mm: Voxel edges, z y x, where the images are the slices of stacks.

    Raises:
        DataError: There is no such folder, or no image with a label in it, or two cases would have
            one name.
        ConfigError: The kind is not known, or does not go with the folder of labels.
    """
    root = Path(root).expanduser()
    if kind is not None and kind not in LAYOUT_KINDS:
        raise ConfigError("--layout: " + unknown_name("layout", kind, LAYOUT_KINDS))
    if label_folder is not None and kind not in (None, "folders"):
        raise ConfigError(
            f"--label-folder {label_folder} goes with --layout folders, not {kind}: leave one out"
        )
    if not root.exists():
        raise DataError(f"{root}: there is no such folder; check the name")
    if label_folder is not None:
        kind = "folders"
    layout = (
        _recognised(root, endings) if kind is None else _said(root, endings, kind, label_folder)
    )
    _check_names(layout.cases)
    if len(layout.channel_names) > 1:
        layout = replace(layout, cases=tuple(map(_with_frames, layout.cases)))
    if stack_mm is not None:
        return as_slices(layout, stack_mm)
    groups = {case.group for case in layout.cases}
    if layout.kind != "manifest" and len(groups) == 1:  # a folder around all, not a subject
        return replace(layout, cases=tuple(replace(case, group=None) for case in layout.cases))
    return layout


def _check_names(cases: Sequence[CaseFiles]) -> None:
    """Refuse a name that two cases would have: one would be taken for the other."""
    seen: dict[str, CaseFiles] = {}
    for case in cases:
        before = seen.setdefault(case.id, case)
        if before is not case:
            raise DataError(
                f"{case.image}: with its folder it is called {case.id!r}, and so is "
                f"{before.image}: rename one, or write a manifest.csv with the column id"
            )


def _with_frames(case: CaseFiles) -> CaseFiles:
    """Take the images of a 4D file for the channels that the data set names."""
    return case if case.channels else replace(case, frames_are_channels=True)


def _said(root: Path, endings: Collection[str], kind: str, label_folder: str | None) -> Layout:
    """Read the layout that a person says."""
    if kind == "manifest":
        path = root if root.is_file() else find_manifest(root, is_said=True)
        assert path is not None
        return read_manifest(path, root)
    if root.is_file():
        raise DataError(f"{root}: this is a file; give the folder of the data set; {EXPECTED}")
    found: Layout | None
    if kind == "folders":
        found = find_in_folders(root, endings, label_folder=label_folder)
    elif kind == "case-folders":
        found = find_case_folders(root, endings)
        if found is None:
            raise no_layout(root, f"--layout {kind}: {why_not_case_folders(root, endings)}")
    elif kind == "pairs":
        found = find_pairs(root, endings)
    else:
        found = find_in_nnunet(root, endings, kind=kind)
    if found is None:
        raise no_layout(root, f"--layout {kind}: {_what_lacks(root, kind)}")
    return found


def _recognised(root: Path, endings: Collection[str]) -> Layout:
    manifest = root if root.is_file() else find_manifest(root)
    if manifest is not None:
        return read_manifest(manifest, root)
    found = find_in_folders(root, endings) or find_in_nnunet(root, endings)
    if found is not None:
        return found
    beside = [find_case_folders(root, endings), find_pairs(root, endings)]
    layouts = [layout for layout in beside if layout is not None]
    if layouts:  # a folder of several pairs is no case: more cases tell which it is
        return max(layouts, key=lambda layout: len(layout.cases))
    if of_pictures_themselves(root, (*IMAGE_FOLDERS, *LABEL_FOLDERS)):
        raise DataError(
            f"{root}: this is the folder of the pictures themselves; give its parent "
            f"{root.resolve().parent}, which has to hold images/ and labels/"
        )
    what = _what_lacks(root, "folders")
    has_other = folder_named(root, (*IMAGE_FOLDERS, *LABEL_FOLDERS)) is not None
    why = "" if has_other else why_not_case_folders(root, endings)
    raise no_layout(root, f"{what}; {why}" if why else what)


def _what_lacks(root: Path, kind: str) -> str:
    if kind == "pairs":
        return "no image has a label beside it (a.png and a_mask.png)"
    if kind != "folders":
        return "there are no folders imagesTr/ and labelsTr/"
    if folder_named(root, IMAGE_FOLDERS) is not None:
        return "there are images but no folder with labels"
    return "there is no images/ folder"
