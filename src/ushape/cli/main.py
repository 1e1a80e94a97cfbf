"""The program `ushape`: its commands, and how errors and signals become exit codes.

Exit codes: 0 done, 1 done but some inputs failed (they are listed), 2 wrong use or unusable data,
3 stopped by a signal after saving.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from ushape import __version__
from ushape.cli import data, demo, evaluate, models, plan, predict, train
from ushape.cli.output import print_error
from ushape.errors import Stopped, UshapeError

EXIT_SOME_FAILED, EXIT_UNUSABLE, EXIT_STOPPED = 1, 2, 3

app = typer.Typer(
    help="Image segmentation with U-shaped networks: a folder of images and masks in, "
    "a trusted mask out.",
    epilog="Start with `ushape demo`, or `ushape plan DATA` on your own folder. "
    "Exit codes: 0 done, 1 some inputs failed, 2 wrong use or unusable data, 3 stopped and saved.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
)


def _print_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(f"ushape {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Say it.")
    ] = False,
) -> None:
    del version


app.command("demo")(demo.demo)
app.command("plan")(plan.plan)
app.command("train")(train.train)
app.command("predict")(predict.predict)
app.command("evaluate")(evaluate.evaluate)
app.command("models")(models.models)
app.add_typer(data.app, name="data")


def main() -> None:
    """Run the program."""
    try:
        app()
    except UshapeError as error:
        print_error(str(error))
        sys.exit(EXIT_UNUSABLE)
    except Stopped:
        print_error("stopped; everything is saved, and the same command with --resume goes on")
        sys.exit(EXIT_STOPPED)
    except BrokenPipeError:
        # The reader of our output (head, less) went away: nothing more to say.
        sys.stderr.close()
        sys.exit(0)


if __name__ == "__main__":
    main()
