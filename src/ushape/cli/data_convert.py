"""`ushape data convert`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ushape.cli.output import (
    ForegroundOption,
    JsonOption,
    print_json,
    print_problems,
    progress_bar,
)
from ushape.cli.train import LabelFolderOption


def convert(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SOURCE",
            help="JSON or XML file of annotations, a folder of them, a data set, a manifest.",
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="New folder.")],
    to: Annotated[
        str, typer.Option(metavar="LAYOUT", help="images+labels, nnunet or msd.")
    ] = "images+labels",
    kind: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="KIND",
            help="coco, labelme, cvat, cvat-masks, or layout: a data set in a layout that ushape "
            "reads (docs/layouts.md). Default: what the files show.",
        ),
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where the pictures lie that annotations name."),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            metavar="KIND",
            help="multiclass (later annotations cover earlier ones), multilabel (a folder of masks "
            "a class) or instances (object numbers).",
        ),
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(
            metavar="NAME=N,...",
            help="Of annotations: numbers of the classes. Of data sets: names of their values.",
        ),
    ] = None,
    foreground: ForegroundOption = None,
    ignore: Annotated[
        str | None, typer.Option(metavar="VALUE", help="Of data sets: value of void pixels.")
    ] = None,
    region: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=A+B", help="For nnU-Net: a class made of labels; repeatable."),
    ] = None,
    label_folder: LabelFolderOption = None,
    layout: Annotated[
        str | None,
        typer.Option(
            metavar="KIND",
            help="Of data sets: folders, nnunet, msd, case-folders, pairs or manifest. "
            "Default: what is recognised.",
        ),
    ] = None,
    line_width: Annotated[
        float | None, typer.Option(metavar="PIXELS", help="Width of annotated lines.")
    ] = None,
    point_radius: Annotated[
        float | None, typer.Option(metavar="PIXELS", help="Radius of annotated points.")
    ] = None,
    channels: Annotated[
        str | None, typer.Option(metavar="NAME,...", help="Names of the image's channels.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Convert annotations or a data set to folders, nnU-Net's layout or the Decathlon's.

    Reads COCO, LabelMe, CVAT (images 1.1, segmentation mask 1.1) and data sets of pictures and
    volumes in every layout: images/ + labels/, nnU-Net, Decathlon, one folder a case, manifest.
    Exit code 1 when cases are left out; each is named with the reason.
    """
    from typing import cast

    from ushape.data.convert import ConvertWish, LabelForm, TargetLayout, convert_dataset
    from ushape.labels import parse_names, parse_regions, parse_value

    wish = ConvertWish(
        images=images,
        labels=parse_names(labels) if labels else None,
        form=cast("LabelForm | None", target),  # checked there
        foreground=foreground,
        ignore=parse_value(ignore) if ignore else None,
        regions=parse_regions(region or []),
        label_folder=label_folder,
        layout=layout,
        line_width=line_width,
        point_radius=point_radius,
        channels=tuple(part.strip() for part in channels.split(",")) if channels else (),
    )
    with progress_bar("converting") as progress:
        done = convert_dataset(
            source, out, to=cast("TargetLayout", to), kind=kind, wish=wish, progress=progress
        )
    if json:
        print_json(done.to_json())
    else:
        print_problems([f"{p.severity}: {p}" for p in done.problems], most=100)
        left_out = f", {len(done.errors)} problems left cases out" if done.errors else ""
        typer.echo(f"{len(done.cases)} cases from {done.source} in {done.out}{left_out}")
        if done.labels:
            listed = ",".join(f"{name}={value}" for name, value in done.labels.items())
            typer.echo(f"classes (in dataset.json): {listed.replace(' ', '')}")
        typer.echo(f"look at it with: {done.next_command}")
    if done.errors:
        raise typer.Exit(1)
