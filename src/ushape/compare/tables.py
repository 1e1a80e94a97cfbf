"""Write a comparison to files: JSON, a table, a picture."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from ushape.compare.figure import draw
from ushape.compare.paired import Comparison
from ushape.compare.words import main_rows, sentence
from ushape.errors import ConfigError
from ushape.files import atomic_path, write_json, write_text

FORMATS = ("svg", "png")


def write_comparison(
    comparison: Comparison,
    folder: Path,
    *,
    metrics: Sequence[str] | None = None,
    format: str = "svg",
) -> tuple[Path, Path, Path]:
    """Write `comparison.json`, `comparison.csv` (one line a score) and a picture.

    Args:
        comparison: What to write.
        folder: Where to; made if it is not there.
        metrics: Names of those that are said in words and drawn; the main ones by default.
        format: Of the picture, `svg` or `png`.

    Returns:
        The three paths.

    Raises:
        ConfigError: The format is unknown.
        StorageError: The disk refuses.
    """
    if format not in FORMATS:
        raise ConfigError(f"format {format!r} is not known: choose svg or png")
    rows = main_rows(comparison, metrics)
    found = comparison.to_json()
    details, table = folder / "comparison.json", folder / "comparison.csv"
    picture = folder / f"comparison.{format}"
    write_json(details, {"words": [sentence(row) for row in rows], **found})
    text = io.StringIO()
    titles = list(found["rows"][0])
    writer = csv.DictWriter(text, titles, lineterminator="\n")
    writer.writeheader()
    writer.writerows(found["rows"])
    write_text(table, text.getvalue())
    with atomic_path(picture) as temporary:
        temporary.write_bytes(draw(rows, format))
    return details, table, picture
