"""One network as data that people and programs read: the figure of the paper, with numbers.

`drawing` lays it out as text, `diagram` as a picture. Torch is imported only to measure costs and
to count a library's encoder.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ushape.nets.figure_rows import FigureRow, figure_rows
from ushape.nets.geometry import Geometry, geometry_of
from ushape.nets.notes import notes_on
from ushape.nets.parameters import count_parameters
from ushape.nets.spec import NetworkSpec
from ushape.sizes import Size, format_size

if TYPE_CHECKING:
    from ushape.nets.costs import Costs


@dataclass(frozen=True)
class Figure:
    """A network at one input size.

    Attributes:
        rows: Every map in the order of computation, then the head and all further outputs.
        trainable_parameters: Weights and biases that training changes.
        frozen_parameters: Those that it does not.
        all_parameters: Both, and the running statistics of batch norm (two a channel).
        costs: Multiply-adds and memory, if they were asked for.
        notes: Sentences on the layers that all rows share.

    The others are those of `Geometry`.
    """

    name: str
    in_channels: int
    classes: int
    size: Size
    output_size: Size
    total_stride: Size
    smallest: Size
    takes_any_size: bool
    margin: tuple[tuple[int, int], ...]
    edge_effect: tuple[tuple[int, int], ...]
    receptive_field: Size
    is_local: bool
    trainable_parameters: int
    frozen_parameters: int
    all_parameters: int
    costs: Costs | None
    rows: tuple[FigureRow, ...]
    notes: tuple[str, ...]


def describe(
    spec: NetworkSpec, size: Sequence[int] | None = None, *, batch: int | None = None
) -> Figure:
    """Describe a network at an input size.

    Args:
        spec: The network.
        size: Spatial size; None takes the smallest valid one from 256 a side (3D: 64).
        batch: Also measure what that many images cost, which takes seconds; None does not.

    Raises:
        ShapeError: The size cannot pass; the message names the nearest that can.

    >>> from ushape.nets import make_spec
    >>> describe(make_spec("unet_original"), (572, 572)).output_size
    (388, 388)
    """
    geometry = geometry_of(spec)
    size = default_size(geometry) if size is None else tuple(size)
    output_size = geometry.output_size(size)
    counts = count_parameters(spec)
    return Figure(
        name=spec.name,
        in_channels=spec.in_channels,
        classes=spec.classes,
        size=size,
        output_size=output_size,
        total_stride=geometry.total_stride,
        smallest=geometry.smallest,
        takes_any_size=geometry.is_padding,
        margin=geometry.margin,
        edge_effect=geometry.edge_effect,
        receptive_field=geometry.receptive_field,
        is_local=geometry.is_local,
        trainable_parameters=counts.trainable,
        frozen_parameters=counts.frozen,
        all_parameters=counts.all,
        costs=_costs(spec, size, batch),
        rows=tuple(figure_rows(spec, geometry, size, counts)),
        notes=(*_trim_notes(geometry, size), *notes_on(spec)),
    )


def default_size(geometry: Geometry) -> Size:
    """Return the smallest valid size from 256 a side (3D: 64).

    >>> from ushape.nets import make_spec
    >>> default_size(geometry_of(make_spec("unet_original")))
    (268, 268)
    """
    dims = len(geometry.smallest)
    return geometry.nearest_sizes((256 if dims == 2 else 64,) * dims)[1]


def figure_json(figure: Figure) -> dict[str, Any]:
    """Return the figure as plain data for a JSON file."""
    return dataclasses.asdict(figure)


def _costs(spec: NetworkSpec, size: Size, batch: int | None) -> Costs | None:
    if batch is None:
        return None
    from ushape.nets.costs import costs_of

    return costs_of(spec, size, batch=batch)


def _trim_notes(geometry: Geometry, size: Sequence[int]) -> list[str]:
    used = geometry.used_size(size)
    if used == tuple(size):
        return []
    return [f"Of the image, the middle {format_size(used)} are read."]
