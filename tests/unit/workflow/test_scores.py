"""The scores of a run: volumes, stacks of slices and masks, found wherever they were written."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ushape.data.io import Grid, write_label_volume, write_volume
from ushape.data.layouts import CaseFiles, ClassMask
from ushape.errors import DataError
from ushape.labels import LabelClass, LabelTable
from ushape.workflow.scores import evaluate_run, predicted_files

SIZE = (6, 10, 12)
GRID = Grid.of(SIZE, (3.0, 0.7, 0.7), (5, 6, 7))
VALUES = LabelTable(
    (LabelClass("back", 0), LabelClass("front", 4), LabelClass("rear", 9)), ignore=7
)
MASKS = LabelTable(
    (LabelClass("none", 0), LabelClass("x", 1), LabelClass("y", 2), LabelClass("xy", 3, (1, 2))),
    kind="multilabel",
    form="folders",
)


def dice(prediction, truth):
    return 2 * np.count_nonzero(prediction & truth) / (prediction.sum() + truth.sum())


def labels(seed, grid=GRID):
    return np.random.default_rng(seed).choice([0, 4, 9], grid.size).astype(np.uint8)


def save(path, values, grid=GRID):
    path.parent.mkdir(parents=True, exist_ok=True)
    write_label_volume(path, values, grid, keep_place=False)
    return path


def case(root, name, truth, grid=GRID, suffix=".nii.gz"):
    image = root / "images" / f"{name}{suffix}"
    image.parent.mkdir(parents=True, exist_ok=True)
    write_volume(image, np.zeros((1, *grid.size), np.float32), grid)
    return CaseFiles(name, image, save(root / "labels" / f"{name}{suffix}", truth, grid))


@pytest.mark.parametrize("ending", [".nii.gz", ".mha"])
def test_volumes_are_scored_in_millimetres_without_void(ending, tmp_path):
    truth, prediction = labels(0), labels(1)
    truth[:2] = 7
    cases = [case(tmp_path, "a", truth), case(tmp_path, "b", labels(2))]
    for name in ("a", "b"):
        save(tmp_path / "p" / f"{name}{ending}", prediction)
    found = evaluate_run(tmp_path / "p", tmp_path, cases, VALUES)
    assert found.settings.unit == "mm"
    assert found.settings.tolerance == pytest.approx(3.0, abs=1e-5)
    expected = [dice(prediction[2:] == value, truth[2:] == value) for value in (4, 9)]
    assert found.cases[0].classes["dice"] == pytest.approx(expected)
    assert found.problems == ()


def test_a_stack_is_scored_as_a_volume_from_its_slices(tmp_path):
    """In whatever form the prediction lies: one file a slice, or one for the stack."""
    truth, prediction = labels(3), labels(4)
    flat = Grid.of(SIZE[1:])
    planes = []
    for number in range(SIZE[0]):
        name = f"s{number}"
        image = save(tmp_path / "images" / f"{name}.png", truth[number], flat)
        label = save(tmp_path / "labels" / f"{name}.png", truth[number], flat)
        planes.append(CaseFiles(name, image, label))
        save(tmp_path / "p" / f"{name}.png", prediction[number], flat)
    stack = CaseFiles(
        "s0-s5", planes[0].image, planes[0].label, planes=tuple(planes), spacing_mm=(5, 1, 1)
    )
    found = evaluate_run(tmp_path / "p", tmp_path, [stack], VALUES)
    expected = [dice(prediction == value, truth == value) for value in (4, 9)]
    assert found.cases[0].classes["dice"] == pytest.approx(expected)
    assert (found.settings.unit, found.settings.tolerance) == ("mm", 5.0)
    save(tmp_path / "q" / "s0-s5.nii.gz", prediction, Grid.of(SIZE, (5, 1, 1)))
    whole = evaluate_run(tmp_path / "q", tmp_path, [stack], VALUES)
    assert whole.cases[0].classes == found.cases[0].classes


def test_masks_and_regions_are_compared_by_number(tmp_path):
    """Folders of the data may have other names than the classes; the table counts them."""
    generator = np.random.default_rng(5)
    truth, prediction = generator.random((2, 2, *SIZE)) < 0.4
    image = case(tmp_path, "a", labels(0)).image
    folders = []
    for name, mask in zip(("first", "second"), truth, strict=True):
        path = save(tmp_path / "labels" / name / "a.nii.gz", mask.astype(np.uint8))
        folders.append(ClassMask(name, path))
    union = np.logical_or(*prediction)
    for name, mask in zip(("x", "y", "xy"), (*prediction, union), strict=True):
        save(tmp_path / "p" / name / "a.nii.gz", mask.astype(np.uint8) * 255)
    found = evaluate_run(
        tmp_path / "p", tmp_path, [CaseFiles("a", image, None, tuple(folders))], MASKS
    )
    expected = [
        dice(prediction[0], truth[0]),
        dice(prediction[1], truth[1]),
        dice(union, truth[0] | truth[1]),
    ]
    assert found.class_names == ("x", "y", "xy")
    assert found.cases[0].classes["dice"] == pytest.approx(expected)


def test_what_was_not_predicted_is_told_once(tmp_path):
    cases = [case(tmp_path, name, labels(6)) for name in ("a", "b", "c")]
    save(tmp_path / "p" / "a.nii.gz", labels(7))
    (tmp_path / "p" / "predictions.json").write_text(
        json.dumps({"failed": {str(cases[1].image): "too thin"}})
    )
    found = evaluate_run(tmp_path / "p", tmp_path, cases, VALUES)
    assert [each.id for each in found.cases] == ["a"]
    assert len(found.problems) == 2
    assert "b.nii.gz: was not predicted (too thin)" in found.problems[0]
    assert "there is no prediction of the case c" in found.problems[1]
    with pytest.raises(DataError, match=r"nothing could be evaluated: .*was not predicted"):
        evaluate_run(tmp_path / "p", tmp_path, cases[1:], VALUES)


def test_labels_on_another_grid_need_a_word(tmp_path):
    truth = labels(8)
    cases = [case(tmp_path, "a", truth)]
    moved = Grid.of(SIZE, GRID.spacing_mm, (8, 6, 7))
    save(tmp_path / "p" / "a.nii.gz", truth, moved)
    with pytest.raises(DataError, match="origin 8 x 6 x 7 against 5 x 6 x 7"):
        evaluate_run(tmp_path / "p", tmp_path, cases, VALUES)
    found = evaluate_run(tmp_path / "p", tmp_path, cases, VALUES, is_resampled=True)
    hits = [np.count_nonzero((truth[:-1] == v) & (truth[1:] == v)) for v in (4, 9)]
    sums = [np.count_nonzero(truth[:-1] == v) + np.count_nonzero(truth == v) for v in (4, 9)]
    assert found.cases[0].classes["dice"] == pytest.approx(
        [2 * hit / total for hit, total in zip(hits, sums, strict=True)]
    )


def test_predicted_files_are_found_by_name(tmp_path):
    file = CaseFiles("a", tmp_path / "a.tif", tmp_path / "a.png")
    assert predicted_files(tmp_path, file, VALUES).label == tmp_path / "a.png"  # none is there
    path = save(tmp_path / "a.nrrd", labels(0))
    assert predicted_files(tmp_path, file, VALUES).label == path
    masks = predicted_files(tmp_path, file, MASKS).masks
    assert [mask.path for mask in masks] == [tmp_path / n / "a.png" for n in ("x", "y", "xy")]


def test_the_predictions_are_listed_once(tmp_path, monkeypatch):
    """Listed for every case, a folder of thousands would take minutes."""
    cases = [case(tmp_path, str(number), labels(number)) for number in range(6)]
    for number in range(6):
        save(tmp_path / "p" / f"{number}.nii.gz", labels(number))
    listings = []
    iterdir = Path.iterdir
    monkeypatch.setattr(Path, "iterdir", lambda self: listings.append(self) or iterdir(self))
    found = evaluate_run(tmp_path / "p", tmp_path, cases, VALUES)
    assert [one.classes["dice"] for one in found.cases] == [(1.0, 1.0)] * 6
    assert listings == [tmp_path / "p"]


@pytest.mark.parametrize(("groups", "number"), [("aabb", 2), ("aaaa", None), ((None,) * 4, None)])
def test_intervals_are_over_subjects_where_there_are_several(groups, number, tmp_path):
    cases = []
    for index, group in enumerate(groups):
        cases.append(replace(case(tmp_path, f"c{index}", labels(index)), group=group))
        save(tmp_path / "p" / f"c{index}.nii.gz", labels(9 - index))

    found = evaluate_run(tmp_path / "p", tmp_path, cases, VALUES)

    assert found.class_means["dice"][0].num_groups == number
