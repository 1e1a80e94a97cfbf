"""`ushape train`."""

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
)

ModelOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="A network of `ushape models`, with its paper's numbers. Default: one that fits.",
    ),
]
BudgetOption = Annotated[
    str | None, typer.Option(metavar="TIME", help="Time to train: 90s, 10m, 1h30m. Default: 30m.")
]
StepsOption = Annotated[
    int | None, typer.Option(metavar="N", min=1, help="Steps to train, instead of a time budget.")
]
ValOption = Annotated[
    str | None,
    typer.Option(
        metavar="CASES",
        help="Validation cases: names, ranges (24-29), globs, a fraction, a text file, none, or "
        "own (as the data set divides itself). Default: own if it does, else 0.2.",
    ),
]
ConfigOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="YAML file with settings (any part of a config.yaml)."),
]
TargetOption = Annotated[
    str | None,
    typer.Option(
        metavar="KIND",
        help="binary, multiclass, multilabel (classes overlap), instances or instances+border "
        "(labels are numbers of objects). Default: what the labels show.",
    ),
]
IgnoreOption = Annotated[
    str | None,
    typer.Option(
        metavar="VALUE", help="Label value of void pixels: they count in no loss and no score."
    ),
]
RegionOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=A+B", help="A further class made of labels, which it overlaps; repeatable."
    ),
]
LabelFolderOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Folder of the labels beside images/: pictures, or one folder of masks a class.",
    ),
]
LayoutOption = Annotated[
    str | None,
    typer.Option(
        metavar="KIND",
        help="How DATA is laid out: folders, nnunet, msd, case-folders, pairs or manifest. "
        "Default: it is recognised.",
    ),
]
StackOption = Annotated[
    str | None,
    typer.Option(
        metavar="ZxYxX",
        help="The pictures are slices of one stack with voxels of these edges: 50x4x4nm, 3x1x1.",
    ),
]
AlignOption = Annotated[
    bool,
    typer.Option("--align", help="Resample labels that lie on another grid than their image."),
]
AugmentOption = Annotated[
    str | None,
    typer.Option(
        metavar="PRESET",
        help="How strongly patches are varied: light, default, strong or nnunet. "
        "Default: the plan chooses.",
    ),
]
FoldsOption = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=2,
        help="Divide the cases into N folds, by chance and always alike (nnU-Net's).",
    ),
]
FoldOption = Annotated[
    int | None,
    typer.Option(metavar="K", min=0, help="Validate on fold K of --folds, counted from 0."),
]
StartOption = Annotated[
    Path | None,
    typer.Option(
        metavar="MODEL",
        help="Start from the weights of a trained model of the same network; its heads and a "
        "branch may differ.",
    ),
]
SeedOption = Annotated[
    int | None, typer.Option(metavar="N", min=0, help="Seed of all chance. Default: 0.")
]


def train(
    data: DataArgument,
    out: Annotated[
        Path | None, typer.Option(metavar="RUN", help="Run folder. Default: runs/DATA-MODEL.")
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
    start_from: StartOption = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    seed: SeedOption = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in --out, if there is one.")
    ] = False,
    device: DeviceOption = "auto",
    json: JsonOption = False,
) -> None:
    """Train on a folder of images and labels, and report how good the result is.

    Cases that cannot be used are listed and left out (exit code 1).

    Ctrl-C saves and stops (exit code 3); the same command with --out and --resume goes on.
    """
    from ushape.cli.fine_texts import box_lines
    from ushape.cli.live import LiveLine
    from ushape.cli.texts import evaluation_lines, plan_lines
    from ushape.config.load import read_assignments
    from ushape.errors import ConfigError
    from ushape.sizes import format_duration
    from ushape.workflow import Prepared
    from ushape.workflow import train as run_training

    if resume and out is None:
        raise ConfigError("--resume needs --out RUN: the folder of the run to go on with")

    problems: list[str] = []
    has_errors = False

    def show(prepared: Prepared) -> None:
        nonlocal has_errors
        has_errors = bool(prepared.scan.errors)
        problems.extend(str(problem) for problem in prepared.scan.problems)
        problems.extend(prepared.plan.warnings)
        with live.paused():
            if not json:
                typer.echo("\n".join(plan_lines(prepared)))
            print_problems(problems)

    with LiveLine() as live:
        run = run_training(
            data,
            out=out,
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
            start_from=start_from,
            settings=read_assignments(set_ or []),
            config=config,
            seed=seed,
            device=device,
            is_resumed=resume,
            observer=live,
            on_plan=show,
        )
    if json:
        print_json(
            {
                "folder": str(run.folder),
                "bundle": str(run.bundle),
                "report": str(run.report),
                "steps": run.fit.steps,
                "seconds": round(run.fit.seconds, 1),
                "best_score": run.fit.best_score,
                "best_step": run.fit.best_step,
                "evaluation": run.evaluation.to_json() if run.evaluation else None,
                "problems": problems,
            }
        )
    else:
        typer.echo(f"trained {run.fit.steps} steps in {format_duration(run.fit.seconds)}")
        if run.evaluation:
            typer.echo("\n".join(evaluation_lines(run.evaluation)))
            if run.evaluation.boxes:
                typer.echo("\n".join(box_lines(run.evaluation.boxes)))
        typer.echo(f"model   {run.bundle}\nreport  {run.report}")
    if has_errors or (run.evaluation and run.evaluation.problems):
        raise typer.Exit(1)
