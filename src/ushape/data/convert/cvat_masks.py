"""Read CVAT's "segmentation mask 1.1", and Pascal VOC, whose form it has.

`labelmap.txt` names the colours of the pictures in `SegmentationClass/`; the images lie in
`JPEGImages/`, `images/`, or elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ushape.data.convert.annotated import BACKGROUND_NAMES, VOID_NAMES
from ushape.data.convert.canvas import VOID, Label
from ushape.data.convert.pictures import find_picture, name_cases
from ushape.data.convert.source import (
    ConvertWish,
    ImageFiles,
    Source,
    SourceCase,
    number_classes,
)
from ushape.data.io import PICTURE_SUFFIXES, Grid, read_image
from ushape.data.layouts import Problem, natural_key
from ushape.errors import ConfigError, DataError
from ushape.sizes import format_size

LABEL_MAP, MASK_FOLDER = "labelmap.txt", "SegmentationClass"
_IMAGE_FOLDERS = ("JPEGImages", "images", "")
_VOC_VOID = 0xE0E0C0  # the border around objects in Pascal VOC


def is_cvat_masks(folder: Path) -> bool:
    """Tell whether a folder is an export of masks."""
    return (folder / LABEL_MAP).is_file() and (folder / MASK_FOLDER).is_dir()


def read_cvat_masks(folder: Path, wish: ConvertWish) -> Source:
    """Read a folder with `labelmap.txt` and `SegmentationClass/`.

    Raises:
        DataError: The folder cannot be used.
        ConfigError: The wish does not fit.
    """
    if wish.form not in (None, "multiclass"):
        raise ConfigError(f"--target {wish.form}: every pixel has one colour; leave it out")
    colors = read_label_map(folder / LABEL_MAP)
    root = folder / MASK_FOLDER
    masks = [path for path in root.rglob("*") if path.suffix.lower() in PICTURE_SUFFIXES]
    masks.sort(key=lambda path: natural_key(str(path)))
    if not masks:
        raise DataError(f"{root}: it holds no pictures; export the masks again")
    used = _used_colors(masks)
    classes = {c: n for c, n in colors.items() if n.lower() not in BACKGROUND_NAMES + VOID_NAMES}
    names = number_classes([name for color, name in classes.items() if color in used], wish.labels)
    numbers = {_VOC_VOID: VOID}
    for color, name in colors.items():
        is_void, is_back = name.lower() in VOID_NAMES, name.lower() in BACKGROUND_NAMES
        if is_void or is_back or name in names:
            numbers[color] = VOID if is_void else 0 if is_back else names.index(name)
    near = (folder / name for name in _IMAGE_FOLDERS)
    folders = [place for place in near if place.is_dir()]
    problems = [
        Problem(folder / LABEL_MAP, f"the class {name!r} has no pixels: left out", "warning")
        for name in classes.values()
        if name not in names
    ]
    cases = []
    places = [mask.relative_to(root) for mask in masks]
    ids = name_cases([place.as_posix() for place in places])
    for mask, place, case_id in zip(masks, places, ids, strict=True):
        image = _image(place.with_suffix("").as_posix(), folders, wish)
        if isinstance(image, str):
            problems.append(Problem(mask, image, "error"))
        else:
            read = partial(_read, mask, numbers)
            cases.append(SourceCase(case_id, mask, ImageFiles((image,)), read))
    return Source("CVAT masks", tuple(cases), names, "multiclass", tuple(problems))


def read_label_map(path: Path) -> dict[int, str]:
    """Read lines `name:red,green,blue::` into packed colours and names.

    Raises:
        DataError: A line is another, or a colour or name stands twice.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read {path}: {error}; export it again") from error
    colors: dict[int, str] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith("#"):
            continue
        name, _, rest = line.partition(":")
        parts = rest.partition(":")[0].split(",")
        if not name.strip() or len(parts) != 3 or not all(p.strip().isdecimal() for p in parts):
            raise DataError(f"{path}: line {number} is not name:red,green,blue")
        red, green, blue = (int(part) for part in parts)
        color = red << 16 | green << 8 | blue
        if max(red, green, blue) > 255 or color in colors or name.strip() in colors.values():
            raise DataError(f"{path}: line {number}: its colour or name stands twice, or is none")
        colors[color] = name.strip()
    return colors


def _image(name: str, folders: list[Path], wish: ConvertWish) -> Path | str:
    """Find the image of a mask, whatever its ending; text says that it is missing."""
    for suffix in PICTURE_SUFFIXES:
        for ending in (suffix, suffix.upper()):
            try:
                return find_picture(name + ending, folders, wish.images)
            except DataError:
                continue
    where = str(wish.images or ", ".join(map(str, folders)))
    return f"no image of this name in {where}; say where with --images DIR"


def _packed_colors(mask: Path) -> NDArray[np.int32]:
    """Read a picture as packed colours, (y, x); palettes are expanded."""
    pixels = read_image(mask)
    if pixels.dtype != np.uint8:
        raise DataError(f"cannot read {mask}: its values are {pixels.dtype}, colours have 8 bit")
    red, green, blue = np.broadcast_to(pixels, (3, *pixels.shape[1:])).astype(np.int32)
    return np.asarray(red << 16 | green << 8 | blue)


def _used_colors(masks: Sequence[Path]) -> set[int]:
    """Collect the colours of all masks; what cannot be read is told when it is converted."""
    used: set[int] = set()
    for mask in masks:
        with suppress(DataError):
            used |= set(np.unique(_packed_colors(mask)).tolist())
    return used


def _read(mask: Path, numbers: Mapping[int, int], grid: Grid) -> tuple[Label, tuple[str, ...]]:
    """Read one picture of colours as class numbers."""
    packed = _packed_colors(mask)
    if packed.shape != grid.size:
        raise DataError(
            f"it has {format_size(packed.shape)} pixels (y x), its image {format_size(grid.size)}"
        )
    known = np.array(sorted(numbers))
    position = np.searchsorted(known, packed).clip(0, len(known) - 1)
    if not np.array_equal(known[position], packed):
        strange = np.unique(packed[known[position] != packed])
        shown = ", ".join(f"{c >> 16},{c >> 8 & 255},{c & 255}" for c in strange[:3].tolist())
        raise DataError(f"the colour {shown} is not in {LABEL_MAP}: add it there")
    values = np.array([numbers[int(color)] for color in known], np.int32)[position]
    void = values == VOID
    return Label(np.where(void, 0, values), None, void if void.any() else None), ()
