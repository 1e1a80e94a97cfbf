"""Refuse what cannot be converted as asked, before anything is written."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ushape.data.convert.source import BACKGROUND, ConvertWish, Source
from ushape.data.convert.write import TARGET_LAYOUTS, TargetLayout
from ushape.errors import ConfigError, DataError, unknown_name
from ushape.files import storage_error

_UNSAFE = re.compile(r'[/\\:*?"<>|\0]|^[.~ ]|[. ]$')
"""In names of folders: separators and what systems forbid; hidden, or with blanks at the ends."""


def check_target(out: Path, to: str) -> None:
    """Refuse an unknown layout, and a folder that is not free.

    Raises:
        ConfigError: The layout is not known.
        DataError: The folder holds something.
    """
    if to not in TARGET_LAYOUTS:
        raise ConfigError("--to: " + unknown_name("layout", to, TARGET_LAYOUTS))
    try:
        content = sorted(entry.name for entry in out.iterdir()) if out.is_dir() else []
    except OSError as error:
        raise storage_error(out, error) from error
    if content:
        raise DataError(
            f"{out} is not empty (it holds {', '.join(content[:3])}): nothing is overwritten; "
            "choose a new folder"
        )
    if out.exists() and not out.is_dir():
        raise DataError(f"{out} is a file: choose a new folder")


def checked_regions(wish: ConvertWish, source: Source) -> dict[str, Sequence[str]]:
    """Return the regions that a person wants, made of labels that are there.

    Raises:
        ConfigError: There is no such label.
    """
    known = source.names[1:]
    for region, parts in wish.regions.items():
        for part in parts:
            if part not in known:
                raise ConfigError(f"--region {region}: " + unknown_name("label", part, known))
    return dict(wish.regions)


def fitted(source: Source, to: TargetLayout) -> Source:
    """Name the classes as a layout wants it; refuse what it cannot hold.

    Raises:
        ConfigError: As said; nothing is written yet.
    """
    _check_fit(source, to)
    if to != "nnunet":
        return source
    if BACKGROUND in source.names[1:]:
        raise ConfigError(
            f"a class that is not the background is called {BACKGROUND!r}, which nnU-Net gives to "
            "label 0: rename it with --labels"
        )
    return replace(source, names=(BACKGROUND, *source.names[1:]))


def _check_fit(source: Source, to: TargetLayout) -> None:
    """Refuse what a layout cannot hold."""
    if len(source.names) < 2:
        listing = "; ".join(str(p) for p in source.problems[:5])
        raise DataError(f"there are no classes but the background. {listing}".rstrip())
    if to != "images+labels" and source.form != "multiclass":
        raise ConfigError(
            f"--to {to}: it holds one class a pixel, the labels are {source.form}; say --target "
            "multiclass (later classes cover earlier ones) or --to images+labels"
        )
    if source.regions and to != "nnunet":
        names = ", ".join(source.regions)
        raise ConfigError(
            f"--region: only nnU-Net's layout holds regions ({names}); give them to ushape plan"
        )
    if source.form == "multilabel":
        bad = [name for name in source.names[1:] if _UNSAFE.search(name)]
        if bad:
            raise ConfigError(f"the class {bad[0]!r} cannot be the name of a folder: rename it")
    if "ignore" in source.names:
        raise ConfigError("a class is called 'ignore', which stands for void pixels: rename it")
