"""`ushape predict`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ushape.cli.output import (
    DeviceOption,
    JsonOption,
    print_json,
    print_problems,
    progress_bar,
)


def predict(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A run folder, or a model file.")],
    images: Annotated[
        str, typer.Argument(metavar="IMAGES", help="A file, a folder, or a quoted glob.")
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the label pictures.")],
    format: Annotated[str, typer.Option(metavar="FORMAT", help="png or tif.")] = "png",
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="Also write NAME.probabilities.tif (float32).")
    ] = False,
    mirror: Annotated[
        bool | None,
        typer.Option(help="Average over flips and turns. Default: as the model was planned."),
    ] = None,
    columns: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, help="Compute N decoder columns of a unet_plusplus: faster."
        ),
    ] = None,
    skeleton: Annotated[
        bool, typer.Option("--skeleton", help="Thin the predicted lines to one pixel.")
    ] = False,
    threshold: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CLASS=P", help="Predict the class from this probability on; repeatable."
        ),
    ] = None,
    device: DeviceOption = "auto",
    json: JsonOption = False,
) -> None:
    """Predict label pictures, in the form and the values of the labels of the training data.

    Classes that may overlap are written as masks: one folder a class, or one file with a channel
    a class if the labels were such.

    An image that cannot be used is listed and the rest is done (exit code 1).
    """
    from ushape.data.layouts import find_images
    from ushape.errors import DataError
    from ushape.predict import load, predict_files

    paths = find_images(images)
    predictor = load(
        model,
        device=device,
        mirror=mirror,
        columns=columns,
        thresholds=parse_thresholds(threshold or []),
    )
    with progress_bar("predicting") as progress:
        summary = predict_files(
            predictor,
            paths,
            out,
            format=format,
            keep_probabilities=probabilities,
            is_skeleton=skeleton,
            progress=lambda done, total, name: progress(done, total),
        )
    problems = [str(problem) for problem in summary.problems]
    if json:
        print_json(
            {
                "out": str(out),
                "written": [str(path) for path in summary.written],
                "failed": {str(problem.path): problem.message for problem in summary.problems},
            }
        )
    elif summary.written:
        typer.echo(f"{len(summary.written)} of {len(paths)} images predicted into {out}")
    if len(problems) == 1 and not summary.written:
        raise DataError(problems[0])
    print_problems(problems)
    if not summary.written:
        raise DataError(f"none of the {len(paths)} images could be predicted")
    if problems:
        raise typer.Exit(1)


def parse_thresholds(texts: list[str]) -> dict[str, float]:
    """Read `--threshold class=probability`.

    >>> parse_thresholds(["vessel=0.4"])
    {'vessel': 0.4}
    """
    from ushape.errors import ConfigError

    found = {}
    for text in texts:
        name, _, value = text.rpartition("=")
        try:
            found[name.strip()] = float(value)
        except ValueError:
            raise ConfigError(f"--threshold {text}: write class=0.4, a probability") from None
    return found
