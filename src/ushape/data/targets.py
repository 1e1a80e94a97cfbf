"""Labels as files hold them, as memory holds them, and as a loss compares with them.

In memory a case's target is one whole number a pixel. Where classes exclude each other it is the
class index, `VOID` where nothing counts. Where they overlap it is a set of bits: bit k for class
k, bit 0 for void. Either way a target is as large as one picture, and is cut as one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ushape.data.instances import BORDER, OBJECT, find_borders, number_objects
from ushape.data.masks import Masks
from ushape.errors import DataError
from ushape.labels import LabelTable

TargetMap = npt.NDArray[np.unsignedinteger[Any]]

VOID = 255
"""Stands in maps of class indices for pixels that count nowhere."""

VOID_BIT = 1
"""Stands in sets of classes for pixels that count nowhere."""


def encode_labels(values: npt.NDArray[Any], table: LabelTable) -> TargetMap:
    """Translate a picture of label values to a target.

    Args:
        values: Label values as in the file, any integer type, shape (*size).
        table: The data set's classes.

    Returns:
        Same shape: class indices, uint8, or sets of classes where classes overlap.

    Raises:
        DataError: A value is in no class of the table.
    """
    if table.form == "instances":
        return _encode_objects(values, table)
    codes = _codes(table)
    known = np.array(sorted(codes), dtype=np.int64)
    by_position = np.array([codes[int(value)] for value in known], dtype=_type(table))
    target = np.empty(values.shape, by_position.dtype)
    strange: set[int] = set()
    for part, out in zip(_planes(values), _planes(target), strict=True):
        position = np.searchsorted(known, part).clip(0, len(known) - 1)
        if not np.array_equal(known[position], part):
            strange |= {int(value) for value in np.unique(part)} - set(codes)
        out[...] = by_position[position]
    if strange:
        shown = ", ".join(table.value_text(value) for value in sorted(strange)[:5])
        raise DataError(
            f"label value {shown} is in no class ({table.describe()}): correct the file, or name "
            "all values with --labels name=value,..."
        )
    return target


def _planes(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Look at a volume plane by plane, as what is computed on it takes eight times its memory."""
    return values if values.ndim > 2 else values[np.newaxis]


def encode_masks(masks: Masks, void: Masks | None, table: LabelTable) -> TargetMap:
    """Translate masks by class to a target.

    Args:
        masks: Shape (K, *size), in the order of the files: number 1, 2, ... of the table.
        void: Shape (*size), or None.
        table: The data set's classes.

    Raises:
        DataError: There are more or fewer masks than classes, or they overlap where classes
            exclude each other.
    """
    numbers = {value for entry in table.foreground for value in entry.members}
    if len(masks) != len(numbers):
        raise DataError(f"{len(masks)} masks for the classes {table.describe()}")
    united = [
        np.logical_or.reduce([masks[number - 1] for number in entry.members])
        for entry in table.foreground
    ]
    target = np.zeros(masks.shape[1:], _type(table))
    if not table.is_overlapping:
        overlap = int(np.count_nonzero(np.sum(united, axis=0, dtype=np.uint8) > 1))
        if overlap:
            raise DataError(
                f"the masks of different classes overlap in {overlap} pixels, and the target is "
                f"{table.target}: correct them, or train with --target multilabel"
            )
    for index, mask in enumerate(united, start=1):
        if table.is_overlapping:
            target |= mask.astype(target.dtype) << target.dtype.type(index)
        else:
            target[mask] = index
    if void is not None:
        target[void] = VOID_BIT if table.is_overlapping else VOID
    return target


def class_masks(target: npt.NDArray[Any], table: LabelTable) -> Masks:
    """Give the mask of every foreground class.

    Args:
        target: Shape (*size), as `encode_labels` made it.
        table: The classes.

    Returns:
        Shape (K, *size); false where void.
    """
    indices = range(1, len(table.classes))
    if table.is_overlapping:
        return np.stack([(target >> target.dtype.type(index)) & 1 == 1 for index in indices])
    return np.stack([target == index for index in indices])


def void_mask(target: npt.NDArray[Any], table: LabelTable) -> Masks | None:
    """Say where a target is void; None where the data set has no void pixels."""
    if table.ignore is None:
        return None
    return np.asarray(target & VOID_BIT == VOID_BIT if table.is_overlapping else target == VOID)


def decode_labels(index: npt.NDArray[np.uint8], table: LabelTable) -> npt.NDArray[Any]:
    """Replace every class index by the value that stands for it in label files.

    Returns:
        Same shape, the smallest unsigned integer type that holds all values; numbers of objects
        where the labels were such.
    """
    if table.form == "instances":
        numbers = number_objects(index)
        return numbers.astype(np.min_scalar_type(int(numbers.max(initial=0))))
    values = np.array(table.values, dtype=np.int64)
    narrow = values.astype(np.min_scalar_type(int(values.max())))
    return np.asarray(narrow[index])


