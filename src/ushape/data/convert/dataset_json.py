"""Write `dataset.json`: what the classes and channels of a data set are called.

Sources: nnU-Net's documentation (dataset_format.md, region_based_training.md, ignore_label.md);
Antonelli et al. 2022 and the files of the Decathlon's tasks. Folders of images and labels get the
keys of nnU-Net.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ushape.data.convert.source import Look, Source
from ushape.data.convert.write import MASK_VOID, TargetLayout, Written
from ushape.data.layouts import natural_key
from ushape.errors import ConfigError
from ushape.files import write_json

OBJECT_VOID = 0xFFFF
"""Void in pictures of object numbers: the highest number that PNG holds."""

Numbers = dict[str, int | list[int]]


def void_number(source: Source) -> int:
    """Return the number that void pixels are written as; in values it is the highest."""
    if source.form == "instances":
        return OBJECT_VOID
    return MASK_VOID if source.form == "multilabel" else len(source.names)


def name_channels(look: Look, given: Sequence[str]) -> tuple[str, ...]:
    """Name the channels of the images.

    Raises:
        ConfigError: Another number of names is given.
    """
    if given and len(given) != look.num_channels:
        raise ConfigError(
            f"--channels {','.join(given)}: {len(given)} names for images with "
            f"{look.num_channels} channels"
        )
    if given:
        return tuple(given)
    if look.num_channels == 3 and look.grid.spatial_dims == 2:
        return ("R", "G", "B")
    if look.num_channels == 1:
        return ("image",)
    return tuple(f"channel_{number}" for number in range(look.num_channels))


def class_numbers(source: Source, *, has_void: bool) -> Numbers:
    """List the classes of a data set as nnU-Net's `dataset.json` does.

    Regions list the numbers of their labels. Masks are numbered as their folders are ordered.
    """
    if source.form == "instances":  # numbers in files are no classes
        return {}
    names = list(source.names)
    if source.form == "multilabel":
        names[1:] = sorted(names[1:], key=natural_key)
    numbers: Numbers = {name: number for number, name in enumerate(names)}
    if source.regions:
        numbers = _region_numbers(source)
    if has_void:
        numbers["ignore"] = void_number(source)
    return numbers


def _region_numbers(source: Source) -> Numbers:
    """List regions and classes in the order in which nnU-Net paints them over each other.

    That is the order of the source, else large regions before small, then the labels.
    """
    place = {name: number for number, name in enumerate(source.names)}
    regions = sorted(source.regions.items(), key=lambda item: -len(item[1]))
    listed: Numbers = {name: [place[part] for part in parts] for name, parts in regions}
    listed |= {n: place[n] for n in source.names[1:] if n not in source.parts_only}
    order = source.order or listed
    return {source.names[0]: 0} | {name: listed[name] for name in order}


def write_dataset_json(
    out: Path,
    to: TargetLayout,
    source: Source,
    written: Mapping[str, Written],
    ending: str,
    channels: Sequence[str],
) -> Numbers:
    """Write the `dataset.json` of a layout, and return its labels.

    Raises:
        StorageError: The disk refuses.
    """
    has_void = any(each.has_void for each in written.values())
    labels = class_numbers(source, has_void=has_void)
    if to == "msd":
        write_json(out / "dataset.json", _decathlon(out, labels, written, channels))
        return labels
    content: dict[str, Any] = {
        "channel_names": {str(number): name for number, name in enumerate(channels)},
        **({"labels": labels} if labels else {}),
        "numTraining": len(written),
    }
    if to == "nnunet":
        content["file_ending"] = ending
        if source.regions:
            content["regions_class_order"] = _painted(source, labels)
    write_json(out / "dataset.json", content)
    return labels


def _painted(source: Source, labels: Numbers) -> list[int]:
    """List what each region and class paints, as the source says, else its first label."""
    if source.order:
        return list(source.order.values())
    listed = [value for name, value in labels.items() if name != "ignore"][1:]
    return [value[0] if isinstance(value, list) else value for value in listed]


def _decathlon(
    out: Path,
    labels: Numbers,
    written: Mapping[str, Written],
    channels: Sequence[str],
) -> dict[str, Any]:
    """Describe a data set as the Decathlon's tasks do."""
    return {
        "name": out.resolve().name,
        "description": "",
        "reference": "",
        "licence": "",
        "release": "",
        "tensorImageSize": "4D" if len(channels) > 1 else "3D",
        "modality": {str(number): name for number, name in enumerate(channels)},
        "labels": {str(number): name for name, number in labels.items()},
        "numTraining": len(written),
        "numTest": 0,
        "training": [
            {"image": f"./{each.image[0]}", "label": f"./{each.label[0]}"}
            for each in written.values()
        ],
        "test": [],
    }
