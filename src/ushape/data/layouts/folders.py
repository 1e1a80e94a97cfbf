"""Find the images and labels of a data set by the names of folders and files. Nothing is opened."""

from __future__ import annotations

import glob
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from ushape.data.io import PICTURE_SUFFIXES, split_channel, stem_of, suffix_of
from ushape.data.layouts.cases import CaseFiles, ClassMask, Layout, Problem, natural_key
from ushape.data.layouts.dataset_json import read_description
from ushape.errors import DataError

IMAGE_FOLDERS = ("images", "image")
LABEL_FOLDERS = ("labels", "masks", "label", "mask")
NNUNET_FOLDERS = "imagesTr", "labelsTr"
"""Of nnU-Net and of the Medical Segmentation Decathlon."""
LABEL_FILE_SUFFIXES = (*PICTURE_SUFFIXES, ".npy")
"""Labels may also be NumPy arrays: of values, or of one mask a channel."""

EXPECTED = (
    "expected are images/ (or image/) and labels/ (or masks/, label/, mask/), with equal names "
    "before the ending; in the folder itself or in its train/"
)

_FOREIGN_SUFFIXES = (
    *(".gif", ".webp", ".jp2", ".svg", ".npy", ".npz", ".mat", ".h5", ".hdf5", ".zarr"),
    *(".nii", ".gz", ".dcm", ".mha", ".mhd", ".nrrd", ".czi", ".lif", ".nd2", ".svs", ".pgm"),
)
_VOLUME_SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".mha", ".mhd")
_MAX_LISTED = 5


def find_cases(
    root: str | Path,
    *,
    label_folder: str | None = None,
    endings: Collection[str] = PICTURE_SUFFIXES,
) -> Layout:
    """Pair the images of a data set with their labels.

    Args:
        root: A folder with `images/` and `labels/` (or `image/`, `masks/`, `label/`, `mask/`),
            or with both of them inside `train/`; or with `imagesTr/` and `labelsTr/`, where images
            may end in a channel's number (`_0000`), as nnU-Net and the Decathlon have it. The
            folder of the labels may hold one folder of masks for each class instead of label
            pictures. A `dataset.json` names the classes. Other folders, hidden files and text
            files are ignored.
        label_folder: Name of the folder to take the labels from instead.
        endings: Of the images that are looked for; labels may have them too.

    Raises:
        DataError: There is no such folder, or no image with a label in it.
    """
    root = Path(root).expanduser()
    image_folder, labels_at, problems = _find_folders(root, label_folder)
    described = read_description(root)
    images, image_problems = _by_stem(image_folder, endings)
    problems += image_problems
    channels: dict[str, tuple[Path, ...]] = {}
    is_numbered = image_folder.name.lower() == NNUNET_FOLDERS[0].lower()
    if is_numbered:
        images, channels, more = _join_channels(images, labels_at)
        problems += more
    if not images:
        inside = f"{image_folder.name}/ holds no PNG, JPEG, BMP or TIFF picture"
        told = f"{inside} but {_content(image_folder)}"
        if any(_has_suffix(entry, _VOLUME_SUFFIXES) for entry in _entries(image_folder)):
            told += "; volumes are not trained on yet (ushape data convert reads them)"
        raise _no_layout(root, told)
    class_folders = find_class_folders(labels_at)
    labels: dict[str, list[Path]] = {}
    if class_folders:
        cases, more = _masked_cases(images, class_folders, labels_at)
    else:
        labels, more = _by_stem(labels_at, {*LABEL_FILE_SUFFIXES, *endings})
        cases = [
            CaseFiles(stem, images[stem][0], labels[stem][0], channels=channels.get(stem, ()))
            for stem in sorted(images, key=natural_key)
            if len(images[stem]) == 1 and len(labels.get(stem, ())) == 1
        ]
        more += _unpaired(images, labels, labels_at, image_folder)
    problems += more
    if not cases:
        found = "; ".join(str(problem) for problem in problems[:_MAX_LISTED])
        raise DataError(f"{root}: no image has a label of the same name. {found}")
    inner = "train/" if image_folder.parent != root else ""
    name = f"{inner}{image_folder.name} + {inner}{labels_at.name}"
    if class_folders:
        name += f"/ ({', '.join(class_folders)})"
    kind = "nnunet" if is_numbered else "folders"
    if described is None:
        return Layout(name, root, tuple(cases), tuple(problems), labels_at, kind)
    return Layout(
        name,
        root,
        tuple(cases),
        tuple(problems),
        labels_at,
        "msd" if is_numbered and described.is_decathlon else kind,
        described.wish,
        described.channel_names,
    )


