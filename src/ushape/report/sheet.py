"""Lay pictures out in rows and columns with titles, and write them as one PNG file."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ushape import files
from ushape.errors import ConfigError
from ushape.report.pictures import class_color
from ushape.report.thumbnails import Pixels

_GAP, _MARGIN, _LINE = 6, 14, 18
_PAPER, _INK, _MUTED = "#ffffff", "#16202c", "#5b6877"


@dataclass(frozen=True, eq=False)
class Sheet:
    """What a sheet shows.

    Attributes:
        title: In large letters.
        notes: Lines below it.
        columns: Head of each column.
        rows: A name, and one picture a column; all pictures of a row have one size.
        class_names: By class index, background first; the others are the legend.
    """

    title: str
    notes: tuple[str, ...]
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Pixels, ...]], ...]
    class_names: tuple[str, ...]


def write_sheet(path: str | Path, sheet: Sheet) -> None:
    """Write a sheet as a PNG file, all at once.

    Raises:
        ConfigError: The name does not end in .png.
        StorageError: The file cannot be written; an old one is untouched.
    """
    path = Path(path)
    if path.suffix.lower() != ".png":
        raise ConfigError(f"--out {path}: the sheet is a PNG picture; end its name in .png")
    stream = io.BytesIO()
    draw_sheet(sheet).save(stream, format="PNG", optimize=True)
    with files.atomic_path(path) as temporary:
        temporary.write_bytes(stream.getbuffer())


def draw_sheet(sheet: Sheet) -> Image.Image:
    """Draw a sheet."""
    heights = [max(picture.shape[0] for picture in pictures) for _, pictures in sheet.rows]
    widths = [
        max(pictures[column].shape[1] for _, pictures in sheet.rows)
        for column in range(len(sheet.columns))
    ]
    top = _MARGIN + 30 + _LINE * (len(sheet.notes) + 1) + _LINE + _GAP
    height = top + sum(heights) + (_GAP + _LINE) * len(heights) + _MARGIN
    width = max(2 * _MARGIN + sum(widths) + _GAP * (len(widths) - 1), _text_width(sheet))
    canvas = Image.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(canvas)
    _draw_head(draw, sheet)
    lefts = [_MARGIN + sum(widths[:n]) + _GAP * n for n in range(len(widths))]
    for left, name in zip(lefts, sheet.columns, strict=True):
        draw.text((left, top - _LINE - 2), name, fill=_MUTED, font=_font(12))
    y = top
    for (name, pictures), row_height in zip(sheet.rows, heights, strict=True):
        for left, picture in zip(lefts, pictures, strict=True):
            canvas.paste(Image.fromarray(picture), (left, y))
        draw.text((_MARGIN, y + row_height + 1), name, fill=_MUTED, font=_font(12))
        y += row_height + _GAP + _LINE
    return canvas


def stack_views(views: Sequence[Pixels]) -> Pixels:
    """Lay pictures below each other, on black, with a thin gap."""
    width = max(view.shape[1] for view in views)
    framed = [np.pad(view, ((0, 0), (0, width - view.shape[1]), (0, 0))) for view in views]
    gap = np.full((2, width, 3), 255, np.uint8)
    parts = [part for view in framed for part in (gap, view)][1:]
    return np.concatenate(parts)


def _draw_head(draw: ImageDraw.ImageDraw, sheet: Sheet) -> None:
    draw.text((_MARGIN, _MARGIN), sheet.title, fill=_INK, font=_font(20))
    y = _MARGIN + 30
    for note in sheet.notes:
        draw.text((_MARGIN, y), note, fill=_MUTED, font=_font(12))
        y += _LINE
    x = float(_MARGIN)
    for index, name in enumerate(sheet.class_names[1:], start=1):
        draw.rectangle((x, y + 3, x + 10, y + 13), fill=class_color(index), outline=_INK)
        draw.text((x + 15, y), name, fill=_INK, font=_font(12))
        x += 15 + draw.textlength(name, font=_font(12)) + 18


def _text_width(sheet: Sheet) -> int:
    """Find how wide the lines of the head are."""
    lines = [_font(12).getlength(note) for note in sheet.notes]
    legend = sum(_font(12).getlength(name) + 33 for name in sheet.class_names[1:])
    return round(max(_font(20).getlength(sheet.title), legend, *lines, 0)) + 2 * _MARGIN


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
