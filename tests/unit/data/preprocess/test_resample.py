"""Voxels on other voxels: where they lie, what they weigh, and which label they get."""

import itertools

import numpy as np
import pytest
import torch
from scipy import ndimage

from ushape.data.preprocess.resample import (
    resample_classes,
    resample_image,
    resample_nearest,
    resample_sets,
)
from ushape.data.preprocess.weights import axis_weights, choose_kernels

RNG = np.random.default_rng(0)
COUNTS = [(40, 52), (40, 31), (40, 20), (40, 13), (40, 39), (40, 41), (7, 90)]
KERNELS = ["cubic", "linear"]
LABEL_SIZES = [(9, 8), (31, 20), (5, 7), (12, 25)]


def same(values):
    return values.astype(np.float32)


def resampled(values, size, kernel="cubic"):
    out = np.empty(size, np.float32)
    resample_image(values, size, (kernel,) * values.ndim, same, out)
    return out


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize(("old", "new"), COUNTS)
def test_a_ramp_stays_where_it_is_and_the_border_goes_on(old, new, kernel):
    """The value of a ramp is its position: an error of a part of a voxel would show."""
    step = old / new
    weights = axis_weights(old, new, kernel).matrix.toarray()
    centres = (np.arange(new) + 0.5) * step - 0.5
    reach = 2 + step / 2
    inside = (centres > reach) & (centres < old - 1 - reach)
    assert inside.sum() >= min(new, old) / 3
    np.testing.assert_allclose((weights @ np.arange(old))[inside], centres[inside], atol=1e-4)
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("kernel", KERNELS)
def test_the_mean_over_the_body_is_kept_where_voxels_become_fewer(kernel):
    """Every old voxel counts as much as any other: none is skipped."""
    weights = axis_weights(60, 20, kernel).matrix.toarray().sum(axis=0)
    np.testing.assert_allclose(weights[6:-6], 1 / 3, atol=0.03)


def test_what_is_finer_than_the_new_voxels_does_not_fold_into_them():
    stripes = np.tile([1.0, -1.0], 30)
    assert np.abs(axis_weights(60, 25, "cubic").matrix @ stripes)[3:-3].max() < 0.1
    assert np.abs(stripes[np.floor((np.arange(25) + 0.5) * 2.4).astype(int)]).max() == 1


@pytest.mark.parametrize("size", [(9, 14), (12, 31)])
def test_enlarging_is_what_scipy_and_torch_do(size):
    values = RNG.normal(size=(9, 12)).astype(np.float32)
    places = np.meshgrid(
        *((np.arange(n) + 0.5) * o / n - 0.5 for o, n in zip(values.shape, size, strict=True)),
        indexing="ij",
    )
    linear = ndimage.map_coordinates(values, places, order=1, mode="nearest")
    np.testing.assert_allclose(resampled(values, size, "linear"), linear, atol=1e-5)
    cubic = torch.nn.functional.interpolate(
        torch.from_numpy(values)[None, None], size=size, mode="bicubic", antialias=True
    )[0, 0].numpy()  # which uses the same kernel, and another rule at the border
    inner = tuple(
        slice(5, -5) if new > old else slice(2, -2)
        for old, new in zip(values.shape, size, strict=True)
    )
    np.testing.assert_allclose(resampled(values, size)[inner], cubic[inner], atol=1e-4)


@pytest.mark.parametrize("size", [(24, 20, 30), (10, 20, 41), (17, 9, 21), (31, 33, 35)])
@pytest.mark.parametrize("kernel", KERNELS)
def test_a_ball_keeps_its_centre_and_its_volume(size, kernel):
    old = (24, 26, 28)
    centre = np.array([12.3, 12.1, 14.9])  # in voxels, faces at 0 and n
    grids = np.meshgrid(*(np.arange(n) + 0.5 for n in old), indexing="ij")
    distance = np.sqrt(sum((g - c) ** 2 for g, c in zip(grids, centre, strict=True)))
    ball = np.clip(8 - distance + 0.5, 0, 1)
    out = resampled(ball, size, kernel)
    scale = np.array(old) / size
    places = np.meshgrid(
        *((np.arange(n) + 0.5) * s for n, s in zip(size, scale, strict=True)), indexing="ij"
    )
    found = [float((out * place).sum() / out.sum()) for place in places]
    np.testing.assert_allclose(found, centre, atol=0.02)
    assert out.sum() * scale.prod() == pytest.approx(ball.sum(), rel=5e-3)


