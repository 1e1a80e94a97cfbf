"""The whole job on volumes and on a stack: train, files on the grid of the scans, scores, page."""

from __future__ import annotations

import json

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from PIL import Image

from ushape.data.synth import write_dataset

SMALL = (
    *("--set", "model.options.width=4"),
    *("--set", "model.options.levels=3"),
    *("--set", "patch.batch=2"),
    *("--set", "train.validations=2"),
)


@pytest.fixture(scope="module")
def volume_run(cli, tmp_path_factory):
    """Train on four small volumes of thick slices; two are for validation."""
    home = tmp_path_factory.mktemp("volumes")
    data = write_dataset(
        "cells", home / "data", cases=4, size=(8, 32, 32), seed=1, spacing_mm=(3.0, 1.0, 1.0)
    )
    result = cli("train", data, "--out", home / "run", "--steps", 4, "--val", "2-3", *SMALL)
    assert result.code == 0, result.err
    return data, home / "run"


def test_predictions_of_a_run_lie_on_the_scans(volume_run):
    data, run = volume_run
    folder = run / "fold_0" / "predictions"
    names = sorted(path.name for path in folder.glob("*.nii.gz"))
    assert names == ["cells_002.nii.gz", "cells_003.nii.gz"]
    for name in names:
        scan, labels = (sitk.ReadImage(str(at / name)) for at in (data / "images", folder))
        for part in ("GetSize", "GetSpacing", "GetOrigin", "GetDirection"):
            assert getattr(scan, part)() == pytest.approx(getattr(labels, part)())
    scores = json.loads((run / "fold_0" / "evaluation.json").read_text())
    assert [case["id"] for case in scores["cases"]] == ["cells_002", "cells_003"]


def test_the_page_shows_slices_and_sizes(volume_run):
    page = (volume_run[1] / "report.html").read_text(encoding="utf-8")
    for text in (
        "slice z = ",
        "a cut across it: slice y = ",
        "8 x 32 x 32 voxels",
        "24 x 32 x 32 mm",
    ):
        assert text in page


def test_the_model_predicts_what_the_run_predicted(cli, volume_run, tmp_path):
    data, run = volume_run
    result = cli("predict", run, data / "images" / "cells_00[23].nii.gz", "--out", tmp_path)
    assert result.code == 0, result.err
    for name in ("cells_002.nii.gz", "cells_003.nii.gz"):
        first, again = (
            sitk.GetArrayFromImage(sitk.ReadImage(str(at / name)))
            for at in (run / "fold_0" / "predictions", tmp_path)
        )
        np.testing.assert_array_equal(first, again)


def test_a_stack_is_predicted_slice_by_slice(cli, tmp_path):
    data = write_dataset("membrane", tmp_path / "data", cases=9, size=(32, 32), seed=1)
    run = tmp_path / "run"
    options = ("--stack", "50x4x4nm", "--steps", 4, "--val", "6-8", *SMALL)
    result = cli("train", data, "--out", run, *options)
    assert result.code == 0, result.err
    predicted = sorted((run / "fold_0" / "predictions").glob("*.png"))
    assert [path.name for path in predicted] == [f"membrane_00{n}.png" for n in (6, 7, 8)]
    assert "membrane_00" in (run / "report.html").read_text(encoding="utf-8")
    again = cli("predict", run, data, "--out", tmp_path / "out")
    assert again.code == 0, again.err
    assert "the 9 pictures of " in again.err
    assert len(list((tmp_path / "out").glob("*.png"))) == 9
    assert set(np.unique(np.asarray(Image.open(predicted[0])))) <= {0, 255}