def case_name(image: Path) -> str:
    """Name the case of an image: its name without the ending.

    In nnU-Net's folders (`imagesTr`, `imagesTs`) also without the number of its channel.

    >>> case_name(Path("images/a_0000.png")), case_name(Path("imagesTs/a_0000.png"))
    ('a_0000', 'a')
    """
    if image.parent.name.lower() in ("imagestr", "imagests"):
        return split_channel(image)[0]
    return _stem(image)


def _join_channels(
    images: Mapping[str, list[Path]], labels_at: Path
) -> tuple[dict[str, list[Path]], dict[str, tuple[Path, ...]], list[Problem]]:
    """Collect the files of every case whose names end in the number of a channel.

    Returns:
        Case -> its first file; case -> all its files where there are several; problems. A name
        that a label has too is a case, not a channel.
    """
    known = {_stem(path) for path in _entries(labels_at) if path.is_file()}
    numbered: dict[str, dict[int, Path]] = {}
    problems, doubtful = [], set()
    for stem, paths in images.items():
        case, number = (stem, None) if stem in known else split_channel(paths[0])
        if (number or 0) in numbered.setdefault(case, {}):
            text = f"case {case!r} has this channel twice: keep one of them"
            problems.append(Problem(paths[0], text, "error"))
            doubtful.add(case)
        if len(paths) > 1:  # told of already
            doubtful.add(case)
        numbered[case][number or 0] = paths[0]
    most = max((len(found) for found in numbered.values()), default=0)
    joined, several = {}, {}
    for case, found in numbered.items():
        if case in doubtful:
            continue
        if sorted(found) != list(range(most)):
            has = ", ".join(found[number].name for number in sorted(found))
            text = f"case {case!r} has {len(found)} of {most} channels ({has}): add the others"
            problems.append(Problem(found[min(found)], text, "error"))
            continue
        joined[case] = [found[0]]
        if most > 1:
            several[case] = tuple(found[number] for number in range(most))
    return joined, several, problems


def find_class_folders(folder: Path) -> dict[str, Path]:
    """Find the folders of masks by class in a folder that holds no label files itself.

    Returns:
        Class name -> folder, in natural order; empty where the folder is of another kind.
    """
    if any(_has_suffix(entry, LABEL_FILE_SUFFIXES) for entry in _entries(folder)):
        return {}
    inner = [entry for entry in _entries(folder) if entry.is_dir() and entry.name[0] != "."]
    holding = [
        entry
        for entry in inner
        if any(_has_suffix(path, LABEL_FILE_SUFFIXES) for path in _entries(entry))
    ]
    return {entry.name: entry for entry in sorted(holding, key=lambda e: natural_key(e.name))}


def _masked_cases(
    images: Mapping[str, list[Path]], class_folders: Mapping[str, Path], labels_at: Path
) -> tuple[list[CaseFiles], list[Problem]]:
    """Join the masks of every image; tell images without some of them."""
    problems: list[Problem] = []
    masks: dict[str, dict[str, list[Path]]] = {}
    for name, folder in class_folders.items():
        masks[name], more = _by_stem(folder, PICTURE_SUFFIXES)
        problems += more
        problems += [
            Problem(paths[0], f"no image of this name for the mask of {name}", "error")
            for stem, paths in masks[name].items()
            if stem not in images
        ]
    cases = []
    for stem in sorted(images, key=natural_key):
        missing = [name for name in class_folders if len(masks[name].get(stem, ())) != 1]
        if len(images[stem]) != 1 or len(missing) == len(class_folders):
            if len(images[stem]) == 1:
                text = f"no mask of this name in any folder of {labels_at.name}/"
                problems.append(Problem(images[stem][0], text, "error"))
        elif missing:
            where = ", ".join(f"{labels_at.name}/{name}/" for name in missing)
            text = f"no mask of this name in {where}: where the class is not, save an empty mask"
            problems.append(Problem(images[stem][0], text, "error"))
        else:
            found = tuple(ClassMask(name, masks[name][stem][0]) for name in class_folders)
            cases.append(CaseFiles(stem, images[stem][0], None, found))
    return cases, problems


