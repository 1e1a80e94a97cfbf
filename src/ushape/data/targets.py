"""Label values to class indices and back, and class indices to what a loss compares with."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ushape.errors import DataError
from ushape.labels import LabelTable


def encode_labels(values: npt.NDArray[Any], table: LabelTable) -> npt.NDArray[np.uint8]:
    """Replace every label value by its class index.

    Args:
        values: Label values as in the file, any integer type, shape (*size).
        table: The data set's classes.

    Returns:
        Class indices, same shape.

    Raises:
        DataError: A value is in no class of the table.
    """
    known = np.array(table.values, dtype=np.int64)
    order = np.argsort(known)
    position = np.searchsorted(known[order], values).clip(0, len(known) - 1)
    index = order[position].astype(np.uint8)
    if not np.array_equal(known[index], values):
        strange = sorted({int(v) for v in np.unique(values)} - set(table.values))
        shown = ", ".join(table.value_text(value) for value in strange[:5])
        raise DataError(
            f"label value {shown} is in no class ({table.describe()}): correct the file, or name "
            "all values with --labels name=value,..."
        )
    return np.asarray(index)


def decode_labels(index: npt.NDArray[np.uint8], table: LabelTable) -> npt.NDArray[Any]:
    """Replace every class index by the value that stands for it in label files.

    Returns:
        Same shape, the smallest unsigned integer type that holds all values.
    """
    values = np.array(table.values, dtype=np.int64)
    narrow = values.astype(np.min_scalar_type(int(values.max())))
    return np.asarray(narrow[index])


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


def most_likely(probabilities: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """Choose a class for every pixel: above one half for one channel, else the largest.

    Args:
        probabilities: Shape (channel, *size).

    Returns:
        Class indices, shape (*size).
    """
    if probabilities.shape[0] == 1:
        return np.asarray(probabilities[0] > 0.5, dtype=np.uint8)
    return np.asarray(probabilities.argmax(axis=0), dtype=np.uint8)
