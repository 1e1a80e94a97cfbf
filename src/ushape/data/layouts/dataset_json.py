"""Read `dataset.json`, in which nnU-Net and the Medical Segmentation Decathlon name the classes.

Sources: nnU-Net's documentation (dataset_format.md, region_based_training.md, ignore_label.md);
Antonelli et al. 2022 and the files of the Decathlon's tasks.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ushape.errors import DataError
from ushape.labels import LabelWish

NAME = "dataset.json"
IGNORE = "ignore"
"""nnU-Net's name for the value of void pixels."""


@dataclass(frozen=True)
class Description:
    """What a data set says of itself.

    Attributes:
        wish: Its classes; None where they are not named.
        channel_names: Of the images, in order; empty where they are not named.
        is_decathlon: It is written as the Decathlon does, whose 4D files hold channels.
    """

    wish: LabelWish | None
    channel_names: tuple[str, ...]
    is_decathlon: bool


def read_description(root: Path) -> Description | None:
    """Read the `dataset.json` of a data set; None where there is none.

    Raises:
        DataError: It is damaged, or its labels are not as nnU-Net or the Decathlon write them.
    """
    path = root / NAME
    if not path.is_file():
        return None
    try:
        return describe(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise DataError(
            f"{path}: its labels or channels cannot be understood ({error}): correct it as nnU-Net "
            "describes dataset.json, or remove it and give --labels"
        ) from error


def describe(content: Any) -> Description:
    """Understand the content of such a file.

    Raises:
        ValueError, TypeError, KeyError, AttributeError: It is not as it should be.
    """
    if not isinstance(content, dict):
        raise TypeError("it is no JSON object")
    channels: dict[str, Any] = content.get("channel_names") or content.get("modality") or {}
    names = [channels[key] for key in sorted(channels, key=int)]
    order = content.get("regions_class_order")
    wish = _wish(content["labels"], order) if "labels" in content else None
    is_decathlon = "tensorImageSize" in content or "modality" in content
    return Description(wish, tuple(str(name) for name in names), is_decathlon)


def _wish(labels: Mapping[str, Any], order: Sequence[Any] | None) -> LabelWish:
    """Turn labels of either form, names to values or values to names, into a wish."""
    if labels and all(key.isdecimal() for key in labels):
        return _named({str(name): int(value) for value, name in labels.items()}, {}, None, {})
    values: dict[str, int] = {}
    regions: dict[str, list[int]] = {}
    for name, value in labels.items():
        members = [int(each) for each in value] if isinstance(value, list) else [int(value)]
        if len(members) == 1:
            values[name] = members[0]
        else:
            regions[name] = members
    ignore = values.pop(IGNORE, None)
    painted = [name for name in labels if name in regions or values.get(name, 0) != 0]
    return _named(values, regions, ignore, _order(painted, order) if regions else {})


def _order(names: Sequence[str], order: Sequence[Any] | None) -> dict[str, int]:
    """Say what each region paints: nnU-Net lists a number for each but background and void."""
    if order is None:
        return {}
    if len(order) != len(names):
        raise ValueError(
            f"regions_class_order has {len(order)} numbers for the {len(names)} classes "
            f"{', '.join(names)}"
        )
    return {name: int(number) for name, number in zip(names, order, strict=True)}


def _named(
    values: Mapping[str, int],
    regions: Mapping[str, list[int]],
    ignore: int | None,
    order: Mapping[str, int],
) -> LabelWish:
    """Name the values that only stand in regions, and put all in order, the background first."""
    if len(set(values.values())) != len(values):
        raise ValueError("two classes have the same value")
    if 0 not in values.values():
        raise ValueError("no class has the value 0, the background")
    members = {value for each in regions.values() for value in each}
    unnamed = {
        _free_name(f"label_{value}", {*values, *regions}): value
        for value in sorted(members - set(values.values()))
    }
    strange = [number for number in order.values() if number not in members | set(values.values())]
    if strange:
        raise ValueError(f"regions_class_order has {strange[0]}, which is no value of a label")
    names = dict(sorted({**values, **unnamed}.items(), key=lambda item: item[1]))
    by_value = {value: name for name, value in names.items()}
    parts = {name: tuple(by_value[value] for value in each) for name, each in regions.items()}
    return LabelWish(
        names=names, ignore=ignore, regions=parts, parts_only=tuple(unnamed), order=order
    )


def _free_name(name: str, taken: Collection[str]) -> str:
    while name in taken:
        name += "_"
    return name
