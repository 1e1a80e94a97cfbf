"""`ushape convert ...`: take over what other programs made."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ushape.cli.output import JsonOption, print_json, print_problems

app = typer.Typer(
    help="Take over what other programs made.", no_args_is_help=True, rich_markup_mode=None
)


@app.callback()
def _group() -> None:
    """Keep `weights` a command of its own while it is the only one."""


@app.command(short_help="Keras weights to a model file.")
def weights(
    file: Annotated[
        Path,
        typer.Argument(metavar="KERAS_FILE", help=".h5, .hdf5, .weights.h5 or .keras."),
    ],
    model: Annotated[
        str, typer.Option(metavar="NAME", help="The same network in `ushape models`.")
    ],
    out: Annotated[Path, typer.Option(metavar="FILE", help="Model file to write, .safetensors.")],
    in_channels: Annotated[int, typer.Option(metavar="N", min=1, help="Image channels.")] = 1,
    classes: Annotated[
        int, typer.Option(metavar="N", min=1, help="Logit channels: 1 for binary.")
    ] = 1,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="OPTION=VALUE", help="Set one option; may be repeated."),
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(
            metavar="NAME=VALUE,...",
            help="Classes and their values in predicted files; the background first.",
        ),
    ] = None,
    normalise: Annotated[
        str | None,
        typer.Option(
            metavar="HOW", help="How images are prepared: zscore (the default) or percentile."
        ),
    ] = None,
    tile: Annotated[
        str | None, typer.Option(metavar="YxX", help="Tile of large images, such as 512x512.")
    ] = None,
    epsilon: Annotated[
        float | None,
        typer.Option(
            metavar="X", min=0, help="Of Keras's batch norms. Default: the file's, else 0.001."
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Write a model file with the weights of a Keras network, for `ushape predict`.

    Layers are matched by order and shape. A file of another network is refused at the first layer
    that differs, and nothing is written. See docs/keras.md for what a file of weights cannot say.
    """
    from ushape.cli.catalog import parse_options
    from ushape.labels import parse_names
    from ushape.sizes import parse_size
    from ushape.weights import convert_file

    done = convert_file(
        file,
        out,
        model=model,
        in_channels=in_channels,
        classes=classes,
        options=parse_options(set_ or []),
        labels=parse_names(labels) if labels else None,
        normalise=normalise,
        tile_size=parse_size(tile) if tile else None,
        epsilon=epsilon,
    )
    if json:
        print_json({"out": str(out), "layers": dict(done.matches), "notes": done.notes})
        return
    typer.echo(f"{len(done.matches)} layers of {file.name} are now {model} in {out}")
    print_problems(done.notes)
    typer.echo(f"use it with: ushape predict {out} IMAGES --out DIR")
