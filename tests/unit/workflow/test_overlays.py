"""Volumes on the report's page: the right plane, the right way up, truth beside prediction."""

import numpy as np
import pytest

from ushape.data.io import Grid, write_label_volume, write_volume
from ushape.data.layouts import CaseFiles
from ushape.labels import LabelClass, LabelTable
from ushape.workflow.overlays import show_case

TABLE = LabelTable((LabelClass("rest", 0), LabelClass("organ", 5), LabelClass("tumour", 9)))


@pytest.fixture
def volume(tmp_path):
    """Axes of the file: x to the left, z to superior, y to anterior, slices 4 mm thick along z."""
    direction = np.array(
        [[0, 1, 0], [0, 0, -1], [1, 0, 0]], float
    )  # rows z y x, columns the file's
    grid = Grid.of((10, 6, 8), (1.0, 4.0, 1.0), (3.0, 5.0, 7.0), direction)
    truth = np.zeros((10, 6, 8), np.uint8)
    truth[2:7, 4, 1:4] = 5
    truth[2:4, 3, 1:3] = 9
    found = truth.copy()
    found[6] = 0
    image = 100.0 * truth + np.arange(10.0)[:, None, None]
    write_volume(tmp_path / "a.nii.gz", image[None].astype(np.float32), grid)
    write_label_volume(tmp_path / "labels" / "a.nii.gz", truth, grid)
    write_label_volume(tmp_path / "predictions" / "a.nii.gz", found, grid)
    case = CaseFiles("a", tmp_path / "a.nii.gz", tmp_path / "labels" / "a.nii.gz")
    return case, tmp_path / "predictions", truth, found, image


def test_the_slice_with_most_foreground_and_a_cut_across(volume):
    case, predictions, truth, found, image = volume
    axial, across = show_case("Best: a", "Dice 0.9", predictions, case, TABLE)
    assert axial.caption == "Dice 0.9 in the volume; slice z = 5 of 6"
    assert axial.class_names == ("background", "organ", "tumour")
    # Rows run to posterior, which is against the file's last axis; columns to the left.
    plane = (slice(None), 4, slice(None))
    classes = np.array([0, 0, 0, 0, 0, 1, 0, 0, 0, 2])
    for shown, stored in ((axial.truth, truth), (axial.prediction, found)):
        np.testing.assert_array_equal(shown, classes[stored[plane].T[::-1]])
    np.testing.assert_array_equal(axial.image[0], image[plane].T[::-1].astype(np.float32))
    # Across: rows run down from superior, each slice four pixels high.
    assert across.title == axial.title
    assert across.caption.startswith("a cut across it: slice y = ")
    assert across.image.shape == (1, 24, 10)
    rows = np.flatnonzero((across.truth == 1).any(axis=1))
    assert rows.tolist() == [4, 5, 6, 7], "the organ is in the second slice from above"
    rows = np.flatnonzero((across.truth == 2).any(axis=1))
    assert rows.tolist() == [8, 9, 10, 11]


def test_a_picture_is_shown_as_it_is(tmp_path):
    from PIL import Image

    label = np.zeros((12, 20), np.uint8)
    label[3:9, 2:6] = 5
    for name, pixels in (("a", label * 9), ("labels/a", label), ("predictions/a", label[::-1])):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(np.ascontiguousarray(pixels)).save(tmp_path / f"{name}.png")
    case = CaseFiles("a", tmp_path / "a.png", tmp_path / "labels" / "a.png")
    (shown,) = show_case("a", "c", tmp_path / "predictions", case, TABLE)
    np.testing.assert_array_equal(shown.truth, label // 5)
    np.testing.assert_array_equal(shown.prediction, label[::-1] // 5)
    assert (shown.title, shown.caption) == ("a", "c")
