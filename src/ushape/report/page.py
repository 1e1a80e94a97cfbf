"""Put the page together from content, pictures and template, and write it."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from ushape import files
from ushape.report.content import History, Overlay, ReportContent
from ushape.report.curves import draw_loss, draw_score, smoothing_window
from ushape.report.pictures import (
    CONFUSED,
    ERROR_COLORS,
    ERROR_NAMES,
    Labels,
    class_color,
    compare,
    errors_png,
    image_png,
    outline_path,
    shown_size,
    shrink_labels,
)


@dataclass(frozen=True)
class Outline:
    """The outline of one class: its name, its colour, the data of an SVG path."""

    name: str
    color: str
    path: str


@dataclass(frozen=True)
class LegendEntry:
    """One colour and what it stands for."""

    name: str
    color: str


@dataclass(frozen=True)
class OverlayView:
    """An overlay ready to be shown: every part is text."""

    title: str
    caption: str
    width: int
    height: int
    image_uri: str
    errors_uri: str
    truth: tuple[Outline, ...]
    prediction: tuple[Outline, ...]
    classes: tuple[LegendEntry, ...]
    errors: tuple[LegendEntry, ...]
    scale_note: str

    @property
    def is_small(self) -> bool:
        """Whether a page enlarges the picture: then its pixels shall stay squares."""
        return self.width < 260


def write_report(path: str | Path, content: ReportContent) -> None:
    """Write the report as one self-contained HTML file, all at once.

    The page asks nothing of a network and needs no script; every name in it is escaped.

    Args:
        path: The file to write; missing folders are made, an old file is replaced.
        content: What to show.

    Raises:
        StorageError: The file cannot be written; an old one is untouched.
    """
    files.write_text(path, render_report(content))


def render_report(content: ReportContent) -> str:
    """Return the page that `write_report` writes, as text."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(_resource("report.html.j2")).render(
        content=content,
        css=Markup(_resource("report.css")),
        loss_svg=_markup(draw_loss(content.history)),
        score_svg=_markup(draw_score(content.history)),
        loss_note=_loss_note(content.history),
        overlays=[view_overlay(overlay) for overlay in content.overlays],
    )


def view_overlay(overlay: Overlay) -> OverlayView:
    """Encode the pictures of one case and choose its legends."""
    size = _spatial(overlay)
    shown = shown_size(size)
    outcome = compare(overlay.truth, overlay.prediction)
    present = np.union1d(overlay.truth, overlay.prediction)
    classes = tuple(
        LegendEntry(overlay.class_names[index], class_color(index)) for index in present if index
    )
    return OverlayView(
        title=overlay.title,
        caption=overlay.caption,
        width=shown[1],
        height=shown[0],
        image_uri=image_png(overlay.image),
        errors_uri=errors_png(outcome),
        truth=_outlines(overlay.truth, overlay.class_names),
        prediction=_outlines(overlay.prediction, overlay.class_names),
        classes=classes,
        errors=_error_legend(outcome, has_several_classes=len(overlay.class_names) > 2),
        scale_note="" if shown == size else f"shown at {shown[1] / size[1]:.0%} of the size",
    )


def _outlines(label_map: Labels, names: tuple[str, ...]) -> tuple[Outline, ...]:
    small = shrink_labels(label_map)
    return tuple(
        Outline(names[index], class_color(index), outline_path(small == index))
        for index in np.unique(small)
        if index
    )


def _error_legend(outcome: Labels, *, has_several_classes: bool) -> tuple[LegendEntry, ...]:
    return tuple(
        LegendEntry(f"{name} {np.mean(outcome == code):.1%}", ERROR_COLORS[code])
        for code, name in ERROR_NAMES.items()
        if code != CONFUSED or has_several_classes
    )


def _spatial(overlay: Overlay) -> tuple[int, int]:
    _, rows, columns = overlay.image.shape
    return rows, columns


def _loss_note(history: History) -> str:
    window = smoothing_window(len(history.losses))
    return f"faint: every record; strong: mean over {window}" if window > 1 else "every record"


def _resource(name: str) -> str:
    return resources.files("ushape.report").joinpath(name).read_text(encoding="utf-8")


def _markup(svg: str | None) -> Markup | None:
    return None if svg is None else Markup(svg)
