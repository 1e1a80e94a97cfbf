"""Printing: people read the terminal, scripts read one JSON object on standard output."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON object for scripts instead of text.")
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Change one setting of config.yaml; may be repeated."
    ),
]
ForegroundOption = Annotated[
    str | None,
    typer.Option(metavar="VALUE", help="The label value that is the foreground, of two values."),
]
LabelsOption = Annotated[
    str | None,
    typer.Option(metavar="NAME=VALUE,...", help="Name all classes; the background first."),
]
DeviceOption = Annotated[str, typer.Option(metavar="DEVICE", help="auto, cpu or cuda.")]
DataArgument = Annotated[
    Path,
    typer.Argument(
        metavar="DATA",
        help="Folder with images/ and labels/, or laid out otherwise; or a table of paths.",
    ),
]


def print_error(text: str) -> None:
    """Print one line on standard error."""
    sys.stderr.write(f"error: {text}\n")


def print_json(value: Any) -> None:
    """Print plain data as one JSON object."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def print_problems(problems: Sequence[str], *, most: int = 20) -> None:
    """List problems on standard error, up to a number."""
    for problem in problems[:most]:
        sys.stderr.write(f"  ! {problem}\n")
    if len(problems) > most:
        sys.stderr.write(f"  ! ... and {len(problems) - most} more\n")


@contextmanager
def progress_bar(title: str) -> Iterator[Callable[[float, int | None], None]]:
    """Show a bar on standard error while the block runs; nothing when it is not a terminal.

    Yields:
        A function to call with (done, total); None leaves the total as it was.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    columns = (TextColumn(title), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
