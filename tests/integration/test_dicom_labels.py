"""DICOM series with labels in the order of axes that converters leave: one data set, all the way.

Such a label has the voxels of its series, its slices (and rows) the other way round.
"""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813 - its usual name

from ushape.config.schema import PreprocessConfig
from ushape.data.convert import convert_layout
from ushape.data.io import read_label_volume, read_volume
from ushape.data.layouts import find_cases
from ushape.data.preprocess import prepare_cases
from ushape.data.scan import scan_cases
from ushape.errors import DataError
from ushape.evaluate import evaluate_folders
from ushape.labels import LabelClass, LabelTable

SIZE, SPACING, ORIGIN = (10, 12, 14), (3.0, 0.75, 0.5), (4.0, -9.0, 20.0)
COSINES = (0.8, 0.6, 0.0, -0.6, 0.8, 0.0)  # x y z of a row, of a column: slices turned about z
TABLE = LabelTable((LabelClass("background", 0), LabelClass("a", 1), LabelClass("b", 2)))
KEPT = {  # how the label is stored: exchanged, then flipped, x y z
    "as it is": ((0, 1, 2), (False, False, False)),
    "slices the other way": ((0, 1, 2), (False, False, True)),
    "rows and slices the other way": ((0, 1, 2), (False, True, True)),
    "sagittal": ((2, 1, 0), (True, False, True)),
}


def write_series(folder, values):
    """Write an oblique series, as a scanner would."""
    folder.mkdir(parents=True)
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    for number, plane in enumerate(values):
        image = sitk.GetImageFromArray(plane)
        image.SetSpacing(SPACING[:0:-1])
        place = (*ORIGIN[:2], ORIGIN[2] + number * SPACING[0])
        for tag, text in (
            ("0020|000e", f"1.2.826.0.1.3680043.2.1125.{sum(map(ord, folder.name))}"),
            ("0020|0032", "\\".join(map(str, place))),
            ("0020|0037", "\\".join(map(str, COSINES))),
            ("0008|0060", "CT"),
        ):
            image.SetMetaData(tag, text)
        writer.SetFileName(str(folder / f"{len(values) - number:04d}.dcm"))
        writer.Execute(image)
    return folder


def write_label(path, label, how):
    """Write a label on the place of the series, exchanged and flipped by SimpleITK."""
    path.parent.mkdir(exist_ok=True)
    image = sitk.GetImageFromArray(label)
    image.SetSpacing(SPACING[::-1])
    image.SetOrigin(ORIGIN)
    x, y = np.reshape(COSINES, (2, 3))
    image.SetDirection(np.stack([x, y, np.cross(x, y)], axis=1).ravel().tolist())
    order, flips = KEPT[how]
    sitk.WriteImage(sitk.Flip(sitk.PermuteAxes(image, order), flips), str(path))


def make_data(root, how):
    rng = np.random.default_rng(5)
    labels = []
    for name in ("p1", "p2"):
        label = np.zeros(SIZE, np.uint8)
        label[2:7, 3:9, 1:8] = 1
        label[5:9, 1:5, 6:12] = 2
        values = rng.integers(1, 500, SIZE).astype(np.int16) + np.int16(200) * label
        write_series(root / "images" / name, values)
        write_label(root / "labels" / f"{name}.nii.gz", label, how)
        labels.append(label)
    return labels


@pytest.mark.parametrize("align", [False, True])
@pytest.mark.parametrize("how", list(KEPT))
def test_every_step_takes_the_label_for_what_it_is(tmp_path, how, align):
    labels = make_data(tmp_path / "data", how)
    layout = find_cases(tmp_path / "data")
    scan = scan_cases(layout, align=align)
    (oblique,) = scan.problems  # nothing is lost, and nothing is resampled
    assert "oblique axes" in oblique.message
    assert not any(case.is_aligned for case in scan.cases)
    table, config = TABLE, PreprocessConfig(1)
    prepared = prepare_cases(layout.cases, table, config, tmp_path / "cache", align=align)
    for case, found, label in zip(scan.cases, prepared, labels, strict=True):
        assert case.label_counts == {v: int((label == v).sum()) for v in (0, 1, 2)}
        # The image is 200 brighter in 1 and 400 in 2: a label laid wrongly mixes them.
        assert case.inside[2].means[0] - case.inside[1].means[0] == pytest.approx(200, abs=60)
        np.testing.assert_array_equal(found.open().target, label)

    done = convert_layout(layout, tmp_path / "out", to="images+labels")
    assert done.problems == ()
    for case in layout.cases:
        written = read_label_volume(tmp_path / "out" / "labels" / f"{case.id}.nii.gz")
        image = read_volume(tmp_path / "out" / "images" / f"{case.id}.nii.gz")
        assert image.grid.is_same(written.grid, 1e-3)
        np.testing.assert_array_equal(written.values, labels[0])

    make_data(tmp_path / "straight", "as it is")
    found = evaluate_folders(tmp_path / "straight" / "labels", tmp_path / "data" / "labels")
    assert found.problems == ()
    assert [case.classes["dice"] for case in found.cases] == [(1.0, 1.0)] * 2


def test_masks_by_class_are_turned_one_by_one(tmp_path):
    """Each file may have an order of its own: in scans, conversions and scores."""
    labels = make_data(tmp_path, "as it is")
    ways = {"a": "sagittal", "b": "slices the other way"}
    for name, label in zip(("p1", "p2"), labels, strict=True):
        (tmp_path / "labels" / f"{name}.nii.gz").unlink()
        for value, (mask, how) in enumerate(ways.items(), start=1):
            path = tmp_path / "labels" / mask / f"{name}.nii.gz"
            write_label(path, (label == value).astype(np.uint8), how)
    layout = find_cases(tmp_path)
    scan = scan_cases(layout)
    assert scan.errors == ()
    assert scan.cases[0].label_counts == {v: int((labels[0] == v).sum()) for v in (0, 1, 2)}
    done = convert_layout(layout, tmp_path / "out", to="images+labels")
    assert done.problems == ()
    written = read_label_volume(tmp_path / "out" / "labels" / "p1.nii.gz").values
    np.testing.assert_array_equal(written, labels[0])
    found = evaluate_folders(tmp_path / "out" / "labels", tmp_path / "labels", names=TABLE_NAMES)
    assert [case.classes["dice"] for case in found.cases] == [(1.0, 1.0)] * 2


TABLE_NAMES = {"background": 0, "a": 1, "b": 2}


def test_a_label_of_another_series_is_still_refused(tmp_path):
    """One slice beside it, whatever its order of axes."""
    labels = make_data(tmp_path, "slices the other way")
    path = tmp_path / "labels" / "p1.nii.gz"
    image = sitk.ReadImage(str(path))
    x, y, z = image.GetOrigin()
    image.SetOrigin((x, y, z + SPACING[0]))
    sitk.WriteImage(image, str(path))
    layout = find_cases(tmp_path)
    scan = scan_cases(layout)
    (problem,) = scan.errors
    assert problem.path == path
    assert "does not lie on the grid" in problem.message
    assert "voxel edges apart" in problem.message
    with pytest.raises(DataError, match=r"p1\.nii\.gz does not lie on the grid of"):
        prepare_cases(layout.cases, TABLE, PreprocessConfig(1), tmp_path / "cache")
    done = convert_layout(layout, tmp_path / "out", to="images+labels")
    assert done.cases == ("p2",)
    aligned = scan_cases(layout, align=True)
    assert [case.is_aligned for case in aligned.cases] == [True, False]
    shifted = int((labels[0][1:] == 1).sum())
    assert aligned.cases[0].label_counts[1] == shifted
