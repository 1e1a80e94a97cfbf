"""`ushape data preview`: a contact sheet of training patches."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ushape.cli.output import (
    DataArgument,
    ForegroundOption,
    JsonOption,
    LabelsOption,
    SetOption,
    print_json,
    progress_bar,
)
from ushape.cli.train import (
    AlignOption,
    ConfigOption,
    IgnoreOption,
    LabelFolderOption,
    LayoutOption,
    ModelOption,
    RegionOption,
    SeedOption,
    StackOption,
    TargetOption,
    ValOption,
)


def preview(
    data: DataArgument,
    out: Annotated[Path, typer.Option(metavar="SHEET.png", help="The picture to write.")],
    preset: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="light, default, strong or nnunet, in place of the planned augmentation.",
        ),
    ] = None,
    patches: Annotated[
        int, typer.Option(metavar="N", min=1, max=64, help="Patches: rows of the sheet.")
    ] = 4,
    draws: Annotated[
        int, typer.Option(metavar="N", min=1, max=32, help="Draws of each: columns of the sheet.")
    ] = 5,
    model: ModelOption = None,
    val: ValOption = None,
    foreground: ForegroundOption = None,
    labels: LabelsOption = None,
    target: TargetOption = None,
    ignore: IgnoreOption = None,
    region: RegionOption = None,
    label_folder: LabelFolderOption = None,
    layout: LayoutOption = None,
    stack: StackOption = None,
    align: AlignOption = False,
    config: ConfigOption = None,
    set_: SetOption = None,
    seed: SeedOption = None,
    json: JsonOption = False,
) -> None:
    """Draw training patches as the network sees them, with the outlines of their classes.

    Each row is one patch: as it was prepared, and as several draws of the augmentation vary it.
    """
    from ushape.config.load import read_assignments
    from ushape.workflow.preview import preview as draw_preview

    with progress_bar("reading cases") as progress:
        prepared = draw_preview(
            data,
            out,
            preset=preset,
            patches=patches,
            draws=draws,
            model=model,
            val=val,
            foreground=foreground,
            labels=labels,
            target=target,
            ignore=ignore,
            regions=region,
            label_folder=label_folder,
            layout=layout,
            stack=stack,
            align=align,
            config=config,
            settings=read_assignments(set_ or []),
            seed=seed,
            progress=progress,
        )
    settings = prepared.plan.config
    if json:
        print_json(
            {"out": str(out), "patch": settings.patch.size, "augment": vars(settings.augment)}
        )
    else:
        typer.echo(f"{patches} patches, {draws} draws of each: {out}")
