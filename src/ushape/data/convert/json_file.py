"""Read JSON that other programs wrote, and take from it what is needed, without trust."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ushape.errors import DataError
from ushape.sizes import Size

LONGEST_EDGE = 10**6


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        DataError: There is none, or it is no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, ValueError, RecursionError) as error:
        detail = " ".join(str(error).split())[:120]
        raise DataError(f"cannot read {path}: it is no JSON ({detail}); export it again") from error


def listed(data: Any, key: str) -> list[dict[str, Any]]:
    """Take a list of objects.

    Raises:
        DataError: There is none.
    """
    value = data.get(key) if isinstance(data, dict) else None
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        raise DataError(f"{key!r} is no list of objects; export the annotations again")
    return value


def text_of(data: dict[str, Any], key: str) -> str:
    """Take a text of one line that is not empty.

    Raises:
        DataError: There is none.
    """
    value = data.get(key)
    if not isinstance(value, str) or not value.strip() or not value.strip().isprintable():
        raise DataError(f"{key!r} is {value!a} and no text; export the annotations again")
    return value.strip()


def shown(value: Any) -> str:
    """Write anything for a message of one line."""
    text = str(value)
    return text if text.isprintable() else ascii(text)


def size_of(width: Any, height: Any) -> Size | None:
    """Take a size (y, x); None where it is missing or 0.

    Raises:
        DataError: It is no size.
    """
    if not width or not height:
        return None
    try:
        size = int(height), int(width)
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(f"its size {width!a} x {height!a} is no size") from error
    if not all(0 < edge <= LONGEST_EDGE for edge in size):
        raise DataError(f"its size {width!a} x {height!a} is no size")
    return size
