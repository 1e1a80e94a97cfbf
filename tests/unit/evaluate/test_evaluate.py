"""Scores of maps and folders: columns, units, ignored values, groups, absent classes."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
import tifffile
from PIL import Image

from ushape.errors import ConfigError, DataError
from ushape.evaluate import (
    ScoreSettings,
    choose_metrics,
    evaluate_folders,
    evaluate_maps,
    evaluate_masks,
    summarise,
    write_evaluation,
)
from ushape.labels import LabelClass, LabelTable
from ushape.metrics import (
    METRICS,
    centerline_scores,
    count_table,
    overlap_scores,
    region_scores,
    surface_distances,
)

BINARY = LabelTable((LabelClass("back", 0), LabelClass("cell", 255)))
THREE = LabelTable((LabelClass("back", 0), LabelClass("disc", 1), LabelClass("bone", 2)))
ALL = ScoreSettings(tuple(METRICS), tolerance=1.0, regions="foreground")


def maps(seed, top, size=(14, 15)):
    return np.random.default_rng(seed).integers(0, top + 1, (2, *size)).astype(np.uint8)


def write(folder, **pictures):
    folder.mkdir(parents=True, exist_ok=True)
    for name, values in pictures.items():
        Image.fromarray(np.asarray(values, np.uint8)).save(folder / f"{name}.png")
    return folder


def square(start, size=12, side=4):
    picture = np.zeros((size, size), np.uint8)
    picture[start : start + side, start : start + side] = 255
    return picture


def test_every_metric_is_the_function_of_its_name():
    prediction, truth = maps(0, 1)
    found = evaluate_maps("x", prediction, truth, BINARY, settings=ALL, spacing=1.0)
    values = {column: cells[0] for column, cells in found.classes.items()}
    masks = prediction == 1, truth == 1
    expected = vars(overlap_scores(count_table(prediction, truth, 2)))
    for name, scores in expected.items():
        assert values[name] == scores[1]
    surface = surface_distances(*masks)
    assert values["hd_pixels"] == surface.hausdorff
    assert values["hd95_pixels"] == surface.hausdorff95
    assert values["assd_pixels"] == surface.assd
    assert values["nsd"] == surface.normalised_dice(1.0)
    assert values["boundary_f"] == surface.boundary(1.0).f1
    assert found.v_rand == region_scores(*masks, "foreground").v_rand
    assert "v_rand" not in values
    thinned = region_scores(*masks, "foreground", is_thinned=True)
    assert values["v_info_thinned"] == thinned.v_info
    assert list(values) == [METRICS[n].column("pixels") for n in METRICS if n != "v_rand"]


@pytest.mark.parametrize(
    ("target", "expected"),
    [("binary", ("hd95", "nsd", "v_rand")), ("multiclass", ("hd95", "nsd"))],
)
def test_the_default_suits_the_target(target, expected):
    assert choose_metrics(None, target) == ("dice", "iou", "precision", "recall", *expected)
    # Overlap is always there, for the report and older scripts.
    assert choose_metrics("cldice", target)[:4] == ("dice", "iou", "precision", "recall")


def test_overlapping_masks_score_as_their_classes_alone():
    generator = np.random.default_rng(1)
    prediction, truth = generator.random((2, 3, 10, 10)) < 0.4
    ignore = generator.random((10, 10)) < 0.2
    found = evaluate_masks("x", prediction, truth, ALL, ignore=ignore)
    for number in range(3):
        alone = evaluate_maps(
            "x",
            prediction[number].astype(np.uint8),
            truth[number].astype(np.uint8),
            BINARY,
            settings=ALL,
            ignore=ignore,
        )
        for column, values in alone.classes.items():
            np.testing.assert_equal(found.classes[column][number], values[0])
        assert found.classes["v_rand"][number] == alone.v_rand


def test_what_is_ignored_does_not_matter_to_any_metric():
    prediction, truth = maps(2, 2)
    ignore = np.random.default_rng(3).random(truth.shape) < 0.25
    other = np.where(ignore, 2 - prediction, prediction).astype(np.uint8)
    found, changed = (
        evaluate_maps("x", values, truth, THREE, settings=ALL, ignore=ignore)
        for values in (prediction, other)
    )
    np.testing.assert_equal(dict(found.classes), dict(changed.classes))
    assert found.presence == changed.presence


@pytest.mark.parametrize("size", [(14, 15), (8, 9, 10)])
def test_empty_room_around_the_masks_changes_nothing(size):
    """Objects, lines and pieces are measured in a box around both masks."""
    truth = np.random.default_rng(5).random((1, *size)) < 0.5
    prediction = truth ^ (np.random.default_rng(6).random((1, *size)) < 0.1)
    names = ("hd95", "nsd", "cldice", "component_error", "instance_f1", "panoptic_quality")
    settings = ScoreSettings(names)
    found = evaluate_masks("x", prediction, truth, settings)
    room = [(0, 0), *((3, 4),) * len(size)]
    wider = evaluate_masks("x", np.pad(prediction, room), np.pad(truth, room), settings)
    assert found.classes == wider.classes
    lines = centerline_scores(prediction[0], truth[0]).cldice
    assert found.classes["cldice"] == (lines,)


def test_missed_and_spurious_cases_are_counted():
    blank, cell = np.zeros((4, 4), np.uint8), np.eye(4, dtype=np.uint8)
    pairs = [(cell, cell), (blank, cell), (blank, cell), (cell, blank), (blank, blank)]
    cases = [evaluate_maps(str(n), p, t, BINARY) for n, (p, t) in enumerate(pairs)]
    found = summarise(cases, BINARY)
    assert vars(found.presence[0]) == {"both": 1, "missed": 2, "spurious": 1, "neither": 1}
    level = found.to_json()["image_level"]["cell"]
    assert (level["recall"], level["precision"]) == pytest.approx((1 / 3, 1 / 2))
    dice, hd95 = found.class_means["dice"][0], found.class_means["hd95_pixels"][0]
    assert (dice.num_cases, dice.mean) == (4, 0.25)  # missed and spurious are 0
    assert (hd95.num_cases, hd95.num_undefined) == (1, 4)  # they have no distance
    assert found.class_means["nsd"][0].mean == 0.25


def test_folders_in_pixels_and_in_millimetres(tmp_path):
    truth = write(tmp_path / "truth", a=square(2), b=square(4))
    predictions = write(tmp_path / "predictions", a=square(3), b=square(4))
    found = evaluate_folders(predictions, truth, metrics="hd,nsd")
    assert found.class_means["hd_pixels"][0].mean == pytest.approx(np.sqrt(2) / 2)
    assert (found.settings.unit, found.settings.tolerance) == ("pixels", 1.0)
    in_mm = evaluate_folders(predictions, truth, spacing_mm=(0.5, 0.25), metrics="hd,nsd")
    assert "hd_pixels" not in in_mm.class_means
    assert in_mm.class_means["hd_mm"][0].mean == pytest.approx(np.hypot(0.5, 0.25) / 2)
    assert in_mm.settings.tolerance == 0.5  # one voxel: the longest edge
    assert (
        evaluate_folders(predictions, truth, spacing_mm=(0.5,), tolerance=0, metrics="nsd")
        .class_means["nsd"][0]
        .mean
        < 1
    )
    with pytest.raises(DataError, match="2 axes, but --spacing has 3 numbers"):
        evaluate_folders(predictions, truth, spacing_mm=(1, 1, 1))
    with pytest.raises(ConfigError, match="did you mean 'hd95'"):
        evaluate_folders(predictions, truth, metrics="hd59")
    with pytest.raises(ConfigError, match="tolerance -1"):
        evaluate_folders(predictions, truth, tolerance=-1)


def test_the_first_case_decides_the_unit(tmp_path):
    truth = write(tmp_path / "truth", b=square(4))
    inch = {"unit": "mm"}
    tifffile.imwrite(truth / "a.tif", square(2), imagej=True, resolution=(0.5, 0.5), metadata=inch)
    predictions = write(tmp_path / "predictions", a=square(3), b=square(4))
    found = evaluate_folders(predictions, truth, metrics="hd")
    assert found.class_means["hd_mm"][0].mean == pytest.approx(2 * np.sqrt(2))
    # The second case cannot be put beside the first.
    assert [case.id for case in found.cases] == ["a"]
    assert "its spacing is not known, other than that of the first" in found.problems[0]


def test_overlapping_maps_are_sets_of_classes_not_indices():
    """Bits: a pixel with the value 6 is in classes 1 and 2; 1 is void; no pixel has the value 1."""
    labels = replace(THREE, kind="multilabel", ignore=9)
    truth = np.array([[0, 2, 2, 6], [4, 4, 6, 1]], np.uint8)
    prediction = np.array([[2, 2, 6, 6], [4, 0, 4, 6]], np.uint8)
    found = evaluate_maps("x", prediction, truth, labels)
    # Void is the last pixel. Disc: truth has 4, prediction 4, 3 in common; bone: 4, 4, 3.
    assert found.classes["dice"] == (0.75, 0.75)
    assert found.classes["recall"] == (0.75, 0.75)
    one_more = prediction.copy()
    one_more[1, 3] = 0
    assert evaluate_maps("x", one_more, truth, labels).classes == found.classes


def test_an_ignored_value_of_the_truth_counts_nowhere(tmp_path):
    true = square(2)
    true[8:] = 7
    predicted = square(2)
    predicted[9, 9] = 255
    truth = write(tmp_path / "truth", a=true)
    predictions = write(tmp_path / "predictions", a=predicted)
    found = evaluate_folders(predictions, truth, ignore=7, metrics="all", regions="foreground")
    perfect = {
        c: m[0].mean for c, m in found.class_means.items() if c in ("dice", "nsd", "hd_pixels")
    }
    assert perfect == {"dice": 1, "nsd": 1, "hd_pixels": 0}
    without = evaluate_folders(predictions, truth, names={"b": 0, "x": 7, "cell": 255})
    assert without.class_means["dice"][1].mean < 1


def test_groups_widen_the_interval_and_are_written(tmp_path):
    pictures = {f"s{n // 4}_{n}": square(2 + n // 4) for n in range(8)}
    truth = write(tmp_path / "truth", **dict.fromkeys(pictures, square(2)))
    predictions = write(tmp_path / "predictions", **pictures)
    found = evaluate_folders(predictions, truth, group_of=lambda case: case[:2])
    dice = found.class_means["dice"][0]
    assert dice.num_groups == 2
    plain = evaluate_folders(predictions, truth).class_means["dice"][0]
    assert dice.mean == plain.mean
    assert dice.high - dice.low > plain.high - plain.low
    table, details = write_evaluation(found, tmp_path / "evaluation")
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert [row["group"] for row in rows] == ["s0"] * 4 + ["s1"] * 4 + [""] * 3
    assert json.loads(details.read_text())["groups"]["s1_7"] == "s1"


def test_old_columns_stand_where_they_stood(tmp_path):
    truth = write(tmp_path / "truth", a=square(2), b=square(4))
    found = evaluate_folders(write(tmp_path / "p", a=square(3), b=square(4)), truth)
    table, details = write_evaluation(found, tmp_path / "evaluation")
    head = table.read_text().splitlines()[0].split(",")
    name = found.class_names[0]
    old = [f"{name}_{metric}" for metric in ("dice", "iou", "precision", "recall")]
    assert head[:6] == ["case", *old, "v_rand"]
    assert head[6:] == [f"{name}_hd95_pixels", f"{name}_nsd"]
    content = json.loads(details.read_text())
    assert {"conventions", "regions", "summary", "cases", "problems"} <= set(content)
    assert content["settings"]["tolerance"] == 1.0
