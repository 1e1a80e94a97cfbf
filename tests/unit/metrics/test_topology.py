"""V_rand and connected regions, on pictures small enough to count by hand."""

from __future__ import annotations

import numpy as np
import pytest

from ushape.errors import ConfigError, DataError, ShapeError
from ushape.metrics import RandScores, adapted_rand, choose_regions, label_regions, region_scores

NONE = RandScores(np.nan, np.nan, np.nan)


def scores(prediction, reference) -> list[float]:
    found = adapted_rand(np.array(prediction), np.array(reference))
    return [found.v_rand, found.split, found.merge]


def test_equal_regions_score_one_whatever_their_numbers():
    assert scores([7, 7, 3, 3], [1, 1, 2, 2]) == [1, 1, 1]


def test_a_merge_and_a_split_by_hand():
    # Sizes 3 and 1 joined: pairs 9 + 1 of 16. V = 10 / (0.5 * 16 + 0.5 * 10).
    assert scores([1, 1, 1, 1], [1, 1, 1, 2]) == pytest.approx([10 / 13, 1, 10 / 16])
    assert scores([1, 1, 1, 2], [1, 1, 1, 1]) == pytest.approx([10 / 13, 10 / 16, 1])


def test_only_pixels_inside_reference_regions_count():
    # A predicted region that spills over the reference's border costs nothing.
    assert scores([1, 1, 1, 2, 2], [0, 1, 1, 2, 0]) == [1, 1, 1]


def test_predicted_border_pixels_are_regions_of_their_own():
    # Reference: one region of 4. Prediction: 2 pixels kept, 2 single ones: pairs 4 + 1 + 1 of 16.
    assert scores([1, 1, 0, 0], [1, 1, 1, 1]) == pytest.approx([6 / 11, 6 / 16, 1])
    # As one region of two, the border would score pairs 4 + 4.
    assert scores([1, 1, 2, 2], [1, 1, 1, 1])[1] == pytest.approx(8 / 16)


def test_nothing_predicted_and_nothing_to_score():
    assert scores([0, 0, 0, 0], [1, 1, 1, 1]) == pytest.approx([4 / 10, 4 / 16, 1])
    np.testing.assert_equal(adapted_rand(np.array([1, 2]), np.array([0, 0])), NONE)
    np.testing.assert_equal(adapted_rand(np.zeros((0, 3), int), np.zeros((0, 3), int)), NONE)


def test_large_region_numbers_and_counts():
    # Squares of 70000 overflow 32 bits; numbers beyond the pixel count must cost no memory.
    reference = np.full(70_000, 2**40)
    reference[0] = 1
    prediction = np.ones(70_000, np.uint8)
    expected = (69_999**2 + 1) / 70_000**2
    assert adapted_rand(prediction, reference).merge == pytest.approx(expected, rel=1e-12)


def test_regions_touch_by_faces():
    diagonal = np.eye(3, dtype=bool)
    assert label_regions(diagonal).max() == 3
    edge = np.zeros((2, 2, 2), bool)
    edge[0, 0] = edge[1, 1] = True
    assert label_regions(edge).max() == 2
    assert label_regions(np.zeros((4, 4), bool)).max() == 0


def membranes() -> np.ndarray:
    """Four cells of 3 x 3 behind a cross of membrane."""
    mask = np.zeros((7, 7), bool)
    mask[3] = mask[:, 3] = True
    return mask


def test_auto_takes_the_cells():
    thin = membranes()
    assert region_scores(thin, thin).regions == "background"
    assert region_scores(~thin, ~thin).regions == "foreground"
    assert choose_regions([thin, thin, ~thin]) == "background"
    assert choose_regions([thin, ~thin, ~thin]) == "foreground"
    assert choose_regions([thin, ~thin]) == "foreground"  # a tie


def test_one_missing_membrane_pixel_merges_two_cells():
    broken = membranes()
    broken[3, 1] = False
    found = region_scores(broken, membranes())
    assert (found.num_predicted, found.num_reference) == (3, 4)
    # Pairs: cells 4 * 81; prediction 18^2 + 2 * 81 (the freed pixel is on the reference's border).
    assert found.split == 1
    assert found.merge == pytest.approx(324 / 486)
    assert found.v_rand == pytest.approx(324 / (0.5 * 486 + 0.5 * 324))


def test_the_side_can_be_forced():
    thin = membranes()
    thick = thin.copy()
    thick[2] = True
    found = region_scores(thick, thin, regions="foreground")
    assert found.regions == "foreground"
    assert found.v_rand == 1  # the one membrane is still one piece
    # Two cells lost a row of three pixels each: pairs 2 * 81 + 2 * (36 + 3).
    assert region_scores(thick, thin).split == pytest.approx((162 + 78) / 324)


def test_empty_masks():
    empty, full = np.zeros((4, 4), bool), np.ones((4, 4), bool)
    assert np.isnan(region_scores(full, empty, "foreground").v_rand)
    found = region_scores(empty, full, "foreground")
    assert (found.num_predicted, found.num_reference) == (0, 1)
    assert found.v_rand == pytest.approx(16 / (0.5 * 16 + 0.5 * 256))


def test_bad_input_is_refused():
    mask = np.zeros((4, 4), bool)
    with pytest.raises(ShapeError, match="prediction 4 x 4 and reference 4 x 5 differ in shape"):
        region_scores(mask, np.zeros((4, 5), bool))
    with pytest.raises(DataError, match="masks must be bool, given uint8 and bool"):
        region_scores(mask.astype(np.uint8), mask)
    with pytest.raises(ConfigError, match="unknown regions 'backgroud': did you mean 'background'"):
        region_scores(mask, mask, "backgroud")
    with pytest.raises(DataError, match="prediction of type float64"):
        adapted_rand(mask.astype(float), mask.astype(int))
    with pytest.raises(DataError, match="reference of type int64"):
        adapted_rand(mask.astype(int), mask.astype(int) - 1)
