"""What a Keras file holds: its layers with weights, in an order, each of a known kind.

Keras 2 lists its layers and weights by name in attributes. Keras 3 numbers the layers of each
class (`conv2d`, `conv2d_1`, ...), so that the order between classes is only known where the file
also holds the model's configuration.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ushape.errors import DataError
from ushape.weights.keras_file import KerasFile, Shape

Kind = Literal["convolution", "depthwise", "transposed", "norm", "prelu"]

Order = Literal["whole", "family", "kind"]
"""How far the order of a file's layers is known: of all of them; of all convolutions (whatever
their kind), all norms, all PReLUs; or only of the layers of each kind."""

_DEEPEST = 16
_CLASSES: dict[str, Kind] = {
    "conv1d": "convolution",
    "conv2d": "convolution",
    "conv3d": "convolution",
    "conv2d_transpose": "transposed",
    "conv3d_transpose": "transposed",
    "depthwise_conv2d": "depthwise",
    "batch_normalization": "norm",
    "p_re_lu": "prelu",
}
_ROLES: dict[Kind, tuple[str, ...]] = {
    "convolution": ("kernel", "bias"),
    "depthwise": ("kernel", "bias"),
    "transposed": ("kernel", "bias"),
    "norm": ("gamma", "beta", "moving_mean", "moving_variance"),
    "prelu": ("alpha",),
}
_SKIPPED = {"optimizer", "optimizer_weights", "seed_generator", "metrics", "vars"}
_CONTAINERS = {"Functional", "Model", "Sequential"}


@dataclass(frozen=True)
class KerasLayer:
    """One Keras layer with weights.

    Attributes:
        name: As in `model.summary()`.
        kind: What it does. A convolution of an old file without a configuration, under a name of
            the user's own, may be a transposed one: see `is_guessed`.
        places: Its arrays in the file, by role.
        shapes: Their shapes, by role.
        settings: Its configuration; empty where the file holds none.
        is_guessed: The kind is not said in the file.
    """

    name: str
    kind: Kind
    places: Mapping[str, str]
    shapes: Mapping[str, Shape]
    settings: Mapping[str, Any] = field(default_factory=dict)
    is_guessed: bool = False


def list_layers(file: KerasFile) -> tuple[tuple[KerasLayer, ...], Order]:
    """List a file's layers with weights, and say how far their order is known.

    Raises:
        DataError: A layer of a kind that no network of the family has, or no layer at all.
    """
    configured = dict(_configured(file.config)) if file.config else {}
    home = "model_weights" if file.texts("model_weights", "layer_names") is not None else ""
    order: Order
    if file.texts(home, "layer_names") is not None:
        layers = list(_old_layers(file, home, configured))
        order = "whole" if _is_complete(layers, configured) else "family"
    else:
        layers = list(_new_layers(file, "", configured, 0))
        order = "kind"
        if _is_complete(layers, configured):
            places = list(configured)
            layers.sort(key=lambda layer: places.index(layer.name))
            order = "whole"
    if not layers:
        raise DataError(
            f"{file.path}: holds no layer with weights; give a file of model.save(...) or "
            "model.save_weights(...)"
        )
    return tuple(layers), order


def _is_complete(layers: list[KerasLayer], configured: Mapping[str, Any]) -> bool:
    """Say whether the configuration lists every layer, each under a name of its own."""
    names = [layer.name for layer in layers]
    return set(names) <= set(configured) and len(set(names)) == len(names)


def _configured(config: Mapping[str, Any], depth: int = 0) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (name, class and settings) of a configuration's layers, inner models opened.

    Keras lists the layers of a functional or sequential model in an order of computation.
    """
    if config.get("class_name") not in _CONTAINERS or depth > _DEEPEST:
        return
    inside = config.get("config")
    rows = inside.get("layers") if isinstance(inside, Mapping) else inside
    for row in rows if isinstance(rows, list) else ():
        settings = row.get("config") if isinstance(row, Mapping) else None
        if not isinstance(settings, Mapping):
            continue
        name = str(settings.get("name", row.get("name", "")))
        if row.get("class_name") in _CONTAINERS:
            yield from _configured(row, depth + 1)
        else:
            yield name, {**settings, "class_name": row.get("class_name")}


def _old_layers(
    file: KerasFile, home: str, configured: Mapping[str, dict[str, Any]]
) -> Iterator[KerasLayer]:
    """Read the attributes `layer_names` and `weight_names` (Keras 2, `.h5` of Keras 3)."""
    groups = file.texts(home, "layer_names") or ()
    for group in (*groups, "top_level_model_weights"):
        members: dict[str, dict[str, str]] = {}
        for weight in file.texts(f"{home}/{group}", "weight_names") or ():
            owner, _, role = weight.partition(":")[0].rpartition("/")
            if "seed_generator" not in weight:
                place = f"{home}/{group}/{weight}"
                members.setdefault(owner, {})[role.removeprefix("depthwise_")] = place
        for owner, places in members.items():
            name = owner.rpartition("/")[2] or group
            yield _old_layer(file, name, places, configured.get(name, {}))


