"""What the gallery keeps about unet_backbone is what timm gives."""

from __future__ import annotations

import json
from pathlib import Path

from ushape.nets import describe, figure_json, make_spec, spec_to_json

STORED = Path(__file__).parents[2] / "docs" / "family" / "unet_backbone.json"


def test_the_stored_backbone_is_up_to_date() -> None:
    stored = json.loads(STORED.read_text(encoding="utf-8"))
    spec = make_spec("unet_backbone")

    assert stored["spec"] == json.loads(json.dumps(spec_to_json(spec))), "make family"
    new = json.loads(json.dumps(figure_json(describe(spec, batch=1))))
    assert stored["figure"] == new, "make family"


def test_the_encoder_is_counted_with_what_is_frozen() -> None:
    free = describe(make_spec("unet_backbone"))
    frozen = describe(make_spec("unet_backbone", freeze=1))

    assert free.frozen_parameters == 0
    assert frozen.frozen_parameters == 3 * 64 * 7 * 7 // 3 + 2 * 64  # the stem, one image channel
    assert frozen.all_parameters == free.all_parameters
