"""One evaluation in every form and format: the same labels give the same scores."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import tifffile
from PIL import Image

from ushape.data.io import Grid, write_label_volume
from ushape.errors import ConfigError, DataError
from ushape.evaluate import evaluate_folders
from ushape.labels import LabelClass, LabelTable

FLAT, DEEP = (17, 20), (7, 12, 14)
FORMS = ("values", "folders", "channels")
NAMES = ("disc", "bone")
LABELS = {"background": 0, "disc": 1, "bone": 2}

OBJECTS = (LabelClass("background", 0), LabelClass("object", 1))


def scores(found, column, case=0):
    return found.cases[case].classes[column]


def record(folder, table, form):
    folder.mkdir(parents=True, exist_ok=True)
    content = {"labels": table.to_json(), "form": form, "failed": {}}
    (folder / "predictions.json").write_text(json.dumps(content))


@pytest.mark.parametrize("ours", FORMS)
@pytest.mark.parametrize("theirs", FORMS)
@pytest.mark.parametrize("size", [FLAT, DEEP])
def test_all_pairs_of_forms_give_the_scores_of_the_masks(scenes, ours, theirs, size, tmp_path):
    """Swapped classes, a class too many or an axis taken for another change the Dice."""
    suffix = {"values": ".png", "folders": ".png", "channels": ".tif"}
    if len(size) == 3:
        suffix = {"values": ".nii.gz", "folders": ".nrrd", "channels": ".tif"}
    drawn = [scenes.draw(seed, size) for seed in range(2)]
    for number, masks in enumerate(drawn):
        for side, form, each in zip(("p", "t"), (ours, theirs), masks, strict=True):
            getattr(scenes, form)(tmp_path / side, f"case{number}", each, suffix=suffix[form])
    needs_names = {ours, theirs} != {"folders"}
    found = evaluate_folders(
        tmp_path / "p", tmp_path / "t", names=LABELS if needs_names else None, spacing_mm=(1,)
    )
    order = [NAMES.index(name) for name in found.class_names]
    assert sorted(order) == [0, 1]
    for case, (prediction, truth) in zip(found.cases, drawn, strict=True):
        expected = [scenes.dice(prediction[k], truth[k]) for k in order]
        assert case.classes["dice"] == pytest.approx(expected)
        expected = [scenes.hd95(prediction[k], truth[k], (1,) * len(size)) for k in order]
        assert case.classes["hd95_mm"] == pytest.approx(expected)
    assert found.problems == ()


@pytest.mark.parametrize("form", ["folders", "channels"])
def test_overlapping_classes_are_sets(scenes, form, tmp_path):
    """A map of indices holds each pixel once: it would lose what the first class covers."""
    prediction, truth = scenes.draw(3, FLAT, overlapping=True)
    assert (truth[0] & truth[1]).sum() > 20
    for side, masks in (("p", prediction), ("t", truth)):
        getattr(scenes, form)(tmp_path / side, "a", masks)
    found = evaluate_folders(
        tmp_path / "p", tmp_path / "t", names={"none": 0, "bone": 1, "disc": 2}
    )
    if form == "folders":  # by name: numbers would swap them
        assert found.class_names == ("bone", "disc")
        prediction, truth = prediction[::-1], truth[::-1]
    expected = [scenes.dice(prediction[k], truth[k]) for k in range(2)]
    assert scores(found, "dice") == pytest.approx(expected)
    assert scores(found, "dice")[0] < 1


def test_a_record_says_what_pages_are(scenes, tmp_path):
    """Two pages without axes: masks by class for a record of channels, a volume without it."""
    prediction, truth = scenes.draw(4, FLAT, overlapping=True)
    table = LabelTable(
        (LabelClass("none", 0), LabelClass("x", 1), LabelClass("y", 2)),
        kind="multilabel",
        form="channels",
    )
    for side, masks in (("p", prediction), ("t", truth)):
        (tmp_path / side).mkdir()
        tifffile.imwrite(
            tmp_path / side / "a.tif", masks.astype(np.uint8), photometric="minisblack"
        )
    volume = evaluate_folders(tmp_path / "p", tmp_path / "t")
    assert volume.class_names == ("foreground",)
    assert volume.understood["truth"].startswith("1 volume, label values")
    record(tmp_path / "p", table, "channels")
    found = evaluate_folders(tmp_path / "p", tmp_path / "t")
    assert found.class_names == ("x", "y")
    assert scores(found, "dice") == pytest.approx(
        [scenes.dice(*each) for each in zip(prediction, truth, strict=True)]
    )


@pytest.mark.parametrize("num_classes", [2, 3])
def test_channels_stored_pixel_by_pixel_are_no_colours(scenes, num_classes, tmp_path):
    prediction, truth = (
        np.concatenate([each, each[:1] & each[1:]])[:num_classes]
        for each in scenes.draw(9, FLAT, overlapping=True)
    )
    names = {name: number for number, name in enumerate(["none", "disc", "bone", "both"])}
    names = dict(list(names.items())[: num_classes + 1])
    scenes.channels(tmp_path / "p", "a", prediction)
    (tmp_path / "t").mkdir()
    options = {"photometric": "minisblack", "planarconfig": "contig"}
    pixels = np.moveaxis(truth, 0, -1).astype(np.uint8) * 255
    tifffile.imwrite(tmp_path / "t" / "a.tif", pixels, **options)
    found = evaluate_folders(tmp_path / "p", tmp_path / "t", names=names)
    assert found.class_names == tuple(names)[1:]
    expected = [scenes.dice(*each) for each in zip(prediction, truth, strict=True)]
    assert scores(found, "dice") == pytest.approx(expected)


def test_channels_at_the_end_of_an_array_are_found_by_the_size_of_the_other_side(scenes, tmp_path):
    prediction, truth = scenes.draw(5, FLAT)
    scenes.folders(tmp_path / "p", "a", prediction)
    (tmp_path / "t").mkdir()
    np.save(tmp_path / "t" / "a.npy", np.moveaxis(truth, 0, -1))
    found = evaluate_folders(tmp_path / "p", tmp_path / "t", names=LABELS)
    by_name = dict(zip(found.class_names, scores(found, "dice"), strict=True))
    assert by_name["bone"] == pytest.approx(scenes.dice(prediction[1], truth[1]))


def test_regions_of_a_record_are_made_of_the_masks_of_the_truth(scenes, tmp_path):
    prediction, truth = scenes.draw(6, FLAT)
    table = LabelTable(
        (
            LabelClass("none", 0),
            LabelClass("bone", 1),
            LabelClass("disc", 2),
            LabelClass("both", 3, (1, 2)),
        ),
        kind="multilabel",
        form="folders",
    )
    three = np.stack([prediction[1], prediction[0], prediction.any(axis=0)])
    scenes.folders(tmp_path / "p", "a", three, names=("bone", "disc", "both"))
    record(tmp_path / "p", table, "folders")
    scenes.folders(tmp_path / "t", "a", truth)
    found = evaluate_folders(tmp_path / "p", tmp_path / "t")
    assert found.class_names == ("bone", "disc", "both")
    expected = scenes.dice(prediction.any(axis=0), truth.any(axis=0))
    assert scores(found, "dice")[2] == pytest.approx(expected)


def test_regions_of_values_are_predicted_in_folders(scenes, tmp_path):
    """The record says what the values of the truth mean, and which of them is void."""
    prediction, truth = scenes.draw(21, DEEP)
    table = LabelTable(
        (
            LabelClass("none", 0),
            LabelClass("bone", 4),
            LabelClass("disc", 7),
            LabelClass("both", 8, (4, 7)),
        ),
        kind="multilabel",
        ignore=255,
    )
    three = np.stack([prediction[1], prediction[0], prediction.any(axis=0)])
    names = ("bone", "disc", "both")
    scenes.folders(tmp_path / "p", "a", three, suffix=".nii.gz", names=names)
    record(tmp_path / "p", table, "folders")
    void = np.zeros(DEEP, bool)
    void[0] = True
    marked = np.stack([truth[1], truth[0], void])
    scenes.values(tmp_path / "t", "a", marked, suffix=".nii.gz", values=(4, 7, 255))
    found = evaluate_folders(tmp_path / "p", tmp_path / "t")
    true = np.stack([truth[1], truth[0], truth.any(axis=0)])
    assert found.class_names == names
    expected = [scenes.dice(three[k][1:], true[k][1:]) for k in range(3)]
    assert scores(found, "dice") == pytest.approx(expected)
    # Masks of the same truth are drawn with 255, which is void among values only.
    scenes.folders(tmp_path / "f", "a", true, suffix=".nii.gz", names=names)
    found = evaluate_folders(tmp_path / "p", tmp_path / "f")
    expected = [scenes.dice(three[k], true[k]) for k in range(3)]
    assert scores(found, "dice") == pytest.approx(expected)


def test_one_channel_of_a_volume_is_no_stack_of_channels(scenes, tmp_path):
    prediction, truth = (masks[:1] for masks in scenes.draw(22, DEEP))
    table = LabelTable((LabelClass("none", 0), LabelClass("x", 1)), kind="binary", form="channels")
    scenes.channels(tmp_path / "p", "a", prediction, suffix=".nii.gz")
    record(tmp_path / "p", table, "channels")
    scenes.values(tmp_path / "t", "a", truth, suffix=".nii.gz", values=[1])
    found = evaluate_folders(tmp_path / "p", tmp_path / "t")
    assert found.class_names == ("x",)
    assert scores(found, "dice") == pytest.approx([scenes.dice(prediction[0], truth[0])])


def test_channels_that_are_not_those_of_the_record_are_refused(scenes, tmp_path):
    prediction, truth = scenes.draw(23, FLAT)
    table = LabelTable(
        (LabelClass("none", 0), LabelClass("x", 1), LabelClass("y", 2), LabelClass("z", 3)),
        form="channels",
    )
    scenes.channels(tmp_path / "p", "a", prediction)
    record(tmp_path / "p", table, "channels")
    scenes.channels(tmp_path / "t", "a", truth)
    with pytest.raises(DataError, match=r"p: its files hold 2 channels, the classes .* are 3"):
        evaluate_folders(tmp_path / "p", tmp_path / "t")


def test_the_labels_of_nnunet_are_named_by_its_file_with_regions_and_ignore(scenes, tmp_path):
    prediction, truth = scenes.draw(7, DEEP)
    data = tmp_path / "Dataset001"
    for name in ("a", "b"):
        scenes.values(data / "labelsTr", name, truth, suffix=".nii.gz")
        scenes.values(data / "imagesTr", f"{name}_0000", truth, suffix=".nii.gz")
        path = scenes.values(tmp_path / "p", name, prediction, suffix=".nii.gz")
    description = {
        "channel_names": {"0": "MRI"},
        "labels": {"background": 0, "whole": [1, 2], "core": 2, "far": 4, "ignore": 3},
        "numTraining": 2,
        "file_ending": ".nii.gz",
    }
    (data / "dataset.json").write_text(json.dumps(description))
    # What nnU-Net leaves beside its predictions is no label.
    path.with_name("a.npz").write_bytes(b"probabilities")
    path.with_name("plans.json").write_text("{}")
    found = evaluate_folders(tmp_path / "p", data)
    by_name = dict(zip(found.class_names, scores(found, "dice"), strict=True))
    assert by_name["core"] == pytest.approx(scenes.dice(prediction[1], truth[1]))
    assert by_name["whole"] == pytest.approx(scenes.dice(prediction.any(0), truth.any(0)))
    assert np.isnan(by_name["far"])  # named, and in no case
    same = evaluate_folders(tmp_path / "p", data / "labelsTr")
    assert same.class_names == found.class_names
    void = truth[:, :3].any(axis=0)
    scenes.values(data / "labelsTr", "a", np.stack([truth[0], truth[1]]), suffix=".nii.gz")
    values = np.zeros(DEEP, np.uint8)
    values[truth[0]], values[truth[1]] = 1, 2
    values[:3] = 3
    scenes.values(
        data / "labelsTr",
        "a",
        np.stack([values == v for v in (1, 2, 3)]),
        suffix=".nii.gz",
        values=(1, 2, 3),
    )
    assert void.any()
    found = evaluate_folders(tmp_path / "p", data)
    by_name = dict(zip(found.class_names, scores(found, "dice"), strict=True))
    assert by_name["core"] == pytest.approx(scenes.dice(prediction[1][3:], truth[1][3:]))


def test_a_prediction_with_other_values_is_matched_by_its_names(scenes, tmp_path):
    prediction, truth = scenes.draw(8, FLAT)
    data = tmp_path / "data"
    scenes.values(data / "labelsTr", "a", truth)
    scenes.values(data / "imagesTr", "a", truth)
    labels = {"background": 0, "disc": 1, "bone": 2}
    (data / "dataset.json").write_text(json.dumps({"labels": labels}))
    table = LabelTable(
        (LabelClass("background", 0), LabelClass("bone", 70), LabelClass("disc", 90))
    )
    scenes.values(tmp_path / "p", "a", prediction, values=(90, 70))
    record(tmp_path / "p", table, "values")
    found = evaluate_folders(tmp_path / "p", data)
    assert found.class_names == ("bone", "disc")
    expected = [scenes.dice(prediction[k], truth[k]) for k in (1, 0)]
    assert scores(found, "dice") == pytest.approx(expected)


def test_distances_of_anisotropic_volumes_are_in_millimetres(scenes, tmp_path):
    prediction, truth = scenes.draw(9, DEEP)
    grid = Grid.of(DEEP, (3.0, 0.7, 0.7), (10, -20, 5))
    scenes.values(tmp_path / "p", "a", prediction, grid, ".nii.gz")
    scenes.values(tmp_path / "t", "a", truth, grid, ".nrrd")
    found = evaluate_folders(tmp_path / "p", tmp_path / "t")
    expected = [scenes.hd95(prediction[k], truth[k], (3.0, 0.7, 0.7)) for k in range(2)]
    assert scores(found, "hd95_mm") == pytest.approx(expected, abs=1e-4)
    assert found.settings.tolerance == pytest.approx(3.0, abs=1e-6)
    turned_round = [scenes.hd95(prediction[k], truth[k], (0.7, 0.7, 3.0)) for k in range(2)]
    assert np.abs(np.subtract(expected, turned_round)).max() > 0.5
    by_hand = evaluate_folders(tmp_path / "p", tmp_path / "t", spacing_mm=(1, 1, 1))
    expected = [scenes.hd95(prediction[k], truth[k], (1, 1, 1)) for k in range(2)]
    assert scores(by_hand, "hd95_mm") == pytest.approx(expected)


def test_a_prediction_stored_in_another_order_of_axes_is_turned(scenes, tmp_path):
    """The same voxels at the same places, stored x z y and mirrored, with their own directions."""
    prediction, truth = scenes.draw(10, DEEP)
    spacing, origin = np.array((3.0, 0.7, 0.9)), np.array((10.0, -20.0, 5.0))
    scenes.values(tmp_path / "t", "a", truth, Grid.of(DEEP, spacing, origin), ".nii.gz")
    order = (2, 0, 1)
    stored = prediction.transpose(0, *(axis + 1 for axis in order))[..., ::-1]
    direction = np.eye(3)[:, order] * [1, 1, -1]
    corner = origin + np.eye(3)[1] * spacing[1] * (DEEP[1] - 1)
    grid = Grid.of([DEEP[k] for k in order], spacing[list(order)], corner, direction)
    scenes.values(tmp_path / "p", "a", np.ascontiguousarray(stored), grid, ".nrrd")
    found = evaluate_folders(tmp_path / "p", tmp_path / "t")
    expected = [scenes.dice(prediction[k], truth[k]) for k in range(2)]
    assert scores(found, "dice") == pytest.approx(expected)
    expected = [scenes.hd95(prediction[k], truth[k], spacing) for k in range(2)]
    assert scores(found, "hd95_mm") == pytest.approx(expected, abs=1e-4)
    the_other_way = evaluate_folders(tmp_path / "t", tmp_path / "p")
    assert scores(the_other_way, "dice") == scores(found, "dice")
    assert scores(the_other_way, "hd95_mm") == pytest.approx(expected, abs=1e-4)


def test_other_grids_are_refused_with_numbers_or_resampled(scenes, tmp_path):
    _, truth = scenes.draw(11, DEEP)
    fine = np.repeat(truth, 2, axis=2)
    scenes.values(tmp_path / "t", "a", truth, Grid.of(DEEP, (2, 2, 1)), ".nii.gz")
    grid = Grid.of(fine.shape[1:], (2, 1, 1), (0, -0.5, 0))
    scenes.values(tmp_path / "p", "a", fine, grid, ".nii.gz")
    with pytest.raises(DataError) as told:
        evaluate_folders(tmp_path / "p", tmp_path / "t")
    for piece in (
        "p/a.nii.gz",
        "size 7 x 24 x 14 against 7 x 12 x 14",
        "2 x 1 x 1 against",
        "t/a.nii.gz",
        "--align",
    ):
        assert piece in str(told.value)
    found = evaluate_folders(tmp_path / "p", tmp_path / "t", is_resampled=True)
    assert scores(found, "dice") == (1.0, 1.0)
    assert scores(found, "hd95_mm") == (0.0, 0.0)
    shifted = Grid.of(DEEP, (2, 2, 1), (2, 0, 0))
    scenes.values(tmp_path / "q", "a", truth, shifted, ".nii.gz")
    with pytest.raises(DataError, match="origin 2 x 0 x 0 against 0 x 0 x 0 mm"):
        evaluate_folders(tmp_path / "q", tmp_path / "t")
    found = evaluate_folders(tmp_path / "q", tmp_path / "t", is_resampled=True)
    moved = np.concatenate([np.zeros_like(truth[:, :1]), truth[:, :-1]], axis=1)
    assert scores(found, "dice") == pytest.approx(
        [scenes.dice(moved[k], truth[k]) for k in range(2)]
    )


@pytest.mark.parametrize("is_resampled", [False, True])
def test_pictures_of_other_sizes_are_not_told_to_be_resampled(tmp_path, is_resampled):
    for folder, size in (("p", 8), ("t", 16)):
        (tmp_path / folder).mkdir()
        picture = np.eye(size, dtype=np.uint8) * 255
        Image.fromarray(picture).save(tmp_path / folder / "a.png")
    with pytest.raises(DataError, match="size 8 x 8 against 16 x 16") as told:
        evaluate_folders(tmp_path / "p", tmp_path / "t", is_resampled=is_resampled)
    assert "--align" not in str(told.value)


def test_classes_that_differ_are_named_on_both_sides(scenes, tmp_path):
    prediction, truth = scenes.draw(12, FLAT)
    scenes.folders(tmp_path / "p", "a", prediction)
    scenes.folders(tmp_path / "t", "a", np.stack([*truth, truth[0]]), names=(*NAMES, "cyst"))
    with pytest.raises(DataError) as told:
        evaluate_folders(tmp_path / "p", tmp_path / "t")
    for piece in (
        "p has bone, disc (one folder a class",
        "t has bone, cyst, disc",
        "--classes bone,disc",
    ):
        assert piece in str(told.value)
    found = evaluate_folders(tmp_path / "p", tmp_path / "t", classes=["disc"])
    assert found.class_names == ("disc",)
    assert scores(found, "dice") == pytest.approx([scenes.dice(prediction[0], truth[0])])
    with pytest.raises(ConfigError, match="--classes: unknown class 'dics': did you mean 'disc'"):
        evaluate_folders(tmp_path / "p", tmp_path / "t", classes=["dics"])
    # Of three values two are also folders.
    write = scenes.values(tmp_path / "w", "a", np.stack([*truth, ~truth.any(0)]), values=(5, 1, 9))
    named = {"bg": 0, "bone": 1, "disc": 5, "rest": 9}
    found = evaluate_folders(tmp_path / "p", write.parent, names=named, classes=["bone", "disc"])
    expected = [scenes.dice(prediction[k], truth[k]) for k in (1, 0)]
    assert scores(found, "dice") == pytest.approx(expected)
    # Values have no names of their own: three of them are not two folders in some order.
    scenes.values(tmp_path / "v", "a", truth)
    with pytest.raises(DataError, match=r"v has class_1, class_2 .label values.*--labels"):
        evaluate_folders(tmp_path / "p", tmp_path / "v")


def test_a_single_class_needs_no_name(scenes, tmp_path):
    prediction, truth = (masks[:1] for masks in scenes.draw(13, FLAT))
    scenes.folders(tmp_path / "p", "a", prediction, names=["vessel"])
    scenes.values(tmp_path / "t", "a", truth, values=[255])
    found = evaluate_folders(tmp_path / "p", tmp_path / "t")
    assert found.class_names == ("vessel",)
    assert scores(found, "dice") == pytest.approx([scenes.dice(prediction[0], truth[0])])
    assert found.cases[0].v_rand is not None
    scenes.folders(tmp_path / "q", "a", truth, names=["nerve"])
    with pytest.raises(DataError, match=r"p has vessel .*q has nerve"):
        evaluate_folders(tmp_path / "p", tmp_path / "q")


def test_cases_without_partner_or_without_a_mask_are_told(scenes, tmp_path):
    prediction, truth = scenes.draw(14, FLAT)
    for name in ("a", "b", "c"):
        scenes.folders(tmp_path / "p", name, prediction)
    for name in ("a", "b", "d"):
        scenes.folders(tmp_path / "t", name, truth)
    (tmp_path / "p" / "bone" / "b.png").unlink()
    found = evaluate_folders(tmp_path / "p", tmp_path / "t")
    assert [case.id for case in found.cases] == ["a"]
    assert "b has no mask in bone/: where the class is not, save an empty mask" in found.problems[0]
    assert "c.png: no truth of this name" in found.problems[1]
    assert found.num_without_prediction == 2
    Image.fromarray(np.full(FLAT, 255, np.uint8) - np.arange(20, dtype=np.uint8)).save(
        tmp_path / "p" / "disc" / "a.png"
    )
    with pytest.raises(DataError, match=r"disc/a.png: the mask holds the values 236 and 255"):
        evaluate_folders(tmp_path / "p", tmp_path / "t")


def test_a_void_value_in_masks_counts_nowhere(scenes, tmp_path):
    prediction, truth = scenes.draw(15, FLAT)
    values = truth.astype(np.uint8) * 255
    values[1, :5] = 128
    (tmp_path / "t" / "disc").mkdir(parents=True)
    (tmp_path / "t" / "bone").mkdir()
    for name, picture in zip(NAMES, values, strict=True):
        Image.fromarray(picture).save(tmp_path / "t" / name / "a.png")
    scenes.folders(tmp_path / "p", "a", prediction)
    found = evaluate_folders(tmp_path / "p", tmp_path / "t", ignore=128)
    expected = [scenes.dice(prediction[k][5:], truth[k][5:]) for k in (1, 0)]
    assert scores(found, "dice") == pytest.approx(expected)


def test_metrics_of_sections_are_left_out_of_volumes_unless_they_are_named(scenes, tmp_path):
    prediction, truth = (masks[:1] for masks in scenes.draw(16, DEEP))
    scenes.values(tmp_path / "p", "a", prediction, suffix=".nii.gz", values=[1])
    scenes.values(tmp_path / "t", "a", truth, suffix=".nii.gz", values=[1])
    assert "v_rand" not in evaluate_folders(tmp_path / "p", tmp_path / "t").settings.metrics
    found = evaluate_folders(tmp_path / "p", tmp_path / "t", metrics="all")
    thinned = ("v_rand_thinned", "v_info_thinned")
    assert found.settings.left_out == (*thinned, "warping_error", "topology_errors")
    assert {"cldice", "v_rand", "panoptic_quality"} <= set(found.settings.metrics)
    assert not set(found.settings.left_out) & set(found.class_means)
    named = evaluate_folders(tmp_path / "p", tmp_path / "t", metrics="topology,warping_error")
    assert "warping_error" in named.class_means
    assert named.settings.left_out == (*thinned, "topology_errors")


def test_the_labels_of_data_sets_are_found(scenes, tmp_path):
    """In `labels/`, in a folder that is named, in a manifest; also where no image can be read."""
    prediction, truth = scenes.draw(20, DEEP)
    grid = Grid.of(DEEP, (2, 1, 1))
    scenes.values(tmp_path / "p", "a", prediction, grid, ".nii.gz")
    data = tmp_path / "data"
    scenes.values(data / "images", "a", truth, grid, ".nii.gz")
    scenes.values(data / "labels", "a", truth, grid, ".nii.gz")
    scenes.values(data / "second", "a", prediction, grid, ".nii.gz")
    scenes.values(data / "images", "b", truth, grid, ".nii.gz")
    (data / "overview.png").write_bytes(b"no label")
    expected = [scenes.dice(*pair) for pair in zip(prediction, truth, strict=True)]
    assert scores(evaluate_folders(tmp_path / "p", data), "dice") == pytest.approx(expected)
    other = evaluate_folders(tmp_path / "p", data, label_folder="second")
    assert scores(other, "dice") == (1.0, 1.0)
    with pytest.raises(DataError, match="--label-folder third: there is no such folder"):
        evaluate_folders(tmp_path / "p", data, label_folder="third")
    table = tmp_path / "cases.csv"
    table.write_text(
        "id,image,label,spacing_mm\na,data/images/b.nii.gz,data/labels/a.nii.gz,3x1x1\n"
    )
    found = evaluate_folders(tmp_path / "p", table, names=LABELS)
    assert scores(found, "dice") == pytest.approx(expected)
    assert found.settings.tolerance == 3  # what the manifest says
    shutil.rmtree(data / "images")
    found = evaluate_folders(tmp_path / "p", data)
    assert scores(found, "dice") == pytest.approx(expected)
    with pytest.raises(DataError, match=r"notes.txt: its ending is not known"):
        evaluate_folders(tmp_path / "p", _touched(tmp_path / "notes.txt"))


def _touched(path):
    path.touch()
    return path


@pytest.mark.parametrize("size", [(12, 14), (5, 12, 14)])
def test_numbered_objects_that_touch_are_told_apart(scenes, size, tmp_path):
    """Two true cells touch, the prediction leaves a gap: pieces would be one and two."""
    truth, prediction = np.zeros((2, *size), np.uint16)
    truth[..., 2:10, 2:7], truth[..., 2:10, 7:12] = 700, 3
    prediction[..., 2:10, 2:6], prediction[..., 2:10, 7:12] = 1, 2
    suffix = ".png" if len(size) == 2 else ".nii.gz"
    for side, values in (("t", truth), ("p", prediction)):
        (tmp_path / side).mkdir()
        write_label_volume(tmp_path / side / f"a{suffix}", values, Grid.of(size))
    scenes.folders(tmp_path / "m", "a", prediction[None] > 0, names=["cell"], suffix=suffix)

    def f1(ours, **more):
        found = evaluate_folders(tmp_path / ours, tmp_path / "t", metrics="objects", **more)
        return scores(found, "instance_f1")[0], scores(found, "panoptic_quality")[0]

    assert f1("p", target="instances") == pytest.approx((1.0, 0.9))  # IoU 0.8 and 1
    assert f1("m", target="instances") == pytest.approx((1.0, 0.9))  # pieces against numbers
    assert f1("p", target="instances+border") == pytest.approx((1.0, 0.9))
    record(tmp_path / "p", LabelTable(OBJECTS, form="instances"), "instances")
    assert f1("p") == pytest.approx((1.0, 0.9))
    scenes.folders(tmp_path / "f", "a", truth[None] > 0, names=["cell"], suffix=suffix)
    with pytest.raises(ConfigError, match=r"--target: .* neither has values"):
        evaluate_folders(tmp_path / "f", tmp_path / "f", target="instances")


def test_single_files_are_compared_whatever_their_names(scenes, tmp_path):
    prediction, truth = scenes.draw(17, DEEP)
    ours = scenes.values(tmp_path, "mine", prediction, suffix=".nii.gz")
    theirs = scenes.values(tmp_path, "expert", truth, suffix=".nrrd")
    found = evaluate_folders(ours, theirs)
    assert scores(found, "dice") == pytest.approx(
        [scenes.dice(*pair) for pair in zip(prediction, truth, strict=True)]
    )


def test_stores_of_zarr_are_files(scenes, tmp_path):
    pytest.importorskip("zarr")
    prediction, truth = scenes.draw(18, DEEP)
    grid = Grid.of(DEEP, (2, 1, 1))
    scenes.values(tmp_path / "p", "a", prediction, grid, ".zarr")
    scenes.values(tmp_path / "t", "a", truth, grid, ".nii.gz")
    found = evaluate_folders(tmp_path / "p", tmp_path / "t")
    assert scores(found, "dice") == pytest.approx(
        [scenes.dice(*pair) for pair in zip(prediction, truth, strict=True)]
    )


def test_what_does_not_belong_together_is_refused(scenes, tmp_path):
    flat, deep = scenes.draw(19, FLAT), scenes.draw(19, DEEP)
    scenes.values(tmp_path / "p", "a", flat[0])
    scenes.values(tmp_path / "t", "a", deep[0], suffix=".nii.gz")
    with pytest.raises(DataError, match=r"a picture of 17 x 20, .* is a volume of 7 x 12 x 14"):
        evaluate_folders(tmp_path / "p", tmp_path / "t")
    scenes.values(tmp_path / "t", "b", flat[0])
    scenes.values(tmp_path / "p", "b", flat[0])
    scenes.values(tmp_path / "p2", "a", deep[0], suffix=".nii.gz")
    scenes.values(tmp_path / "p2", "b", flat[0])
    found = evaluate_folders(tmp_path / "p2", tmp_path / "t")
    assert "score pictures and volumes apart" in found.problems[0]
    scenes.folders(tmp_path / "f", "a", flat[0])
    with pytest.raises(ConfigError, match=r"--foreground: .* neither has values"):
        evaluate_folders(tmp_path / "f", tmp_path / "f", foreground="1")
    numbers = np.arange(340, dtype=np.uint16).reshape(FLAT)
    (tmp_path / "n").mkdir()
    Image.fromarray(numbers).save(tmp_path / "n" / "a.png")
    with pytest.raises(DataError, match="340 different values: these look like numbers of objects"):
        evaluate_folders(tmp_path / "p", tmp_path / "n")
