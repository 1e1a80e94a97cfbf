"""Paint annotations over each other, until they are the labels of a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ushape.data.convert.shapes import Mask, Patch
from ushape.sizes import Size

LabelForm = Literal["multiclass", "multilabel", "instances"]
"""One class a pixel, any set of classes, or numbers of objects."""

LABEL_FORMS: tuple[LabelForm, ...] = ("multiclass", "multilabel", "instances")

VOID = -1
"""Painted where nothing is known."""


@dataclass(frozen=True)
class Label:
    """The labels of one case: values or masks.

    Attributes:
        values: Class numbers, 0 for the background (or numbers of objects), shape (*size).
        masks: Where classes overlap, one mask for each class but the background,
            shape (class, *size).
        void: Where nothing is known; None where all is.
    """

    values: NDArray[np.integer[Any]] | None
    masks: Mask | None = None
    void: Mask | None = None

    @property
    def size(self) -> Size:
        """The spatial size."""
        if self.masks is not None:
            return tuple(self.masks.shape[1:])
        assert self.values is not None
        return tuple(self.values.shape)


class Canvas:
    """Painted on by number of the class; what is painted later covers what was before.

    Args:
        size: Of the picture, (y, x).
        num_classes: With the background.
        form: Whether classes cover each other, lie on each other, or every patch is an object.
    """

    def __init__(self, size: Sequence[int], num_classes: int, form: LabelForm) -> None:
        self._form = form
        self._num_objects = 0
        shape = (num_classes - 1, *size) if form == "multilabel" else tuple(size)
        kind = np.uint8 if form == "multilabel" else np.int32
        self._values: NDArray[Any] = np.zeros(shape, kind)
        self._void = np.zeros(size, np.bool_)

    def paint(self, patch: Patch, number: int) -> None:
        """Paint a class, the background (0) or `VOID`."""
        window, mask = patch
        self._void[window][mask] = number == VOID
        if number == VOID:
            return
        if self._form == "multilabel":
            chosen = slice(None) if number == 0 else slice(number - 1, number)
            self._values[(chosen, *window)][:, mask] = number != 0
            return
        if self._form == "instances" and number:
            self._num_objects += 1
            number = self._num_objects
        self._values[window][mask] = number

    def label(self) -> Label:
        """Return what was painted."""
        void = self._void if self._void.any() else None
        if self._form == "multilabel":
            return Label(None, self._values.view(np.bool_), void)
        return Label(self._values, None, void)
