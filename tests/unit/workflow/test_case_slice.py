"""The plane of a case that is shown: which one, how it lies, and what is marked in it."""

import numpy as np
import pytest
from PIL import Image

from ushape.data.io import Grid, canonical_turn, write_label_volume, write_volume
from ushape.data.layouts import CaseFiles
from ushape.data.layouts.cases import ClassMask
from ushape.labels import LabelClass, LabelTable
from ushape.workflow.case_slice import cut_case, slice_axis

TABLE = LabelTable((LabelClass("rest", 0), LabelClass("disc", 5), LabelClass("spot", 9)))
SIZE = (6, 12, 10)


@pytest.fixture
def volume():
    image = np.arange(720, dtype=np.int16).reshape(SIZE)
    label = np.zeros(SIZE, np.uint8)
    label[1, 1:3, 1:3] = 5
    label[4, 2:8, 2:9] = 5  # holds most of the foreground
    label[4, 9:11, 3:5] = 9
    return image, label


def store(root, image, label, grid):
    write_volume(root / "image.nii.gz", image[np.newaxis], grid)
    write_label_volume(root / "label.nii.gz", label, grid)
    return CaseFiles("a", root / "image.nii.gz", root / "label.nii.gz")


def test_the_plane_has_half_of_the_foreground_below_it(tmp_path, volume):
    image, label = volume
    cut = cut_case(store(tmp_path, image, label, Grid.of(SIZE, (3.0, 0.5, 1.0))), TABLE)
    np.testing.assert_array_equal(cut.image, image[np.newaxis, 4])
    np.testing.assert_array_equal(cut.masks, [label[4] == 5, label[4] == 9])
    assert (cut.edges, cut.plane) == ((0.5, 1.0), "z 5 of 6")


def test_it_lies_across_the_thick_axis_and_upright(tmp_path, volume):
    """A sagittal scan: slices lie across x; superior, where z grows, is up."""
    image, label = volume
    direction = np.eye(3)[:, [2, 0, 1]]  # the axes of the file are x, z, y of the body
    turn = canonical_turn(Grid.of(SIZE, (4.0, 1.0, 2.0), direction=direction))
    cut = cut_case(store(tmp_path, image, label, turn.old), TABLE)
    assert turn.new.spacing_mm == (1.0, 2.0, 4.0)
    np.testing.assert_array_equal(cut.image[0], turn.apply(image)[::-1, :, 4])
    np.testing.assert_array_equal(cut.masks[0], turn.apply(label)[::-1, :, 4] == 5)
    assert (cut.edges, cut.plane) == ((1.0, 2.0), "x 5 of 6")


def test_masks_by_class(tmp_path, volume):
    image, label = volume
    grid = Grid.of(SIZE, (1.0, 1.0, 1.0))
    case = store(tmp_path, image, label, grid)
    paths = [tmp_path / f"{value}.nii.gz" for value in (5, 9)]
    for path, value in zip(paths, (5, 9), strict=True):
        write_label_volume(path, (label == value).astype(np.uint8), grid)
    masks = tuple(ClassMask(path.stem, path) for path in paths)
    table = LabelTable(
        (LabelClass("rest", 0), LabelClass("disc", 1), LabelClass("spot", 2)), form="folders"
    )
    cut = cut_case(CaseFiles("a", case.image, None, masks), table)
    np.testing.assert_array_equal(cut.masks, [label[4] == 5, label[4] == 9])


def test_a_picture_is_shown_whole(tmp_path):
    image = np.arange(120, dtype=np.uint8).reshape(10, 12)
    Image.fromarray(image).save(tmp_path / "image.png")
    Image.fromarray(np.where(image > 60, np.uint8(9), np.uint8(0))).save(tmp_path / "label.png")
    cut = cut_case(CaseFiles("a", tmp_path / "image.png", tmp_path / "label.png"), TABLE)
    np.testing.assert_array_equal(cut.image[0], image)
    np.testing.assert_array_equal(cut.masks[1], image > 60)
    assert cut.plane == ""


def test_without_foreground_the_middle(tmp_path, volume):
    image, label = volume
    cut = cut_case(store(tmp_path, image, 0 * label, Grid.of(SIZE, (1.0, 1.0, 1.0))), TABLE)
    assert cut.plane == "z 4 of 6"


def test_slices_lie_across_the_thick_axis_and_else_across_z():
    assert slice_axis((1.0, 1.0, 4.0)) == 2
    assert slice_axis((1.0, 4.0, 1.0)) == 1
    assert slice_axis((1.0, 1.0, 1.1)) == 0  # rounding is no slice
