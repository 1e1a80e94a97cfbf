"""`ushape data ...`: make and check data sets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ushape.cli import data_convert, data_preview
from ushape.cli.output import (
    DataArgument,
    ForegroundOption,
    JsonOption,
    LabelsOption,
    print_json,
    print_problems,
    progress_bar,
)
from ushape.cli.train import (
    AlignOption,
    IgnoreOption,
    LabelFolderOption,
    LayoutOption,
    RegionOption,
    StackOption,
    TargetOption,
)

app = typer.Typer(
    help="Make, convert and check data sets.", no_args_is_help=True, rich_markup_mode=None
)


@app.command(short_help="Draw a synthetic data set.")
def synth(
    kind: Annotated[
        str,
        typer.Argument(
            metavar="KIND", help="membrane, cells, discs or lines; in 3D cells, vessels or discs."
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder to make.")],
    cases: Annotated[int, typer.Option(metavar="N", min=1, help="Number of cases.")] = 20,
    size: Annotated[
        str, typer.Option(metavar="[Zx]YxX", help="Pixels of an image, or voxels of a volume.")
    ] = "256x256",
    spacing: Annotated[
        str | None, typer.Option(metavar="ZxYxX", help="Edges of a voxel, mm. Default: 1x1x1.")
    ] = None,
    layout: Annotated[
        str, typer.Option(metavar="LAYOUT", help="images+labels, nnunet or msd.")
    ] = "images+labels",
    seed: Annotated[
        int, typer.Option(metavar="N", min=0, help="The same seed draws the same set.")
    ] = 0,
    json: JsonOption = False,
) -> None:
    """Draw a synthetic data set: images/ and labels/ with equal names.

    A size of three numbers gives volumes (.nii.gz), such as --size 32x96x96 --spacing 4x1x1.
    """
    from typing import cast

    from ushape.data.convert import TargetLayout
    from ushape.data.synth import write_dataset
    from ushape.sizes import parse_size, parse_spacing_mm

    with progress_bar("drawing") as progress:
        write_dataset(
            kind,
            out,
            cases=cases,
            size=parse_size(size),
            seed=seed,
            spacing_mm=parse_spacing_mm(spacing) if spacing else None,
            layout=cast("TargetLayout", layout),  # checked there
            progress=progress,
        )
    if json:
        print_json({"out": str(out), "kind": kind, "cases": cases, "seed": seed})
    else:
        what = "cases" if len(parse_size(size)) == 2 else "volumes"
        typer.echo(f"{cases} {what} of {kind} in {out}; look at it with: ushape plan {out}")


app.command("convert", short_help="Take over annotations, or change the layout.")(
    data_convert.convert
)


@app.command(short_help="Say what a data set holds, and its problems.")
def check(
    data: DataArgument,
    out: Annotated[
        Path | None,
        typer.Option(metavar="PAGE.html", help="Write a page with a picture of every case."),
    ] = None,
    foreground: ForegroundOption = None,
    labels: LabelsOption = None,
    target: TargetOption = None,
    ignore: IgnoreOption = None,
    region: RegionOption = None,
    label_folder: LabelFolderOption = None,
    layout: LayoutOption = None,
    stack: StackOption = None,
    align: AlignOption = False,
    json: JsonOption = False,
) -> None:
    """Read every file once and say what was understood, and every problem with its file.

    Exit code 1 when files are unusable (they are left out of training), 2 when all are.
    """
    from ushape.cli.texts import fingerprint_json, fingerprint_lines
    from ushape.workflow.check import check as check_data
    from ushape.workflow.check import write_check

    with progress_bar("reading cases") as progress:
        checked = check_data(
            data,
            foreground=foreground,
            labels=labels,
            target=target,
            ignore=ignore,
            regions=region,
            label_folder=label_folder,
            layout=layout,
            stack=stack,
            align=align,
            progress=progress,
        )
    if out is not None:
        with progress_bar("drawing cases") as progress:
            write_check(out, checked, progress=progress)
    scan = checked.scan
    if json:
        print_json({**scan.to_json(), **fingerprint_json(checked.found)})
    else:
        typer.echo("\n".join(fingerprint_lines(checked.found, scan)))
        if scan.problems:
            warnings = len(scan.problems) - len(scan.errors)
            typer.echo(f"{len(scan.errors)} errors, {warnings} warnings:")
        else:
            typer.echo("no problems found")
        print_problems([f"{p.severity}: {p}" for p in scan.problems], most=100)
        where = str(out) if out else f"ushape data check {data} --out check.html"
        typer.echo(f"every case as a picture: {where}")
    if scan.errors:
        raise typer.Exit(1)


app.command("preview", short_help="Draw training patches, varied as in training.")(
    data_preview.preview
)
