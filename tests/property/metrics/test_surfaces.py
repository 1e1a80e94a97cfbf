"""Surface metrics against brute force and scipy, and what must not change them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from ushape.metrics import surface_distances

QUICK = settings(deadline=None, max_examples=60)
EDGES = st.sampled_from([0.25, 0.5, 1.0, 2.0, 3.0])


@st.composite
def pairs(draw, *, min_dims: int = 2, full: bool = False):
    """Two masks of one shape (not empty where `full`), and a spacing."""
    shape = draw(hnp.array_shapes(min_dims=min_dims, max_dims=3, min_side=1, max_side=6))
    masks = [draw(hnp.arrays(bool, shape)) for _ in range(2)]
    if full:
        for mask in masks:
            mask[draw(st.tuples(*(st.integers(0, side - 1) for side in shape)))] = True
    return *masks, draw(st.tuples(*[EDGES] * len(shape)))


def brute_surface(mask: np.ndarray, spacing) -> np.ndarray:
    """Ask every voxel for its neighbours; give positions."""
    found = []
    for place in itertools.product(*map(range, mask.shape)):
        for axis, step in itertools.product(range(mask.ndim), (-1, 1)):
            near = (*place[:axis], place[axis] + step, *place[axis + 1 :])
            is_inside = all(0 <= p < side for p, side in zip(near, mask.shape, strict=True))
            if mask[place] and not (is_inside and mask[near]):
                found.append(np.multiply(place, spacing))
                break
    return np.array(found).reshape(-1, mask.ndim)


def brute(prediction, truth, spacing) -> tuple[np.ndarray, np.ndarray]:
    first, second = brute_surface(prediction, spacing), brute_surface(truth, spacing)
    table = np.sqrt(((first[:, None] - second[None]) ** 2).sum(axis=-1))
    nothing = np.full(len(first), np.inf), np.full(len(second), np.inf)
    return (table.min(axis=1), table.min(axis=0)) if table.size else nothing


@QUICK
@given(pairs())
def test_distances_equal_brute_force(pair):
    prediction, truth, spacing = pair
    found = surface_distances(prediction, truth, spacing=spacing)
    for got, expected in zip((found.to_reference, found.to_prediction), brute(*pair), strict=True):
        np.testing.assert_allclose(got, expected, atol=1e-9)


@QUICK
@given(pairs(full=True), st.sampled_from([0.0, 0.5, 1.0, 2.5]))
def test_scores_equal_their_formulas_on_a_distance_transform(pair, tolerance):
    prediction, truth, spacing = pair
    plus = ndimage.generate_binary_structure(truth.ndim, 1)
    edges = [mask & ~ndimage.binary_erosion(mask, plus) for mask in (prediction, truth)]
    maps = [ndimage.distance_transform_edt(~edge, sampling=spacing) for edge in edges]
    there, back = maps[1][edges[0]], maps[0][edges[1]]
    found = surface_distances(prediction, truth, spacing=spacing)
    every = np.concatenate([there, back])
    assert found.hausdorff == pytest.approx(every.max())
    expected = max(np.percentile(there, 95), np.percentile(back, 95))
    assert found.hausdorff95 == pytest.approx(expected)
    assert found.assd == pytest.approx(every.mean())
    assert found.normalised_dice(tolerance) == pytest.approx(np.mean(every <= tolerance + 1e-9))
    near = found.boundary(tolerance)
    assert near.precision == pytest.approx(np.mean(there <= tolerance + 1e-9))
    assert near.recall == pytest.approx(np.mean(back <= tolerance + 1e-9))


def summary(prediction, truth, spacing, tolerance=1.0):
    found = surface_distances(prediction, truth, spacing=spacing)
    return [
        found.hausdorff,
        found.hausdorff95,
        found.assd,
        found.normalised_dice(tolerance),
        found.boundary(tolerance).f1,
    ]


@QUICK
@given(pairs())
def test_prediction_and_truth_may_change_places(pair):
    prediction, truth, spacing = pair
    np.testing.assert_allclose(
        summary(prediction, truth, spacing), summary(truth, prediction, spacing)
    )


@QUICK
@given(pairs(), st.randoms(use_true_random=False))
def test_moving_flipping_and_turning_changes_nothing(pair, chance):
    prediction, truth, spacing = pair
    expected = summary(prediction, truth, spacing)
    pads = [(chance.randint(1, 3), chance.randint(1, 3)) for _ in spacing]
    # Room around the masks: their surface at the border of the image stays surface.
    moved = [np.pad(mask, pads) for mask in (prediction, truth)]
    np.testing.assert_allclose(summary(*moved, spacing), expected)
    axis = chance.randrange(truth.ndim)
    np.testing.assert_allclose(
        summary(np.flip(prediction, axis), np.flip(truth, axis), spacing), expected
    )
    order = chance.sample(range(truth.ndim), truth.ndim)
    turned = [mask.transpose(order) for mask in (prediction, truth)]
    np.testing.assert_allclose(summary(*turned, [spacing[axis] for axis in order]), expected)


@QUICK
@given(pairs(full=True))
def test_twice_the_spacing_is_twice_the_distance(pair):
    prediction, truth, spacing = pair
    once = summary(prediction, truth, spacing, 1.0)
    twice = summary(prediction, truth, np.multiply(spacing, 2), 2.0)
    np.testing.assert_allclose(twice[:3], np.multiply(once[:3], 2))
    np.testing.assert_allclose(twice[3:], once[3:])


@QUICK
@given(pairs(full=True))
def test_order_among_the_scores(pair):
    prediction, truth, spacing = pair
    found = surface_distances(prediction, truth, spacing=spacing)
    assert 0 <= found.hausdorff95 <= found.hausdorff
    assert found.assd <= found.hausdorff
    levels = [found.normalised_dice(t) for t in (0.0, 0.5, 1.0, 2.0, 5.0)]
    assert levels == sorted(levels)
    assert found.normalised_dice(found.hausdorff) == 1
    same = surface_distances(truth, truth, spacing=spacing)
    assert [same.hausdorff, same.normalised_dice(0)] == [0, 1]


@QUICK
@given(pairs(full=True), st.integers(0, 2**32 - 1))
def test_what_is_ignored_does_not_matter(pair, seed):
    prediction, truth, spacing = pair
    generator = np.random.default_rng(seed)
    ignore = generator.random(truth.shape) < 0.3
    other = np.where(ignore, generator.random(truth.shape) < 0.5, prediction)
    found, changed = (
        surface_distances(mask, truth, spacing=spacing, ignore=ignore)
        for mask in (prediction, other)
    )
    np.testing.assert_allclose(found.to_reference, changed.to_reference)
    np.testing.assert_allclose(found.to_prediction, changed.to_prediction)
