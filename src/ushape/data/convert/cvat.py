"""Read CVAT's format "CVAT for images 1.1": one XML file.

Source: docs.cvat.ai, formats, "CVAT". Angles are degrees, clockwise; masks are run lengths along
the rows of their box; shapes of a higher `z_order` are painted later.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from xml.etree import ElementTree as Xml
from xml.parsers import expat

from ushape.data.convert import outlines
from ushape.data.convert.annotated import Picture, Stroke, build_source
from ushape.data.convert.json_file import LONGEST_EDGE, shown, size_of
from ushape.data.convert.rle import decode_rows
from ushape.data.convert.shapes import Patch, Points, as_points, clip_patch, whole_patch
from ushape.data.convert.source import ConvertWish, Source
from ushape.data.layouts import natural_key
from ushape.errors import DataError
from ushape.sizes import Size

_SHAPES = ("polygon", "box", "ellipse", "polyline", "points", "mask")
_SILENT = ("tag",)  # says something of the whole picture
_MOST_PIXELS = 2**31


def read_cvat(path: Path, wish: ConvertWish) -> Source:
    """Read an XML file of CVAT. Pictures are looked for beside it and in `images/`.

    Raises:
        DataError: The file as a whole cannot be used.
        ConfigError: The wish does not fit.
    """
    root = parse_xml(path)
    if root.tag != "annotations":
        raise DataError(f"cannot read {path}: its root is <{root.tag}>, CVAT's is <annotations>")
    images = root.findall("image")
    if not images:
        hint = "; export 'CVAT for images 1.1'" if root.find("track") is not None else ""
        raise DataError(f"cannot read {path}: it lists no images{hint}")
    folders = tuple(folder for folder in (path.parent, path.parent / "images") if folder.is_dir())
    pictures = [_picture(path, image, wish, folders) for image in images]
    pictures.sort(key=lambda picture: natural_key(picture.name))
    declared = [(name.text or "").strip() for name in root.iterfind("meta//label/name")]
    used = {stroke.name for picture in pictures for stroke in picture.strokes}
    found = list(dict.fromkeys([*declared, *sorted(used, key=natural_key)]))
    return build_source("CVAT", pictures, [name for name in found if name], wish)


def parse_xml(path: Path) -> Xml.Element:
    """Parse an XML file in which nothing is expanded or fetched: a document type is refused.

    Raises:
        DataError: The file is no XML, or declares a document type.
    """
    builder = Xml.TreeBuilder()
    parser = expat.ParserCreate()
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data

    def refuse(*_: object) -> None:
        raise DataError(f"cannot read {path}: it declares a document type; CVAT writes none")

    parser.StartDoctypeDeclHandler = refuse
    try:
        with path.open("rb") as file:
            parser.ParseFile(file)
    except (OSError, expat.ExpatError, LookupError) as error:
        raise DataError(f"cannot read {path}: it is no XML ({error}); export it again") from error
    return builder.close()


def _picture(
    path: Path, image: Xml.Element, wish: ConvertWish, folders: tuple[Path, ...]
) -> Picture:
    """Read the annotations of one picture; what is wrong leaves it out."""
    name = shown(image.get("name") or "")
    strokes: list[tuple[float, Stroke]] = []
    remarks: list[str] = []
    try:
        if not name:
            raise DataError(f"image {image.get('id')} has no name")
        size = size_of(image.get("width"), image.get("height"))
        for number, shape in enumerate(image, start=1):
            if shape.tag in _SILENT:
                continue
            label = shown((shape.get("label") or "").strip())
            where = f"{shape.tag} {number}"
            try:
                made = _stroke(shape, where, label, wish)
                order = _number(shape.attrib, "z_order", 0)
            except DataError as error:
                raise DataError(f"{where} ({label}): {error}") from error
            if isinstance(made, Stroke):
                strokes.append((order, made))
            else:
                remarks.append(f"{name}: {made}")
    except DataError as error:
        return Picture(path, name, None, problems=(str(error),))
    ordered = tuple(stroke for _, stroke in sorted(strokes, key=lambda pair: pair[0]))
    return Picture(path, name, size, ordered, remarks=tuple(remarks), folders=folders)


def _stroke(shape: Xml.Element, where: str, label: str, wish: ConvertWish) -> Stroke | str:
    """Read one shape; text says why it is left out without harm."""
    if shape.tag not in _SHAPES:
        raise DataError(f"shapes of this kind are not read; known are {', '.join(_SHAPES)}")
    if not label:
        raise DataError("it has no label")
    points = None
    if shape.tag == "mask":
        draw: outlines.Draw = _mask(shape.attrib)
    elif shape.tag == "box":
        points = as_points([_number(shape.attrib, key) for key in ("xtl", "ytl", "xbr", "ybr")])
        draw = outlines.box(points, _number(shape.attrib, "rotation", 0))
    elif shape.tag == "ellipse":
        centre, radii = (
            [_number(shape.attrib, key) for key in keys] for keys in (("cx", "cy"), ("rx", "ry"))
        )
        draw = outlines.ellipse(as_points(centre)[0], radii, _number(shape.attrib, "rotation", 0))
    else:
        points = _points(shape.get("points") or "")
        if shape.tag == "polygon" and len(points) < 3:
            return f"{where} ({label}) has {len(points)} points, which enclose nothing: left out"
        draw = _outline(shape.tag, points, wish)
    return Stroke(where, label, draw, points)


def _outline(kind: str, points: Points, wish: ConvertWish) -> outlines.Draw:
    if kind == "polygon":
        return outlines.polygon(points)
    return outlines.line(points, wish) if kind == "polyline" else outlines.dots(points, wish)


def _points(text: str) -> Points:
    """Read `x,y;x,y`."""
    return as_points([pair.split(",") for pair in text.split(";") if pair.strip()])


def _number(attributes: Mapping[str, str], key: str, default: float | None = None) -> float:
    """Take a number.

    Raises:
        DataError: There is none.
    """
    text = attributes.get(key)
    if text is None and default is not None:
        return default
    try:
        value = float(text or "")
    except ValueError as error:
        raise DataError(f"its {key!r} is {text!a} and no number") from error
    if not abs(value) <= LONGEST_EDGE:
        raise DataError(f"its {key!r} is {shown(text)}, beyond reach")
    return value


def _mask(attributes: Mapping[str, str]) -> outlines.Draw:
    """Read a mask: run lengths along the rows of a box."""
    top, left, height, width = (
        int(_number(attributes, key)) for key in ("top", "left", "height", "width")
    )
    try:
        counts = [int(text) for text in (attributes.get("rle") or "").split(",")]
    except ValueError as error:
        raise DataError("its run lengths are no whole numbers") from error
    if min(height, width) < 1 or height * width > _MOST_PIXELS:
        raise DataError(f"its box of {height} x {width} pixels is no box")
    return partial(_place, counts, (height, width), (top, left))


def _place(
    counts: list[int], box: tuple[int, int], at: tuple[int, int], size: Size
) -> list[Patch | None]:
    if box[0] > 4 * size[0] + 16 or box[1] > 4 * size[1] + 16:
        raise DataError(f"its box of {box[0]} x {box[1]} pixels does not fit the picture")
    return [clip_patch(whole_patch(decode_rows(counts, box), *at), size)]
