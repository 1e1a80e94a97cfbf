"""Surface distances on shapes small enough to measure by hand, and where a mask is empty."""

from __future__ import annotations

import time

import numpy as np
import pytest

from ushape.errors import ConfigError, DataError, ShapeError
from ushape.metrics import surface_distances, surface_mask


def box(size, *ranges):
    mask = np.zeros(size, bool)
    mask[tuple(slice(*r) for r in ranges)] = True
    return mask


def test_the_surface_is_what_touches_the_outside_by_a_face():
    square = box((7, 7), (1, 6), (1, 6))
    ring = square & ~box((7, 7), (2, 5), (2, 5))
    np.testing.assert_array_equal(surface_mask(square), ring)
    # A missing corner bares its two neighbours over faces, not the pixel across it.
    square[1, 1] = False
    assert surface_mask(square)[2, 2] == False  # noqa: E712
    # Beyond the image is outside.
    assert surface_mask(np.ones((3, 3), bool)).sum() == 8
    assert surface_mask(np.ones((3, 3, 3), bool)).sum() == 26


def test_two_points():
    first, second = np.zeros((4, 5), bool), np.zeros((4, 5), bool)
    first[0, 0], second[3, 4] = True, True
    found = surface_distances(first, second)
    assert [found.hausdorff, found.hausdorff95, found.assd] == [5, 5, 5]
    # Rows are 2 mm apart, columns 0.5: legs of 6 and 2.
    found = surface_distances(first, second, spacing=(2, 0.5))
    assert found.hausdorff == pytest.approx(np.hypot(6, 2))


def test_a_shifted_line_and_one_outlier():
    # A line of 40 pixels, one step lower, and one pixel 10 away from the true line.
    truth = box((20, 40), (5, 6), (0, 40))
    prediction = box((20, 40), (6, 7), (0, 40))
    prediction[15, 20] = True
    found = surface_distances(prediction, truth)
    assert found.to_reference.size == 41
    assert found.hausdorff == 10
    assert found.hausdorff95 == 1  # the outlier is 1 of 41
    assert found.assd == pytest.approx((40 + 10 + 40) / 81)
    assert found.normalised_dice(1) == pytest.approx(80 / 81)
    assert found.normalised_dice(0.9) == 0
    near = found.boundary(1)
    assert [near.precision, near.recall] == pytest.approx([40 / 41, 1])
    assert near.f1 == pytest.approx(2 * (40 / 41) / (1 + 40 / 41))


def test_hd95_is_the_larger_of_both_directions():
    # Every true pixel has a prediction near, but half of the prediction is far: pooling both
    # directions, or taking the wrong one, would give something else.
    truth = box((1, 60), (0, 1), (0, 10))
    prediction = box((1, 60), (0, 1), (0, 10)) | box((1, 60), (0, 1), (40, 50))
    found = surface_distances(prediction, truth)
    expected = np.percentile([*[0] * 10, *range(31, 41)], 95)
    assert found.hausdorff95 == pytest.approx(expected)
    assert surface_distances(truth, prediction).hausdorff95 == pytest.approx(expected)


def test_empty_masks():
    empty, some = np.zeros((4, 4), bool), box((4, 4), (0, 2), (0, 2))
    both = surface_distances(empty, empty)
    values = [both.hausdorff, both.hausdorff95, both.assd, both.normalised_dice(1)]
    assert np.isnan([*values, *vars(both.boundary(1)).values()]).all()
    missed = surface_distances(empty, some)
    assert np.isnan([missed.hausdorff, missed.hausdorff95, missed.assd]).all()
    assert missed.normalised_dice(100) == 0
    near = missed.boundary(100)
    assert np.isnan(near.precision)
    assert [near.recall, near.f1] == [0, 0]
    spurious = surface_distances(some, empty)
    assert np.isnan(spurious.hausdorff)
    assert spurious.normalised_dice(100) == spurious.boundary(100).precision == 0
    assert np.isnan(spurious.boundary(100).recall)


def test_ignored_voxels_have_no_surface_and_make_none():
    truth = box((9, 9), (2, 7), (2, 7))
    prediction = truth.copy()
    prediction[2:7, 7:] = True  # reaches into the ignored columns
    ignore = box((9, 9), (0, 9), (7, 9))
    found = surface_distances(prediction, truth, ignore=ignore)
    assert found.hausdorff == 0
    # The column beside the ignored ones is inside, so only its ends are surface.
    assert found.to_prediction.size == 5 + 5 + 3
    nothing = surface_distances(prediction, truth, ignore=np.ones((9, 9), bool))
    assert not nothing.is_defined


def test_a_tolerance_reaches_what_is_exactly_that_far():
    first, second = np.zeros(8, bool), np.zeros(8, bool)
    first[0], second[3] = True, True
    assert surface_distances(first, second, spacing=0.1).normalised_dice(0.3) == 1


def test_bad_input_is_refused():
    mask = np.ones((3, 3), bool)
    with pytest.raises(ShapeError, match="prediction 3 x 3 and reference 3 x 4 differ"):
        surface_distances(mask, np.ones((3, 4), bool))
    with pytest.raises(DataError, match="masks must be bool, given uint8"):
        surface_distances(mask.astype(np.uint8), mask)
    with pytest.raises(ShapeError, match="3 spacings for masks of 2 axes"):
        surface_distances(mask, mask, spacing=(1, 1, 1))
    with pytest.raises(ConfigError, match="give positive numbers"):
        surface_distances(mask, mask, spacing=(1, 0))
    with pytest.raises(ConfigError, match="tolerance -1: give a distance of 0 or more"):
        surface_distances(mask, mask).normalised_dice(-1)
    with pytest.raises(ConfigError, match="tolerance nan"):
        surface_distances(mask, mask).boundary(float("nan"))


def test_a_small_object_in_a_large_volume_takes_no_time():
    first, second = np.zeros((200, 200, 200), bool), np.zeros((200, 200, 200), bool)
    first[90:110, 90:110, 90:110] = second[92:112, 90:110, 90:110] = True
    start = time.perf_counter()
    assert surface_distances(first, second).hausdorff == 2
    assert time.perf_counter() - start < 2  # a distance transform of all of it takes longer
