"""`ushape evaluate`."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ushape.cli.groups import GroupOption, parse_groups
from ushape.cli.output import (
    ForegroundOption,
    JsonOption,
    print_json,
    print_problems,
    progress_bar,
)

if TYPE_CHECKING:
    from ushape.evaluate import Evaluation
    from ushape.metrics import Interval

MetricsOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME,...",
        help="Metrics such as hd95,nsd,cldice, or overlap, surface, topology, objects, all. "
        "Default: overlap,hd95,nsd; for pictures of one class V_rand too.",
    ),
]
ToleranceOption = Annotated[
    float | None,
    typer.Option(metavar="X", help="Of NSD and boundary F, in mm (or pixels). Default: one voxel."),
]
SpacingOption = Annotated[
    str | None,
    typer.Option(
        metavar="Z,Y,X",
        help="Edges of a voxel in mm, or as 50x4x4nm. Default: from the files, else pixels.",
    ),
]
IgnoreOption = Annotated[
    str | None,
    typer.Option(metavar="VALUE", help="Label value of true pixels that count nowhere."),
]
AlignOption = Annotated[
    bool,
    typer.Option("--align", help="Resample predictions that lie on another grid (nearest)."),
]


def evaluate(
    predictions: Annotated[
        Path,
        typer.Argument(
            metavar="PREDICTIONS", help="Predicted labels: a folder (see above), or one file."
        ),
    ],
    truth: Annotated[
        Path,
        typer.Argument(metavar="TRUTH", help="True labels: a folder, a data set, or one file."),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Folder for evaluation.csv and .json. Default: PREDICTIONS."
        ),
    ] = None,
    foreground: ForegroundOption = None,
    labels: Annotated[
        str | None,
        typer.Option(
            metavar="NAME=VALUE,...",
            help="Name all values, the background first; or, from 1, the folders or channels.",
        ),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            metavar="KIND", help="instances or instances+border: values are numbers of objects."
        ),
    ] = None,
    classes: Annotated[
        str | None,
        typer.Option(metavar="NAME,...", help="Score these only. Default: all, alike on both."),
    ] = None,
    label_folder: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Folder of TRUTH with the labels, if not the usual."),
    ] = None,
    align: AlignOption = False,
    regions: Annotated[
        str,
        typer.Option(metavar="SIDE", help="V_rand's regions: auto, background or foreground."),
    ] = "auto",
    metrics: MetricsOption = None,
    tolerance: ToleranceOption = None,
    spacing: SpacingOption = None,
    iou: Annotated[
        float, typer.Option(metavar="X", help="Objects match above this IoU (instance scores).")
    ] = 0.5,
    ignore: IgnoreOption = None,
    group: GroupOption = None,
    json: JsonOption = False,
) -> None:
    """Score predictions: overlap, surfaces, topology, objects, with intervals over cases.

    Labels may be pictures or volumes (PNG, TIFF, NIfTI, NRRD, NumPy ...) of values, one folder of
    masks a class, or files with a mask a channel; the two sides need not be alike. Files are
    paired by their names without the ending, classes by their names.
    """
    from ushape.errors import ConfigError
    from ushape.evaluate import evaluate_folders, write_evaluation
    from ushape.labels import parse_names, parse_value

    if regions not in ("auto", "background", "foreground"):
        raise ConfigError(f"--regions {regions}: choose auto, background or foreground")
    if target not in (None, "instances", "instances+border"):
        raise ConfigError(f"--target {target}: choose instances or instances+border")
    if not 0 <= iou < 1:
        raise ConfigError(f"--iou {iou}: give a number from 0 to below 1, such as 0.5")
    with progress_bar("evaluating") as progress:
        evaluation = evaluate_folders(
            predictions,
            truth,
            foreground=foreground,
            names=parse_names(labels) if labels else None,
            regions=regions,
            progress=progress,
            metrics=metrics,
            tolerance=tolerance,
            spacing_mm=parse_spacing(spacing),
            ignore=parse_value(ignore) if ignore else None,
            group_of=parse_groups(group),
            min_iou=iou,
            label_folder=label_folder,
            classes=[name.strip() for name in classes.split(",")] if classes else None,
            is_resampled=align,
            target=target,
        )
    folder = out or (predictions.parent if predictions.is_file() else predictions)
    written = write_evaluation(evaluation, folder / "evaluation")
    if json:
        print_json(evaluation.to_json())
    else:
        _print(evaluation, written)
    if evaluation.problems:
        raise typer.Exit(1)


def _print(evaluation: Evaluation, written: tuple[Path, Path]) -> None:
    """Print what was understood, the scores, where they are, and what could not be scored."""
    from ushape.cli.texts import evaluation_lines

    lines = [f"{side:10}  {text}" for side, text in evaluation.understood.items()]
    lines += ["", *evaluation_lines(evaluation), *more_lines(evaluation)]
    if evaluation.num_without_prediction:
        lines.append(f"{evaluation.num_without_prediction} truths have no prediction: left out")
    typer.echo("\n".join([*lines, f"written to {written[0]} and {written[1]}"]))
    print_problems(evaluation.problems)


def parse_spacing(text: str | None) -> tuple[float, ...] | None:
    """Read `--spacing`: one number, or one an axis, in mm or with a unit.

    Raises:
        ConfigError: A number is not positive, or the unit not known.

    >>> parse_spacing("3,0.5,0.5"), parse_spacing("2"), parse_spacing("50x4x4nm")
    ((3.0, 0.5, 0.5), (2.0,), (5e-05, 4e-06, 4e-06))
    """
    from ushape.errors import ConfigError
    from ushape.sizes import parse_spacing_mm

    if text is None:
        return None
    is_one = not re.search("[,x×]", text, re.I)
    try:
        edges = parse_spacing_mm(f"1x{text}" if is_one else text)
    except ConfigError as error:
        raise ConfigError(
            f"--spacing {text}: give positive numbers, z, y and x, in mm or with a unit, such as "
            "3,0.5,0.5 or 50x4x4nm"
        ) from error
    return edges[1:] if is_one else edges


def more_lines(evaluation: Evaluation) -> list[str]:
    """Write what goes beyond overlap: means of all other metrics, units, empty cases, groups."""
    return [*_tables(evaluation), *_notes(evaluation)]


def _tables(evaluation: Evaluation) -> list[str]:
    """Write means with intervals, four metrics a table."""
    from ushape.evaluate import OVERLAP_METRICS

    others = [column for column in evaluation.class_means if column not in OVERLAP_METRICS]
    width = max(10, *(len(name) for name in evaluation.class_names))
    lines = []
    for start in range(0, len(others), 4):
        columns = others[start : start + 4]
        rows = [
            [_cell(column, evaluation.class_means[column][number]) for column in columns]
            for number in range(len(evaluation.class_names))
        ]
        wide = max(24, *(len(cell) for row in rows for cell in row)) + 2
        lines += ["", f"{'':{width}}  " + "".join(f"{column:<{wide}}" for column in columns)]
        for name, row in zip(evaluation.class_names, rows, strict=True):
            lines.append(f"{name:{width}}  " + "".join(f"{cell:<{wide}}" for cell in row))
    return [line.rstrip() for line in lines]


def _cell(column: str, interval: Interval) -> str:
    """Write an interval; short lengths (nanometres in mm) with their figures, not as 0.000."""
    from ushape.cli.texts import interval_text

    if not column.endswith("_mm") or not 0 < interval.mean < 0.1:
        return interval_text(interval)
    if not math.isfinite(interval.low):
        return f"{interval.mean:.3g}"
    return f"{interval.mean:.3g} ({interval.low:.3g} to {interval.high:.3g})"


def _notes(evaluation: Evaluation) -> list[str]:
    from ushape.metrics import METRICS

    settings = evaluation.settings
    lines = []
    if {"nsd", "boundary_f"} & set(settings.metrics):
        unit = "mm" if settings.unit == "mm" else "(pixels: no spacing is known)"
        lines.append(f"tolerance of surfaces {settings.tolerance:g} {unit}")
    has_lengths = any(METRICS[name].is_length for name in settings.metrics)
    for name, found in zip(evaluation.class_names, evaluation.presence, strict=False):
        if found.missed or found.spurious:
            lost = " (they have no distance)" if has_lengths else ""
            rates = found.to_json()
            lines.append(
                f"{name}: in {found.both + found.missed} cases, missed in {found.missed}, "
                f"predicted where it is not in {found.spurious}{lost}; by case "
                f"recall {_rate(rates['recall'])}, precision {_rate(rates['precision'])}"
            )
    if settings.left_out:
        names = ", ".join(settings.left_out)
        lines.append(f"left out, as they are made for sections: {names} (name them to have them)")
    groups = {case.group for case in evaluation.cases if case.group is not None}
    if groups:
        lines.append(f"intervals over {len(groups)} groups of cases, drawn as a whole")
    return lines


def _rate(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
