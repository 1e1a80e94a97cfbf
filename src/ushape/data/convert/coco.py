"""Read COCO annotations: polygons, run lengths, crowds.

Source: Lin et al. 2014, and the format's page, cocodataset.org/#format-data. Polygons of one
annotation are joined; a crowd (`iscrowd`) says that objects of the class are there somewhere, so
its pixels are void; crowds are painted first, as what is outlined on them is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ushape.data.convert.annotated import VOID_NAMES, Picture, Stroke, build_source
from ushape.data.convert.json_file import listed, read_json, shown, size_of, text_of
from ushape.data.convert.rle import decode_columns
from ushape.data.convert.shapes import Patch, Points, as_points, fill_polygon, whole_patch
from ushape.data.convert.source import ConvertWish, Source
from ushape.data.layouts import Problem, natural_key
from ushape.errors import DataError
from ushape.sizes import Size, format_size


def is_coco(data: Any) -> bool:
    """Tell whether JSON data are COCO annotations."""
    return isinstance(data, dict) and {"images", "annotations", "categories"} <= set(data)


def read_coco(path: Path, wish: ConvertWish) -> Source:
    """Read a file of COCO annotations.

    Args:
        path: The JSON file. Pictures are looked for beside it, in `images/` and in folders named
            as the file, as COCO itself, CVAT, Label Studio and Roboflow lay them.
        wish: What a person says.

    Raises:
        DataError: The file as a whole cannot be used.
        ConfigError: The wish does not fit.
    """
    data = read_json(path)
    try:
        images = listed(data, "images")
        annotations = listed(data, "annotations")
        categories = {
            _number(entry, "id"): text_of(entry, "name") for entry in listed(data, "categories")
        }
    except DataError as error:
        raise DataError(f"cannot read {path}: {error}") from error
    if not images:
        raise DataError(f"cannot read {path}: it lists no images")
    by_image: dict[int | str, list[dict[str, Any]]] = {}
    for image in images:
        if not isinstance(image.get("id"), int | str):
            raise DataError(f"cannot read {path}: an image has the id {image.get('id')!a}")
        by_image[image["id"]] = []
    problems = []
    for annotation in annotations:
        number = annotation.get("image_id")
        if not isinstance(number, int | str) or number not in by_image:
            where = f"annotation {shown(annotation.get('id'))}"
            text = f"{where} is of an image {number!a} that is not listed"
            problems.append(Problem(path, text, "warning"))
        else:
            by_image[number].append(annotation)
    folders = _folders(path)
    pictures = [
        replace(_picture(path, image, by_image[image["id"]], categories), folders=folders)
        for image in images
    ]
    pictures.sort(key=lambda picture: natural_key(picture.name))
    found = [categories[number] for number in sorted(categories)]
    return build_source("COCO", pictures, found, wish, problems)


def _number(data: dict[str, Any], key: str) -> int:
    value = data.get(key)
    if not isinstance(value, int):
        raise DataError(f"{key!r} of a category is {value!a} and no number")
    return value


def _folders(path: Path) -> tuple[Path, ...]:
    """List where pictures may lie, for `annotations/instances_val.json` in `val/` too."""
    home = path.parent
    split = path.stem.split("_")[-1]
    above = home.resolve().parent
    near = [home, home / "images", home / split, home / "images" / split]
    if home.name.lower() in ("annotations", "annotation"):
        near += [above / "images", above / split, above / "images" / split, above]
    return tuple(folder for folder in near if folder.is_dir())


def _picture(
    path: Path,
    image: dict[str, Any],
    annotations: Sequence[dict[str, Any]],
    categories: dict[int, str],
) -> Picture:
    """Read the annotations of one picture; what is wrong leaves the picture out."""
    name = shown(image.get("file_name"))
    strokes: list[Stroke] = []
    remarks: list[str] = []
    try:
        name = text_of(image, "file_name")
        size = size_of(image.get("width"), image.get("height"))
        ordered = sorted(annotations, key=lambda each: not each.get("iscrowd"))
        for annotation in ordered:
            made = _stroke(annotation, categories)
            if isinstance(made, Stroke):
                strokes.append(made)
            else:
                remarks.append(f"{name}: {made}")
    except DataError as error:
        return Picture(path, name, None, problems=(str(error),))
    return Picture(path, name, size, tuple(strokes), remarks=tuple(remarks))


def _stroke(annotation: dict[str, Any], categories: dict[int, str]) -> Stroke | str:
    """Read one annotation; text says why it is left out without harm."""
    where = f"annotation {shown(annotation.get('id'))}"
    number, outline = annotation.get("category_id"), annotation.get("segmentation")
    if not isinstance(number, int) or number not in categories:
        raise DataError(f"{where} is of a category {number!a} that is not listed")
    name = VOID_NAMES[0] if annotation.get("iscrowd") else categories[number]
    if isinstance(outline, dict):
        counts, size = outline.get("counts"), outline.get("size")
        if not isinstance(counts, str | list) or not isinstance(size, list) or len(size) != 2:
            raise DataError(f"{where}: its run lengths have no counts or size")
        return Stroke(where, name, partial(_runs, counts, size))
    if not isinstance(outline, list) or not outline:
        raise DataError(f"{where} ({name}) has no outline, only a box: draw it, or remove it")
    try:
        parts = [as_points(part) for part in outline]
    except DataError as error:
        raise DataError(f"{where} ({name}): {error}") from error
    kept = [part for part in parts if len(part) > 2]
    if not kept:
        return f"{where} ({name}) has {len(parts[0])} points, which enclose nothing: left out"
    return Stroke(where, name, partial(_fill, kept), np.concatenate(kept))


def _fill(parts: Sequence[Points], size: Size) -> list[Patch | None]:
    return [fill_polygon(part, size) for part in parts]


def _runs(counts: str | list[int], size: Sequence[Any], picture: Size) -> list[Patch | None]:
    if list(size) != list(picture):
        text = "its run lengths are for {} pixels (y x), the picture has {}"
        raise DataError(text.format(shown(format_size(size)), format_size(picture)))
    return [whole_patch(decode_columns(counts, picture))]
