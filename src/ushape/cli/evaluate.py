"""`ushape evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ushape.cli.output import (
    ForegroundOption,
    JsonOption,
    LabelsOption,
    print_json,
    print_problems,
    progress_bar,
)


def evaluate(
    predictions: Annotated[
        Path, typer.Argument(metavar="PREDICTIONS", help="Folder of predicted label pictures.")
    ],
    truth: Annotated[
        Path,
        typer.Argument(metavar="TRUTH", help="Folder of true label pictures, or a data set."),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Folder for evaluation.csv and .json. Default: PREDICTIONS."
        ),
    ] = None,
    foreground: ForegroundOption = None,
    labels: LabelsOption = None,
    regions: Annotated[
        str,
        typer.Option(metavar="SIDE", help="V_rand's regions: auto, background or foreground."),
    ] = "auto",
    json: JsonOption = False,
) -> None:
    """Score predictions: Dice, IoU, precision, recall, V_rand, with intervals over cases."""
    from ushape.cli.texts import evaluation_lines
    from ushape.errors import ConfigError
    from ushape.evaluate import evaluate_folders, write_evaluation
    from ushape.labels import parse_names

    if regions not in ("auto", "background", "foreground"):
        raise ConfigError(f"--regions {regions}: choose auto, background or foreground")
    with progress_bar("evaluating") as progress:
        evaluation = evaluate_folders(
            predictions,
            truth,
            foreground=foreground,
            names=parse_names(labels) if labels else None,
            regions=regions,
            progress=progress,
        )
    table, details = write_evaluation(evaluation, (out or predictions) / "evaluation")
    if json:
        print_json(evaluation.to_json())
    else:
        typer.echo("\n".join(evaluation_lines(evaluation)))
        if evaluation.num_without_prediction:
            typer.echo(f"{evaluation.num_without_prediction} truths have no prediction: left out")
        typer.echo(f"written to {table} and {details}")
        print_problems(evaluation.problems)
    if evaluation.problems:
        raise typer.Exit(1)
