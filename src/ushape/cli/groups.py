"""`--group`: which subject every case belongs to."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from ushape.errors import ConfigError, DataError

GroupOption = Annotated[
    str | None,
    typer.Option(
        "--group",
        metavar="REGEX|CSV",
        help="Subject of every case: a regular expression on case names, or a table case,group.",
    ),
]


def parse_groups(text: str | None) -> Callable[[str], str] | None:
    r"""Read `--group`.

    Args:
        text: A table with two columns, case and group (its first line may be these words), if it
            ends in .csv; else a regular expression that is searched in the case's name: its first
            group `( )`, or all that it matches, is the subject.

    Returns:
        A function from a case's name to its subject; None without the option.

    Raises:
        ConfigError: The expression is wrong, or (later) does not match a case.
        DataError: The table cannot be read.

    >>> parse_groups(r"^(\w+)_\d+")("anna_3")
    'anna'
    """
    if text is None:
        return None
    if text.lower().endswith(".csv"):
        return _from_table(Path(text))
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise ConfigError(
            f"--group {text}: no regular expression ({error}); give for example '^([^_]+)_' or a "
            "table ending in .csv"
        ) from error

    def subject(case: str) -> str:
        found = pattern.search(case)
        part = (found.group(1) if pattern.groups else found.group(0)) if found else None
        if not part:
            raise ConfigError(
                f"--group {text}: does not match the case {case!r}; change it so that every case "
                "has a subject"
            )
        return part

    return subject


def _from_table(path: Path) -> Callable[[str], str]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = [[cell.strip() for cell in row] for row in csv.reader(file) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read ({error}); give a table case,group") from error
    if any(len(row) != 2 or not all(row) for row in rows):
        raise DataError(f"{path}: a line has not two cells; give a table case,group")
    if rows and rows[0] == ["case", "group"]:
        rows = rows[1:]
    subjects = dict(rows)

    def subject(case: str) -> str:
        if case not in subjects:
            raise ConfigError(f"--group {path}: has no line for the case {case!r}; add it")
        return subjects[case]

    return subject
