"""The classes of one case as masks, and two of them brought to the same voxels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ushape.data.io import Grid, LabelVolume, align, canonical_turn
from ushape.errors import DataError
from ushape.metrics.checks import Mask
from ushape.sizes import format_size


@dataclass(frozen=True)
class CaseLabels:
    """What files say of one case: of prediction or truth, in whatever form they were.

    Attributes:
        masks: Of the classes, shape (K, *size), bool; they may overlap; false where void.
        void: Where nothing counts, shape (*size); None where everything does.
        grid: Where the voxels lie.
        path: The (first) file, for messages.
    """

    masks: Mask
    void: Mask | None
    grid: Grid
    path: Path


def place_on(
    prediction: CaseLabels, truth: CaseLabels, *, is_resampled: bool = False
) -> CaseLabels:
    """Bring a prediction to the voxels of the truth.

    The same voxels stored in another order of axes are turned. Pictures, and volumes of which one
    does not say its spacing, are only compared by size.

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
    if not is_resampled:
        raise DataError(
            f"{prediction.path}: {prediction.grid.difference(truth.grid)} of the truth "
            f"{truth.path} ({'y x' if is_flat else 'z y x'}); predict the "
            "image that the truth belongs to, or resample with --align"
        )
    masks = [_resample(prediction, mask, truth.grid) for mask in prediction.masks]
    return replace(prediction, masks=np.stack(masks), grid=truth.grid)


def _kind(grid: Grid) -> str:
    return f"a {'picture' if grid.spatial_dims == 2 else 'volume'} of {format_size(grid.size)}"


def _turn(prediction: CaseLabels, grid: Grid) -> CaseLabels | None:
    """Exchange and flip axes so that the voxels stand as `grid` has them, if that is all."""
    mine = prediction.grid
    if mine.spacing_mm is None or grid.spacing_mm is None:
        return None
    there, back = canonical_turn(mine), canonical_turn(grid)
    if not there.new.is_same(back.new):
        return None
    return replace(prediction, masks=back.undo(there.apply(prediction.masks)), grid=grid)


def _resample(prediction: CaseLabels, mask: Mask, grid: Grid) -> npt.NDArray[np.bool_]:
    label = LabelVolume(mask.view(np.uint8), prediction.grid, prediction.path)
    return np.asarray(align(label, grid).values, dtype=np.bool_)
