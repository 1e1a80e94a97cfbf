"""Read one folder a case: `case_01/{ct,pet}.nii.gz` with `case_01/seg.nii.gz`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from ushape.data.layouts.case_folder import IMAGE_WORDS, CaseFolder, look_into
from ushape.data.layouts.cases import CaseFiles, ClassMask, Layout, Problem, Side, natural_key
from ushape.data.layouts.channel_order import true_names
from ushape.data.layouts.dataset_json import read_description
from ushape.data.layouts.listing import (
    entries,
    folders_named,
    has_ending,
    has_images,
    images_in,
    is_image_folder,
    name_of,
)
from ushape.data.layouts.places import SIDES

_MAX_TOLD = 3


def find_case_folders(root: Path, endings: Collection[str]) -> Layout | None:
    """Read a data set with a folder for each case, in it, or in its `train/` (and `val/`).

    Which file is the label is told by its name: `label`, `seg`, `mask` and the like, also behind
    the name of the case. All others are channels, in the order of their names.

    Returns:
        The cases; None where no folder holds an image and a label.
    """
    sides = {folder: SIDES[folder.name.lower()] for folder in folders_named(root, list(SIDES))}
    for parents in ([root], list(sides)):
        places = [each for parent in parents for each in _with_images(parent, endings)]
        folders = [look_into(place, endings) for place in places]
        decided = [each for each in folders if each.is_decided]
        if decided:
            _keep_names(decided)
            _forget_names_of_series(decided)
            return _layout(root, folders, decided, sides)
    return None


def _keep_names(folders: Sequence[CaseFolder]) -> None:
    """Call images what they are called everywhere: of `ct.nii` and `ct_seg.nii`, `ct`."""
    plain = {name_of(each.images[""]).lower() for each in folders if "" in each.images}
    are_cases = any(each.path.name.lower() in plain for each in folders)
    if len(plain) == 1 and all("" in each.images for each in folders) and not are_cases:
        (name,) = plain
        for each in folders:
            each.images[name] = each.images.pop("")


def _forget_names_of_series(folders: Sequence[CaseFolder]) -> None:
    """Call the only series of every folder alike where archives gave each a name of its own."""
    only = [next(iter(each.images.items())) for each in folders if len(each.images) == 1]
    are_series = all(path.is_dir() and not has_ending(path, (".zarr",)) for _, path in only)
    if len(only) == len(folders) and are_series and len({role for role, _ in only}) > 1:
        for each, (_, path) in zip(folders, only, strict=True):
            each.images = {"dicom": path}


def why_not_case_folders(root: Path, endings: Collection[str]) -> str:
    """Say why folders with images were not taken for cases; empty where there are none."""
    for folder in _with_images(root, endings):
        seen = look_into(folder, endings)
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
    folders = [entry for entry in found if has_images(entry, endings) or is_image_folder(entry)]
    return sorted(folders, key=lambda path: natural_key(path.name))


def _layout(
    root: Path,
    folders: Sequence[CaseFolder],
    decided: Sequence[CaseFolder],
    sides: Mapping[Path, Side],
) -> Layout:
    """Keep the folders that hold what most hold."""
    problems = [
        Problem(each.path, f"left out: {each.doubt or 'no image beside the label'}", "error")
        for each in folders
        if not each.is_decided
    ]
    usual = _usual([each.images for each in decided])
    has_masks = 2 * sum(bool(each.masks) for each in decided) > len(decided)
    classes = _usual([each.masks for each in decided if each.masks]) if has_masks else ()
    names = Counter(each.path.name for each in decided)
    cases, split = [], {}
    for each in decided:
        told = _compared(each, usual, classes)
        problems += told
        if any(problem.severity == "error" for problem in told):
            continue
        name, side = each.path.name, sides.get(each.path.parent)
        name = f"{side}_{name}" if names[name] > 1 else name
        cases.append(_case(name, each, usual, classes))
        if side is not None:
            split[name] = side
    described = read_description(root)
    roles = usual if len(usual) > 1 or usual[0] not in (*IMAGE_WORDS, "dicom") else ()
    parents = list(dict.fromkeys(each.path.parent for each in decided))
    return Layout(
        _name(root, parents, decided[0], usual, classes),
        root,
        tuple(sorted(cases, key=lambda case: natural_key(case.id))),
        tuple(problems),
        parents[0] if len(parents) == 1 else root,
        "case-folders",
        described.wish if described else None,
        true_names(described.channel_names if described else (), roles),
        split=split if len(set(split.values())) == 2 else {},
    )


def _compared(folder: CaseFolder, usual: Sequence[str], classes: Sequence[str]) -> list[Problem]:
    """Tell what a folder lacks (an error) or has more than others."""
    lacking = [role or "image" for role in usual if role not in folder.images]
    lacking += [f"mask {name}" for name in classes if name not in folder.masks]
    if lacking:
        text = f"left out: it has no {', '.join(lacking)}, which other folders have"
        return [Problem(folder.path, text, "error")]
    if bool(folder.masks) != bool(classes):
        text = "left out: it has masks of classes, other folders have one label"
        return [Problem(folder.path, text, "error")]
    unused = [*folder.unused, *(p for role, p in folder.images.items() if role not in usual)]
    unused += [p for name, p in folder.masks.items() if name not in classes]
    text = f"not used: {', '.join(path.name for path in unused[:_MAX_TOLD])}"
    return [Problem(folder.path, text, "warning")] if unused else []


def _usual(held: Sequence[Collection[str]]) -> tuple[str, ...]:
    """Name what most folders hold; where there is no such thing, what the first of most holds."""
    counts = Counter(role for roles in held for role in roles)
    most = [role for role, count in counts.items() if 2 * count > len(held)]
    alike = Counter(tuple(sorted(roles)) for roles in held)
    return tuple(sorted(most or alike.most_common(1)[0][0], key=natural_key))


def _case(name: str, folder: CaseFolder, usual: Sequence[str], classes: Sequence[str]) -> CaseFiles:
    images = tuple(folder.images[role] for role in usual)
    return CaseFiles(
        name,
        images[0],
        None if classes else folder.label,
        tuple(ClassMask(each, folder.masks[each]) for each in classes),
        images if len(images) > 1 else (),
    )


def _name(
    root: Path,
    parents: Sequence[Path],
    first: CaseFolder,
    usual: Sequence[str],
    classes: Sequence[str],
) -> str:
    """Name what was recognised, such as `*/ (ct, pet + seg)`."""
    inner = "" if parents[0] == root else f"{parents[0].name}/"
    images = ", ".join(role or "image" for role in usual)
    more = "".join(f", {parent.name}" for parent in parents[1:])
    return f"{inner}*/ ({images} + {', '.join(classes) or first.label_role}){more}"
