"""The gallery of networks is what `make family` writes today."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType

import pytest

from ushape.nets import describe, entries, figure_json, spec_from_json

ROOT = Path(__file__).resolve().parents[2]
REGENERATE = "make family"


@pytest.fixture(scope="module")
def gallery() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_family", ROOT / "docs" / "make_family.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def stored(gallery: ModuleType) -> dict[str, dict]:
    return json.loads(gallery.COSTS.read_text(encoding="utf-8"))


def test_page_and_pictures_are_up_to_date(gallery: ModuleType, stored: dict) -> None:
    files = gallery.family_files(stored)

    for path, text in files.items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name}: {REGENERATE}"
    assert set((ROOT / "docs" / "family").glob("*.svg")) == {p for p in files if p.suffix == ".svg"}


@pytest.mark.parametrize("name", ["unet_plusplus", "unet_3d"])
def test_quick_ones_of_the_stored_costs_are_up_to_date(
    name: str, gallery: ModuleType, stored: dict
) -> None:
    assert json.loads(json.dumps(gallery.measured_costs(name))) == stored[name], REGENERATE


@pytest.mark.slow
@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry.name)
def test_all_stored_costs_are_up_to_date(entry, gallery: ModuleType, stored: dict) -> None:
    assert json.loads(json.dumps(gallery.measured_costs(entry.name))) == stored[entry.name]


def test_every_count_equals_the_expected_one(gallery: ModuleType, stored: dict) -> None:
    """Two pairs of numbers stand in each row: ours and the paper's."""
    page = gallery.family_files(stored)[ROOT / "docs" / "family.md"]
    counts = json.loads(gallery.COUNTS.read_text(encoding="utf-8"))["counts"]
    rows = re.findall(r"\| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \|", page)

    assert len(rows) == len(counts) >= 16
    assert all(row[:2] == row[2:] for row in rows)


def test_links_of_the_page_lead_somewhere(gallery: ModuleType, stored: dict) -> None:
    page = gallery.family_files(stored)[ROOT / "docs" / "family.md"]

    for target in re.findall(r"\]\(([^)]+)\)", page):
        if target.startswith("#"):
            assert f"\n## {target[1:]}\n" in page
        else:
            assert (ROOT / "docs" / target).exists()


def test_the_stored_backbone_is_described_by_todays_code(
    gallery: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All but the encoder's own parameters and the costs, which take timm (see tests/timm)."""
    data = json.loads(gallery.BACKBONE.read_text(encoding="utf-8"))
    old = data["figure"]
    encoder = next(row["parameters"] for row in old["rows"] if row["node"] == "backbone")
    running = old["all_parameters"] - old["trainable_parameters"]
    spec = spec_from_json(data["spec"])
    decoder_running = sum(2 * 2 * spec.width(n.name) for n in spec.nodes if n.column > 0)
    monkeypatch.setattr(
        "ushape.nets.parameters._backbone", lambda spec: (encoder, 0, running - decoder_running)
    )

    new = json.loads(json.dumps(figure_json(describe(spec, tuple(old["size"])))))

    assert new | {"costs": old["costs"]} == old, f"{REGENERATE}, with timm installed"


def test_measured_speed_is_one_line(gallery: ModuleType) -> None:
    speed = {
        "machine": "two cores",
        "torch": "2.13",
        "entries": {
            "vnet_2d": {
                "size": [256, 256],
                "batch": 4,
                "options": {"width": 8},
                "forward_ms": {"float32": 12.4, "bf16": 7},
                "train_ms": {"float32": 41},
            }
        },
    }

    line = gallery._speed_line("vnet_2d", speed)

    assert line == (
        "Speed on two cores, torch 2.13, batch 4 of 256 x 256, `width=8`: forward 12 ms float32, "
        "7 ms bf16; training step 41 ms float32."
    )
    assert gallery._speed_line("vnet_3d", speed) == ""
