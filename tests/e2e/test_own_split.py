"""A data set that says itself which cases validate."""

from __future__ import annotations

import pytest


@pytest.fixture
def manifest(tiny_data, tmp_path):
    rows = ["image,label,split"]
    for number in range(8):
        name = f"cells_{number:03}.png"
        side = "val" if number in (1, 4) else "train"
        rows.append(f"{tiny_data / 'images' / name},{tiny_data / 'labels' / name},{side}")
    path = tiny_data.parent / "sides.csv"
    path.write_text("\n".join(row.replace(f"{tiny_data.parent}/", "") for row in rows) + "\n")
    yield path
    path.unlink()


def test_its_own_division_is_taken_unless_another_is_asked_for(cli, manifest):
    own = cli("plan", manifest, "--json")
    assert own.code == 0, own.err
    assert own.json["split"]["val"] == ["cells_001", "cells_004"]
    assert own.json["config"]["data"]["validation"] == "own"
    other = cli("plan", manifest, "--val", "6-7", "--json").json
    assert other["split"]["val"] == ["cells_006", "cells_007"]


@pytest.mark.parametrize("side", ["train", "val"])
def test_a_side_of_its_own_division_without_a_usable_case(cli, manifest, side):
    """Nobody trains without validation unasked, as when its cases cannot be read."""
    text = manifest.read_text()
    kept = [row for row in text.splitlines() if not row.endswith(f",{side}")]
    (manifest.parent / "broken.png").write_bytes(b"no picture")
    kept.append(f"broken.png,{kept[1].split(',')[1]},{side}")
    manifest.write_text("\n".join(kept) + "\n")
    result = cli("plan", manifest)
    assert result.code == 2
    (manifest.parent / "broken.png").unlink()
    assert f"no usable case is marked {side}" in result.error


def test_a_run_goes_on_with_its_own_division(cli, manifest, tiny_network, tmp_path):
    arguments = ("train", manifest, "--out", tmp_path / "run", "--steps", 2, *tiny_network)
    assert cli(*arguments).code == 0
    again = cli(*arguments, "--resume")
    assert again.code == 0, again.err


def test_a_data_set_without_a_division_has_no_own(cli, tiny_data):
    result = cli("plan", tiny_data, "--val", "own")
    assert result.code == 2
    assert "does not say which cases validate" in result.error