@pytest.mark.parametrize("size", [(9, 5, 8), (18, 21, 8), (2, 7, 24)])
def test_axes_are_independent_and_planes_are_a_detail(size):
    """Three times as many: every third new plane lies on an old one, and needs that alone."""
    values = RNG.normal(size=(6, 7, 8)).astype(np.float32)
    expected = values
    for axis, (old, new) in enumerate(zip(values.shape, size, strict=True)):
        matrix = axis_weights(old, new, "cubic").matrix
        if matrix is not None:
            expected = np.moveaxis(np.tensordot(matrix.toarray(), expected, (1, axis)), 0, axis)
    np.testing.assert_allclose(resampled(values, size), expected, atol=1e-5)
    turned = resampled(values.transpose(2, 0, 1), (size[2], *size[:2])).transpose(1, 2, 0)
    np.testing.assert_allclose(turned, expected, atol=1e-5)


def test_the_same_size_is_the_same_array():
    values = RNG.normal(size=(4, 5, 6)).astype(np.float32)
    np.testing.assert_array_equal(resampled(values, values.shape), values)


@pytest.mark.parametrize(
    ("before", "after", "kernels"),
    [
        ((1, 1, 1), (2, 2, 2), "ccc"),
        ((3, 1, 1), (1, 1, 1), "ccc"),
        ((3.1, 1, 1), (1, 1, 1), "lcc"),
        ((1, 1, 1), (5, 0.5, 1), "lcc"),
        ((0.8, 5, 0.8), (1, 1, 1), "clc"),
        ((1, 5, 5), (1, 1, 1), "ccc"),  # two: nothing is a slice
        ((1, 1), (1, 4), "cl"),
    ],
)
def test_only_lines_are_drawn_across_thick_slices(before, after, kernels):
    names = {"c": "cubic", "l": "linear"}
    assert choose_kernels((before, after)) == tuple(names[letter] for letter in kernels)


class TestLabels:
    """Every value that comes out went in."""

    @pytest.mark.parametrize("size", LABEL_SIZES)
    def test_classes_are_weighed_against_each_other(self, size):
        target = RNG.choice(np.array([0, 2, 3, 255], np.uint8), (12, 10))
        values = [0, 2, 3, 255]
        shares = np.stack([resampled(target == value, size, "linear") for value in values])
        found = resample_classes(target, size)
        assert found.dtype == np.uint8
        clear = np.sort(shares, axis=0)[-1] - np.sort(shares, axis=0)[-2] > 1e-4
        assert clear.mean() > 0.7
        np.testing.assert_array_equal(found[clear], np.take(values, shares.argmax(0))[clear])

    def test_three_classes_may_win_below_one_half(self):
        target = np.array([[0, 0, 1, 2, 3, 3]], np.uint8).repeat(2, 0)
        halved = resample_classes(target, (2, 2))
        assert set(np.unique(halved)) <= {0, 1, 2, 3}
        assert not {1, 2} >= set(np.unique(halved))

    def test_of_equal_parts_the_smallest_wins(self):
        target = np.zeros((4, 2), np.uint8)
        target[:, 1] = 7
        assert np.array_equal(resample_classes(target, (4, 1)), np.zeros((4, 1)))
        assert np.array_equal(resample_classes(target[::-1, ::-1], (4, 1)), np.zeros((4, 1)))

    @pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.uint32])
    @pytest.mark.parametrize("size", LABEL_SIZES)
    def test_of_sets_every_class_is_by_itself(self, kind, size):
        top = np.iinfo(kind).bits - 1
        bits = [1, 3, top]
        masks = RNG.random((len(bits), 12, 10)) < 0.5
        target = sum(mask.astype(kind) << kind(bit) for mask, bit in zip(masks, bits, strict=True))
        found = resample_sets(target, size)
        assert found.dtype == kind
        for mask, bit in zip(masks, bits, strict=True):
            share = resampled(mask, size, "linear")
            clear = np.abs(share - 0.5) > 1e-4
            np.testing.assert_array_equal(
                (found >> kind(bit) & 1 == 1)[clear], (share > 0.5)[clear]
            )
        others = ~sum(kind(1) << kind(bit) for bit in bits)
        assert not (found & kind(others)).any()

    def test_numbers_are_those_of_the_voxel_that_holds_the_centre(self):
        numbers = RNG.integers(0, 9999, (5, 6, 7))
        found = resample_nearest(numbers, (8, 3, 7))
        for z, y, x in itertools.product(range(8), range(3), range(7)):
            assert found[z, y, x] == numbers[int((z + 0.5) * 5 / 8), int((y + 0.5) * 2), x]
