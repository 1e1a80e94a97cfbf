"""Write the page of `ushape data check`: what a data set holds, case by case, with pictures."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from ushape import files
from ushape.report.pictures import class_color


@dataclass(frozen=True)
class Finding:
    """A problem: where it is, what it is, and whether its case is left out."""

    where: str
    text: str
    is_error: bool


@dataclass(frozen=True)
class Tile:
    """One case.

    Attributes:
        name: Of the case.
        lines: What is to be said of it, a line each.
        picture: A data URI; empty where none was drawn.
        width: Of the picture, in pixels.
        height: Of the picture.
        findings: Its problems.
    """

    name: str
    lines: tuple[str, ...]
    picture: str = ""
    width: int = 0
    height: int = 0
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class CheckContent:
    """Everything on the page, from top to bottom.

    Attributes:
        title: The data set's name.
        subtitle: Its size in one line.
        created: Date and time, ready to read.
        facts: What was understood, as (title, lines).
        findings: Problems of the whole set, and of files that are left out.
        class_names: By class index, background first.
        tiles: The cases.
        note: What the pictures show, and how many cases have none.
    """

    title: str
    subtitle: str
    created: str
    facts: tuple[tuple[str, tuple[str, ...]], ...]
    findings: tuple[Finding, ...]
    class_names: tuple[str, ...]
    tiles: tuple[Tile, ...]
    note: str


def write_check_page(path: str | Path, content: CheckContent) -> None:
    """Write the page as one self-contained HTML file, all at once.

    It asks nothing of a network and needs no script; every name in it is escaped.

    Raises:
        StorageError: The file cannot be written; an old one is untouched.
    """
    files.write_text(path, render_check_page(content))


def render_check_page(content: CheckContent) -> str:
    """Return the page that `write_check_page` writes, as text."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    names = content.class_names[1:]
    return environment.from_string(_resource("check.html.j2")).render(
        content=content,
        css=Markup(_resource("report.css") + _resource("check.css")),
        errors=[finding for finding in content.findings if finding.is_error],
        warnings=[finding for finding in content.findings if not finding.is_error],
        classes=[(name, class_color(index)) for index, name in enumerate(names, start=1)],
        num_marked=sum(bool(tile.findings) for tile in content.tiles),
    )


def _resource(name: str) -> str:
    return resources.files("ushape.report").joinpath(name).read_text(encoding="utf-8")
