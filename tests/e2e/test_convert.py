"""`ushape data convert` through the command line: what is made is planned at once."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from skimage.measure import find_contours

from ushape.data.io import read_header
from ushape.data.synth import make_case

SIZE = (64, 64)


@pytest.fixture(scope="module")
def coco(tmp_path_factory):
    """Pictures of cells with their outlines in COCO's form, and one picture that is missing."""
    root = tmp_path_factory.mktemp("coco")
    images, annotations = [], []
    for number in range(4):
        image, label = make_case("cells", SIZE, seed=number)
        (root / "images").mkdir(exist_ok=True)
        Image.fromarray(image[0]).save(root / "images" / f"{number}.png")
        images.append({"id": number, "file_name": f"{number}.png", "width": 64, "height": 64})
        for line in find_contours(np.pad(label, 1) > 0, 0.5):
            points = (line - 0.5)[:, ::-1]  # unpadded, pixel centres at halves
            annotations.append(
                {"image_id": number, "category_id": 5, "segmentation": [points.ravel().tolist()]}
            )
    images.append({"id": 9, "file_name": "9.png", "width": 64, "height": 64})
    content = {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 5, "name": "nucleus"}],
    }
    (root / "annotations.json").write_text(json.dumps(content))
    return root


def test_outlines_become_the_labels_that_they_were_drawn_around(cli, coco, tmp_path):
    out = tmp_path / "cells"
    result = cli("data", "convert", coco, "--out", out)
    assert result.code == 1  # one picture is missing
    assert "9.png' is not there" in result.err
    assert "4 cases from COCO" in result.out
    assert "classes (in dataset.json): background=0,nucleus=1" in result.out
    assert result.out.splitlines()[-1] == f"look at it with: ushape plan {out}"
    for number in range(4):
        _, label = make_case("cells", SIZE, seed=number)
        with Image.open(out / "labels" / f"{number}.png") as picture:
            made = np.asarray(picture)
        assert set(np.unique(made)) == {0, 1}
        # Outlines around holes are filled as cells: all that is not one agrees.
        overlap = 2 * ((made > 0) & (label > 0)).sum() / ((made > 0).sum() + (label > 0).sum())
        assert overlap > 0.99
    assert cli("plan", out).code == 0


def test_there_and_back(cli, coco, tmp_path):
    first = tmp_path / "first"
    cli("data", "convert", coco, "--out", first)
    for layout in ("nnunet", "msd"):
        result = cli("data", "convert", first, "--to", layout, "--out", tmp_path / layout, "--json")
        assert result.code == 0, result.err
        assert result.json["cases"] == ["0", "1", "2", "3"]
        assert result.json["to"] == layout
        assert result.json["next"] == f"ushape plan {tmp_path / layout}"
    with Image.open(tmp_path / "nnunet" / "labelsTr" / "2.png") as picture:
        made = np.asarray(picture)
    with Image.open(first / "labels" / "2.png") as picture:
        np.testing.assert_array_equal(made, np.asarray(picture))


def test_wrong_use_is_told_in_one_line(cli, coco, tmp_path):
    out = tmp_path / "x"
    cases = {
        ("--to", "nnunte"): "did you mean 'nnunet'",
        ("--from", "cocoo"): "did you mean 'coco'",
        ("--target", "multi"): "multilabel",
        ("--labels", "a=0"): "does not name nucleus",
        ("--target", "multilabel", "--to", "msd"): "holds one class a pixel",
    }
    for options, pattern in cases.items():
        result = cli("data", "convert", coco, "--out", out, *options)
        assert result.code == 2
        assert pattern in result.error
    assert not out.exists()
    assert "there is no such file" in cli("data", "convert", tmp_path / "no", "--out", out).error


def test_synthetic_volumes_in_any_layout(cli, tmp_path):
    common = ("--cases", 2, "--size", "8x32x40", "--spacing", "4x1x0.5", "--json")
    for layout, image in (
        ("images+labels", "images/discs_000.nii.gz"),
        ("nnunet", "imagesTr/discs_000_0000.nii.gz"),
        ("msd", "imagesTr/discs_000.nii.gz"),
    ):
        out = tmp_path / layout
        result = cli("data", "synth", "discs", "--out", out, "--layout", layout, *common)
        assert result.code == 0, result.err
        grid = read_header(out / image).grid
        assert grid.size == (8, 32, 40)
        assert grid.spacing_mm == pytest.approx((4, 1, 0.5))


@pytest.mark.parametrize(
    ("options", "pattern"),
    [
        (
            ("--size", "8x32x32", "--spacing", "4x1"),
            "z y x, the longest at most 20 times the shortest",
        ),
        (("--size", "8x32x32", "--spacing", "4xaxb"), "not understood"),
        (("--size", "8x32x32", "--spacing", "4x1x0"), "each above 0"),
        (("--spacing", "4x1x1"), "pictures have none"),
        (("--layout", "nnunett"), "did you mean 'nnunet'"),
    ],
)
def test_volumes_that_cannot_be_drawn(cli, tmp_path, options, pattern):
    result = cli("data", "synth", "cells", "--out", tmp_path / "x", *options)
    assert result.code == 2
    assert pattern in result.error
    assert not (tmp_path / "x").exists()
