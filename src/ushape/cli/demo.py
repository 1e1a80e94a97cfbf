"""`ushape demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ushape.cli.output import JsonOption, print_json


def demo(
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder for data, run and predictions.")
    ] = Path("demo"),
    kind: Annotated[
        str, typer.Option(metavar="KIND", help="What to draw: membrane, cells, discs or lines.")
    ] = "membrane",
    budget: Annotated[str, typer.Option(metavar="TIME", help="Time to train.")] = "2m",
    json: JsonOption = False,
) -> None:
    """Draw synthetic data, train, predict, evaluate and report: minutes on two cores."""
    from ushape.cli.live import LiveLine
    from ushape.cli.texts import evaluation_lines
    from ushape.demo import run_demo

    with LiveLine() as live:
        result = run_demo(out, kind=kind, budget=budget, observer=live)
    if json:
        print_json(
            {
                "data": str(result.data),
                "bundle": str(result.run.bundle),
                "predictions": str(result.predictions),
                "report": str(result.run.report),
                "evaluation": result.evaluation.to_json(),
            }
        )
        return
    typer.echo("\n".join(evaluation_lines(result.evaluation)))
    typer.echo(f"data         {result.data}")
    typer.echo(f"model        {result.run.bundle}")
    typer.echo(f"predictions  {result.predictions}")
    typer.echo(f"report       {result.run.report}   <- open this in a browser")