def find_images(path_or_glob: str | Path) -> tuple[Path, ...]:
    """Find the pictures to predict, in natural order.

    Args:
        path_or_glob: A file; a folder (its `images/` when it holds no pictures itself); or a
            pattern such as `scans/*.tif`, where `**` goes into folders.

    Raises:
        DataError: Nothing is found.
    """
    given = str(path_or_glob)
    path = Path(path_or_glob).expanduser()
    if path.is_file():
        return (path,)
    if path.is_dir():
        pictures = _pictures(path)
        inner = _folder(path, IMAGE_FOLDERS)
        if not pictures and inner is not None:
            pictures = _pictures(inner)
        if pictures:
            return tuple(pictures)
        raise DataError(f"{given}: no PNG, JPEG, BMP or TIFF picture; it holds {_content(path)}")
    if not glob.has_magic(given):
        raise DataError(f"{given}: there is no such file or folder; check the name")
    matches = [Path(match) for match in glob.glob(str(path), recursive=True)]  # noqa: PTH207
    pictures = _in_order(match for match in matches if _is_picture(match))
    if not pictures:
        raise DataError(
            f"{given}: the pattern matches no PNG, JPEG, BMP or TIFF picture "
            f"({len(matches)} other files or folders); check it, and quote it in the shell"
        )
    return tuple(pictures)


def _find_folders(root: Path, label_folder: str | None) -> tuple[Path, Path, list[Problem]]:
    if not root.exists():
        raise DataError(f"{root}: there is no such folder; check the name")
    if not root.is_dir():
        raise DataError(f"{root}: this is a file; give the folder of the data set; {EXPECTED}")
    for parent in (root, root / "train"):
        names = LABEL_FOLDERS if label_folder is None else (label_folder.rstrip("/").lower(),)
        images, labels = _folder(parent, IMAGE_FOLDERS), _folder(parent, names)
        if images is not None and labels is not None:
            is_chosen = label_folder is not None
            return images, labels, [] if is_chosen else _other_folders(parent, labels)
    images, labels = (_folder(root, (name.lower(),)) for name in NNUNET_FOLDERS)
    if images is not None and labels is not None and label_folder is None:
        return images, labels, []
    if label_folder is not None and root.is_dir():
        raise DataError(
            f"{root}: --label-folder {label_folder}: there is no such folder beside the images; "
            f"found: {_content(root)}"
        )
    if root.name.lower() in (*IMAGE_FOLDERS, *LABEL_FOLDERS) and _pictures(root):
        raise DataError(
            f"{root}: this is the folder of the pictures themselves; give its parent "
            f"{root.resolve().parent}, which has to hold images/ and labels/"
        )
    if _folder(root, IMAGE_FOLDERS) is not None:
        raise _no_layout(root, "there are images but no folder with labels")
    raise _no_layout(root, "there is no images/ folder")


def _other_folders(parent: Path, used: Path) -> list[Problem]:
    others = [name for name in LABEL_FOLDERS if (f := _folder(parent, (name,))) and f != used]
    return [
        Problem(
            parent / name,
            f"not used: the labels are taken from {used.name}/ (--label-folder {name} changes it)",
            "warning",
        )
        for name in others
    ]


