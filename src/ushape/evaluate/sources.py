"""Find the files of predictions and of the truth, and in which form they hold classes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ushape.data.io import Header, format_of, read_header, stem_of
from ushape.data.layouts import (
    IMAGE_FOLDERS,
    CaseFiles,
    Layout,
    find_cases,
    natural_key,
)
from ushape.data.layouts.dataset_json import read_description
from ushape.errors import ConfigError, DataError
from ushape.evaluate.read import PICTURES, LabelFiles, MaskForm, channel_axes
from ushape.labels import LabelTable, LabelWish

RECORD = "predictions.json"
"""What `ushape predict` writes beside its files: the classes, their form, and what failed."""

_NUMBERED_FOLDERS = ("labelsTr", "labelsTs")
_OWN_FOLDERS = ("labels", "masks", "label", "mask", "labelstr")
_PILES = ("TIFF stack", "NPY", "NPZ")
"""Formats that seldom say whether their first axis is z or the channels."""


@dataclass(frozen=True)
class LabelSource:
    """A folder of label files, or one file.

    Attributes:
        root: As it was given.
        form: How the files hold classes.
        files: By the name of their case.
        mask_names: The classes of folders, in their order.
        spatial_dims: 2 or 3; None where the first axis of the files may be z or the channels.
        header: Of the first file that can be read.
        num_masks: Channels of that file; 1 where it has none.
        table: The classes as `predictions.json` has them.
        wish: The classes as `dataset.json` has them.
        failed: What `ushape predict` could not predict.
        problems: Files that are left out.
    """

    root: Path
    form: MaskForm
    files: Mapping[str, LabelFiles]
    mask_names: tuple[str, ...] = ()
    spatial_dims: int | None = 2
    header: Header | None = None
    num_masks: int = 1
    table: LabelTable | None = None
    wish: LabelWish | None = None
    failed: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def size(self) -> tuple[int, ...] | None:
        """Size of the first case; None where its axes are not decided."""
        if self.header is None or self.spatial_dims is None:
            return None
        if self.form == "channels" and self.header.format in _PILES and "c" not in self.header.axes:
            return self.header.shape[1:]
        return self.header.grid.size

    @property
    def kind(self) -> str:
        """Say how the classes are held, for people."""
        if self.form == "values":
            return "label values"
        return f"one {'folder' if self.form == 'folders' else 'channel'} a class"


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
    if _is_label(root):
        name = stem_of(root)
        return _look(LabelSource(root, "values", {name: LabelFiles(name, (root,))}))
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
        return replace(_look(_in_folder(inner)), root=inner, wish=wish)
    if (root / RECORD).is_file():
        return _recorded(root)
    found = (_in_data_set(root) if has_images else None) or _in_folder(root)
    return replace(_look(found), root=root, wish=found.wish or wish)


def name_some(names: Iterable[str]) -> str:
    """List the first names."""
    listed = sorted(names, key=natural_key)
    return ", ".join(listed[:3]) + (" ..." if len(listed) > 3 else "")


def files_of(case: CaseFiles) -> LabelFiles:
    """Take the label files of a case of a data set."""
    planes = tuple(files_of(plane) for plane in case.planes)
    return LabelFiles(case.id, case.label_paths, planes, case.image, case.spacing_mm)


def find_label(folder: Path, name: str, suffix: str) -> Path:
    """Find the label file of a case, whatever its ending; where there is none, name one."""
    return _files_in(folder).get(name, folder / f"{name}{suffix}")


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
    return replace(_look(found), root=root, table=table, failed=messages)


def _in_table(path: Path) -> LabelSource:
    """Take the labels of a data set's manifest."""
    if path.suffix.lower() not in (".csv", ".json"):
        raise DataError(
            f"{path}: its ending is not known; give a folder of label files, a data set, or a file "
            "such as .nii.gz, .nrrd, .tif, .png or .npy"
        )
    return _look(_of_layout(find_cases(path)))


def _in_data_set(root: Path) -> LabelSource | None:
    """Take the labels of a data set; None where there is no layout, but labels themselves."""
    try:
        return _of_layout(find_cases(root))
    except DataError:
        inner = _label_folder(root)
        if inner is not None:
            return _in_folder(inner)
        has_labels = _files_in(root) or _class_folders(root)
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
    places = [entry for parent in (root, root / "train") for entry in _entries(parent)]
    found = (entry for entry in places if entry.is_dir() and entry.name.lower() in _OWN_FOLDERS)
    return next((entry for entry in found if _files_in(entry) or _class_folders(entry)), None)


