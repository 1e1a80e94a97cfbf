"""A loss for every class or group of classes, written as a mapping, and how it is read.

    background: dice
    lines: {terms: "dice + 10*bce(weight=auto)", classes: [jaw, palate], weight: 2}
    spine: {terms: "dice + 100*focal", weight: 4}
    noise: none

A key that is a class's name stands for that class, `all` for all of them, any other names a group
and needs `classes`. A single line is one group of all classes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ushape.errors import ConfigError, unknown_name
from ushape.losses.language import Line, WeightedTerm, parse_mixture

LossText = str | Mapping[str, Any]
"""A loss as it stands in the settings: a line, or a mapping from classes and groups to lines."""

FIELDS = ("terms", "classes", "weight")
EVERY_CLASS = "all"
NO_LOSS = "none"


@dataclass(frozen=True)
class Group:
    """Some classes and the mixture that trains them.

    Attributes:
        name: Its key; empty for a single line.
        line: The mixture as written.
        terms: The mixture as read; empty for classes that no term trains.
        channels: The logit channels of its classes, in order; None when no names were given.
        weight: What the mixture is multiplied by.
    """

    name: str
    line: Line
    terms: tuple[WeightedTerm, ...]
    channels: tuple[int, ...] | None
    weight: float = 1.0


def parse_groups(
    loss: LossText, *, class_names: Sequence[str] | None, place: str = "loss"
) -> tuple[Group, ...]:
    """Read a loss.

    Args:
        loss: A line or a mapping.
        class_names: The class of each logit channel. None: not known yet, classes are not
            checked.
        place: What to call the setting in errors.

    Raises:
        ConfigError: With the place of the mistake, and the nearest right name.
    """
    if isinstance(loss, str):
        channels = None if class_names is None else tuple(range(len(class_names)))
        line = Line(loss, place)
        return (Group("", line, parse_mixture(loss, place=place), channels),)
    if not isinstance(loss, Mapping) or not loss:
        raise ConfigError(
            f"{place} = {loss!r}: give a line such as 'dice + bce', or a mapping from classes to "
            "lines"
        )
    groups = tuple(
        _read_group(str(key), value, class_names, f"{place}.{key}") for key, value in loss.items()
    )
    if not any(group.terms for group in groups):
        raise ConfigError(f"{place}: no class has a loss; give at least one a line such as 'dice'")
    if class_names is not None:
        _check_cover(groups, class_names, place)
    return groups


def loss_to_data(loss: LossText) -> str | dict[str, Any]:
    """Write a loss as plain data with every field of every group, for `config.yaml`.

    >>> loss_to_data({"jaw": "dice", "noise": None})
    {'jaw': {'terms': 'dice', 'weight': 1.0}, 'noise': 'none'}
    """
    if isinstance(loss, str):
        return loss
    data: dict[str, Any] = {}
    for key, value in loss.items():
        fields = dict(value) if isinstance(value, Mapping) else {"terms": value}
        if fields.get("terms") in (None, NO_LOSS):
            data[str(key)] = NO_LOSS
            continue
        data[str(key)] = {"terms": fields["terms"]}
        if "classes" in fields:
            data[str(key)]["classes"] = [str(name) for name in fields["classes"]]
        data[str(key)]["weight"] = float(fields.get("weight", 1.0))
    return data


def _read_group(key: str, value: Any, class_names: Sequence[str] | None, place: str) -> Group:
    fields = _read_fields(value, place)
    terms = fields.get("terms")
    channels = _read_classes(key, fields.get("classes"), class_names, place)
    if terms in (None, NO_LOSS):
        return Group(key, Line(NO_LOSS, place), (), channels)
    place_of_terms = f"{place}.terms" if isinstance(value, Mapping) else place
    if not isinstance(terms, str):
        raise ConfigError(f"{place_of_terms} = {terms!r}: give a line such as 'dice + bce'")
    return Group(
        key,
        Line(terms, place_of_terms),
        parse_mixture(terms, place=place_of_terms),
        channels,
        _read_weight(fields.get("weight", 1.0), f"{place}.weight"),
    )


def _read_fields(value: Any, place: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        return {"terms": value}
    for name in value:
        if name not in FIELDS:
            raise ConfigError(f"{place}: {unknown_name('field', str(name), FIELDS)}")
    if "terms" not in value:
        raise ConfigError(f"{place}: terms is missing; give a line such as terms: dice")
    return value


def _read_weight(value: Any, place: str) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or value <= 0:
        raise ConfigError(f"{place} = {value!r}: give a number above 0")
    return float(value)


def _read_classes(
    key: str, given: Any, class_names: Sequence[str] | None, place: str
) -> tuple[int, ...] | None:
    if given is not None and (isinstance(given, str) or not isinstance(given, Sequence)):
        raise ConfigError(f"{place}.classes = {given!r}: give a list of classes, such as [{given}]")
    if class_names is None:
        return None
    names = list(class_names)
    if key in names or key == EVERY_CLASS:
        if given is not None:
            meant = "a class" if key in names else "all classes"
            raise ConfigError(
                f"{place}: {key} stands for {meant}; leave classes out, or name the group otherwise"
            )
        return (names.index(key),) if key in names else tuple(range(len(names)))
    if given is None:
        raise ConfigError(
            f"{place}: {unknown_name('class', key, names)}; a group of several needs classes: [...]"
        )
    if not given:
        raise ConfigError(f"{place}.classes = []: name at least one class ({', '.join(names)})")
    wanted = [str(name) for name in given]
    for name in wanted:
        if name not in names:
            raise ConfigError(f"{place}.classes: {unknown_name('class', name, names)}")
        if wanted.count(name) > 1:
            raise ConfigError(f"{place}.classes: {name} stands twice")
    return tuple(names.index(name) for name in wanted)


def _check_cover(groups: Sequence[Group], class_names: Sequence[str], place: str) -> None:
    """Refuse a class in two groups, and one in none."""
    owner: dict[int, str] = {}
    for group in groups:
        if _is_everything(group, class_names):
            continue
        for channel in group.channels or ():
            if channel in owner:
                raise ConfigError(
                    f"{place}: class {class_names[channel]} is in {owner[channel]} and in "
                    f"{group.name}; leave it out of one"
                )
            owner[channel] = group.name
    has_all = any(_is_everything(group, class_names) and group.terms for group in groups)
    left = [name for channel, name in enumerate(class_names) if channel not in owner]
    if left and not has_all:
        raise ConfigError(
            f"{place}: no loss for {', '.join(left)}; give a line, or write '{left[0]}: {NO_LOSS}' "
            "to leave it untrained"
        )


def _is_everything(group: Group, class_names: Sequence[str]) -> bool:
    return group.name == EVERY_CLASS and EVERY_CLASS not in class_names
