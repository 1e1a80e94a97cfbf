"""Metrics against slow, obvious counting and against scikit-image, on small random pictures."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from skimage.metrics import adapted_rand_error, variation_of_information

from ushape.metrics import (
    adapted_information,
    adapted_rand,
    count_masks,
    count_table,
    label_regions,
    overlap_scores,
    region_scores,
)

QUICK = settings(deadline=None, max_examples=60)
SHAPES = hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=5)


@st.composite
def pictures(draw, largest: int):
    """Two pictures of whole numbers from 0, of one shape."""
    shape = draw(SHAPES)
    values = st.integers(0, largest)
    return tuple(draw(hnp.arrays(np.int64, shape, elements=values)) for _ in range(2))


def brute_rand(prediction: np.ndarray, reference: np.ndarray) -> list[float]:
    """Ask of every ordered pair of counted pixels whether each side keeps it together."""
    pixels = [(p, r) for p, r in zip(prediction.flat, reference.flat, strict=True) if r]
    both = predicted = true = 0
    for (i, (p, r)), (j, (q, s)) in itertools.product(enumerate(pixels), repeat=2):
        in_prediction = i == j or (p == q and p != 0)
        both += in_prediction and r == s
        predicted += in_prediction
        true += r == s
    if not pixels:
        return [np.nan] * 3
    return [both / (0.5 * predicted + 0.5 * true), both / true, both / predicted]


@QUICK
@given(pictures(3))
def test_rand_equals_counting_every_pair(pair):
    found = adapted_rand(*pair)
    expected = brute_rand(*pair)
    np.testing.assert_allclose([found.v_rand, found.split, found.merge], expected, rtol=1e-12)


@QUICK
@given(pictures(3), st.sampled_from([np.uint8, np.uint32, np.uint64, np.int16]))
def test_the_type_of_the_numbers_changes_nothing(pair, kind):
    """Of `uint64` and `int64` NumPy makes floats, which cannot be counted."""
    prediction, reference = pair
    expected = adapted_rand(prediction, reference)
    np.testing.assert_equal(adapted_rand(prediction.astype(kind), reference), expected)
    np.testing.assert_equal(adapted_rand(prediction, reference.astype(kind)), expected)


@QUICK
@given(pictures(3))
def test_rand_equals_scikit_image_without_predicted_zeros(pair):
    prediction, reference = pair[0] + 1, pair[1]
    sizes = np.bincount(reference[reference > 0])
    if not any(size > 1 for size in sizes):
        return  # scikit-image leaves out pairs of a pixel with itself, and here has no other
    num_pixels, true = sizes.sum(), (sizes**2).sum()
    found = adapted_rand(prediction, reference)
    both = found.split * true
    predicted = both / found.merge
    error, _, _ = (
        adapted_rand_error(reference, prediction)
        if predicted > num_pixels + 0.5
        else (1.0, None, None)
    )
    without_self = (both - num_pixels) / (0.5 * predicted + 0.5 * true - num_pixels)
    assert without_self == pytest.approx(1 - error, abs=1e-9)


def brute_information(prediction: np.ndarray, reference: np.ndarray) -> list[float]:
    """Average the information of every counted pixel, each border pixel a region of its own."""
    pixels = [
        (p or f"alone {place}", r)
        for place, (p, r) in enumerate(zip(prediction.flat, reference.flat, strict=True))
        if r
    ]
    if not pixels:
        return [np.nan] * 5

    def bits(things):
        return -np.mean([np.log2(things.count(thing) / len(things)) for thing in things])

    h_s, h_t, h_both = bits([p for p, _ in pixels]), bits([r for _, r in pixels]), bits(pixels)
    shared = h_s + h_t - h_both
    return [
        2 * shared / (h_s + h_t) if h_s + h_t else 1.0,
        shared / h_s if h_s else 1.0,
        shared / h_t if h_t else 1.0,
        h_both - h_t,
        h_both - h_s,
    ]


@QUICK
@given(pictures(3))
def test_information_equals_counting_every_pixel(pair):
    found = list(vars(adapted_information(*pair)).values())
    np.testing.assert_allclose(found, brute_information(*pair), rtol=1e-9, atol=1e-9)


@QUICK
@given(pictures(3))
def test_information_equals_scikit_image_without_predicted_zeros(pair):
    prediction, reference = pair[0] + 1, pair[1]
    if not reference.any():
        return
    found = adapted_information(prediction, reference)
    inside = reference > 0
    under, over = variation_of_information(reference[inside], prediction[inside])
    # scikit-image: first H(prediction | reference), then H(reference | prediction).
    assert [found.split_bits, found.merge_bits] == pytest.approx([under, over], abs=1e-9)


@QUICK
@given(pictures(2), st.permutations([1, 2, 3]))
def test_rand_ignores_numbering_and_order_of_pixels(pair, renamed):
    prediction, reference = pair
    names = np.array([0, *renamed])
    order = np.random.default_rng(0).permutation(prediction.size)
    moved = adapted_rand(names[prediction].ravel()[order], names[reference].ravel()[order])
    np.testing.assert_equal(vars(moved), vars(adapted_rand(prediction, reference)))


def flood_count(mask: np.ndarray) -> int:
    left = {tuple(pixel) for pixel in np.argwhere(mask)}
    count = 0
    while left:
        count += 1
        queue = [left.pop()]
        while queue:
            pixel = queue.pop()
            for axis, step in itertools.product(range(mask.ndim), (-1, 1)):
                near = (*pixel[:axis], pixel[axis] + step, *pixel[axis + 1 :])
                if near in left:
                    left.remove(near)
                    queue.append(near)
    return count


@QUICK
@given(pictures(1), st.sampled_from(["foreground", "background"]))
def test_region_scores_are_rand_of_flooded_regions(pair, regions):
    prediction, reference = (picture.astype(bool) for picture in pair)
    found = region_scores(prediction, reference, regions)
    sides = [mask if regions == "foreground" else ~mask for mask in (prediction, reference)]
    assert [found.num_predicted, found.num_reference] == [flood_count(side) for side in sides]
    expected = brute_rand(*(label_regions(side) for side in sides))
    np.testing.assert_allclose([found.v_rand, found.split, found.merge], expected, rtol=1e-12)


@QUICK
@given(pictures(3))
def test_tables_equal_counting_pixels_by_class(pair):
    prediction, reference = pair
    table = count_table(prediction, reference, 4)
    for index in range(4):
        p, r = prediction == index, reference == index
        expected = [(p & r).sum(), (p & ~r).sum(), (~p & r).sum(), (~p & ~r).sum()]
        assert table[index].tolist() == expected
    dice, iou = overlap_scores(table).dice, overlap_scores(table).iou
    np.testing.assert_allclose(dice, 2 * iou / (1 + iou))
    masks = [np.stack([picture == index for index in range(4)]) for picture in pair]
    np.testing.assert_array_equal(count_masks(*masks), table)


@QUICK
@given(pictures(3), st.integers(0, 2**32 - 1))
def test_ignoring_is_leaving_out(pair, seed):
    ignore = np.random.default_rng(seed).random(pair[0].shape) < 0.4
    expected = count_table(pair[0][~ignore], pair[1][~ignore], 4)
    np.testing.assert_array_equal(count_table(*pair, 4, ignore=ignore), expected)
    masks = [np.stack([picture == index for index in range(4)]) for picture in pair]
    np.testing.assert_array_equal(count_masks(*masks, ignore=ignore), expected)


@QUICK
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1), st.integers(0, 50))
def test_tables_add_up(pixels, cut):
    prediction, reference = np.array(pixels).T
    parts = [count_table(prediction[s], reference[s], 4) for s in (np.s_[:cut], np.s_[cut:])]
    np.testing.assert_array_equal(sum(parts), count_table(prediction, reference, 4))
