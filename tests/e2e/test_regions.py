"""Regions of nnU-Net: three outputs, and the picture of values that they paint."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from ushape.data.synth import make_case
from ushape.evaluate import evaluate_folders

LABELS = {"background": 0, "whole": [1, 2, 3], "inner": [2, 3], "core": 3, "ignore": 4}
SIZE = (64, 64)


def pixels(path):
    with Image.open(path) as picture:
        return np.asarray(picture)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Cells whose grey levels are nested labels, and a void rim."""
    root = tmp_path_factory.mktemp("Dataset007_Cells")
    for folder in ("imagesTr", "labelsTr"):
        (root / folder).mkdir()
    for number in range(4):
        image, cells = make_case("cells", SIZE, seed=number)
        label = np.where(cells > 0, 1 + np.arange(SIZE[1]) // 22, 0).astype(np.uint8)
        shaded = np.clip(image[0] // 4 + label * 50, 0, 255).astype(np.uint8)
        label[:3] = 4
        Image.fromarray(shaded).save(root / "imagesTr" / f"c{number}_0000.png")
        Image.fromarray(label).save(root / "labelsTr" / f"c{number}.png")
    described = {"channel_names": {"0": "image"}, "labels": LABELS, "numTraining": 4}
    described |= {"file_ending": ".png", "regions_class_order": [1, 2, 3]}
    (root / "dataset.json").write_text(json.dumps(described))
    return root


def test_what_is_predicted_is_also_painted_in_the_values_of_the_labels(
    cli, data, tiny_network, tmp_path
):
    run, out = tmp_path / "run", tmp_path / "out"
    done = cli("train", data, "--out", run, "--steps", 80, "--val", "c3", *tiny_network)
    assert done.code == 0, done.err
    assert cli("predict", run, data / "imagesTr", "--out", out).code == 0
    folders = {path.name for path in out.iterdir() if path.is_dir()}
    assert folders == {"whole", "inner", "core", "labels"}
    seen = set()
    for number in range(4):
        whole, inner, core = (
            pixels(out / name / f"c{number}.png") > 0 for name in ("whole", "inner", "core")
        )
        expected = np.where(core, 3, np.where(inner, 2, np.where(whole, 1, 0)))
        painted = pixels(out / "labels" / f"c{number}.png")
        np.testing.assert_array_equal(painted, expected)
        seen |= set(np.unique(painted).tolist())
    assert {0} < seen <= {0, 1, 2, 3}
    for folder in (out, out / "labels"):
        assert set(evaluate_folders(folder, data).class_names) == {"whole", "inner", "core"}
    # In another format it takes the place of the first, and nothing stale stays.
    again = cli("predict", run, data / "imagesTr", "--out", out, "--format", "tif")
    assert again.code == 0, again.err
    assert {path.suffix for path in out.rglob("c*.*")} == {".tif"}
    assert len(list((out / "labels").iterdir())) == 4