def _in_folder(folder: Path) -> LabelSource:
    """Find label files in a folder, or folders of masks.

    Raises:
        DataError: There are neither.
    """
    found = _files_in(folder)
    if found:
        files = {name: LabelFiles(name, (path,)) for name, path in found.items()}
        return LabelSource(folder, "values", files)
    names = _class_folders(folder)
    if names:
        return _in_class_folders(folder, names)
    raise DataError(
        f"{folder}: holds no PNG, TIFF, NIfTI, NRRD, NumPy or other label file, no folder of masks "
        "for each class, and no images/ with labels/"
    )


def _in_class_folders(folder: Path, names: Iterable[str]) -> LabelSource:
    """Join the masks of every case; a case without one of them is a problem."""
    by_class = {name: _files_in(folder / name) for name in names}
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


def _class_folders(folder: Path) -> list[str]:
    inner = (entry for entry in _entries(folder) if entry.is_dir() and not _is_label(entry))
    return sorted((entry.name for entry in inner if _files_in(entry)), key=natural_key)


def _files_in(folder: Path) -> dict[str, Path]:
    """List label files by case.

    Raises:
        DataError: A name stands twice.
    """
    found: dict[str, Path] = {}
    for path in _entries(folder):
        name = stem_of(path)
        if not _is_label(path) or name.endswith(".probabilities"):
            continue
        if name in found and path.suffix.lower() == ".npz":
            continue  # nnU-Net's probabilities lie beside its label files
        if name in found and found[name].suffix.lower() != ".npz":
            raise DataError(
                f"{path}: the name stands twice, also as {found[name].name}; remove one of them, "
                "or put them into two folders"
            )
        found[name] = path
    return found


def _entries(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    try:
        return sorted(entry for entry in folder.iterdir() if entry.name[0] != ".")
    except OSError as error:
        raise DataError(f"{folder}: cannot be listed ({error.strerror}); allow it") from error


def _is_label(path: Path) -> bool:
    kind = format_of(path)
    if kind is None or kind == "DICOM":  # a series of slices, not one file a case
        return False
    return path.is_dir() if kind == "OME-Zarr" else path.is_file()


def _look(source: LabelSource) -> LabelSource:
    """Look at the first file that can be read: how many axes, and what they are."""
    for files in source.files.values():
        try:
            header = read_header(files.paths[0])
        except DataError:  # told when the case is read
            continue
        known = replace(source, header=header)
        return _understand(known, header, files.image)
    return source


def _understand(source: LabelSource, header: Header, image: Path | None) -> LabelSource:
    dims = header.grid.spatial_dims
    if header.format in PICTURES or source.form == "folders":
        return replace(source, spatial_dims=dims)
    if source.form == "channels" or header.num_channels > 1:
        has_c = "c" in header.axes
        num_masks = header.num_channels if has_c else header.shape[0]
        dims = dims if has_c else len(header.axes) - 1
        return replace(source, form="channels", spatial_dims=dims, num_masks=num_masks)
    is_open = dims == 3 and header.format in _PILES and header.grid.spacing_mm is None
    if not is_open or source.table is not None:
        return replace(source, spatial_dims=dims)
    undecided = replace(source, spatial_dims=None)
    try:
        return undecided if image is None else settle(undecided, read_header(image).grid.size)
    except DataError:  # the image is not needed
        return undecided


def settle(source: LabelSource, size: tuple[int, ...] | None) -> LabelSource:
    """Decide which axes of the files are those of the image.

    Args:
        source: Perhaps undecided.
        size: Of an image or of the other side; None where neither is known.
    """
    header = source.header
    if header is None or (source.spatial_dims is not None and source.form != "channels"):
        return source
    dims = source.spatial_dims or (len(size) if size is not None else 3)
    if dims == len(header.axes):
        return replace(source, spatial_dims=dims)
    if size is not None and len(size) != dims:
        return source
    axes = channel_axes(header, dims, size) or header.axes
    num_masks = header.shape[axes.index("c")]
    return replace(source, form="channels", spatial_dims=dims, num_masks=num_masks)
