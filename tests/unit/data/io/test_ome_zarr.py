"""OME-Zarr: two versions in, one out; only where zarr is installed, and told where it is not."""

import importlib.util
import json
import sys

import numpy as np
import pytest

from ushape.data.io import Grid, read_header, read_volume, write_volume
from ushape.errors import DataError

GRID = Grid.of((4, 5, 6), (3, 2, 1.25), (7, -6, 5))
needs_zarr = pytest.mark.skipif(
    importlib.util.find_spec("zarr") is None, reason="the extra zarr is not installed"
)


@needs_zarr
class TestOmeZarr:
    @pytest.mark.parametrize("channels", [1, 2])
    def test_round_trip(self, tmp_path, scan, channels):
        values = np.stack([scan.astype(np.uint16) + k for k in range(channels)])
        for _ in range(2):  # the second time replaces the first
            write_volume(tmp_path / "a.zarr", values, GRID)
            volume = read_volume(tmp_path / "a.zarr")
            np.testing.assert_array_equal(volume.values, values)
            assert volume.grid == GRID
            assert volume.values.dtype == np.uint16
            values = values + 1
        assert [path.name for path in tmp_path.iterdir()] == ["a.zarr"]

    def test_what_is_written_follows_the_specification(self, tmp_path, scan):
        write_volume(tmp_path / "a.zarr", np.stack([scan, scan]), GRID)
        (image,) = json.loads((tmp_path / "a.zarr" / ".zattrs").read_text())["multiscales"]
        assert image["version"] == "0.4"
        assert [axis["name"] for axis in image["axes"]] == ["c", "z", "y", "x"]
        assert image["axes"][1] == {"name": "z", "type": "space", "unit": "millimeter"}
        assert image["datasets"][0]["coordinateTransformations"] == [
            {"type": "scale", "scale": [1.0, 3.0, 2.0, 1.25]},
            {"type": "translation", "translation": [0.0, 7.0, -6.0, 5.0]},
        ]
        array = json.loads((tmp_path / "a.zarr" / "0" / ".zarray").read_text())
        assert array["dimension_separator"] == "/"

    @pytest.mark.parametrize("version", ["0.4", "0.5"])
    def test_units_and_both_levels_of_transforms(self, tmp_path, scan, version):
        import zarr

        path = tmp_path / "folder_of_any_name"
        zarr_format = 2 if version == "0.4" else 3
        group = zarr.open_group(str(path), mode="w", zarr_format=zarr_format)
        for name, step in (("s0", 1), ("s1", 2)):
            coarse = scan[::step, ::step, ::step]
            group.create_array(name, shape=coarse.shape, dtype=coarse.dtype)[...] = coarse
        axes = [{"name": name, "type": "space", "unit": "micrometer"} for name in "zyx"]
        level = [
            {"type": "scale", "scale": [3, 2, 1]},
            {"type": "translation", "translation": [10, 20, 30]},
        ]
        multiscales = {
            "axes": axes,
            "datasets": [
                {"path": name, "coordinateTransformations": level} for name in ("s0", "s1")
            ],
            "coordinateTransformations": [{"type": "scale", "scale": [0.5, 0.5, 0.5]}],
        }
        if version == "0.4":
            group.attrs["multiscales"] = [multiscales]
        else:
            group.attrs["ome"] = {"version": "0.5", "multiscales": [multiscales]}
        volume = read_volume(path)
        np.testing.assert_array_equal(volume.values[0], scan)
        np.testing.assert_allclose(volume.grid.spacing_mm, (1.5e-3, 1e-3, 0.5e-3))
        np.testing.assert_allclose(volume.grid.origin_mm, (5e-3, 10e-3, 15e-3))

    def test_a_time_axis(self, tmp_path, scan):
        write_volume(tmp_path / "a.zarr", np.stack([scan, scan + 1]), GRID)
        attributes = tmp_path / "a.zarr" / ".zattrs"
        attributes.write_text(attributes.read_text().replace('"c"', '"t"'))
        with pytest.raises(DataError, match="holds 2 images one after another"):
            read_volume(tmp_path / "a.zarr")

    @pytest.mark.parametrize(
        ("file", "old", "new", "message"),
        [
            (".zattrs", "multiscales", "nothing", "no OME-Zarr image"),
            (".zattrs", '"path": "0"', '"path": "../b"', "leads out of"),
            (".zattrs", '"x"', '"w"', "axes are zyw"),
            ("0/.zarray", "6", "1000000000000", "claims .* this machine has"),
            ("0/0/0/0", None, b"rubbish", "truncated or damaged"),
        ],
    )
    def test_bad_stores(self, tmp_path, scan, file, old, new, message):
        write_volume(tmp_path / "a.zarr", scan[np.newaxis], GRID)
        path = tmp_path / "a.zarr" / file
        if old is None:
            path.write_bytes(new)
        else:
            text = path.read_text()
            assert old in text
            path.write_text(text.replace(old, new))
        with pytest.raises(DataError, match=message) as caught:
            read_volume(tmp_path / "a.zarr")
        assert "\n" not in str(caught.value)

    def test_no_store(self, tmp_path):
        with pytest.raises(DataError, match="no OME-Zarr image"):
            read_volume(tmp_path / "a.zarr")


def test_without_zarr_the_remedy_is_told(tmp_path, monkeypatch, scan):
    monkeypatch.setitem(sys.modules, "zarr", None)
    for act in (
        lambda: read_header(tmp_path / "a.zarr"),
        lambda: write_volume(tmp_path / "a.zarr", scan[np.newaxis], GRID),
    ):
        with pytest.raises(DataError, match=r'pip install "ushape\[zarr\]"'):
            act()
    assert list(tmp_path.iterdir()) == []
