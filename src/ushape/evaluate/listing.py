"""List the label files of a folder, and its folders of masks, by their names."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ushape.data.io import format_of, stem_of
from ushape.data.layouts import natural_key
from ushape.errors import DataError


def name_some(names: Iterable[str]) -> str:
    """List the first names."""
    listed = sorted(names, key=natural_key)
    return ", ".join(listed[:3]) + (" ..." if len(listed) > 3 else "")


def class_folders(folder: Path) -> list[str]:
    """Name the folders of masks in a folder, in natural order."""
    inner = (entry for entry in entries_of(folder) if entry.is_dir() and not is_label(entry))
    return sorted((entry.name for entry in inner if label_files(entry)), key=natural_key)


def label_files(folder: Path) -> dict[str, Path]:
    """List label files by case.

    Raises:
        DataError: A name stands twice.
    """
    found: dict[str, Path] = {}
    for path in entries_of(folder):
        name = stem_of(path)
        if not is_label(path) or name.endswith(".probabilities"):
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


def entries_of(folder: Path) -> list[Path]:
    """List what is in a folder and not hidden; nothing where there is no such folder."""
    if not folder.is_dir():
        return []
    try:
        return sorted(entry for entry in folder.iterdir() if entry.name[0] != ".")
    except OSError as error:
        raise DataError(f"{folder}: cannot be listed ({error.strerror}); allow it") from error


def is_label(path: Path) -> bool:
    """Tell whether a name is that of a label file (or an OME-Zarr folder)."""
    kind = format_of(path)
    if kind is None or kind == "DICOM":  # a series of slices, not one file a case
        return False
    return path.is_dir() if kind == "OME-Zarr" else path.is_file()
