"""Synthetic data sets: pictures that look like the real thing, with labels that are exactly right.

One module a kind; `texture` holds what they share. The same seed always gives the same bytes.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ushape.data.io import write_label
from ushape.data.synth.cells import draw_cells
from ushape.data.synth.discs import draw_discs
from ushape.data.synth.lines import draw_lines
from ushape.data.synth.membrane import draw_membrane
from ushape.data.synth.texture import Plane, to_uint8
from ushape.errors import ConfigError, DataError, unknown_name
from ushape.files import make_folder, storage_error, write_text
from ushape.sizes import Size, format_size

__all__ = ["KINDS", "Kind", "make_case", "write_dataset"]

SMALLEST_EDGE = 32
SOURCE = "SOURCE.txt"
_MARK = "Synthetic data made by ushape"


@dataclass(frozen=True)
class Kind:
    """One kind of synthetic picture: how it is drawn, what it shows, what its labels mean."""

    draw: Callable[[np.random.Generator, Size], tuple[Plane, NDArray[np.uint8]]]
    summary: str
    labels: str


KINDS = {
    "membrane": Kind(
        draw_membrane,
        "neurites in an electron microscope",
        "0 = membrane, 255 = inside of a cell",
    ),
    "cells": Kind(
        draw_cells,
        "touching nuclei in a fluorescence microscope",
        "0 = background, 255 = nucleus",
    ),
    "discs": Kind(
        draw_discs,
        "a lumbar spine in magnetic resonance",
        "0 = background, 1 = disc, 2 = vertebra, 3 = protrusion",
    ),
    "lines": Kind(
        draw_lines,
        "thin curved lines of low contrast on a textured background",
        "0 = background, 255 = line",
    ),
}


def make_case(
    kind: str, size: Sequence[int] = (256, 256), seed: int = 0
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Draw one image with its label.

    Args:
        kind: A name from `KINDS`.
        size: (y, x), 32 pixels at least.
        seed: 0 or larger; the same seed gives the same case.

    Returns:
        The image, shape (1, y, x), and the label values, shape (y, x).

    Raises:
        ConfigError: The kind is unknown, the size too small, or the seed negative.

    >>> image, label = make_case("cells", (64, 64), seed=3)
    >>> image.shape, sorted(set(label.ravel().tolist()))
    ((1, 64, 64), [0, 255])
    """
    return _draw(kind, tuple(size), (seed,))


def write_dataset(
    kind: str,
    out: str | Path,
    *,
    cases: int,
    size: Sequence[int] = (256, 256),
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write a data set: `images/`, `labels/` and a `SOURCE.txt` that says what it is.

    Case number i depends on the seed, the kind and the size, not on how many cases are asked
    for. A data set written earlier in the same folder is replaced.

    Args:
        kind: A name from `KINDS`.
        out: The folder; new, empty, or an earlier synthetic data set.
        cases: How many.
        size: (y, x), 32 pixels at least.
        seed: 0 or larger.
        progress: Called after every case with the number done and the number of all.

    Returns:
        The folder.

    Raises:
        ConfigError: As `make_case`, or no case is asked for.
        DataError: The folder holds something else.
        StorageError: The disk refuses.
    """
    size = tuple(size)
    _check(kind, size, (seed,))
    if cases < 1:
        raise ConfigError(f"{cases} cases make no data set: ask for one or more")
    folder = Path(out)
    _clear(folder)
    write_text(folder / SOURCE, _source(kind, cases, size, seed))
    for number in range(cases):
        image, label = _draw(kind, size, (seed, number))
        name = f"{kind}_{number:03d}.png"
        write_label(folder / "images" / name, image[0])  # grey values, kept exactly
        write_label(folder / "labels" / name, label)
        if progress is not None:
            progress(number + 1, cases)
    return folder


def _draw(
    kind: str, size: Size, seeds: tuple[int, ...]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    _check(kind, size, seeds)
    rng = np.random.default_rng([zlib.crc32(kind.encode()), *seeds])
    picture, label = KINDS[kind].draw(rng, size)
    return to_uint8(picture)[np.newaxis], label


def _check(kind: str, size: Size, seeds: tuple[int, ...]) -> None:
    if kind not in KINDS:
        raise ConfigError(unknown_name("kind of synthetic data", kind, KINDS))
    if len(size) != 2 or min(size) < SMALLEST_EDGE:
        raise ConfigError(
            f"size {format_size(size)} is not possible: synthetic pictures have two edges of "
            f"{SMALLEST_EDGE} pixels or more, such as 256x256"
        )
    if min(seeds) < 0:
        raise ConfigError(f"seed {min(seeds)} is negative: give 0 or more")


def _clear(folder: Path) -> None:
    """Make room for a new data set, without touching anything that is not ours."""
    make_folder(folder)
    try:
        content = sorted(entry.name for entry in folder.iterdir())
        if content and not _is_ours(folder / SOURCE):
            raise DataError(
                f"{folder} is not empty (it holds {', '.join(content[:3])}) and was not made by "
                "ushape: choose a new folder"
            )
        ours = re.compile(rf"(?:{'|'.join(KINDS)})_\d{{3,}}\.png")
        for inner in ("images", "labels"):
            for path in (folder / inner).glob("*.png"):
                if ours.fullmatch(path.name):
                    path.unlink()
    except OSError as error:
        raise storage_error(folder, error) from error


def _is_ours(source: Path) -> bool:
    try:
        return source.read_text(encoding="utf-8").startswith(_MARK)
    except (FileNotFoundError, UnicodeDecodeError):
        return False


def _source(kind: str, cases: int, size: Size, seed: int) -> str:
    return (
        f"{_MARK}: {kind}, {KINDS[kind].summary}.\n"
        f"{cases} cases of {format_size(size)} pixels, seed {seed}. Labels: {KINDS[kind].labels}.\n"
        f"Made with: ushape data synth {kind} --cases {cases} "
        f"--size {'x'.join(str(edge) for edge in size)} --seed {seed}\n"
        "The pictures show nothing real. No rights are claimed: CC0 1.0.\n"
    )
