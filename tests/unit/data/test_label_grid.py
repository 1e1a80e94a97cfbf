"""Labels with the voxels of their image in another order of axes, and labels that lie elsewhere."""

import itertools
from pathlib import Path

import numpy as np
import pytest

from ushape.data.io import Grid, LabelVolume, turn_onto, turned_onto
from ushape.data.label_grid import ImagePlace
from ushape.errors import DataError

SIZE, EDGES, ORIGIN = (4, 5, 6), (3.0, 1.0, 0.5), (7.0, -6.0, 5.0)
LABEL = np.random.default_rng(0).integers(0, 9, SIZE, dtype=np.uint8)
TURNS = [
    (order, flips)
    for order in itertools.permutations(range(3))
    for flips in itertools.product((False, True), repeat=3)
]


def direction(angle):
    """Turn about an oblique axis."""
    x, y, z = np.array([0.3, -0.5, 0.8]) / np.linalg.norm([0.3, -0.5, 0.8])
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


# At 45 degrees about z two axes are equally near to two of the body.
EVEN = np.array([[1, 0, 0], [0, 0.5**0.5, -(0.5**0.5)], [0, 0.5**0.5, 0.5**0.5]])
GRID = Grid.of(SIZE, EDGES, ORIGIN, direction(0.4))
PLACE = ImagePlace(GRID, "scan")


def stored_as(order, flips, grid=GRID, label=LABEL):
    """Store the voxels in another order; the grid follows from where single voxels lie."""
    numbers = np.arange(label.size).reshape(label.shape).transpose(order)
    numbers = numbers[tuple(slice(None, None, -1 if flip else 1) for flip in flips)]
    places = grid.positions_mm(np.argwhere(np.ones(label.shape)))
    first = places[numbers[0, 0, 0]]
    steps = [places[numbers[tuple(one)]] - first for one in np.eye(3, dtype=int)]
    edges = np.linalg.norm(steps, axis=1)
    turned = Grid.of(numbers.shape, edges, first, (steps / edges[:, None]).T)
    return LabelVolume(label.ravel()[numbers], turned, Path("label.nii.gz"))


def moved(grid, by):
    return Grid.of(grid.size, grid.spacing_mm, np.add(grid.origin_mm, by), grid.direction)


@pytest.mark.parametrize("image", [GRID, Grid.of(SIZE, EDGES, ORIGIN, EVEN)])
@pytest.mark.parametrize(("order", "flips"), TURNS)
def test_the_same_voxels_in_any_order_of_axes_are_turned_exactly(order, flips, image):
    label = stored_as(order, flips, image)
    laid = ImagePlace(image).lay(label)
    np.testing.assert_array_equal(laid, LABEL)
    assert laid.dtype == LABEL.dtype
    assert laid.flags.c_contiguous
    assert image.is_same(turned_onto(label, image).grid, 1e-6)


@pytest.mark.parametrize(("order", "flips"), TURNS[1::3])
def test_a_turned_label_one_voxel_away_is_refused_with_the_numbers(order, flips):
    step = np.asarray(GRID.direction)[:, 1] * EDGES[1]
    label = stored_as(order, flips, moved(GRID, step))
    with pytest.raises(DataError, match=r"label\.nii\.gz does not lie on the grid of scan: .*orig"):
        PLACE.lay(label)
    assert turned_onto(label, GRID) is label


def test_a_little_off_is_the_same_grid_as_ever():
    step = np.asarray(GRID.direction)[:, 1] * EDGES[1]
    flipped = (False, True, False)
    near = stored_as((2, 0, 1), flipped, moved(GRID, 0.05 * step))
    np.testing.assert_array_equal(PLACE.lay(near), LABEL)
    with pytest.raises(DataError, match="does not lie"):
        PLACE.lay(stored_as((2, 0, 1), flipped, moved(GRID, 0.2 * step)))


@pytest.mark.parametrize("axis", range(3))
def test_a_direction_flipped_about_the_first_voxel_is_refused(axis):
    """The label then lies beside its image: a mirror image, not another order of voxels."""
    mirror = np.diag([-1.0 if each == axis else 1.0 for each in range(3)])
    grid = Grid.of(SIZE, EDGES, ORIGIN, np.asarray(GRID.direction) @ mirror)
    with pytest.raises(DataError, match=rf"voxels lie up to {2 * (SIZE[axis] - 1)} voxel edges"):
        PLACE.lay(LabelVolume(LABEL, grid, Path("l.nii")))


def test_exchanged_axes_need_their_edges_exchanged():
    grid = stored_as((1, 0, 2), (False,) * 3).grid
    wrong = Grid.of(grid.size, EDGES, grid.origin_mm, grid.direction)
    with pytest.raises(DataError, match="does not lie"):
        PLACE.lay(LabelVolume(LABEL.transpose(1, 0, 2), wrong, Path("l.nii")))


def test_what_lies_as_its_image_is_not_copied():
    label = LabelVolume(LABEL, moved(GRID, 0.001), Path("l.nii"))
    assert PLACE.lay(label) is LABEL
    bare = LabelVolume(LABEL, Grid.of(SIZE), Path("l.npy"))
    assert PLACE.lay(bare) is LABEL


def test_without_spacing_nothing_is_turned():
    """Axes that cannot be told from each other by geometry are not guessed from sizes."""
    bare = LabelVolume(LABEL.transpose(2, 1, 0), Grid.of(SIZE[::-1]), Path("l.npy"))
    assert turn_onto(bare.grid, GRID) is None
    with pytest.raises(DataError, match="the label has 6 x 5 x 4 pixels, its image 4 x 5 x 6"):
        PLACE.lay(bare)


def test_a_spacing_that_was_told_goes_with_a_flipped_label():
    """The files agree about everything but the edges that a manifest tells."""
    told = Grid.of(SIZE, EDGES, (0, 0, 0))
    far = (EDGES[0] * (SIZE[0] - 1), 0, 0)
    flipped = Grid.of(SIZE, (1, 1, 1), far, np.diag([-1.0, 1, 1]))
    laid = ImagePlace(told, spacing_mm=EDGES).lay(LabelVolume(LABEL[::-1], flipped, Path("l.nii")))
    np.testing.assert_array_equal(laid, LABEL)


def test_aligning_takes_the_turn_and_resamples_only_what_lies_elsewhere():
    place = ImagePlace(GRID, "scan", is_alignable=True)
    label = stored_as((2, 1, 0), (True, False, True))
    turned = place.turn(label)
    assert place.lay(turned) is turned.values
    np.testing.assert_array_equal(turned.values, LABEL)
    step = np.asarray(GRID.direction)[:, 2] * EDGES[2]
    beside = place.turn(stored_as((2, 1, 0), (True, False, True), moved(GRID, step)))
    laid = place.lay(beside)
    assert laid is not beside.values
    np.testing.assert_array_equal(laid[..., 1:], LABEL[..., :-1])
