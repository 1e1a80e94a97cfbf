"""Specifications: checks, and the round trip through model files."""

import json
from dataclasses import replace

import pytest

from ushape.errors import ConfigError
from ushape.nets import entries, geometry_of, make_spec, spec_from_json, spec_to_json
from ushape.nets.parts import (
    Add,
    AttentionMap,
    Backbone,
    BackboneDown,
    BlockDown,
    BottleneckBlock,
    Branch,
    ConvDown,
    DepthwiseBlock,
    FineHead,
    InceptionDown,
    LinearUp,
    LinkUp,
    MaxPool,
    NoBlock,
    NodeHead,
    PlainBlock,
    PublishedMap,
    RepeatUp,
    ResidualBlock,
    Step,
    TransposedUp,
    VNetBlock,
)
from ushape.nets.spec import NetworkSpec

SPECS = [
    make_spec("unet_original", levels=3),
    make_spec("unet_padding", spatial_dims=3, residual=True, up="linear", norm="instance"),
    make_spec("unet_padding", widths=[4, 6, 9], up="transposed", stride=[1, 2], dropout=0.25),
    make_spec("unet_branch", network="unet_25d", node="x_3_1", freeze_until="x_2_0", slope=0),
    make_spec("unet_fine_grained", network="unet_backbone", encoder="unet", decoder="add"),
]


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_round_trip_through_json_text(spec) -> None:
    assert spec_from_json(json.loads(json.dumps(spec_to_json(spec)))) == spec


@pytest.mark.parametrize("name", [entry.name for entry in entries()])
def test_every_entry_makes_the_round_trip(name) -> None:
    options = {"encoder": "unet"} if name == "unet_backbone" else {}
    spec = make_spec(name, **options)

    assert spec_from_json(json.loads(json.dumps(spec_to_json(spec)))) == spec


def test_a_backbone_makes_the_round_trip() -> None:
    """Built by hand: whether timm has the model is not asked when a file is read."""
    for weights in (None, "a1_in1k"):
        spec = NetworkSpec(
            "unet_backbone",
            3,
            2,
            replace(SPECS[0].kit, padding="same"),
            (
                replace(SPECS[0].levels[0], encoder=None),
                replace(
                    SPECS[0].levels[2],
                    encoder=PublishedMap((64,)),
                    step=Step((2, 2), BackboneDown(), RepeatUp(64)),
                ),
            ),
            backbone=Backbone("resnet34", weights),
        )

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
        (lambda d: d["levels"][1]["step"]["up"].update(width=0), "width of a step 0"),
        (lambda d: d["levels"][1]["step"]["up"].update(ending="soft"), "'bare' or 'active'"),
        (lambda d: d["levels"][1]["step"].update(down={"kind": ["max_pool"]}), "kind is"),
        (lambda d: d.update(takes_any_size=0), "takes_any_size is 0, expected bool"),
        (lambda d: d.update(head_kernel=3), "head_kernel is 3, expected a list"),
        (lambda d: d.update(head_kernel=[2, 2]), "head: kernel_size.*odd"),
        (lambda d: d.update(branch={"node": "x_1_0", "classes": [1]}), "channels from 0 to 0"),
        (lambda d: d.update(branch={"node": "x_1_0", "classes": 1}), "classes is 1, expected"),
        (lambda d: d.update(frozen=["x_9_0"]), "no node 'x_9_0' for a frozen node"),
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


def test_what_files_of_before_the_whole_family_leave_out() -> None:
    data = spec_to_json(SPECS[0])
    for name in ("auxiliary", "head_kernel", "takes_any_size", "backbone", "branch", "frozen"):
        del data[name]
    del data["kit"]["activation"], data["kit"]["slope"]
    for level in data["levels"]:
        del level["attention"]
        if level["step"] is not None:
            del level["step"]["up"]["ending"]

    assert spec_from_json(data) == SPECS[0]


PADDED = make_spec("unet_padding", levels=3, width=8, classes=3)


def with_level(number: int, **fields) -> tuple:
    levels = list(PADDED.levels)
    levels[number] = replace(levels[number], **fields)
    return tuple(levels)


def with_step(number: int, **fields) -> tuple:
    return with_level(number, step=replace(PADDED.levels[number].step, **fields))


