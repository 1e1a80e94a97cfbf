"""`ushape models`."""

from __future__ import annotations

from typing import Annotated

import typer

from ushape.cli.output import JsonOption, print_json


def models(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Show this one; list all without it.")
    ] = None,
    size: Annotated[
        str | None, typer.Option(metavar="YxX", help="Input size, such as 572x572.")
    ] = None,
    in_channels: Annotated[int, typer.Option(metavar="N", min=1, help="Image channels.")] = 1,
    classes: Annotated[
        int, typer.Option(metavar="N", min=1, help="Logit channels: 1 for binary.")
    ] = 1,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="OPTION=VALUE", help="Set one option; may be repeated."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """List the networks, or show one as the figure in its paper: sizes, channels, parameters.

    Options are set by name, such as --set width=32 --set levels=4; NAME alone lists them.
    """
    from ushape.cli.catalog import entry_lines, list_json, list_lines, parse_options
    from ushape.nets import describe, figure_json, figure_text, make_spec
    from ushape.sizes import parse_size

    if name is None:
        if json:
            print_json(list_json())
        else:
            typer.echo("\n".join(list_lines()))
        return
    options = parse_options(set_ or [])
    spec = make_spec(name, in_channels=in_channels, classes=classes, **options)
    figure = describe(spec, parse_size(size) if size else None)
    if json:
        print_json(figure_json(figure))
    else:
        typer.echo(figure_text(figure))
        typer.echo("\n" + "\n".join(entry_lines(name)))
