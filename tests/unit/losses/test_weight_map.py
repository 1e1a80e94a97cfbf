"""The weight map of 2015 against a double loop over pixels."""

import math

import numpy as np
import pytest
from scipy import ndimage

from ushape.errors import ShapeError
from ushape.losses import weight_map


def neighbours(place, shape):
    for axis in range(len(place)):
        for step in (-1, 1):
            there = (*place[:axis], place[axis] + step, *place[axis + 1 :])
            if 0 <= there[axis] < shape[axis]:
                yield there


def naive(cells, w0, sigma, spacing):
    borders = {}
    for place in np.ndindex(cells.shape):
        number = cells[place]
        if number and any(cells[there] != number for there in neighbours(place, cells.shape)):
            borders.setdefault(number, []).append(place)
    inside = (cells != 0).mean()
    result = np.zeros(cells.shape)
    for place in np.ndindex(cells.shape):
        distances = sorted(
            min(
                math.dist(
                    [a * s for a, s in zip(place, spacing, strict=True)],
                    [b * s for b, s in zip(other, spacing, strict=True)],
                )
                for other in border
            )
            for border in borders.values()
        )
        share = inside if cells[place] else 1 - inside
        result[place] = 1.0 if inside in (0, 1) else 0.5 / share
        if len(distances) > 1:
            result[place] += w0 * math.exp(-(sum(distances[:2]) ** 2) / (2 * sigma**2))
    return result


def cells_2d():
    cells = np.zeros((14, 17), int)
    cells[1:6, 1:6], cells[1:6, 7:12], cells[8:13, 3:9], cells[6:, 13:] = 3, 5, 9, 2
    cells[3, 6] = 3  # touches its neighbour
    return cells


def cells_3d():
    cells = np.zeros((5, 7, 8), int)
    cells[1:3, 1:4, 1:4], cells[2:5, 1:4, 5:8], cells[0:2, 5:7, 2:6] = 1, 2, 3
    return cells


@pytest.mark.parametrize("sigma", [0.7, 2.0, 5.0])
@pytest.mark.parametrize(
    ("cells", "spacing"),
    [
        (cells_2d(), (1, 1)),
        (cells_2d(), (2.5, 0.5)),
        (cells_3d(), (1, 1, 1)),
        (cells_3d(), (4, 1, 1)),
    ],
)
def test_it_is_that_of_a_double_loop(cells, spacing, sigma):
    found = weight_map(cells, w0=7.0, sigma=sigma, spacing=spacing)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, naive(cells, 7.0, sigma, spacing), rtol=2e-6)


def test_the_components_of_a_mask_are_its_cells():
    mask = cells_2d() > 0
    cells, _ = ndimage.label(mask)
    for given in (mask, mask.astype(np.uint8)):
        np.testing.assert_array_equal(weight_map(given), weight_map(cells))
    np.testing.assert_allclose(weight_map(mask), naive(cells, 10.0, 5.0, (1, 1)), rtol=2e-6)


def test_a_gap_between_cells_weighs_most():
    labels = np.zeros((21, 21), bool)
    labels[:, :10], labels[:, 11:] = True, True
    weights = weight_map(labels, is_balanced=False)
    assert weights[10, 10] == pytest.approx(1 + 10 * math.exp(-(2**2) / 50))
    assert weights[:, 10].min() > weights[:, :9].max()


@pytest.mark.parametrize("labels", [np.zeros((4, 5)), np.ones((4, 5)), np.full((4, 5), 7)])
def test_one_class_only_weighs_one_everywhere(labels):
    assert (weight_map(labels) == 1).all()


def test_one_cell_has_no_second_term():
    labels = np.zeros((6, 6), bool)
    labels[2:4, 2:4] = True
    weights = weight_map(labels)
    assert set(np.unique(weights)) == {np.float32(0.5 / (4 / 36)), np.float32(0.5 / (32 / 36))}
    assert weights.mean() == pytest.approx(1)


def test_another_number_of_axes_is_refused():
    with pytest.raises(ShapeError, match="4 axes and spacing 4: give a 2D or 3D map"):
        weight_map(np.zeros((1, 1, 2, 2)))
    with pytest.raises(ShapeError, match="2 axes and spacing 3"):
        weight_map(np.zeros((2, 2)), spacing=(1, 1, 1))
