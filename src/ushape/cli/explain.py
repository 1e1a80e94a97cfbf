"""`ushape explain`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ushape.cli.output import JsonOption, print_json, print_problems, progress_bar
from ushape.cli.predict import SpacingOption, parse_voxel


def explain(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A run folder, or a model file.")],
    images: Annotated[
        str, typer.Argument(metavar="IMAGE", help="A file, a folder, or a quoted glob.")
    ],
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder for the table and a sheet for each class.")
    ],
    label: Annotated[
        Path | None,
        typer.Option(
            metavar="TRUTH",
            help="True labels: a file, a folder with the images' names, or a data set. Without "
            "them the prediction is explained, and no branch can be advised.",
        ),
    ] = None,
    spacing: SpacingOption = None,
    json: JsonOption = False,
) -> None:
    """Show where a network's features respond to each class, and whether a branch would help.

    An image that cannot be used is listed and the rest is done (exit code 1).
    """
    from ushape.data.layouts import find_images
    from ushape.explain import explain_files

    spacing_mm = parse_voxel(spacing)
    with progress_bar("explaining") as progress:
        found = explain_files(
            model,
            find_images(images),
            out,
            truth=label,
            spacing_mm=spacing_mm,
            progress=progress,
        )
    problems = [str(problem) for problem in found.problems]
    if json:
        written = [str(path) for path in found.written]
        print_json({**found.to_json(), "written": written, "problems": problems})
    else:
        typer.echo("\n".join(found.lines()))
        typer.echo(f"written to {out}: {', '.join(path.name for path in found.written)}")
    print_problems(problems)
    if problems:
        raise typer.Exit(1)
