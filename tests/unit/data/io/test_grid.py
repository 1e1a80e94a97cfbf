"""Where voxels lie, and which grids are the same."""

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from ushape.data.io import Grid, LabelVolume, Volume, align, check_same_grid
from ushape.errors import DataError, ShapeError

GRID = Grid.of((4, 5, 6), (3, 2, 1), (7, -6, 5))


def itk_image(grid, values=None):
    image = sitk.GetImageFromArray(np.zeros(grid.size, np.uint8) if values is None else values)
    image.SetSpacing(grid.edges_mm[::-1])
    image.SetOrigin(grid.origin_mm[::-1])
    image.SetDirection(np.asarray(grid.direction)[::-1, ::-1].ravel().tolist())
    return image


def label_on(grid, values=None):
    return LabelVolume(np.zeros(grid.size, np.uint8) if values is None else values, grid, "l.nii")


def test_positions_are_those_of_simpleitk(turned):
    direction = np.reshape(turned, (3, 3))[::-1, ::-1]
    grid = Grid.of((4, 5, 6), (3, 2, 1), (7, -6, 5), direction)
    index = (3, 1, 4)
    expected = itk_image(grid).TransformIndexToPhysicalPoint(index[::-1])[::-1]
    np.testing.assert_allclose(grid.positions_mm(np.array([index]))[0], expected)


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"spacing_mm": (0, 1, 1)}, r"spacing is 0 x 1 x 1 mm"),
        ({"spacing_mm": (1, -1, 1)}, "above 0"),
        ({"spacing_mm": (1, np.nan, 1)}, "above 0"),
        ({"origin_mm": (np.inf, 0, 0)}, "origin is inf"),
        ({"direction": [[1, 0.1, 0], [0, 1, 0], [0, 0, 1]]}, r"right angles \(sheared by 0\.1"),
        ({"direction": np.eye(2)}, "2 or 3 axes"),
        ({"size": (0, 1, 1)}, "needs a voxel"),
    ],
)
def test_impossible_numbers_are_refused(numbers, message):
    with pytest.raises(ShapeError, match=message):
        Grid.of(**{"size": (4, 5, 6), **numbers})


def test_shift_is_told_in_voxel_edges_of_each_axis():
    moved = Grid.of(GRID.size, GRID.spacing_mm, (7 + 1.5, -6, 5))
    assert GRID.shift_voxels(moved) == pytest.approx(0.5)  # 1.5 of 3 mm, not of 1 mm
    wider = Grid.of(GRID.size, (3, 2, 1.1), GRID.origin_mm)
    assert GRID.shift_voxels(wider) == pytest.approx(5 * 0.1)  # at the far corner


def test_rounding_of_files_is_the_same_grid_and_half_a_voxel_is_not():
    rounded = Grid.of(GRID.size, (3.0001, 2, 1), (7.0004, -6, 5))
    assert GRID.is_same(rounded)
    assert not GRID.is_same(Grid.of(GRID.size, GRID.spacing_mm, (7, -6, 5.5)))
    assert not GRID.is_same(Grid.of((4, 6, 5), GRID.spacing_mm, GRID.origin_mm))
    assert GRID.is_same(Grid.of(GRID.size))  # a file without spacing contradicts nothing


def test_difference_names_the_numbers():
    other = Grid.of((4, 5, 7), (3, 2, 1.5), (7, -6, 0))
    image, label = Volume(np.zeros((1, 4, 5, 6)), GRID, "a.nii"), label_on(other)
    with pytest.raises(DataError) as caught:
        check_same_grid(image, label)
    message = str(caught.value)
    assert "l.nii does not lie on the grid of a.nii" in message
    assert "size 4 x 5 x 7 against 4 x 5 x 6" in message
    assert "spacing 3 x 2 x 1.5 against 3 x 2 x 1 mm" in message
    assert "origin 7 x -6 x 0 against 7 x -6 x 5 mm" in message
    assert "--align" in message
    assert "\n" not in message


def test_difference_tells_how_far_and_the_direction():
    flipped = Grid.of(GRID.size, GRID.spacing_mm, GRID.origin_mm, np.diag([1, 1, -1]))
    with pytest.raises(
        DataError, match=r"direction \[1 0 0 0 1 0 0 0 -1\] against.*up to 10 voxel"
    ):
        check_same_grid(label_on(GRID), label_on(flipped))


class TestAlign:
    def test_every_voxel_takes_the_nearest_value(self, scan):
        wider = Grid.of((3, 4, 9), (3.5, 2.2, 0.7), (7.3, -5.5, 4.8))
        aligned = align(label_on(GRID, scan), wider)
        points = wider.positions_mm(np.argwhere(np.ones(wider.size)))
        index = np.rint((points - GRID.origin_mm) / GRID.edges_mm).astype(int)
        inside = np.all((index >= 0) & (index < GRID.size), axis=1)
        expected = np.where(inside, scan[tuple(np.clip(index, 0, np.array(GRID.size) - 1).T)], 0)
        np.testing.assert_array_equal(aligned.values.ravel(), expected)
        assert aligned.grid == wider
        assert aligned.values.dtype == scan.dtype

    def test_a_flipped_copy_comes_back(self, scan):
        far = (7, -6, 5 + 5)
        flipped = Grid.of(GRID.size, GRID.spacing_mm, far, np.diag([1, 1, -1]))
        aligned = align(label_on(flipped, scan[..., ::-1].copy()), GRID)
        np.testing.assert_array_equal(aligned.values, scan)

    def test_two_axes(self):
        label = label_on(Grid.of((2, 2), (2, 2)), np.array([[1, 2], [3, 4]], np.uint8))
        aligned = align(label, Grid.of((4, 4), (1, 1), (-0.5, -0.5)))
        np.testing.assert_array_equal(aligned.values, np.kron(label.values, np.ones((2, 2))))

    def test_what_cannot_be_aligned_is_refused(self):
        with pytest.raises(DataError, match="does not overlap"):
            align(label_on(Grid.of(GRID.size, GRID.spacing_mm, (500, 0, 0))), GRID)
        with pytest.raises(DataError, match="spacing of one is not known"):
            align(label_on(Grid.of((4, 5, 7))), GRID)
        with pytest.raises(DataError, match="axes of its image"):
            align(label_on(Grid.of((4, 5), (1, 1))), GRID)
