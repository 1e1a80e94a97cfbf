"""clDice: do two tubular masks cover each other's centre lines?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ushape.errors import ShapeError
from ushape.metrics.checks import Mask, check_masks, harmonic_mean, without_ignored
from ushape.sizes import format_size


@dataclass(frozen=True)
class CenterlineScores:
    """Overlap of centre lines with masks, 0 to 1.

    Attributes:
        cldice: Harmonic mean of the other two; 0 when one mask is empty, nan when both are.
        precision: Fraction of the predicted centre line inside the true mask; nan without one.
        sensitivity: Fraction of the true centre line inside the predicted mask; nan without one.
    """

    cldice: float
    precision: float
    sensitivity: float


def centerline_scores(
    prediction: Mask, reference: Mask, *, ignore: Mask | None = None
) -> CenterlineScores:
    """Compare two masks of lines or tubes by their centre lines.

    Args:
        prediction: Shape (y, x) or (z, y, x), bool.
        reference: Same shape.
        ignore: True for pixels that do not count; both masks are background there.

    Raises:
        ShapeError: The masks differ in shape, or have another number of axes.
        DataError: A mask is not bool.

    Source: Shit et al. 2021, clDice, Eqs. 1 and 2. Skeletons are those of scikit-image: Zhang
    and Suen 1984 in 2D, Lee et al. 1994 in 3D.

    >>> line = np.zeros((3, 8), bool)
    >>> line[1] = True
    >>> centerline_scores(line & (np.arange(8) < 4), line).sensitivity
    0.5
    """
    check_masks(prediction, reference, ignore)
    if prediction.ndim not in (2, 3):
        raise ShapeError(f"masks of shape {format_size(prediction.shape)}: give 2 or 3 axes")
    prediction, reference = without_ignored(prediction, reference, ignore)
    precision = _covered(_skeleton(prediction), reference)
    sensitivity = _covered(_skeleton(reference), prediction)
    return CenterlineScores(harmonic_mean(precision, sensitivity), precision, sensitivity)


def _skeleton(mask: Mask) -> Mask:
    from skimage.morphology import skeletonize  # takes long to import

    if not mask.any():
        return mask
    return np.asarray(skeletonize(mask) > 0)  # type: ignore[no-untyped-call]


def _covered(line: Mask, mask: Mask) -> float:
    length = int(np.count_nonzero(line))
    return int(np.count_nonzero(line & mask)) / length if length else float("nan")
