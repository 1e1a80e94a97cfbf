"""List what a folder holds: images and labels by name, and what is wrong with the names.

An image is a file with a known ending, a folder with a DICOM series, or an OME-Zarr folder. Of
files, only folders' unnamed ones are looked into (are they DICOM?).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from ushape.data.io import READ_FORMATS, is_dicom, split_channel, stem_of, suffix_of
from ushape.data.io.ome_zarr import is_zarr
from ushape.data.layouts.cases import Problem, natural_key
from ushape.errors import DataError

_FOREIGN_SUFFIXES = {
    *(".gif", ".webp", ".jp2", ".svg", ".pgm", ".ppm", ".mat", ".h5", ".hdf5", ".hdr", ".img"),
    *(".mgz", ".mgh", ".czi", ".lif", ".lsm", ".nd2", ".ims", ".vsi", ".svs", ".pt", ".pkl"),
}
_OF_SYSTEMS = {"thumbs.db", "desktop.ini", "__macosx", "@eadir", "$recycle.bin"}
_MOST_LOOKED_INTO = 3
_MOST_NAMED = 8


def entries(folder: Path) -> list[Path]:
    """List a folder without hidden files (also `._NAME`) and those that systems put there.

    Raises:
        DataError: It may not be listed.
    """
    try:
        found = sorted(folder.iterdir())
    except OSError as error:
        why = error.strerror or str(error)
        raise DataError(f"cannot list {folder}: {why}; allow it with chmod u+rx") from error
    return [e for e in found if e.name[0] != "." and e.name.lower() not in _OF_SYSTEMS]


def inner_folders(folder: Path) -> list[Path]:
    """List the folders in a folder that are no image themselves, in natural order."""
    return in_order(e for e in entries(folder) if e.is_dir() and not is_image_folder(e))


def folder_named(parent: Path, names: Sequence[str]) -> Path | None:
    """Return the folder of the first of these names, however its letters are capitalised."""
    found = folders_named(parent, names)
    return found[0] if found else None


def folders_named(parent: Path, names: Sequence[str]) -> list[Path]:
    """Return the folders of these names, in the order of the names."""
    if not parent.is_dir():
        return []
    present = {entry.name.lower(): entry for entry in entries(parent) if entry.is_dir()}
    return [present[name] for name in names if name in present]


def has_ending(path: Path, endings: Collection[str]) -> bool:
    """Tell whether a name ends in one of these; `.ome.tif` is also a `.tif`."""
    ending = suffix_of(path)
    return ending in endings or Path(ending).suffix in endings


def is_image_folder(path: Path, endings: Collection[str] = READ_FORMATS) -> bool:
    """Tell whether a folder is one image: an OME-Zarr store or a DICOM series."""
    if not path.is_dir():
        return False
    if has_ending(path, (".zarr",)) or is_zarr(path):
        return ".zarr" in endings
    return ".dcm" in endings and _holds_dicom(path)


def _holds_dicom(folder: Path) -> bool:
    files = [entry for entry in entries(folder) if entry.is_file()]
    if any(has_ending(file, (".dcm",)) for file in files):
        return True
    if any(has_ending(file, READ_FORMATS) for file in files):
        return False
    unnamed = [file for file in files if suffix_of(file) not in (".txt", ".csv", ".json", ".md")]
    return any(is_dicom(file) for file in unnamed[:_MOST_LOOKED_INTO])


def is_image(path: Path, endings: Collection[str] = READ_FORMATS) -> bool:
    """Tell by its name whether a file, or by its content whether a folder, is an image."""
    if path.is_dir():
        return is_image_folder(path, endings)
    return path.name[0] != "." and has_ending(path, endings)


def name_of(path: Path) -> str:
    """Return the name without its ending; the whole name of a folder with a DICOM series."""
    return path.name if path.is_dir() and not has_ending(path, (".zarr",)) else stem_of(path)


def split_name(path: Path) -> tuple[str, int | None]:
    """Split a name into case and number of the channel (`_0000`), None where it has none."""
    return split_channel(f"{name_of(path)}.nii")


def in_order(paths: Iterable[Path]) -> list[Path]:
    """Sort paths, numbers in names by value."""
    return sorted(paths, key=lambda path: natural_key(str(path)))


def images_in(folder: Path, endings: Collection[str] = READ_FORMATS) -> list[Path]:
    """List the images of a folder in natural order."""
    return in_order(entry for entry in entries(folder) if is_image(entry, endings))


def has_images(folder: Path, endings: Collection[str] = READ_FORMATS) -> bool:
    """Tell whether a folder holds an image."""
    return any(is_image(entry, endings) for entry in entries(folder))


def by_name(folder: Path, endings: Collection[str]) -> tuple[dict[str, list[Path]], list[Problem]]:
    """Group images by name; tell names that stand twice and formats that are not read."""
    found: dict[str, list[Path]] = {}
    for path in images_in(folder, endings):
        found.setdefault(name_of(path), []).append(path)
    problems = [
        Problem(
            paths[0],
            f"the name {name!r} stands twice, also as {paths[1].name}: keep one of them",
            "error",
        )
        for name, paths in found.items()
        if len(paths) > 1
    ]
    foreign = in_order(
        entry
        for entry in entries(folder)
        if entry.is_file()
        and has_ending(entry, {*READ_FORMATS, *_FOREIGN_SUFFIXES})
        and not has_ending(entry, endings)
    )
    if foreign:
        text = f"{len(foreign)} files are not read (such as {foreign[0].name}): convert them to "
        problems.append(Problem(folder, text + "PNG, TIFF or NIfTI", "warning"))
    return found, problems


def unpaired(
    images: Mapping[str, Sequence[Path]],
    labels: Mapping[str, Sequence[Path]],
    label_folder: Path,
    image_folder: Path,
) -> list[Problem]:
    """Tell images without labels and labels without images."""
    lonely_images = [name for name in sorted(images, key=natural_key) if name not in labels]
    lonely_labels = [name for name in sorted(labels, key=natural_key) if name not in images]
    advice = _ending_advice(lonely_images, lonely_labels)
    problems = [
        Problem(images[name][0], f"no label of this name in {label_folder.name}/{advice}", "error")
        for name in lonely_images
    ]
    problems += [
        Problem(labels[name][0], f"no image of this name in {image_folder.name}/{advice}", "error")
        for name in lonely_labels
    ]
    return problems


def _ending_advice(images: Sequence[str], labels: Sequence[str]) -> str:
    """Say by which constant ending the names of lonely partners differ, if they do."""
    endings: Counter[tuple[str, str]] = Counter()
    for who, longer, shorter in (("labels", labels, images), ("images", images, labels)):
        known = set(shorter)
        for name in longer:
            cuts = (name[:cut] for cut in range(len(name) - 1, 0, -1))
            base = next((cut for cut in cuts if cut in known), None)
            if base is not None:
                endings[who, name[len(base) :]] += 1
    if not endings:
        return ""
    (who, ending), _ = endings.most_common(1)[0]
    return f" (the {who} carry the extra ending {ending!r}: rename them without it)"


def content_of(folder: Path) -> str:
    """Name some of what a folder holds, for messages."""
    names = sorted(
        (entry.name + "/" * entry.is_dir() for entry in entries(folder)), key=natural_key
    )
    if not names:
        return "nothing"
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more
