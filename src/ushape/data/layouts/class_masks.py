"""Labels that are one folder of masks for each class."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from ushape.data.io import READ_FORMATS
from ushape.data.layouts.cases import ClassMask, Problem, natural_key
from ushape.data.layouts.listing import by_name, has_images, inner_folders


def find_class_folders(folder: Path) -> dict[str, Path]:
    """Find the folders of masks by class in a folder that holds no label files itself.

    Returns:
        Class name -> folder, in natural order; empty where the folder is of another kind.
    """
    if has_images(folder):
        return {}
    return {inner.name: inner for inner in inner_folders(folder) if has_images(inner)}


def join_masks(
    images: Mapping[str, list[Path]],
    class_folders: Mapping[str, Path],
    labels_at: Path,
    endings: Collection[str] = READ_FORMATS,
) -> tuple[dict[str, tuple[ClassMask, ...]], list[Problem]]:
    """Join the masks of every image; tell images without some of them."""
    problems: list[Problem] = []
    masks: dict[str, dict[str, list[Path]]] = {}
    for name, folder in class_folders.items():
        masks[name], more = by_name(folder, endings)
        problems += more
        problems += [
            Problem(paths[0], f"no image of this name for the mask of {name}", "error")
            for stem, paths in masks[name].items()
            if stem not in images
        ]
    joined = {}
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
            joined[stem] = tuple(ClassMask(n, masks[n][stem][0]) for n in class_folders)
    return joined, problems
