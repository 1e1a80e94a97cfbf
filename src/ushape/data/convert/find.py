"""Tell what a source is: annotations of some program, or a data set in a known layout."""

from __future__ import annotations

from pathlib import Path

from ushape.data.convert.coco import is_coco, read_coco
from ushape.data.convert.cvat import read_cvat
from ushape.data.convert.cvat_masks import is_cvat_masks, read_cvat_masks
from ushape.data.convert.from_layout import read_layout
from ushape.data.convert.json_file import read_json
from ushape.data.convert.labelme import is_labelme, read_labelme
from ushape.data.convert.source import ConvertWish, Progress, Source, silent
from ushape.data.layouts import natural_key
from ushape.errors import ConfigError, DataError, unknown_name

SOURCE_KINDS = ("coco", "labelme", "cvat", "cvat-masks", "layout")

_COCO_FOLDERS = ("annotations", "")


def read_source(
    path: Path,
    wish: ConvertWish,
    *,
    kind: str | None = None,
    scratch: Path,
    progress: Progress = silent,
) -> Source:
    """Read what is to be converted, without its images.

    Args:
        path: A JSON or XML file of annotations, a folder with some, or a data set.
        wish: What a person says.
        kind: One of `SOURCE_KINDS`, instead of what is recognised.
        scratch: An empty folder for pictures that annotation files hold inside.
        progress: Called where labels are read.

    Raises:
        DataError: It is not there, or cannot be used.
        ConfigError: The kind is not known, or the wish does not fit.
    """
    if kind is not None and kind not in SOURCE_KINDS:
        raise ConfigError("--from: " + unknown_name("kind of source", kind, SOURCE_KINDS))
    if not path.exists():
        raise DataError(f"{path}: there is no such file or folder; check the name")
    chosen = kind or ("layout" if wish.layout is not None else recognise(path))
    if chosen != "layout" and wish.layout is not None:
        raise ConfigError(f"--layout {wish.layout} is of data sets; leave it out for {chosen}")
    if chosen == "cvat-masks":
        return read_cvat_masks(path, wish)
    if chosen == "layout":
        return read_layout(path, wish, progress)
    if chosen == "labelme":
        root = path if path.is_dir() else path.parent
        return read_labelme(_files(path, ".json", deep=True), root, wish, scratch)
    if chosen == "coco":
        return read_coco(_one(path, ".json", "COCO"), wish)
    return read_cvat(_one(path, ".xml", "CVAT"), wish)


def recognise(path: Path) -> str:
    """Name the kind of a source; what is no annotation is taken for a data set."""
    if path.is_file():
        if path.suffix.lower() == ".xml":
            return "cvat"
        return _kind_of_json(path) if path.suffix.lower() == ".json" else "layout"
    if is_cvat_masks(path):
        return "cvat-masks"
    if (path / "annotations.xml").is_file():
        return "cvat"
    for name in _COCO_FOLDERS:
        kinds = {_kind_of_json(file) for file in _files(path / name, ".json")[:_MOST_LOOKED_AT]}
        if "coco" in kinds:
            return "coco"
        if "labelme" in kinds:
            return "labelme"
    inner = {_kind_of_json(file) for file in _files(path, ".json", deep=True)[:_MOST_LOOKED_AT]}
    return next((kind for kind in ("labelme", "coco") if kind in inner), "layout")


_MOST_LOOKED_AT = 4


def _kind_of_json(path: Path) -> str:
    try:
        data = read_json(path)
    except DataError:
        return "layout"
    return "coco" if is_coco(data) else "labelme" if is_labelme(data) else "layout"


def _files(path: Path, ending: str, *, deep: bool = False) -> list[Path]:
    """List the files of an ending in a folder, or return the file itself."""
    if path.is_file():
        return [path]
    found = path.rglob("*") if deep else path.glob("*")
    kept = (file for file in found if file.suffix.lower() == ending and file.name[0] != ".")
    return sorted((file for file in kept if file.is_file()), key=lambda f: natural_key(str(f)))


def _one(path: Path, ending: str, program: str) -> Path:
    """Find the one file of annotations in a folder.

    Raises:
        DataError: There are several, or none.
    """
    if path.is_file():
        return path
    found = _files(path, ending) + _files(path / "annotations", ending)
    found = found or _files(path, ending, deep=True)
    if ending == ".json":
        found = [file for file in found if _kind_of_json(file) == "coco"]
    if len(found) != 1:
        names = ", ".join(file.relative_to(path).as_posix() for file in found[:5]) or "none"
        raise DataError(
            f"{path}: it holds {len(found)} {ending} files of {program} ({names}): give one of them"
        )
    return found[0]
