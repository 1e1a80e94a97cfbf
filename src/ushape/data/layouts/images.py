"""Find images to predict, which need no labels."""

from __future__ import annotations

import glob
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from ushape.data.io import READ_FORMATS
from ushape.data.layouts.case_folder import look_into
from ushape.data.layouts.cases import CaseFiles, natural_key
from ushape.data.layouts.channel_order import channel_order, is_named
from ushape.data.layouts.listing import (
    content_of,
    folder_named,
    has_images,
    images_in,
    in_order,
    inner_folders,
    is_image,
    is_image_folder,
    name_of,
    split_name,
)
from ushape.data.layouts.manifest import find_manifest, read_manifest
from ushape.data.layouts.manifest_rows import MANIFEST_SUFFIXES
from ushape.data.layouts.places import IMAGE_FOLDERS
from ushape.data.layouts.series import series_in
from ushape.errors import DataError

_NUMBERED_FOLDERS = ("imagestr", "imagests")


def find_images(
    path_or_glob: str | Path, *, endings: Collection[str] = READ_FORMATS
) -> tuple[Path, ...]:
    """Find the images to predict, in natural order.

    Args:
        path_or_glob: A file; a folder with a DICOM series or an OME-Zarr image; a folder of images
            (its `images/` when it holds none itself); or a pattern such as `scans/*.tif`, where
            `**` goes into folders.
        endings: Of the images that are looked for in folders and by patterns.

    Raises:
        DataError: Nothing is found.
    """
    given = str(path_or_glob)
    path = Path(path_or_glob).expanduser()
    if path.is_file() or is_image_folder(path, endings):
        return (path,)
    if path.is_dir():
        found = images_in(path, endings)
        inner = folder_named(path, IMAGE_FOLDERS)
        if not found and inner is not None:
            found = images_in(inner, endings)
        if found:
            return tuple(found)
        raise DataError(f"{given}: no image of a known format; it holds {content_of(path)}")
    if not glob.has_magic(given):
        raise DataError(f"{given}: there is no such file or folder; check the name")
    matches = [Path(match) for match in glob.glob(str(path), recursive=True)]  # noqa: PTH207
    images = in_order(match for match in matches if is_image(match, endings))
    if not images:
        raise DataError(
            f"{given}: the pattern matches no image of a known format "
            f"({len(matches)} other files or folders); check it, and quote it in the shell"
        )
    return tuple(images)


def find_inputs(
    path_or_glob: str | Path, *, num_channels: int = 1, channel_names: Sequence[str] = ()
) -> tuple[CaseFiles, ...]:
    """Find the images to predict, as cases without labels.

    Channels in several files are joined where they can be told from images of their own: by their
    numbers (`_0000`) in nnU-Net's folders `imagesTr` and `imagesTs`, and elsewhere if every name
    has just as many of them as the model wants; as one folder for each channel; as one folder for
    each case; or as a manifest says. Folders, files and columns with names are brought into the
    order of the model's channels by these; those of other names are not used.

    Args:
        path_or_glob: As for `find_images`; also a manifest; a folder of one folder for each channel
            or for each case (which, if it could be both and is not called `images`).
        num_channels: Of the model.
        channel_names: Their names, in the model's order, where somebody gave them.

    Raises:
        DataError: Nothing is found, or channels are missing.
    """
    path = Path(path_or_glob).expanduser()
    # Three names for the colours of one file, or none for two files: they say nothing here.
    names = tuple(channel_names) if len(channel_names) == num_channels else ()
    if path.is_file() and path.suffix.lower() in MANIFEST_SUFFIXES:
        return _of_manifest(path, path, names)
    if not path.is_dir() or is_image_folder(path) or has_images(path):
        return join_files(find_images(path_or_glob), num_channels=num_channels)
    manifest = find_manifest(path)
    if manifest is not None:
        return _of_manifest(manifest, path, names)
    place = folder_named(path, IMAGE_FOLDERS) or path
    inner = inner_folders(place)
    folders = [each for each in inner if has_images(each) or series_in(each, READ_FORMATS)]
    if has_images(place) or not folders:
        return join_files(find_images(path_or_glob), num_channels=num_channels)
    are_cases = place == path and all(
        len(look_into(folder, READ_FORMATS).images) == num_channels for folder in folders
    )
    called = [folder.name for folder in folders]
    if is_named(called, names) or (len(folders) == num_channels > 1 and not are_cases):
        order = channel_order([(name,) for name in called], names, place)
        return _from_folders([folders[number] for number in order])
    return tuple(_from_case_folder(folder, num_channels, names) for folder in folders)