def _folder(parent: Path, names: Sequence[str]) -> Path | None:
    """Return the folder of the first of these names, however its letters are capitalised."""
    if not parent.is_dir():
        return None
    present = {entry.name.lower(): entry for entry in _entries(parent) if entry.is_dir()}
    return next((present[name] for name in names if name in present), None)


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        why = error.strerror or str(error)
        raise DataError(f"cannot list {folder}: {why}; allow it with chmod u+rx") from error


def _is_picture(path: Path) -> bool:
    return _has_suffix(path, PICTURE_SUFFIXES)


def _has_suffix(path: Path, suffixes: Collection[str]) -> bool:
    ending = suffix_of(path) if suffix_of(path) == ".nii.gz" else path.suffix.lower()
    return path.name[0] != "." and ending in suffixes and path.is_file()


def _stem(path: Path) -> str:
    return stem_of(path) if suffix_of(path) == ".nii.gz" else path.stem


def _in_order(paths: Iterable[Path]) -> list[Path]:
    return sorted(paths, key=lambda path: natural_key(str(path)))


def _pictures(folder: Path, suffixes: Collection[str] = PICTURE_SUFFIXES) -> list[Path]:
    return _in_order(entry for entry in _entries(folder) if _has_suffix(entry, suffixes))


def _by_stem(
    folder: Path, suffixes: Collection[str]
) -> tuple[dict[str, list[Path]], list[Problem]]:
    """Group pictures by name; tell names that stand twice and formats that are not read."""
    found: dict[str, list[Path]] = {}
    for path in _pictures(folder, suffixes):
        found.setdefault(_stem(path), []).append(path)
    problems = [
        Problem(
            paths[0],
            f"the name {stem!r} stands twice, also as {paths[1].name}: keep one of them",
            "error",
        )
        for stem, paths in found.items()
        if len(paths) > 1
    ]
    foreign = _in_order(
        entry
        for entry in _entries(folder)
        if entry.suffix.lower() in _FOREIGN_SUFFIXES and not _has_suffix(entry, suffixes)
    )
    if foreign:
        text = f"{len(foreign)} files are not read (such as {foreign[0].name}): convert them to PNG"
        problems.append(Problem(folder, text + " or TIFF", "warning"))
    return found, problems


def _unpaired(
    images: dict[str, list[Path]],
    labels: dict[str, list[Path]],
    label_folder: Path,
    image_folder: Path,
) -> list[Problem]:
    lonely_images = [stem for stem in sorted(images, key=natural_key) if stem not in labels]
    lonely_labels = [stem for stem in sorted(labels, key=natural_key) if stem not in images]
    advice = _suffix_advice(lonely_images, lonely_labels)
    problems = [
        Problem(images[stem][0], f"no label of this name in {label_folder.name}/{advice}", "error")
        for stem in lonely_images
    ]
    problems += [
        Problem(labels[stem][0], f"no image of this name in {image_folder.name}/{advice}", "error")
        for stem in lonely_labels
    ]
    return problems


def _suffix_advice(images: Sequence[str], labels: Sequence[str]) -> str:
    """Say by which constant ending the names of lonely partners differ, if they do."""
    endings: Counter[tuple[str, str]] = Counter()
    for who, longer, shorter in (("labels", labels, images), ("images", images, labels)):
        known = set(shorter)
        for stem in longer:
            cuts = (stem[:cut] for cut in range(len(stem) - 1, 0, -1))
            base = next((cut for cut in cuts if cut in known), None)
            if base is not None:
                endings[who, stem[len(base) :]] += 1
    if not endings:
        return ""
    (who, ending), _ = endings.most_common(1)[0]
    return f" (the {who} carry the extra ending {ending!r}: rename them without it)"


def _content(folder: Path) -> str:
    names = sorted(
        (entry.name + "/" * entry.is_dir() for entry in _entries(folder) if entry.name[0] != "."),
        key=natural_key,
    )
    if not names:
        return "nothing"
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return ", ".join(names[:8]) + more


def _no_layout(root: Path, what: str) -> DataError:
    return DataError(f"{root}: {what}; found: {_content(root)}; {EXPECTED}")
