"""Find for every Keras layer the layer of ours that takes its weights: by order, then by shape.

Keras lists layers in an order in which they can be computed; where branches run side by side
(a block and its shortcut) there is more than one such order. So the file's layers are taken one by
one, and each goes to the first of our layers that has its shape and whose inputs are all matched
already. A network with another wiring finds no such layer and is refused there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ushape.errors import DataError
from ushape.weights.keras_file import Shape
from ushape.weights.keras_layers import KerasLayer, Kind, Order
from ushape.weights.layout import NetLayer

_WORDS: dict[Kind, str] = {
    "convolution": "convolution",
    "depthwise": "depthwise convolution",
    "transposed": "transposed convolution",
    "norm": "batch norm",
    "prelu": "PReLU",
}
_FAMILIES: dict[Kind, str] = {
    "convolution": "convolution",
    "depthwise": "convolution",
    "transposed": "convolution",
    "norm": "batch norm",
    "prelu": "PReLU",
}


@dataclass(frozen=True)
class Match:
    """A Keras layer, our layer, and which other layers of ours it could as well have been."""

    keras: KerasLayer
    ours: NetLayer
    others: tuple[NetLayer, ...] = ()


def match_layers(
    path: Path, layers: Sequence[KerasLayer], order: Order, ours: Sequence[NetLayer]
) -> tuple[Match, ...]:
    """Match the layers of a file with those of a network.

    Args:
        path: The file, for messages.
        layers: Its layers.
        order: How far their order is known.
        ours: The network's layers, in the order of computation.

    Returns:
        One match for each of our layers, in our order.

    Raises:
        DataError: The two differ; the message names the first place where they do.
    """
    _check_slopes(path, layers)
    found: dict[int, Match] = {}
    has_depthwise = any(layer.kind == "depthwise" for layer in layers)
    titles = [_stream(layer.kind, order) for layer in layers]
    places = [
        _stream("depthwise" if has_depthwise and net.is_depthwise else net.kind, order)
        for net in ours
    ]
    # A kind that one side lacks says more than the shape that differs for it elsewhere.
    lists = sorted(dict.fromkeys((*places, *titles)), key=lambda t: t in titles and t in places)
    for title in lists:
        stream = [layer for layer, its in zip(layers, titles, strict=True) if its == title]
        wanted = [place for place, its in enumerate(places) if its == title]
        found |= _match_stream(path, title, stream, ours, wanted)
    return tuple(found[place] for place in range(len(ours)))


def _stream(kind: Kind, order: Order) -> str:
    """Name the list in which a layer's place counts."""
    if order == "whole":
        return "layer"
    return _FAMILIES[kind] if order == "family" else _WORDS[kind]


def _match_stream(
    path: Path,
    title: str,
    stream: Sequence[KerasLayer],
    ours: Sequence[NetLayer],
    wanted: list[int],
) -> dict[int, Match]:
    found: dict[int, Match] = {}
    waiting = list(wanted)
    for number, layer in enumerate(stream, start=1):
        ready = [p for p in waiting if not ours[p].earlier & set(waiting)]
        fitting = [place for place in ready if _fits(layer, ours[place])]
        if not fitting:
            where = f"{title} {number} (of {len(stream)} in the file, {len(wanted)} in the network)"
            raise DataError(_refusal(path, where, layer, [ours[place] for place in ready]))
        first, *others = fitting
        found[first] = Match(layer, ours[first], tuple(ours[place] for place in others))
        waiting.remove(first)
    if waiting:
        missing = ours[waiting[0]]
        raise DataError(
            f"{path}: holds {len(stream)} of {len(wanted)} {title}s; the first that is "
            f"missing is {_describe_ours(missing)}. {_REMEDY}"
        )
    return found


_REMEDY = (
    "The file belongs to another network: compare it with `ushape models NAME`, and set the "
    "entry's options, in_channels and classes as the Keras network has them"
)


def _fits(layer: KerasLayer, ours: NetLayer) -> bool:
    """Say whether a Keras layer's weights, as many as it has, are ours; it may lack a bias."""
    if layer.kind == "depthwise":
        is_kind = ours.is_depthwise
    else:
        is_kind = layer.kind == ours.kind or (layer.is_guessed and ours.kind == "transposed")
    return is_kind and all(
        role in ours.shapes and _shape_here(layer, role) == ours.shapes[role]
        for role in layer.shapes
    )


def _shape_here(layer: KerasLayer, role: str) -> Shape:
    """Return a shape of a Keras layer as `NetLayer` writes it."""
    shape = layer.shapes[role]
    if layer.kind == "prelu":  # (1, 1, channels); the axes of space are shared
        return (math.prod(shape),)
    if layer.kind == "depthwise" and role == "kernel":
        *kernel, channels, multiplier = shape
        return (*kernel, multiplier, channels)
    return shape


def _check_slopes(path: Path, layers: Sequence[KerasLayer]) -> None:
    for layer in layers:
        if layer.kind == "prelu" and sum(edge > 1 for edge in layer.shapes["alpha"]) > 1:
            raise DataError(
                f"{path}: PReLU {layer.name!r} has one slope for every pixel "
                f"{layer.shapes['alpha']}, which ties it to one image size; networks here have "
                "one slope a channel: train the Keras network with "
                "PReLU(shared_axes=[1, 2]) (3D: [1, 2, 3])"
            )


def _refusal(path: Path, where: str, layer: KerasLayer, ready: Sequence[NetLayer]) -> str:
    if not ready:
        return (
            f"{path}: {where}: {_describe_keras(layer)} is left over, the network has no layer for "
            f"it. {_REMEDY}"
        )
    nearest = next((net for net in ready if net.kind == layer.kind), ready[0])
    return (
        f"{path}: does not fit at {where}: the file has {_describe_keras(layer)}, the network "
        f"{_describe_ours(nearest)}. {_REMEDY}"
    )


def _describe_keras(layer: KerasLayer) -> str:
    return f"Keras layer {layer.name!r}, a {_WORDS[layer.kind]} with {_shapes(layer.shapes)}"


def _describe_ours(net: NetLayer) -> str:
    return f"{net.name}, a {_WORDS[net.kind]} with {_shapes(net.shapes)}"


def _shapes(shapes: Mapping[str, Shape]) -> str:
    """Write the shapes of a layer's weights; one of a batch norm stands for all."""
    rows = list(shapes.items())
    if "moving_mean" in shapes:
        rows = [("channels", shapes["moving_mean"])]
    return ", ".join(f"{role} {'x'.join(map(str, shape))}" for role, shape in rows)
