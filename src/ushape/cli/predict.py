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

SpacingOption = Annotated[
    str | None,
    typer.Option(
        metavar="ZxYxX",
        help="Voxel edges of volumes and stacks whose files do not tell: 3x1x1, 50x4x4nm.",
    ),
]


def predict(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A run folder, or a model file.")],
    images: Annotated[
        str,
        typer.Argument(
            metavar="IMAGES",
            help="A file, a DICOM or OME-Zarr folder, a folder of images, or a quoted glob.",
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the results.")],
    format: Annotated[
        str | None,
        typer.Option(
            metavar="FORMAT",
            help="png, tif, nii.gz, nrrd, mha, npz, ... Default: png for pictures; for volumes "
            "that of the image.",
        ),
    ] = None,
    spacing: SpacingOption = None,
    probabilities: Annotated[
        bool,
        typer.Option(
            "--probabilities",
            help="Also write NAME.probabilities.tif, or in the format of a volume (float32).",
        ),
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
    """Predict labels, in the form and the values of the labels of the training data.

    Volumes lie on the grid of their image and keep its format. For a model that takes volumes, the
    pictures of a folder are slices of stacks, as in training, and every slice is written. Channels
    in files of their own (NAME_0000, NAME_0001) are joined.

    Classes that may overlap are written as masks: one folder a class, or one file with a channel
    a class if the labels were such.

    An image that cannot be used is listed and the rest is done (exit code 1).
    """
    from ushape.data.layouts import find_inputs
    from ushape.errors import DataError
    from ushape.predict import load, predict_cases

    spacing_mm = parse_voxel(spacing)
    predictor = load(
        model,
        device=device,
        mirror=mirror,
        columns=columns,
        thresholds=parse_thresholds(threshold or []),
    )
    cases = find_inputs(
        images, num_channels=predictor.num_channels, channel_names=predictor.channel_names
    )
    done = 0
    with progress_bar("predicting") as progress:

        def begin(number: int, total: int, _: str) -> None:
            nonlocal done
            done = number
            progress(number, total)

        summary = predict_cases(
            predictor,
            cases,
            out,
            format=format,
            spacing_mm=spacing_mm,
            keep_probabilities=probabilities,
            is_skeleton=skeleton,
            progress=begin,
            tiles=lambda tile, tiles: progress(done + tile / tiles, None),
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
        good = summary.num_images - len(problems)
        typer.echo(f"{good} of {summary.num_images} images predicted into {out}")
    for note in summary.notes:
        typer.echo(f"  {note}", err=True)
    if len(problems) == 1 and not summary.written:
        raise DataError(problems[0])
    print_problems(problems)
    if not summary.written:
        raise DataError(f"none of the {summary.num_images} images could be predicted")
    if problems:
        raise typer.Exit(1)


def parse_voxel(text: str | None) -> tuple[float, float, float] | None:
    """Read `--spacing`.

    >>> parse_voxel("3x1x1")
    (3.0, 1.0, 1.0)
    """
    from ushape.errors import ConfigError
    from ushape.sizes import parse_spacing_mm

    if text is None:
        return None
    edges = parse_spacing_mm(text)
    if len(edges) != 3:
        raise ConfigError(f"--spacing {text}: give the three edges of a voxel, z, y and x")
    return edges[0], edges[1], edges[2]


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
