"""Find the label files of predictions or of the truth in whatever folder is given."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from ushape.data.io import stem_of
from ushape.data.layouts import (
    IMAGE_FOLDERS,
    CaseFiles,
    Layout,
    find_cases,
    natural_key,
)
from ushape.data.layouts.dataset_json import read_description
from ushape.errors import ConfigError, DataError
from ushape.evaluate.listing import class_folders, entries_of, is_label, label_files
from ushape.evaluate.read import LabelFiles, MaskForm
from ushape.evaluate.sources import LabelSource, look_at
from ushape.labels import LabelTable

RECORD = "predictions.json"
"""What `ushape predict` writes beside its files: the classes, their form, and what failed."""

_NUMBERED_FOLDERS = ("labelsTr", "labelsTs")
_OWN_FOLDERS = ("labels", "masks", "label", "mask", "labelstr")


def find_source(
    root: Path, *, label_folder: str | None = None, has_images: bool = True
) -> LabelSource:
    """Find label files and recognise their form.

    Args:
        root: A folder of label files; a folder with one folder of masks a class; a data set,
            whose labels are taken; what `ushape predict` wrote; or one file.
        label_folder: Name of the folder in `root` to take the labels from instead.
        has_images: It may be a data set.

    Raises:
        DataError: There is no such folder, or nothing in it, or one name twice.
    """
    if not root.exists():
        raise DataError(f"{root}: there is no such folder or file; check the name")
    if is_label(root):
        name = stem_of(root)
        return look_at(LabelSource(root, "values", {name: LabelFiles(name, (root,))}))
    if root.is_file():
        return _in_table(root)
    described = read_description(root)
    if described is None and root.name in _NUMBERED_FOLDERS:
        described = read_description(root.resolve().parent)
    wish = described.wish if described else None
    if label_folder is not None:
        inner = root / label_folder
        if not inner.is_dir():
            raise DataError(f"{root}: --label-folder {label_folder}: there is no such folder in it")
        return replace(look_at(_in_folder(inner)), root=inner, wish=wish)
    if (root / RECORD).is_file():
        return _recorded(root)
    found = (_in_data_set(root) if has_images else None) or _in_folder(root)
    return replace(look_at(found), root=root, wish=found.wish or wish)


def files_of(case: CaseFiles) -> LabelFiles:
    """Take the label files of a case of a data set."""
    planes = tuple(files_of(plane) for plane in case.planes)
    return LabelFiles(case.id, case.label_paths, planes, case.image, case.spacing_mm)


def _recorded(root: Path) -> LabelSource:
    """Read what `ushape predict` says that it wrote."""
    record = root / RECORD
    try:
        content = json.loads(record.read_text(encoding="utf-8"))
        table = LabelTable.from_json(content["labels"])
        form = content.get("form", "values")
        failed = content.get("failed", {})
        messages = tuple(f"{path}: was not predicted ({why})" for path, why in failed.items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ConfigError) as error:
        raise DataError(f"{record}: damaged ({error}); delete it and give --labels") from error
    if form == "folders":
        names = [entry.name for entry in table.foreground]
        missing = [name for name in names if not (root / name).is_dir()]
        if missing:
            raise DataError(
                f"{root}: {RECORD} tells of masks in {', '.join(f'{n}/' for n in names)}, but "
                f"{', '.join(f'{n}/' for n in missing)} is not there; predict again"
            )
        found = _in_class_folders(root, names)
    else:
        found = _in_folder(root)
        if found.form != "folders":
            found = replace(found, form="channels" if form == "channels" else "values")
    return look_at(replace(found, root=root, table=table, failed=messages))


def _in_table(path: Path) -> LabelSource:
    """Take the labels of a data set's manifest."""
    if path.suffix.lower() not in (".csv", ".json"):
        raise DataError(
            f"{path}: its ending is not known; give a folder of label files, a data set, or a file "
            "such as .nii.gz, .nrrd, .tif, .png or .npy"
        )
    return look_at(_of_layout(find_cases(path)))


def _in_data_set(root: Path) -> LabelSource | None:
    """Take the labels of a data set; None where there is no layout, but labels themselves."""
    try:
        return _of_layout(find_cases(root))
    except DataError:
        inner = _label_folder(root)
        if inner is not None:
            return _in_folder(inner)
        has_labels = label_files(root) or class_folders(root)
        if not has_labels and any((root / name).is_dir() for name in (*IMAGE_FOLDERS, "imagesTr")):
            raise
        return None


def _of_layout(layout: Layout) -> LabelSource:
    labelled = [case for case in layout.cases if case.label_paths]
    files = {case.id: files_of(case) for case in labelled}
    names = tuple(mask.name for mask in labelled[0].masks) if labelled else ()
    form: MaskForm = "folders" if names else "values"
    return LabelSource(layout.root, form, files, names, wish=layout.wish)


def _label_folder(root: Path) -> Path | None:
    """Find the labels of a data set whose images are not there."""
    places = [entry for parent in (root, root / "train") for entry in entries_of(parent)]
    found = (entry for entry in places if entry.is_dir() and entry.name.lower() in _OWN_FOLDERS)
    return next((entry for entry in found if label_files(entry) or class_folders(entry)), None)


def _in_folder(folder: Path) -> LabelSource:
    """Find label files in a folder, or folders of masks.

    Raises:
        DataError: There are neither.
    """
    found = label_files(folder)
    if found:
        files = {name: LabelFiles(name, (path,)) for name, path in found.items()}
        return LabelSource(folder, "values", files)
    names = class_folders(folder)
    if names:
        return _in_class_folders(folder, names)
    raise DataError(
        f"{folder}: holds no PNG, TIFF, NIfTI, NRRD, NumPy or other label file, no folder of masks "
        "for each class, and no images/ with labels/"
    )


def _in_class_folders(folder: Path, names: Iterable[str]) -> LabelSource:
    """Join the masks of every case; a case without one of them is a problem."""
    by_class = {name: label_files(folder / name) for name in names}
    cases = sorted({case for found in by_class.values() for case in found}, key=natural_key)
    files, problems = {}, []
    for case in cases:
        missing = [name for name, found in by_class.items() if case not in found]
        if missing:
            where = ", ".join(f"{name}/" for name in missing)
            problems.append(
                f"{folder}: {case} has no mask in {where}: where the class is not, save an empty "
                "mask"
            )
        else:
            files[case] = LabelFiles(case, tuple(found[case] for found in by_class.values()))
    return LabelSource(folder, "folders", files, tuple(by_class), problems=tuple(problems))
