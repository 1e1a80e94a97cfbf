"""Small classes within a large one: what each of two passes learns of a target.

A case keeps one target with all classes. The first pass learns the coarse classes, which are all
but the small ones; where classes exclude each other, a pixel of a small class counts as the class
that holds it. The second pass learns the small classes, each by itself, in regions of the image.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ushape.config.schema import FineConfig
from ushape.data.masks import Masks
from ushape.data.targets import VOID, class_masks, void_mask
from ushape.errors import ConfigError, unknown_name
from ushape.labels import LabelTable

Probabilities = npt.NDArray[np.float32]


def check_fine(table: LabelTable, fine: FineConfig) -> None:
    """Refuse classes that do not exist, or that cannot play their part.

    Raises:
        ConfigError: Which setting is wrong, and what can be set.
    """
    names = table.names[1:]
    for name in fine.classes:
        if name not in names:
            raise ConfigError("fine.classes: " + unknown_name("class", name, names))
    if fine.within not in names:
        raise ConfigError("fine.within: " + unknown_name("class", str(fine.within), names))
    if len(set(fine.classes)) != len(fine.classes):
        raise ConfigError(f"fine.classes = {list(fine.classes)}: a class stands twice")
    if fine.within in fine.classes:
        raise ConfigError(
            f"fine.within = {fine.within}: it is one of fine.classes; give the large class that "
            "holds the small ones"
        )
    if table.form == "instances":
        raise ConfigError(
            "labels of numbered objects have no small class within a large one: give label "
            "pictures with a value a class"
        )


def coarse_table(table: LabelTable, fine: FineConfig) -> LabelTable:
    """Give the classes of the first pass.

    Args:
        table: All classes.
        fine: Which of them are small, and what holds them.
    """
    check_fine(table, fine)
    small = {v for c in table.classes if c.name in fine.classes for v in c.members}
    kept = []
    for entry in table.classes:
        if entry.name in fine.classes:
            continue
        if entry.name == fine.within and not table.is_overlapping:
            members = (*entry.members, *sorted(small - set(entry.members)))
            entry = replace(entry, parts=members)
        kept.append(entry)
    listed = ", ".join(fine.classes)
    how = "not among them" if table.is_overlapping else f"part of {fine.within}"
    return replace(table, classes=tuple(kept), reason=f"{listed}: {how}, found in a second pass")


def fine_table(table: LabelTable, fine: FineConfig) -> LabelTable:
    """Give the classes of the second pass: each small class by itself, and void pixels."""
    chosen = [table.classes[table.names.index(name)] for name in fine.classes]
    return LabelTable(
        (table.classes[0], *chosen), kind="multilabel", form="channels", ignore=VOID, reason=""
    )


def recode(targets: Tensor, table: LabelTable, fine: FineConfig) -> Tensor:
    """Turn targets of all classes into targets of the coarse ones.

    Args:
        targets: Class indices or sets of classes, any shape, an integer type.
        table: All classes.
        fine: Which of them are small, and what holds them.

    Returns:
        Same shape and type, as `coarse_table` numbers the classes.
    """
    kept = [number for number, name in enumerate(table.names) if name not in fine.classes]
    if table.is_overlapping:
        result = torch.zeros_like(targets)
        for place, number in enumerate(kept):  # bit 0, void, stays where it is
            result |= ((targets >> number) & 1) << place
        return result
    codes = torch.full((VOID + 1,), VOID, dtype=targets.dtype)
    for place, number in enumerate(kept):
        codes[number] = place
    for name in fine.classes:
        codes[table.names.index(name)] = kept.index(table.names.index(str(fine.within)))
    return codes.to(targets.device)[targets.long()]


def within_mask(target: npt.NDArray[Any], table: LabelTable, fine: FineConfig) -> Masks:
    """Say where the class is whose regions are looked into, as the first pass learns it.

    Args:
        target: Of all classes, shape (*size).
        table: All classes.
        fine: Which of them are small, and what holds them.
    """
    names = [str(fine.within), *(() if table.is_overlapping else fine.classes)]
    found = np.zeros(target.shape, np.bool_)
    for name in names:
        number = table.names.index(name)
        if table.is_overlapping:
            found |= (target >> target.dtype.type(number)) & 1 == 1
        else:
            found |= target == number
    return found


def coarse_masks(target: npt.NDArray[Any], table: LabelTable, fine: FineConfig) -> Masks:
    """Give the mask of every coarse foreground class.

    Args:
        target: Of all classes, shape (*size).
        table: All classes.
        fine: Which of them are small, and what holds them.

    Returns:
        Shape (coarse class, *size); false where void.
    """
    masks = dict(zip(table.names[1:], class_masks(target, table), strict=True))
    masks[str(fine.within)] = within_mask(target, table, fine)
    return np.stack([masks[name] for name in coarse_table(table, fine).names[1:]])


def small_sets(target: npt.NDArray[Any], table: LabelTable, fine: FineConfig) -> Any:
    """Turn a target of all classes into sets of the small ones: bit 0 void, bit k small class k.

    Returns:
        Shape (*size), the type of sets of `fine_table`.
    """
    masks = class_masks(target, table)
    kind = np.min_scalar_type((2 << len(fine.classes)) - 1).type
    result = np.zeros(target.shape, kind)
    for place, name in enumerate(fine.classes, start=1):
        mask = masks[table.names.index(name) - 1]
        result |= mask.astype(kind) << kind(place)
    void = void_mask(target, table)
    if void is not None:
        result[void] = 1
    return result


def looked_into(probabilities: Probabilities, coarse: LabelTable, fine: FineConfig) -> Masks:
    """Take the mask of the class that is looked into from the first pass's probabilities.

    Args:
        probabilities: Shape (coarse channel, *size).
        coarse: The coarse classes.
        fine: Which class it is.
    """
    channel = coarse.logit_names.index(str(fine.within))
    if coarse.target == "multiclass":
        return np.asarray(probabilities.argmax(axis=0) == channel)
    return np.asarray(probabilities[channel] > 0.5)


def join_passes(
    first: Probabilities, second: Probabilities, table: LabelTable, fine: FineConfig
) -> Probabilities:
    """Bring the probabilities of both passes together.

    Where classes exclude each other, all add up to 1: the coarse classes share what the small ones
    leave; of several small ones the likeliest keeps its probability, the others share the rest.

    Args:
        first: Shape (coarse channel, *size).
        second: Of the small classes, shape (small class, *size).
        table: All classes.
        fine: Which of them are small, and what holds them.

    Returns:
        Shape (channel, *size), in the order of `table.logit_names`.
    """
    coarse = coarse_table(table, fine)
    names = coarse.logit_names
    if not table.is_overlapping:
        if coarse.target != "multiclass":
            first, names = np.concatenate([1 - first, first]), coarse.names
        second = _bounded(second)
        first = first * (1 - second.sum(axis=0))
    parts = {
        **dict(zip(names, first, strict=True)),
        **dict(zip(fine.classes, second, strict=True)),
    }
    return np.stack([parts[name] for name in table.logit_names]).astype(np.float32, copy=False)


def _bounded(second: Probabilities) -> Probabilities:
    """Scale all but the likeliest class down where they add up to more than 1."""
    top = second.max(axis=0)
    others = second.sum(axis=0) - top
    scale = np.minimum(1, (1 - top) / np.maximum(others, np.float32(1e-12)))
    is_top = second.argmax(axis=0) == np.arange(len(second)).reshape(-1, *(1,) * top.ndim)
    return np.asarray(np.where(is_top, second, second * scale), dtype=np.float32)


def small_thresholds(
    fine: FineConfig, given: Mapping[str, float] | None = None
) -> dict[str, float]:
    """Give the probability from which on small classes are predicted: one half if none is given."""
    return {**dict.fromkeys(fine.classes, 0.5), **(given or {})}
