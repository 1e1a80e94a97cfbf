"""clDice on lines whose skeleton is themselves, and on tubes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from skimage.morphology import skeletonize

from ushape.errors import ShapeError
from ushape.metrics import centerline_scores


def line(size=(9, 20), row=4, start=0, stop=20):
    mask = np.zeros(size, bool)
    mask[row, start:stop] = True
    return mask


def test_half_a_line_and_a_line_beside():
    found = centerline_scores(line(stop=10), line())
    assert vars(found) == pytest.approx(
        {"cldice": 2 * 0.5 / 1.5, "precision": 1, "sensitivity": 0.5}
    )
    assert centerline_scores(line(row=3), line(row=5)).cldice == 0


def test_thickness_hardly_matters():
    thick = line() | line(row=3) | line(row=5)
    found = centerline_scores(thick, line())
    assert found.sensitivity == 1
    assert found.precision > 0.9  # but for its ends, the skeleton is the middle row
    # Swapped: precision and sensitivity change places.
    back = centerline_scores(line(stop=10), thick)
    there = centerline_scores(thick, line(stop=10))
    assert (back.precision, back.sensitivity) == (there.sensitivity, there.precision)


def test_a_tube_in_3d():
    tube = np.zeros((12, 7, 7), bool)
    tube[:, 2:5, 2:5] = True
    thin = np.zeros_like(tube)
    thin[:, 3, 3] = True
    assert centerline_scores(tube, thin).cldice == 1
    half = tube.copy()
    half[6:] = False
    assert centerline_scores(half, thin).sensitivity == pytest.approx(0.5)


@pytest.mark.parametrize("size", [(14, 17), (6, 9, 8)])
@pytest.mark.parametrize("seed", range(12))
def test_random_masks_against_a_count_by_hand(size, seed):
    """Eqs. 1 and 2 of Shit et al. 2021 as sets of pixels; some masks are empty."""
    generator = np.random.default_rng(seed)
    prediction, truth = (
        gaussian_filter(generator.normal(size=size), 1) > generator.choice([-0.1, 0.1, 0.3, 9])
        for _ in range(2)
    )
    pixels = [set(map(tuple, np.argwhere(mask).tolist())) for mask in (prediction, truth)]
    lines = [
        set(map(tuple, np.argwhere(skeletonize(mask)).tolist())) if mask.any() else set()
        for mask in (prediction, truth)
    ]
    precision = len(lines[0] & pixels[1]) / len(lines[0]) if lines[0] else math.nan
    sensitivity = len(lines[1] & pixels[0]) / len(lines[1]) if lines[1] else math.nan
    both = [value for value in (precision, sensitivity) if not math.isnan(value)]
    if len(both) == 2 and sum(both):
        expected = 2 * precision * sensitivity / (precision + sensitivity)
    else:
        expected = 0.0 if both else math.nan
    found = centerline_scores(prediction, truth)
    assert [found.precision, found.sensitivity, found.cldice] == pytest.approx(
        [precision, sensitivity, expected], nan_ok=True
    )


def test_empty_masks_and_ignored_pixels():
    empty = np.zeros((9, 20), bool)
    assert np.isnan(list(vars(centerline_scores(empty, empty)).values())).all()
    missed = centerline_scores(empty, line())
    assert np.isnan(missed.precision)
    assert [missed.sensitivity, missed.cldice] == [0, 0]
    assert centerline_scores(line(), empty).cldice == 0
    ignore = np.zeros((9, 20), bool)
    ignore[:, 10:] = True
    assert centerline_scores(line(stop=10), line(), ignore=ignore).cldice == 1
    with pytest.raises(ShapeError, match="give 2 or 3 axes"):
        centerline_scores(np.ones(3, bool), np.ones(3, bool))
