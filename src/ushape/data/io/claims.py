"""Check what a header or a name claims before anything is allocated or opened on its word."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path, PureWindowsPath
from typing import Any

from numpy.typing import NDArray

from ushape.data.io.grid import Grid, Numbers
from ushape.data.io.sniff import unreadable
from ushape.errors import DataError, ShapeError

DEFLATE_RATIO = 1032
"""No deflate stream grows more than this: 258 bytes out of 2 bits."""

_COPY_AGAIN = "it is truncated or damaged: copy it again or remove it"


def check_claim(
    path: Path, shape: Sequence[int], num_bytes: int, stored_bytes: int, *, ratio: int = 1
) -> None:
    """Refuse a header that claims more than the file can hold, or than this machine has.

    Args:
        path: The file, for the message.
        shape: What the header claims.
        num_bytes: Memory that it needs.
        stored_bytes: What the file really has for it.
        ratio: Largest expansion that the compression allows; 0 when it has no bound.
    """
    claimed = f"its header claims {' x '.join(map(str, shape))} voxels ({num_bytes:,} bytes)"
    if ratio and num_bytes > stored_bytes * ratio:
        most = f"{stored_bytes:,} bytes are stored"
        most += f", which hold {stored_bytes * ratio:,} at most" if ratio > 1 else ""
        raise unreadable(path, f"{claimed}, but {most}", _COPY_AGAIN)
    memory = memory_bytes()
    if memory and num_bytes > memory:
        raise unreadable(
            path,
            f"{claimed}; this machine has {memory:,} bytes of memory",
            "cut it into parts, or use a larger machine",
        )


def memory_bytes() -> int:
    """Return the size of the machine's memory; 0 where the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # not a POSIX system
        return 0


def file_bytes(path: Path) -> int:
    """Return the size of a file.

    Raises:
        DataError: There is none, it is a folder, it is empty, or it may not be looked at.
    """
    try:
        size = path.stat().st_size
    except FileNotFoundError as error:
        raise unreadable(path, "there is no such file", "check the name") from error
    except PermissionError as error:
        raise unreadable(path, "no permission to read it", "allow it with chmod") from error
    except OSError as error:
        raise unreadable(path, error.strerror or str(error), "check the disk") from error
    if path.is_dir():
        raise unreadable(path, "it is a folder", "give a file")
    if not size:
        raise unreadable(path, "the file is empty (0 bytes)", "copy it again or remove it")
    return size


def checked_grid(
    path: Path,
    size: Sequence[int],
    spacing_mm: Numbers | None = None,
    origin_mm: Numbers | None = None,
    direction: NDArray[Any] | None = None,
) -> Grid:
    """Build the grid that a file claims, or refuse the file.

    Raises:
        DataError: Its numbers make no grid.
    """
    try:
        return Grid.of(size, spacing_mm, origin_mm, direction)
    except ShapeError as error:
        remedy = "write the true geometry into its header, or convert it again from its source"
        raise unreadable(path, str(error), remedy) from error


def path_inside(folder: str | Path, name: str) -> Path:
    """Join a name that a file or person gave to a folder, without leaving the folder.

    Links are followed by no one here: only the text of the name counts.

    >>> path_inside("cases", "a/image.nii.gz").as_posix()
    'cases/a/image.nii.gz'

    Raises:
        DataError: The name is empty or absolute, or climbs out with `..`.
    """
    parts = PureWindowsPath(name)  # splits at both kinds of slash, and knows drives
    is_bad = not parts.parts or parts.anchor or ".." in parts.parts or "\0" in name
    if is_bad or name.startswith("~"):
        raise DataError(
            f"the name {name!r} leads out of {folder}: names must lie below that folder, "
            "without '..', '/' or '~' in front; rename it"
        )
    return Path(folder) / name
