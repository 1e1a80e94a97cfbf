"""`ushape compare`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ushape.cli.evaluate import (
    AlignOption,
    IgnoreOption,
    SpacingOption,
    ToleranceOption,
    parse_spacing,
)
from ushape.cli.groups import GroupOption, parse_groups
from ushape.cli.output import (
    ForegroundOption,
    JsonOption,
    LabelsOption,
    print_json,
    print_problems,
    progress_bar,
)

if TYPE_CHECKING:
    from ushape.compare import ScoreTable


def compare(
    first: Annotated[
        Path,
        typer.Argument(metavar="A", help="Evaluation: a folder, evaluation.json or .csv."),
    ],
    second: Annotated[Path, typer.Argument(metavar="B", help="The other one, on the same cases.")],
    truth: Annotated[
        Path | None,
        typer.Option(metavar="TRUTH", help="Score A and B, folders of predictions, against this."),
    ] = None,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder for comparison.json, .csv and .svg.")
    ] = Path("comparison"),
    metrics: Annotated[
        str | None,
        typer.Option(metavar="NAME,...", help="Metrics to compare. Default: all that both have."),
    ] = None,
    common: Annotated[
        bool, typer.Option("--common", help="Leave out cases that only one of them has.")
    ] = False,
    group: GroupOption = None,
    picture: Annotated[
        str, typer.Option(metavar="FORMAT", help="Format of the picture: svg or png.")
    ] = "svg",
    seed: Annotated[int, typer.Option(metavar="N", help="Of the bootstrap.")] = 0,
    foreground: ForegroundOption = None,
    labels: LabelsOption = None,
    tolerance: ToleranceOption = None,
    spacing: SpacingOption = None,
    ignore: IgnoreOption = None,
    align: AlignOption = False,
    json: JsonOption = False,
) -> None:
    """Say which of two methods is better on the same cases, and how sure that is."""
    from ushape.compare import (
        compare_tables,
        load_scores,
        main_rows,
        sentence,
        table_lines,
        write_comparison,
    )
    from ushape.errors import ConfigError
    from ushape.metrics import parse_metrics

    asked = parse_metrics(metrics) if metrics is not None else None
    if picture not in ("svg", "png"):
        raise ConfigError(f"--picture {picture}: choose svg or png")
    if seed < 0:
        raise ConfigError(f"--seed {seed}: give a number of 0 or more")
    scoring = {
        "--foreground": foreground,
        "--labels": labels,
        "--tolerance": tolerance,
        "--spacing": spacing,
        "--ignore": ignore,
        "--align": align or None,
    }
    group_of = parse_groups(group)
    problems: list[str] = []
    if truth is None:
        for option, value in scoring.items():
            if value is not None:
                raise ConfigError(f"{option} says how to score predictions: give --truth too")
        tables = [load_scores(path) for path in (first, second)]
    else:
        score = _scorer(
            truth, metrics, foreground, labels, tolerance, spacing, ignore, is_resampled=align
        )
        tables = []
        for path in (first, second):
            table, found = score(path)
            tables.append(table)
            problems += found
    comparison = compare_tables(
        *tables, metrics=metrics, use_common=common, group_of=group_of, seed=seed
    )
    written = write_comparison(comparison, out, metrics=asked, format=picture)
    if json:
        print_json(comparison.to_json())
    else:
        lines = [f"A  {comparison.first}", f"B  {comparison.second}", ""]
        lines += [*table_lines(comparison), ""]
        lines += [sentence(row) for row in main_rows(comparison, asked)]
        for names, which in ((comparison.only_first, "A"), (comparison.only_second, "B")):
            if names:
                lines.append(f"left out, in {which} only: {', '.join(names)}")
        lines += [f"left out: {text}" for text in comparison.left_out]
        lines.append("written to " + ", ".join(str(path) for path in written))
        typer.echo("\n".join(lines))
        print_problems(problems)
    if problems:
        raise typer.Exit(1)


def _scorer(
    truth: Path,
    metrics: str | None,
    foreground: str | None,
    labels: str | None,
    tolerance: float | None,
    spacing: str | None,
    ignore: str | None,
    *,
    is_resampled: bool,
) -> Callable[[Path], tuple[ScoreTable, tuple[str, ...]]]:
    """Return a function that scores a folder of predictions, and tells what it could not."""
    from ushape.compare import table_of
    from ushape.evaluate import evaluate_folders
    from ushape.labels import parse_names, parse_value

    def score(predictions: Path) -> tuple[ScoreTable, tuple[str, ...]]:
        with progress_bar(f"evaluating {predictions.name}") as progress:
            found = evaluate_folders(
                predictions,
                truth,
                foreground=foreground,
                names=parse_names(labels) if labels else None,
                progress=progress,
                metrics=metrics,
                tolerance=tolerance,
                spacing_mm=parse_spacing(spacing),
                ignore=parse_value(ignore) if ignore else None,
                is_resampled=is_resampled,
            )
        return table_of(found.to_json(), str(predictions)), found.problems

    return score
