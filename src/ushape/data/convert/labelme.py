"""Read LabelMe's annotations: one JSON file a picture, beside it or with the picture inside."""

from __future__ import annotations

import base64
import binascii
import io
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ushape.data.convert import outlines
from ushape.data.convert.annotated import Picture, Stroke, build_source
from ushape.data.convert.json_file import listed, read_json, shown, size_of, text_of
from ushape.data.convert.shapes import Mask, Patch, as_points, clip_patch, whole_patch
from ushape.data.convert.source import ConvertWish, Source
from ushape.data.io import PICTURE_SUFFIXES
from ushape.data.layouts import Problem, natural_key
from ushape.errors import DataError
from ushape.files import atomic_path
from ushape.sizes import Size

_MARKS = ((b"\x89PNG", ".png"), (b"\xff\xd8", ".jpg"), (b"BM", ".bmp"), (b"II", ".tif"))
_LARGEST_MASK = 2**28


def is_labelme(data: Any) -> bool:
    """Tell whether JSON data are LabelMe's annotations."""
    return isinstance(data, dict) and "shapes" in data and "imagePath" in data


def read_labelme(files: Sequence[Path], root: Path, wish: ConvertWish, scratch: Path) -> Source:
    """Read LabelMe's annotations.

    Args:
        files: JSON files, one a picture.
        root: Folder that they lie in; cases are named by their place in it.
        wish: What a person says.
        scratch: A folder for pictures that the files hold inside.

    Raises:
        DataError: None is LabelMe's.
        ConfigError: The wish does not fit.
    """
    pictures, problems = [], []
    for path in sorted(files, key=lambda each: natural_key(str(each))):
        try:
            data = read_json(path)
        except DataError as error:
            problems.append(
                Problem(path, str(error).removeprefix(f"cannot read {path}: "), "error")
            )
            continue
        if not is_labelme(data):
            text = "it is no annotation of LabelMe (no 'shapes'): not used"
            problems.append(Problem(path, text, "warning"))
            continue
        title = path.relative_to(root).as_posix()
        made = replace(_picture(path, data, wish), folders=(path.parent,), title=title)
        if data.get("imageData"):
            made = replace(made, fallback=partial(_inside, path, data["imageData"], scratch))
        pictures.append(made)
    if not pictures:
        listing = "; ".join(str(problem) for problem in problems[:5])
        raise DataError(f"no annotation of LabelMe is found. {listing}")
    names = sorted({s.name for picture in pictures for s in picture.strokes}, key=natural_key)
    return build_source("LabelMe", pictures, names, wish, problems)


def _picture(path: Path, data: dict[str, Any], wish: ConvertWish) -> Picture:
    """Read the annotations of one picture; what is wrong leaves it out."""
    name = shown(data.get("imagePath"))
    strokes: list[Stroke] = []
    remarks: list[str] = []
    try:
        name = text_of(data, "imagePath")
        size = size_of(data.get("imageWidth"), data.get("imageHeight"))
        for number, shape in enumerate(listed(data, "shapes"), start=1):
            made = _stroke(shape, f"shape {number}", wish)
            if isinstance(made, Stroke):
                strokes.append(made)
            else:
                remarks.append(made)
    except DataError as error:
        return Picture(path, name, None, problems=(str(error),))
    return Picture(path, name, size, tuple(strokes), remarks=tuple(remarks))


def _stroke(shape: dict[str, Any], where: str, wish: ConvertWish) -> Stroke | str:
    """Read one shape; text says why it is left out without harm."""
    name = text_of(shape, "label")
    kind = shape.get("shape_type") or "polygon"
    try:
        points = as_points(shape.get("points") or [])
        if kind == "polygon" and len(points) < 3:
            return f"{where} ({name}) has {len(points)} points, which enclose nothing: left out"
        if kind == "polygon":
            draw = outlines.polygon(points)
        elif kind == "rectangle":
            draw = outlines.box(points) if len(points) < 4 else outlines.polygon(points)
        elif kind == "circle":
            draw = outlines.circle(points)
        elif kind in ("line", "linestrip"):
            draw = outlines.line(points, wish)
        elif kind in ("point", "points"):
            draw = outlines.dots(points, wish)
        elif kind == "mask":
            mask = _mask(shape.get("mask"))
            row, column = (int(value) for value in np.rint(points[0][::-1]))
            return Stroke(where, name, partial(_place, mask, row, column))
        else:
            raise DataError(f"the kind of shape {kind!a} is not known")
    except DataError as error:
        raise DataError(f"{where} ({name}): {error}") from error
    return Stroke(where, name, draw, points)


def _place(mask: Mask, row: int, column: int, size: Size) -> list[Patch | None]:
    return [clip_patch(whole_patch(mask, row, column), size)]


def _bytes(text: Any) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (TypeError, ValueError, binascii.Error) as error:
        raise DataError("the picture inside the file is damaged") from error


def _mask(text: Any) -> Mask:
    """Read a mask that is stored as a picture inside the file."""
    try:
        with Image.open(io.BytesIO(_bytes(text)), formats=["PNG"]) as picture:
            if picture.width * picture.height > _LARGEST_MASK:
                raise DataError(f"its mask claims {picture.width} x {picture.height} pixels")
            values = np.asarray(picture)
    except DataError:
        raise
    except Exception as error:  # decoders fail in dozens of ways, all meaning: damaged
        raise DataError("its mask is damaged") from error
    return np.asarray((values if values.ndim == 2 else values[..., 0]) != 0)


def _inside(path: Path, text: Any, scratch: Path) -> Path:
    """Take out the picture that a file holds."""
    content = _bytes(text)
    ending = next((suffix for mark, suffix in _MARKS if content.startswith(mark)), None)
    if ending is None:
        known = ", ".join(PICTURE_SUFFIXES)
        raise DataError(f"the picture inside the file is of no known kind ({known})")
    target = scratch / f"{len(list(scratch.iterdir()))}_{path.stem}{ending}"
    with atomic_path(target) as temporary:
        temporary.write_bytes(content)
    return target
