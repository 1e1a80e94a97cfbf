"""`ushape plan`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ushape.cli.output import (
    DataArgument,
    DeviceOption,
    ForegroundOption,
    JsonOption,
    LabelsOption,
    SetOption,
    print_json,
    print_problems,
    progress_bar,
)
from ushape.cli.train import (
    AlignOption,
    AugmentOption,
    BudgetOption,
    ConfigOption,
    FoldOption,
    FoldsOption,
    IgnoreOption,
    LabelFolderOption,
    LayoutOption,
    ModelOption,
    RegionOption,
    SeedOption,
    StackOption,
    StepsOption,
    TargetOption,
    ValOption,
)


def plan(
    data: DataArgument,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Also write all settings, with a reason at every line, to this YAML file.",
        ),
    ] = None,
    model: ModelOption = None,
    budget: BudgetOption = None,
    steps: StepsOption = None,
    val: ValOption = None,
    folds: FoldsOption = None,
    fold: FoldOption = None,
    foreground: ForegroundOption = None,
    labels: LabelsOption = None,
    target: TargetOption = None,
    ignore: IgnoreOption = None,
    region: RegionOption = None,
    label_folder: LabelFolderOption = None,
    layout: LayoutOption = None,
    stack: StackOption = None,
    align: AlignOption = False,
    augment: AugmentOption = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    seed: SeedOption = None,
    device: DeviceOption = "auto",
    json: JsonOption = False,
) -> None:
    """Say what was understood of a data set, what would be run, and why. Nothing is trained.

    --out FILE writes the plan as YAML, to change and to give to ushape train --config FILE.
    """
    from ushape.cli.texts import plan_json, plan_lines
    from ushape.config.load import read_assignments, write_config
    from ushape.workflow import plan as make_plan

    with progress_bar("reading cases") as progress:
        prepared = make_plan(
            data,
            model=model,
            budget=budget,
            steps=steps,
            val=val,
            folds=folds,
            fold=fold,
            foreground=foreground,
            labels=labels,
            target=target,
            ignore=ignore,
            regions=region,
            label_folder=label_folder,
            layout=layout,
            stack=stack,
            align=align,
            augment=augment,
            settings=read_assignments(set_ or []),
            config=config,
            seed=seed,
            device=device,
            progress=progress,
        )
    if json:
        print_json(plan_json(prepared))
    else:
        typer.echo("\n".join(plan_lines(prepared)))
        print_problems([*map(str, prepared.scan.problems), *prepared.plan.warnings])
    if out:
        write_config(out, prepared.plan.config, prepared.plan.reasons)
        if not json:
            typer.echo(f"written to {out}; change it and give it to ushape train --config {out}")
    if prepared.scan.errors:
        raise typer.Exit(1)