THREE = (3, 3)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"levels": with_level(1, encoder=PublishedMap((16,)))}, "x_1_0: .* needs a backbone"),
        ({"levels": with_level(1, encoder=NoBlock((16,)))}, "x_1_0: without a block 8 channels"),
        ({"levels": with_level(1, encoder=BottleneckBlock((6,), THREE))}, "multiples of four"),
        (
            {"levels": with_level(1, encoder=DepthwiseBlock((16,), THREE, pointwise=False))},
            "keeps its 8 channels",
        ),
        ({"levels": with_level(1, encoder=VNetBlock((4,), THREE))}, "8 channels .* added to 4"),
        (
            {"levels": with_level(0, decoder=VNetBlock((4,), THREE, "enlarged"))},
            "x_0_2: 8 channels cannot be added to 4",
        ),
        ({"levels": with_level(1, encoder=ResidualBlock((16,), THREE, 0))}, "repeats=0"),
        ({"levels": with_step(1, down=InceptionDown(24))}, "inception makes 8 channels 2 x 8"),
        ({"levels": with_step(1, down=BackboneDown())}, "level 1: the ways down of a backbone"),
        ({"levels": with_step(1, up=RepeatUp(8))}, "repeating keeps 16 channels, not 8"),
        ({"levels": with_step(1, down=ConvDown(8, (2, 2, 2)))}, "give 2 numbers"),
        ({"levels": with_step(1, stride=(1, 2), down=ConvDown(8, (2, 2)))}, "odd .* stride is 1"),
        ({"levels": with_step(1, stride=(3, 2), up=LinkUp(8))}, "even strides, or 1"),
        (
            {"levels": with_step(1, stride=(3, 2)), "branch": Branch("x_1_0", (0,))},
            "branch: enlarging by .3, 2.",
        ),
        (
            {
                "levels": with_level(
                    1,
                    encoder=VNetBlock((16,), THREE),
                    step=Step((2, 2), BlockDown(), TransposedUp(8)),
                )
            },
            "x_1_0: a vnet block cannot stride",
        ),
        ({"levels": with_step(1, up=LinearUp(8, kernel_size=(2, 2)))}, "up: kernel_size.*odd"),
        ({"merge": Add(), "levels": with_step(1, up=TransposedUp(4))}, "need the 4 channels"),
        ({"auxiliary": (NodeHead("x_1_2"),)}, "did you mean 'x_1_1'"),
        ({"auxiliary": (NodeHead("x_1_1"),) * 2}, "listed twice"),
        ({"auxiliary": (AttentionMap("x_1_1"),)}, "x_1_1 has no attention"),
        ({"auxiliary": (FineHead(0),)}, "fine classes 0"),
        ({"branch": Branch("x_1_0", (0, 0))}, "different logit channels from 0 to 2"),
        ({"branch": Branch("x_1_0", ())}, "different logit channels"),
        ({"branch": Branch("x_1_0", (3,))}, "different logit channels"),
        ({"takes_any_size": True, "kit": replace(PADDED.kit, padding="valid")}, "that pad"),
    ],
    ids=str,
)
def test_descriptions_that_cannot_be_built_are_refused(changes, words) -> None:
    with pytest.raises(ConfigError, match=words):
        replace(PADDED, **changes)


@pytest.mark.parametrize(
    "step",
    [
        Step((2, 2), ConvDown(8, THREE), TransposedUp(8)),
        Step((2, 2), InceptionDown(16), TransposedUp(8)),
        Step((2, 2), BlockDown(), TransposedUp(8)),
    ],
    ids=lambda step: step.down.kind,
)
def test_unpadded_ways_down_may_not_overlap(step) -> None:
    with pytest.raises(ConfigError, match="level 1: in unpadded networks the windows"):
        replace(PADDED, kit=replace(PADDED.kit, padding="valid"), levels=with_level(1, step=step))


def test_an_unpadded_nested_skip_that_is_too_small_is_refused() -> None:
    flat = PlainBlock((16, 16), (1, 1))
    spec = replace(
        PADDED,
        kit=replace(PADDED.kit, padding="valid"),
        nesting="dense",
        levels=with_level(1, encoder=flat, decoder=flat),
    )

    with pytest.raises(ConfigError, match="x_0_2: unpadded blocks leave a skip smaller"):
        geometry_of(replace(spec, levels=(*spec.levels[:2], replace(spec.levels[2], encoder=flat))))


def test_max_pooling_may_have_any_stride() -> None:
    spec = replace(PADDED, levels=with_step(1, stride=(3, 1), down=MaxPool()))

    assert geometry_of(spec).total_stride == (6, 2)
