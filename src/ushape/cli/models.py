"""`ushape models`."""

from __future__ import annotations

from pathlib import Path
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
    batch: Annotated[
        int, typer.Option(metavar="N", min=1, help="Images in a batch, for the memory.")
    ] = 1,
    in_channels: Annotated[int, typer.Option(metavar="N", min=1, help="Image channels.")] = 1,
    classes: Annotated[
        int, typer.Option(metavar="N", min=1, help="Logit channels: 1 for binary.")
    ] = 1,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="OPTION=VALUE", help="Set one option; may be repeated."),
    ] = None,
    svg: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Also write the figure as a picture, an SVG file."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """List the networks, or show one as the figure in its paper: sizes, channels, costs.

    Options are set by name, such as --set width=32 --set levels=4; NAME alone lists them.
    """
    from ushape.cli.catalog import entry_lines, list_json, list_lines, parse_options
    from ushape.errors import ConfigError
    from ushape.files import write_text
    from ushape.nets import describe, figure_json, figure_text, make_spec
    from ushape.nets.diagram import diagram_svg
    from ushape.sizes import parse_size

    if name is None:
        if svg is not None:
            raise ConfigError(f"--svg {svg}: say which network, ushape models NAME --svg {svg}")
        if json:
            print_json(list_json())
        else:
            typer.echo("\n".join(list_lines()))
        return
    options = parse_options(set_ or [])
    spec = make_spec(name, in_channels=in_channels, classes=classes, **options)
    figure = describe(spec, parse_size(size) if size else None, batch=batch)
    if svg is not None:
        write_text(svg, diagram_svg(spec, figure.size))
    if json:
        print_json(figure_json(figure))
    else:
        typer.echo(figure_text(figure))
        typer.echo("\n".join(entry_lines(name)))
