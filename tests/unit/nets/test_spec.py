"""Specifications: checks, and the round trip through model files."""

import json
from dataclasses import replace

import pytest

from ushape.errors import ConfigError
from ushape.nets import make_spec, spec_from_json, spec_to_json

SPECS = [
    make_spec("unet_original", levels=3),
    make_spec("unet_padding", spatial_dims=3, residual=True, up="linear", norm="instance"),
    make_spec("unet_padding", widths=[4, 6, 9], up="transposed", stride=[1, 2], dropout=0.25),
]


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_round_trip_through_json_text(spec) -> None:
    assert spec_from_json(json.loads(json.dumps(spec_to_json(spec)))) == spec


def _damaged(change) -> dict:
    data = json.loads(json.dumps(spec_to_json(SPECS[0])))
    change(data)
    return data


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d["levels"][1]["encoder"].update(kind="fractal"), r"levels\[1\].*'fractal'"),
        (lambda d: d["levels"][1]["encoder"].pop("kind"), "kind is None"),
        (lambda d: d.update(colour="red"), "colour"),
        (lambda d: d.pop("kit"), "kit"),
        (lambda d: d.update(classes="three"), "classes is 'three', expected int"),
        (lambda d: d.update(classes=True), "classes is True"),
        (lambda d: d.update(classes=0), "classes=0"),
        (lambda d: d.update(name=5), "name is 5, expected str"),
        (lambda d: d.update(levels="many"), "expected a list"),
        (lambda d: d.update(kit=None), "expected a group of fields"),
        (lambda d: d["kit"].update(norm="layer"), "'batch' or 'instance' or 'none'"),
        (lambda d: d["kit"].update(spatial_dims=4), "give 2 or 3"),
        (lambda d: d.update(levels=d["levels"][:1]), "two at least"),
        (lambda d: d["levels"][1].update(step=None), "level 1: every level but the first"),
        (lambda d: d["levels"][2].update(decoder=d["levels"][1]["decoder"]), "level 2: every"),
        (lambda d: d["levels"][0]["encoder"].update(kernel_size=[3]), "give 2 numbers"),
        (lambda d: d["levels"][0]["encoder"].update(kernel_size=[2, 2]), "odd"),
        (lambda d: d["levels"][0]["encoder"].update(widths=[]), "widths"),
        (lambda d: d["levels"][1]["step"].update(stride=[0, 2]), "stride"),
        (lambda d: d["levels"][1]["step"]["up"].update(width=0), "up width 0"),
        (lambda d: d["levels"][1].update(dropout=1.0), r"dropout 1\.0"),
    ],
)
def test_damaged_descriptions_are_refused_with_the_place(change, words) -> None:
    with pytest.raises(ConfigError, match=words):
        spec_from_json(_damaged(change))


def test_fields_added_later_take_their_defaults() -> None:
    data = spec_to_json(SPECS[0])
    del data["nesting"], data["merge"]

    assert spec_from_json(data) == SPECS[0]


def test_channels_into_counts_skips_and_the_map_from_below() -> None:
    spec = replace(make_spec("unet_padding", widths=(2, 30, 400)), nesting="dense")
    into = {node.name: spec.channels_into(node) for node in spec.nodes}

    assert into == {
        "x_0_0": 1,
        "x_1_0": 2,
        "x_2_0": 30,
        "x_0_1": 2 + 2,
        "x_1_1": 30 + 30,
        "x_0_2": 2 + 2 + 2,
    }
