"""Graded targets of lines, against formulas and brute force."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import ndimage

from ushape.data.line_targets import blurred_lines, distance_lines, replace_by_graded


def line(*size, axis=-1):
    """A straight line in the middle, along one axis."""
    mask = torch.zeros(1, 1, *size)
    index = [0, 0, *(n // 2 for n in size)]
    index[axis] = slice(None)
    mask[tuple(index)] = 1
    return mask


@pytest.mark.parametrize("size", [(31, 25), (25, 15, 31)])
@pytest.mark.parametrize("sigma", [0.8, 1.4, 2.6])
def test_a_straight_line_is_one_and_falls_off_as_a_gaussian(size, sigma):
    graded = blurred_lines(line(*size), [sigma])[0, 0]
    across = graded[(slice(None), *(n // 2 for n in size[1:]))]
    offsets = torch.arange(size[0]) - size[0] // 2
    wanted = torch.exp(-0.5 * (offsets / sigma) ** 2)
    wanted[offsets.abs() > math.ceil(3 * sigma)] = 0
    torch.testing.assert_close(across, wanted, atol=2e-3, rtol=0)


def test_all_sigmas_of_a_class_stand_together_and_batches_are_apart():
    masks = torch.zeros(2, 2, 20, 20)
    masks[0, 0, 10], masks[1, 1, :, 4] = 1, 1
    graded = blurred_lines(masks, [0.8, 2.6])
    assert graded.shape == (2, 4, 20, 20)
    assert [bool(channel.any()) for channel in graded[0]] == [True, True, False, False]
    assert [bool(channel.any()) for channel in graded[1]] == [False, False, True, True]
    assert graded[0, 1].sum() > 2 * graded[0, 0].sum()
    one_by_one = torch.cat([blurred_lines(mask[None], [0.8, 2.6]) for mask in masks])
    assert torch.equal(graded, one_by_one)


def test_the_mask_is_one_and_nothing_is_more():
    masks = (torch.rand(2, 1, 30, 30, generator=torch.Generator().manual_seed(1)) < 0.1).float()
    graded = blurred_lines(masks, [0.8, 1.4, 2.6])
    assert float(graded.max()) == 1
    assert float(graded.min()) >= 0
    assert bool((graded[masks.expand_as(graded) == 1] == 1).all())
    assert not blurred_lines(torch.zeros(1, 1, 9, 9), [1.4]).any()


@pytest.mark.parametrize("size", [(21, 17), (9, 11, 8)])
@pytest.mark.parametrize("sigma", [1.0, 2.0])
def test_distances_are_euclidean(size, sigma):
    generator = torch.Generator().manual_seed(3)
    mask = (torch.rand(1, 1, *size, generator=generator) < 0.02).float()
    mask[(0, 0, *(n // 2 for n in size))] = 1
    graded = distance_lines(mask, sigma)[0, 0].numpy()
    outside = mask[0, 0].numpy() == 0
    distance, nearest = ndimage.distance_transform_edt(outside, return_indices=True)
    reach = np.abs(nearest - np.indices(size)).max(axis=0)
    wanted = np.exp(-0.5 * (distance / sigma) ** 2)
    near = reach <= math.ceil(3 * sigma)
    np.testing.assert_allclose(graded[near], wanted[near], atol=1e-6)
    assert float(graded[~near].max(initial=0)) < math.exp(-4.4)


@pytest.mark.parametrize("spacing", [(4.0, 1.0, 1.0), (1.5, 0.5, 0.75)])
@pytest.mark.parametrize("sigma", [1.4, 2.6])
def test_blur_reaches_as_far_in_millimetres_along_every_axis(sigma, spacing):
    """A line along the finest axis is the Gaussian of the distance to it, in its edges."""
    size, finest = (15, 25, 31), min(spacing)
    axis = spacing.index(finest)
    graded = blurred_lines(line(*size, axis=axis - 3), [sigma], spacing=spacing)[0, 0]
    across = graded.select(axis, size[axis] // 2)
    left = [n for n in range(3) if n != axis]
    steps = [(torch.arange(size[n]) - size[n] // 2).abs() * (spacing[n] / finest) for n in left]
    wanted = torch.exp(-0.5 * (steps[0][:, None] ** 2 + steps[1][None] ** 2) / sigma**2)
    near = (steps[0][:, None] <= 3 * sigma) & (steps[1][None] <= 3 * sigma)
    torch.testing.assert_close(across[near], wanted[near], atol=2e-3, rtol=0)
    assert float(graded.max()) == 1


@pytest.mark.parametrize("sigma", [1.0, 2.0])
def test_distances_are_those_in_space(sigma):
    size, spacing = (9, 15, 13), (8.0, 2.0, 2.0)
    generator = torch.Generator().manual_seed(4)
    mask = (torch.rand(1, 1, *size, generator=generator) < 0.01).float()
    mask[0, 0, 4, 7, 6] = 1
    graded = distance_lines(mask, sigma, spacing=spacing)[0, 0].numpy()
    distance = ndimage.distance_transform_edt(mask[0, 0].numpy() == 0, sampling=(4, 1, 1))
    near = distance <= 3 * sigma
    wanted = np.exp(-0.5 * (distance / sigma) ** 2)
    np.testing.assert_allclose(graded[near], wanted[near], atol=1e-6)
    assert float(graded[~near].max(initial=0)) < math.exp(-4.4)


def test_pictures_and_equal_edges_are_graded_by_the_pixel():
    for mask in (line(21, 17), line(9, 11, 8)):
        equal, thick = (3.0,) * (mask.ndim - 2), (4.0, 1.0, 1.0)[: mask.ndim - 2]
        for grade in (lambda m, **more: blurred_lines(m, [0.8, 2.6], **more), distance_of):
            assert torch.equal(grade(mask, spacing=equal), grade(mask))
            assert torch.equal(grade(mask, spacing=thick), grade(mask)) is (mask.ndim == 4)


def distance_of(mask, **more):
    return distance_lines(mask, 2.0, **more)


def test_exclusive_classes_still_add_up_to_one():
    index = torch.zeros(1, 12, 12, dtype=torch.long)
    index[:, :, 6:], index[:, 4], index[:, 7] = 1, 2, 3
    target = torch.nn.functional.one_hot(index, 4).movedim(-1, 1).float()
    graded = distance_lines(target[:, [2, 3]], 1.0)
    result = replace_by_graded(target, graded, [2, 3])
    torch.testing.assert_close(result.sum(1), torch.ones(1, 12, 12))
    assert float(result.min()) >= 0
    beside = result[0, :, 3, 2]  # one pixel above the line, in the background
    height = float(graded[0, 0, 3, 2])
    torch.testing.assert_close(beside[2], torch.tensor(height))
    torch.testing.assert_close(beside[0], torch.tensor(1 - height - float(beside[3])))
    assert float(beside[1]) == 0