def _old_layer(
    file: KerasFile, name: str, places: Mapping[str, str], settings: Mapping[str, Any]
) -> KerasLayer:
    given = settings.get("class_name")
    stem = re.sub(r"_\d+$", "", name)
    kind = _CLASSES.get(_snake_case(str(given)) if given else stem)
    is_guessed = False
    if kind is None and not given:
        roles, kind_of_role = set(places), _kind_of_role(places)
        kind = kind_of_role if roles <= set(_ROLES[kind_of_role or "norm"]) else None
        is_guessed = kind == "convolution"
    if kind is None or not set(places) <= set(_ROLES[kind]):
        raise _unknown_layer(file, name, str(given or stem), places)
    return _layer(file, name, kind, places, settings, is_guessed=is_guessed)


def _kind_of_role(places: Mapping[str, str]) -> Kind | None:
    """Tell a kind by the names of its weights."""
    if any(place.endswith(("depthwise_kernel", "depthwise_kernel:0")) for place in places.values()):
        return "depthwise"
    found: dict[str, Kind] = {"kernel": "convolution", "moving_mean": "norm", "alpha": "prelu"}
    return next((kind for role, kind in found.items() if role in places), None)


def _new_layers(
    file: KerasFile, group: str, configured: Mapping[str, dict[str, Any]], depth: int
) -> Iterator[KerasLayer]:
    """Walk the groups of Keras 3: `layers/conv2d_1/vars/0`; inner models are groups again."""
    if depth > _DEEPEST:
        raise DataError(f"{file.path}: {group} lies too deep: not a file of weights")
    variables = sorted(file.children(f"{group}/vars"), key=_natural)
    if variables:
        yield _new_layer(file, group, variables, configured)
    for child in sorted(set(file.children(group)) - _SKIPPED, key=_natural):
        yield from _new_layers(file, f"{group}/{child}", configured, depth + 1)


def _new_layer(
    file: KerasFile, group: str, variables: list[str], configured: Mapping[str, dict[str, Any]]
) -> KerasLayer:
    number = group.rpartition("/")[2]
    name = file.text(f"{group}/vars", "name") or number
    settings = configured.get(name, {})
    places = [f"{group}/vars/{variable}" for variable in variables]
    kind = _CLASSES.get(re.sub(r"_\d+$", "", number))
    if kind is None:
        raise _unknown_layer(file, name, number, dict(zip(variables, places, strict=True)))
    roles = _ROLES[kind]
    if kind == "norm":
        roles = _norm_roles(file, name, len(places), settings)
    if len(places) > len(roles):
        raise DataError(f"{file.path}: Keras layer {name!r} has {len(places)} weights: damaged")
    return _layer(file, name, kind, dict(zip(roles, places, strict=False)), settings)


def _norm_roles(
    file: KerasFile, name: str, count: int, settings: Mapping[str, Any]
) -> tuple[str, ...]:
    """Name the weights of a batch norm, which may lack a scale or a centre."""
    gamma, beta, *moments = _ROLES["norm"]
    if count == 4:
        return (gamma, beta, *moments)
    if count == 2:
        return tuple(moments)
    if count == 3 and settings.get("scale") != settings.get("center"):
        return (gamma if settings.get("scale") else beta, *moments)
    raise DataError(
        f"{file.path}: batch norm {name!r} has {count} weights, and the file does not say which "
        "(scale or centre is off): save the whole model with model.save('model.keras')"
    )


def _layer(
    file: KerasFile,
    name: str,
    kind: Kind,
    places: Mapping[str, str],
    settings: Mapping[str, Any],
    *,
    is_guessed: bool = False,
) -> KerasLayer:
    needed = {"norm": ("moving_mean", "moving_variance"), "prelu": ("alpha",)}.get(
        kind, ("kernel",)
    )
    missing = [role for role in needed if role not in places]
    if missing:
        raise DataError(f"{file.path}: Keras layer {name!r} lacks its {missing[0]}: damaged")
    shapes = {role: file.shape(place) for role, place in places.items()}
    return KerasLayer(name, kind, dict(places), shapes, dict(settings), is_guessed)


def _unknown_layer(
    file: KerasFile, name: str, class_name: str, places: Mapping[str, str]
) -> DataError:
    shapes = [file.shape(place) if file.is_array(place) else "?" for place in places.values()]
    return DataError(
        f"{file.path}: Keras layer {name!r} ({class_name}, weights {shapes}) has no counterpart: "
        "only convolutions, transposed and depthwise convolutions, batch norms and PReLUs are "
        "converted"
    )


def _snake_case(class_name: str) -> str:
    """Spell a class name as Keras names its layers: `Conv2DTranspose` -> `conv2d_transpose`."""
    name = re.sub(r"\W+", "", class_name)
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def _natural(name: str) -> tuple[str, int]:
    """Sort `conv2d_10` after `conv2d_9`, and `conv2d` before both."""
    stem, _, number = name.rpartition("_")
    if name.isdigit():
        return "", int(name)
    return (stem, int(number)) if stem and number.isdigit() else (name, 0)
