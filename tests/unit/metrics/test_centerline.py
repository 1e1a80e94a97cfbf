"""clDice on lines whose skeleton is themselves, and on tubes."""

from __future__ import annotations

import numpy as np
import pytest

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
