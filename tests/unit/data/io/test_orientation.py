"""Exchanging and flipping axes: all 48 ways, against SimpleITK's own reorientation."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from ushape.data.io import Grid, Volume, read_volume, to_canonical, write_label_volume, write_volume
from ushape.errors import ShapeError

TURNS = [
    (order, signs)
    for order in itertools.permutations(range(3))
    for signs in itertools.product((1, -1), repeat=3)
]


def volume_turned(values, order, signs, oblique=None):
    direction = np.zeros((3, 3))
    for axis, (row, sign) in enumerate(zip(order, signs, strict=True)):
        direction[row, axis] = sign
    if oblique is not None:
        direction = np.reshape(oblique, (3, 3)) @ direction
    grid = Grid.of(values.shape, (3, 2, 1), (7, -6, 5), direction)
    return Volume(values[np.newaxis], grid, Path("a.nii"))


@pytest.mark.parametrize(("order", "signs"), TURNS)
def test_every_orientation_comes_to_one_and_goes_back(scan, order, signs, tmp_path):
    volume = volume_turned(scan, order, signs)
    canonical, turn = to_canonical(volume)
    assert canonical.grid.orientation == "SPL"
    np.testing.assert_array_equal(canonical.grid.direction, np.eye(3))
    np.testing.assert_array_equal(turn.undo(canonical.values), volume.values)
    assert turn.old == volume.grid

    write_volume(tmp_path / "a.nrrd", volume.values, volume.grid)
    image = sitk.ReadImage(str(tmp_path / "a.nrrd"))
    expected = sitk.DICOMOrient(image, "LPS")
    np.testing.assert_array_equal(canonical.values[0], sitk.GetArrayFromImage(expected))
    np.testing.assert_allclose(canonical.grid.origin_mm[::-1], expected.GetOrigin())
    assert canonical.grid.edges_mm[::-1] == expected.GetSpacing()


@pytest.mark.parametrize(("order", "signs"), TURNS[::5])
def test_a_prediction_made_in_canonical_order_lies_on_its_scan(scan, order, signs, tmp_path):
    volume = volume_turned(scan, order, signs)
    for ending in (".nii.gz", ".nrrd", ".mha"):
        write_volume(tmp_path / f"scan{ending}", volume.values, volume.grid)
        read = read_volume(tmp_path / f"scan{ending}")
        canonical, turn = to_canonical(read)
        prediction = canonical.values[0] > 100
        write_label_volume(tmp_path / f"p{ending}", turn.undo(prediction), turn.old)
        mask, image = (sitk.ReadImage(str(tmp_path / f"{name}{ending}")) for name in ("p", "scan"))
        assert mask.GetSpacing() == image.GetSpacing()
        assert mask.GetOrigin() == image.GetOrigin()
        assert mask.GetDirection() == image.GetDirection()
        seen = sitk.GetArrayFromImage(mask)
        np.testing.assert_array_equal(seen, sitk.GetArrayFromImage(image) > 100)


@pytest.mark.parametrize(("order", "signs"), TURNS)
def test_oblique_scans_keep_every_voxel_at_its_place(scan, order, signs, turned):
    volume = volume_turned(scan, order, signs, oblique=turned)
    canonical, turn = to_canonical(volume)
    np.testing.assert_array_equal(np.argmax(np.abs(canonical.grid.direction), axis=0), [0, 1, 2])
    assert np.all(np.diag(canonical.grid.direction) > 0)
    index = np.argwhere(np.ones(scan.shape))
    before = dict(
        zip(map(tuple, volume.grid.positions_mm(index).round(6)), scan.ravel(), strict=True)
    )
    places = np.argwhere(np.ones(canonical.grid.size))
    after = map(tuple, canonical.grid.positions_mm(places).round(6))
    assert dict(zip(after, canonical.values.ravel(), strict=True)) == before
    np.testing.assert_array_equal(turn.undo(canonical.values), volume.values)


def test_nothing_is_copied_when_nothing_turns(scan):
    volume = Volume(scan[np.newaxis], Grid.of(scan.shape), Path("a.npy"))
    canonical, turn = to_canonical(volume)
    assert canonical.values is volume.values
    assert turn.is_identity
    assert canonical.grid == volume.grid


def test_two_axes_and_channels():
    values = np.arange(2 * 3 * 4).reshape(2, 3, 4)
    grid = Grid.of((3, 4), (2, 1), (0, 0), [[0, 1], [-1, 0]])
    canonical, turn = to_canonical(Volume(values, grid, Path("a.nii")))
    assert canonical.grid.orientation == "PL"
    assert canonical.grid.size == (4, 3)
    assert canonical.grid.spacing_mm == (1, 2)
    np.testing.assert_array_equal(canonical.values, values.transpose(0, 2, 1)[..., ::-1])
    np.testing.assert_array_equal(turn.undo(canonical.values), values)


def test_values_of_another_size_are_refused(scan):
    _, turn = to_canonical(volume_turned(scan, (2, 1, 0), (1, 1, 1)))
    with pytest.raises(ShapeError, match="does not end in the size"):
        turn.undo(scan)