def _of_manifest(path: Path, root: Path, names: Sequence[str]) -> tuple[CaseFiles, ...]:
    """Take the images that a manifest names.

    Raises:
        DataError: Some line is of no use: nothing to predict is passed over in silence; or the
            manifest names other channels than the model.
    """
    layout = read_manifest(path, root, needs_labels=False)
    wrong = next((each for each in layout.problems if each.severity == "error"), None)
    if wrong is not None:
        raise DataError(str(wrong))
    num_files = len(layout.cases[0].image_paths)  # that of all: others were refused
    if len(layout.channel_names) != num_files:
        return layout.cases
    order = channel_order([(name,) for name in layout.channel_names], names, path)
    return tuple(_reordered(case, order) for case in layout.cases)


def _reordered(case: CaseFiles, order: Sequence[int]) -> CaseFiles:
    paths = tuple(case.image_paths[number] for number in order)
    return replace(case, image=paths[0], channels=paths if len(paths) > 1 else ())


def _from_case_folder(folder: Path, num_channels: int, names: Sequence[str]) -> CaseFiles:
    """Take the images of a folder that are called no labels for the channels of one case."""
    images = look_into(folder, READ_FORMATS).images
    images = images or {path.name: path for path in series_in(folder, READ_FORMATS)}
    roles = sorted(images, key=natural_key)
    if roles:
        # Without a label beside it, t1_ce.nii may have lost what it has in common with t1.nii.
        order = channel_order([(role, name_of(images[role])) for role in roles], names, folder)
        roles = [roles[number] for number in order]
    paths = [images[role] for role in roles]
    if len(paths) != num_channels:
        found = ", ".join(path.name for path in paths) or "no image"
        raise DataError(
            f"{folder}: it holds {found}; the model takes {num_channels} "
            f"channel{'s' * (num_channels > 1)}: give the folder of the images, or a manifest"
        )
    return _case(folder.name, dict(enumerate(paths)))


def join_files(images: Sequence[Path], *, num_channels: int = 1) -> tuple[CaseFiles, ...]:
    """Make cases of image files, channels of one image in one case; see `find_inputs`.

    Raises:
        DataError: A file of nnU-Net's layout lacks channels that others have.
    """
    numbered: dict[tuple[Path, str], dict[int, Path]] = {}
    for image in images:
        case, number = split_name(image)
        numbered.setdefault((image.parent, case), {})[number or 0] = image
    wanted = set(range(num_channels))
    are_all = sum(len(found) for found in numbered.values()) == len(images)
    fit = are_all and all(set(found) == wanted for found in numbered.values())
    if num_channels > 1 and fit:
        return tuple(_case(case, found) for (_, case), found in numbered.items())
    if num_channels > 1:
        _check_numbers(numbered, num_channels)
    return tuple(CaseFiles(case_name(image), image, None) for image in images)


def _check_numbers(numbered: dict[tuple[Path, str], dict[int, Path]], num_channels: int) -> None:
    for (folder, case), found in numbered.items():
        if folder.name.lower() in _NUMBERED_FOLDERS and len(found) not in (1, num_channels):
            has = ", ".join(found[number].name for number in sorted(found))
            raise DataError(
                f"{folder}: case {case!r} has {len(found)} channels ({has}), the model takes "
                f"{num_channels}: add the others"
            )


def _case(name: str, files: dict[int, Path]) -> CaseFiles:
    paths = tuple(files[number] for number in sorted(files))
    return CaseFiles(name, paths[0], None, channels=paths if len(paths) > 1 else ())


def _from_folders(folders: Sequence[Path]) -> tuple[CaseFiles, ...]:
    found: dict[str, dict[int, Path]] = {}
    for number, folder in enumerate(folders):
        for image in images_in(folder):
            found.setdefault(name_of(image), {})[number] = image
    for name, files in found.items():
        missing = [folder.name for n, folder in enumerate(folders) if n not in files]
        if missing:
            raise DataError(
                f"{folders[0].parent}: case {name!r} is not in {', '.join(missing)}/: "
                "add that channel"
            )
    return tuple(_case(name, files) for name, files in found.items())


def case_name(image: Path) -> str:
    """Name the case of an image: its name without the ending.

    In nnU-Net's folders (`imagesTr`, `imagesTs`) also without the number of its channel.

    >>> case_name(Path("images/a_0000.png")), case_name(Path("imagesTs/a_0000.png"))
    ('a_0000', 'a')
    """
    if image.parent.name.lower() in _NUMBERED_FOLDERS:
        return split_name(image)[0]
    return name_of(image)
