"""V_rand and connected regions, on pictures small enough to count by hand."""

from __future__ import annotations

import numpy as np
import pytest

from ushape.errors import ConfigError, DataError, ShapeError
from ushape.metrics import (
    RandScores,
    adapted_information,
    adapted_rand,
    betti_numbers,
    choose_regions,
    component_error,
    label_regions,
    region_scores,
    thin_borders,
)

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


def test_information_of_a_split_and_a_merge_by_hand():
    # Two halves of 1 bit; one of them cut in two again: 0.5 bit more.
    split = adapted_information(np.array([1, 1, 2, 3]), np.array([1, 1, 2, 2]))
    assert vars(split) == pytest.approx(
        {"v_info": 2 / 2.5, "split": 1 / 1.5, "merge": 1, "split_bits": 0.5, "merge_bits": 0}
    )
    merge = adapted_information(np.array([1, 1, 2, 2]), np.array([1, 1, 2, 3]))
    assert (merge.split, merge.merge) == pytest.approx((1, 1 / 1.5))


def test_one_region_has_no_information_to_lose():
    whole, halves = np.ones(4, int), np.array([1, 1, 2, 2])
    assert adapted_information(whole, whole).v_info == 1
    assert adapted_information(halves, whole).v_info == 0
    assert adapted_information(whole, halves).v_info == 0


def test_thin_borders_keep_one_line_between_regions():
    thick = label_regions(~np.isin(np.arange(11), [3, 4, 5, 6, 7])[None].repeat(4, axis=0))
    thin = thin_borders(thick)
    assert (thin == 0).sum(axis=1).tolist() == [1] * 4
    assert thin[0].tolist() == [1] * 5 + [0] + [2] * 5


def test_a_thick_border_costs_nothing_once_thinned():
    reference = membranes()
    prediction = reference.copy()
    prediction[2:5] = prediction[:, 2:5] = True
    assert region_scores(prediction, reference).v_rand < 0.5
    thinned = region_scores(prediction, reference, is_thinned=True)
    assert thinned.v_rand == thinned.v_info == 1
    # A border that ends inside a region parts nothing, and disappears.
    stub = reference.copy()
    stub[1, 0:2] = True
    assert region_scores(stub, reference, is_thinned=True).v_rand == 1
    assert thin_borders(np.zeros((3, 3), int)).max() == 0


def test_ignored_pixels_are_in_no_region():
    reference = membranes()
    broken = reference.copy()
    broken[3, 1] = False  # merges two cells
    ignore = np.zeros((7, 7), bool)
    ignore[3, :3] = True
    assert region_scores(broken, reference, "background").v_rand < 1
    assert region_scores(broken, reference, "background", ignore=ignore).v_rand == 1


def test_betti_numbers_of_known_shapes():
    disc, ring = np.ones((5, 5), bool), np.ones((5, 5), bool)
    ring[2, 2] = ring[1, 1] = False  # two holes? They touch by a corner: one
    assert betti_numbers(disc) == (1, 0)
    assert betti_numbers(ring) == (1, 1)
    assert betti_numbers(np.eye(3, dtype=bool)) == (3, 0)
    ball = np.ones((5, 5, 5), bool)
    assert betti_numbers(ball) == (1, 0, 0)
    hollow, tunnel, both = ball.copy(), ball.copy(), ball.copy()
    hollow[2, 2, 2] = False
    tunnel[:, 2, 2] = False
    both[:, 1, 1] = both[3, 3, 3] = False
    assert betti_numbers(hollow) == (1, 0, 1)
    assert betti_numbers(tunnel) == (1, 1, 0)
    assert betti_numbers(both) == (1, 1, 1)
    with pytest.raises(ShapeError, match="give 2 or 3 axes"):
        betti_numbers(np.ones(3, bool))


def test_the_component_error_has_a_sign():
    one, two = np.array([1, 1, 1, 0], bool), np.array([1, 0, 1, 0], bool)
    assert component_error(two, one) == 1
    assert component_error(one, two) == -1
    assert component_error(two, one, ignore=np.array([0, 0, 1, 0], bool)) == 0
