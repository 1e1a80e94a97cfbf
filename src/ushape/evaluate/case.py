"""The classes of one case as masks, and two of them brought to the same voxels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ushape.data.io import Grid, LabelVolume, align, turn_onto
from ushape.errors import DataError
from ushape.metrics.checks import Mask
from ushape.sizes import format_size

Numbers = npt.NDArray[np.integer[Any]]
"""Numbers of objects, 0 for none."""


@dataclass(frozen=True)
class CaseLabels:
    """What files say of one case: of prediction or truth, in whatever form they were.

    Attributes:
        masks: Of the classes, shape (K, *size), bool; they may overlap; false where void.
        void: Where nothing counts, shape (*size); None where everything does.
        grid: Where the voxels lie.
        path: The (first) file, for messages.
        numbers: Of the objects of the first class, shape (*size), where files number them: objects
            that touch are told apart. None where objects are the pieces of the mask.
    """

    masks: Mask
    void: Mask | None
    grid: Grid
    path: Path
    numbers: Numbers | None = None


def place_on(
    prediction: CaseLabels, truth: CaseLabels, *, is_resampled: bool = False
) -> CaseLabels:
    """Bring a prediction to the voxels of the truth.

    The same voxels stored in another order of axes are turned. Pictures, and volumes of which one
    does not say its spacing, are only compared by size. What is void in a prediction is background.

    Args:
        prediction: On its own grid.
        truth: Of the same case.
        is_resampled: Take the nearest voxels of a prediction on another grid instead of refusing.

    Raises:
        DataError: The prediction lies on another grid; the message has the numbers.
    """
    if truth.grid.spatial_dims != prediction.grid.spatial_dims:
        raise DataError(
            f"{prediction.path}: {_kind(prediction.grid)}, the truth {truth.path} is "
            f"{_kind(truth.grid)}: give predictions of the same images"
        )
    is_flat = truth.grid.spatial_dims == 2
    if truth.grid.is_same(prediction.grid) or (is_flat and truth.grid.size == prediction.grid.size):
        return prediction
    turned = _turn(prediction, truth.grid)
    if turned is not None:
        return turned
    can_resample = None not in (truth.grid.spacing_mm, prediction.grid.spacing_mm)
    if not (is_resampled and can_resample):
        remedy = ", or resample with --align" if can_resample else ""
        raise DataError(
            f"{prediction.path}: {prediction.grid.difference(truth.grid)} of the truth "
            f"{truth.path} ({'y x' if is_flat else 'z y x'}); predict the "
            f"image that the truth belongs to{remedy}"
        )
    masks = [_resample(prediction, m.view(np.uint8), truth.grid) for m in prediction.masks]
    numbers = prediction.numbers
    if numbers is not None:
        numbers = _resample(prediction, numbers, truth.grid)
    return CaseLabels(np.stack(masks) > 0, None, truth.grid, prediction.path, numbers)


def _kind(grid: Grid) -> str:
    return f"a {'picture' if grid.spatial_dims == 2 else 'volume'} of {format_size(grid.size)}"


def _turn(prediction: CaseLabels, grid: Grid) -> CaseLabels | None:
    """Exchange and flip axes so that the voxels stand as `grid` has them, if that is all."""
    turn = turn_onto(prediction.grid, grid)
    if turn is None:
        return None
    numbers = None if prediction.numbers is None else turn.apply(prediction.numbers)
    return CaseLabels(turn.apply(prediction.masks), None, grid, prediction.path, numbers)


def _resample(prediction: CaseLabels, values: Numbers, grid: Grid) -> Numbers:
    label = LabelVolume(values, prediction.grid, prediction.path)
    return np.asarray(align(label, grid).values)
