"""The program `ushape`: its commands, and how errors and signals become exit codes.

Exit codes: 0 done, 1 done but some inputs failed (they are listed), 2 wrong use or unusable data,
3 stopped by a signal after saving.
"""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType
from typing import Annotated, NoReturn

import typer

from ushape import __version__
from ushape.cli import (
    compare,
    convert,
    data,
    demo,
    evaluate,
    explain,
    models,
    plan,
    predict,
    train,
)
from ushape.cli.output import print_error
from ushape.errors import Stopped, UshapeError

EXIT_UNUSABLE, EXIT_STOPPED = 2, 3

UsageError: type[Exception] = typer.BadParameter.__mro__[1]
"""What the parser raises on wrong use; where its class lives differs between releases of typer."""

INTERRUPTED = 130
"""What typer returns when Ctrl-C comes where nothing is there to save."""

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
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    del version


# Short enough for the list of commands, where longer ones are cut.
app.command("demo", short_help="See it all work on synthetic data.")(demo.demo)
app.command("plan", short_help="Say what would be trained, and why.")(plan.plan)
app.command("train", short_help="Train on images and label pictures.")(train.train)
app.command("predict", short_help="Predict label pictures with a model.")(predict.predict)
app.command("evaluate", short_help="Score predictions against the truth.")(evaluate.evaluate)
app.command("compare", short_help="Say which of two is better, and how sure.")(compare.compare)
app.command("explain", short_help="Show where a class responds, level by level.")(explain.explain)
app.command("models", short_help="List the networks, or show one.")(models.models)
app.add_typer(convert.app, name="convert", short_help="Take over what other programs made.")
app.add_typer(data.app, name="data", short_help="Make and check data sets.")


def main() -> None:
    """Run the program."""
    # Threads that wait in a busy loop cost nothing on an idle machine, and a factor of five beside
    # one other busy process (docs/decisions/0011). Read when torch is imported, later.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # Until training takes over, SIGTERM ends a command as Ctrl-C does: at once, and in words.
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        code = app(prog_name="ushape", standalone_mode=False)
    except UshapeError as error:
        print_error(str(error))
        sys.exit(EXIT_UNUSABLE)
    except UsageError as error:
        _print_usage_error(error)
        sys.exit(EXIT_UNUSABLE)
    except Stopped as stopped:
        sys.stderr.write(f"stopped: {stopped}\n")
        sys.exit(EXIT_STOPPED)
    if code == INTERRUPTED:
        sys.stderr.write("stopped; files that were finished before are kept\n")
        sys.exit(EXIT_STOPPED)
    sys.exit(code or 0)


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    del number, frame
    raise KeyboardInterrupt


def _print_usage_error(error: Exception) -> None:
    """Say in one line what is wrong with the command, and where its help is."""
    text = str(getattr(error, "format_message", error.__str__)())
    if type(error).__name__ == "NoArgsIsHelpError":  # not an error: its text is the help
        sys.stderr.write(text + "\n")
        return
    command = getattr(getattr(error, "ctx", None), "command_path", "ushape")
    print_error(f"{text[:1].lower()}{text[1:].rstrip('.')}; see {command} --help")


if __name__ == "__main__":
    main()
