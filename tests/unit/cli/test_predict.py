"""`ushape predict` on volumes: what is said, and where it is said."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from PIL import Image

import ushape
from ushape.bundle import BundleHeader, save_bundle
from ushape.config.schema import PreprocessConfig, TilingConfig
from ushape.data.io import Grid, write_volume
from ushape.labels import LabelClass, LabelTable

TABLE = LabelTable((LabelClass("rest", 0), LabelClass("blob", 7)))
RNG = np.random.default_rng(1)


@pytest.fixture
def model(tmp_path):
    config = PreprocessConfig(1, spacing_mm=(2.0, 1.0, 1.0))
    header = BundleHeader(TABLE, config, TilingConfig((8, 16, 16)))
    network = ushape.build("unet_padding", spatial_dims=3, width=2, levels=3)
    save_bundle(tmp_path / "model.safetensors", network, header)
    return tmp_path / "model.safetensors"


@pytest.fixture
def scans(tmp_path):
    for number in range(2):
        values = RNG.normal(size=(1, 5, 9, 12)).astype(np.float32)
        grid = Grid.of((5, 9, 12), (3.0, 0.8, 0.7), (5.0, -3.0, 2.0), np.diag([1.0, -1, -1]))
        write_volume(tmp_path / "scans" / f"{number}.nii.gz", values, grid)
    return tmp_path / "scans"


def test_a_folder_of_scans(cli, model, scans, tmp_path):
    (scans / "2.nii.gz").write_bytes(b"nothing")
    result = cli("predict", model, scans, "--out", tmp_path / "out")
    assert result.code == 1
    assert result.out == f"2 of 3 images predicted into {tmp_path / 'out'}\n"
    assert f"  ! {scans / '2.nii.gz'}: " in result.err
    for name in ("0.nii.gz", "1.nii.gz"):
        image, labels = (sitk.ReadImage(str(f / name)) for f in (scans, tmp_path / "out"))
        for part in ("GetSize", "GetSpacing", "GetOrigin", "GetDirection"):
            assert getattr(image, part)() == pytest.approx(getattr(labels, part)())
        assert set(np.unique(sitk.GetArrayFromImage(labels))) <= {0, 7}


def test_channels_in_another_order_are_found_by_name(cli, tmp_path):
    """A manifest with the columns of the training, and one with the same in another order."""
    names = ("T1", "FLAIR")
    header = BundleHeader(
        TABLE, PreprocessConfig(2), TilingConfig((8, 16, 16)), channel_names=names
    )
    network = ushape.build("unet_padding", spatial_dims=3, width=2, levels=3, in_channels=2)
    save_bundle(tmp_path / "model.safetensors", network, header)
    for name in names:
        values = RNG.normal(size=(1, 5, 9, 12)).astype(np.float32)
        write_volume(tmp_path / f"{name}.npy", values, Grid.of((5, 9, 12)))
    tables = {
        "same": "id,image_T1,image_FLAIR\na,T1.npy,FLAIR.npy\n",
        "moved": "id,image_FLAIR,image_t1\na,FLAIR.npy,T1.npy\n",
    }
    found = {}
    for name, table in tables.items():
        (tmp_path / f"{name}.csv").write_text(table)
        out = ("--out", tmp_path / name, "--probabilities", "--format", "npz")
        result = cli("predict", tmp_path / "model.safetensors", tmp_path / f"{name}.csv", *out)
        assert result.code == 0, result.err
        with np.load(tmp_path / name / "a.probabilities.npz") as file:
            found[name] = {key: file[key] for key in file}
    for key, values in found["same"].items():
        np.testing.assert_array_equal(found["moved"][key], values)
    (tmp_path / "other.csv").write_text("id,image_T1,image_T2\na,T1.npy,FLAIR.npy\n")
    out = ("--out", tmp_path / "other")
    result = cli("predict", tmp_path / "model.safetensors", tmp_path / "other.csv", *out)
    assert result.code == 2
    assert "the model takes T1, FLAIR, but FLAIR is missing" in result.err
    assert not (tmp_path / "other").exists()


def test_another_format_and_probabilities(cli, model, scans, tmp_path):
    options = ("--format", "nrrd", "--probabilities", "--json")
    result = cli("predict", model, scans / "0.nii.gz", "--out", tmp_path / "out", *options)
    assert result.code == 0, result.err
    assert result.json["written"] == [str(tmp_path / "out" / "0.nrrd")]
    image = sitk.ReadImage(str(tmp_path / "out" / "0.probabilities.nrrd"))
    assert image.GetPixelIDValue() in (sitk.sitkFloat32, sitk.sitkVectorFloat32)
    labels = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "out" / "0.nrrd")))
    probabilities = sitk.GetArrayFromImage(image).reshape(labels.shape)
    np.testing.assert_array_equal(labels == 7, probabilities > 0.5)


def test_a_folder_of_slices_with_their_spacing(cli, model, tmp_path):
    (tmp_path / "slices").mkdir()
    for number in (9, 10, 11):
        pixels = RNG.integers(0, 255, (9, 12), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "slices" / f"{number}.png")
    arguments = ("predict", model, tmp_path / "slices", "--out", tmp_path / "out")
    refused = cli(*arguments)
    assert refused.code == 2
    assert "the spacing of its voxels is not known" in refused.error
    assert "--spacing" in refused.error
    result = cli(*arguments, "--spacing", "3x1x1")
    assert result.code == 0, result.err
    assert "the 3 pictures of " in result.err
    assert result.out == f"1 of 1 images predicted into {tmp_path / 'out'}\n"
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"9.png", "10.png", "11.png", "predictions.json"}
    for text, message in (("3x1", "three edges"), ("3x1x0", "not understood")):
        wrong = cli(*arguments, "--spacing", text)
        assert wrong.code == 2
        assert message in wrong.error