def paint_masks(masks: Masks, table: LabelTable) -> npt.NDArray[Any]:
    """Paint the masks of classes that overlap over each other, as the table orders them.

    So does nnU-Net with regions (region_based_training.md, `regions_class_order`).

    Args:
        masks: Shape (K, *size), one mask a foreground class.
        table: The classes; `is_painted`.

    Returns:
        Label values, shape (*size), the smallest unsigned integer type that holds all.
    """
    background = table.classes[0].value
    highest = max([background, *(value for _, value in table.order)])
    picture = np.full(masks.shape[1:], background, np.min_scalar_type(highest))
    for name, value in table.order:
        picture[masks[table.names.index(name) - 1]] = value
    return picture


def one_hot(index: Tensor, num_logits: int) -> Tensor:
    """Turn class indices into the 0/1 target that losses compare logits with.

    Args:
        index: Shape (batch, *size), integer.
        num_logits: 1 for a binary target (the one channel is the foreground), else the classes.

    Returns:
        Shape (batch, num_logits, *size), float32.
    """
    if num_logits == 1:
        return (index == 1).float().unsqueeze(1)
    classes = torch.arange(num_logits, device=index.device)
    return (index.unsqueeze(1) == classes.view(1, -1, *(1,) * (index.ndim - 1))).float()


def most_likely(
    probabilities: npt.NDArray[np.float32],
    table: LabelTable | None = None,
    thresholds: Mapping[str, float] | None = None,
) -> npt.NDArray[np.uint8]:
    """Choose a class for every pixel: above one half for one channel, else the largest.

    Args:
        probabilities: Shape (channel, *size).
        table: The classes; needed with thresholds.
        thresholds: By class name. Of a binary target in place of one half. Of several classes:
            the class wins from here on, and does not below.

    Returns:
        Class indices, shape (*size).
    """
    given = dict(thresholds or {}) if table is not None else {}
    if probabilities.shape[0] == 1:
        limit = next(iter(given.values()), 0.5)
        return np.asarray(probabilities[0] > limit, dtype=np.uint8)
    if not given:
        return np.asarray(probabilities.argmax(axis=0), dtype=np.uint8)
    assert table is not None
    channels = [table.names.index(name) for name in given]
    margins = probabilities[channels] - _column(given.values(), probabilities.ndim)
    rest = probabilities.copy()
    rest[channels] = -1.0
    winner = np.array(channels, dtype=np.uint8)[margins.argmax(axis=0)]
    chosen = np.where(margins.max(axis=0) > 0, winner, rest.argmax(axis=0))
    return np.asarray(chosen, dtype=np.uint8)


def likely_masks(
    probabilities: npt.NDArray[np.float32],
    table: LabelTable,
    thresholds: Mapping[str, float] | None = None,
) -> Masks:
    """Choose the mask of every foreground class.

    Args:
        probabilities: Shape (channel, *size).
        table: The classes.
        thresholds: By class name; one half where classes overlap, else see `most_likely`.

    Returns:
        Shape (K, *size), one mask a foreground class.
    """
    if not table.is_overlapping:
        return class_masks(most_likely(probabilities, table, thresholds), table)
    limits = [(thresholds or {}).get(name, 0.5) for name in table.logit_names]
    return np.asarray(probabilities > _column(limits, probabilities.ndim))


def _column(values: Any, num_axes: int) -> npt.NDArray[np.float32]:
    return np.array(list(values), dtype=np.float32).reshape(-1, *(1,) * (num_axes - 1))


def _type(table: LabelTable) -> Any:
    """Choose the smallest type that holds a bit for every class, or a class index."""
    if not table.is_overlapping:
        return np.uint8
    return np.min_scalar_type((1 << len(table.classes)) - 1).type


def _codes(table: LabelTable) -> dict[int, int]:
    """Say for every label value what stands for it in memory."""
    codes: dict[int, int] = {}
    for index, entry in enumerate(table.classes):
        for value in entry.members:
            if table.is_overlapping:
                codes[value] = codes.get(value, 0) | (1 << index if index else 0)
            else:
                codes[value] = index
    if table.ignore is not None:
        codes[table.ignore] = VOID_BIT if table.is_overlapping else VOID
    return codes


def _encode_objects(values: npt.NDArray[Any], table: LabelTable) -> TargetMap:
    void = None if table.ignore is None else values == table.ignore
    numbers = values if void is None else np.where(void, 0, values)
    index = np.where(numbers != 0, OBJECT, 0).astype(np.uint8)
    if len(table.classes) > BORDER:
        index[find_borders(numbers)] = BORDER
    if void is not None:
        index[void] = VOID
    return index
