"""The catalogue: names, options, and what is said when they are wrong."""

import re

import pytest
import torch

from ushape.errors import ConfigError
from ushape.nets import build_network, entries, geometry_of, make_spec
from ushape.nets.parts import BottleneckBlock, FineHead, LinearUp, ResidualBlock


def test_every_entry_says_what_it_is() -> None:
    for entry in entries():
        assert entry.summary.endswith(".")
        assert "\n" not in entry.summary
        assert entry.source
        assert entry.use.endswith(".")
        assert all(option.doc and option.allowed for option in entry.options)


def test_every_paper_is_named_with_its_year() -> None:
    years = {
        "unet_original": "2015",
        "unet_padding": "2015",
        "unet_residual": "2024",
        "unet_plusplus": "2018",
        "unet_attention": "2018",
        "unet_backbone": "2015",
        "unet_3d": "2016",
        "unet_25d": "2019",
        "vnet_2d": "2016",
        "vnet_3d": "2016",
        "vnet_3d_depthwise": "2016",
        "vnet_3d_bottleneck": "2016",
        "unet_fine_grained": "",
        "unet_branch": "2015",
    }

    assert years.keys() == {entry.name for entry in entries()}
    assert [e.name for e in entries() if years[e.name] not in e.source] == []


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry.name)
def test_listed_defaults_are_the_ones_used(entry) -> None:
    defaults = {option.name: option.default for option in entry.options}
    if entry.name == "unet_backbone":
        defaults["encoder"] = "unet"  # others ask timm
    # `widths` replaces others, so that giving all of them is possible only while it is None.
    assert defaults.get("widths") is None
    encoder = {"encoder": "unet"} if entry.name == "unet_backbone" else {}

    assert make_spec(entry.name, **defaults) == make_spec(entry.name, **encoder)


def test_dimensions_are_those_that_the_option_takes() -> None:
    dims = {entry.name: entry.spatial_dims for entry in entries()}

    assert dims == {
        "unet_original": (2,),
        "unet_padding": (2, 3),
        "unet_residual": (2, 3),
        "unet_plusplus": (2, 3),
        "unet_attention": (2, 3),
        "unet_backbone": (2,),
        "unet_3d": (3,),
        "unet_25d": (3,),
        "vnet_2d": (2,),
        "vnet_3d": (3,),
        "vnet_3d_depthwise": (3,),
        "vnet_3d_bottleneck": (3,),
        "unet_fine_grained": (2, 3),
        "unet_branch": (2, 3),
    }


# The smallest that each choice allows, beside the choice.
SMALL = {
    "unet_backbone": {"encoder": "unet", "decoder_widths": (8, 8, 8, 8)},
    "unet_residual": {"levels": 4, "width": 4},
    "vnet_3d_bottleneck": {"width": 4},
    "vnet_3d_depthwise": {"levels": 3, "width": 4},
}
CHOICES = [
    (entry.name, option.name, choice, option.default)
    for entry in entries()
    for option in entry.options
    for choice in option.choices or ((True, False) if isinstance(option.default, bool) else ())
    if option.name not in ("spatial_dims",)
]


@pytest.mark.parametrize(("name", "option", "choice", "default"), CHOICES, ids=str)
def test_every_choice_of_every_entry_builds_and_runs(name, option, choice, default) -> None:
    options = SMALL.get(name, {"levels": 3, "width": 4}) | {option: choice}
    if (
        option == "align_corners"
        and choice
        and name not in ("unet_25d", "vnet_3d_depthwise", "vnet_3d_bottleneck")
    ):
        options["up"] = "linear"
    if name == "unet_backbone":
        options.pop("levels", None)
    spec = make_spec(name, **options)
    network = build_network(spec).eval()
    size = network.geometry.smallest
    with torch.no_grad():
        logits = network(torch.zeros(1, 1, *size)).logits
    assert logits.shape[2:] == network.geometry.output_size(size)
    plain = make_spec(name, **(options | {option: default}))
    assert (spec == plain) == (choice == default), "the choice is heard"


BLOCKS = ["plain", "residual", "bottleneck", "depthwise", "inception"]
WITH_BLOCKS = [e.name for e in entries() if any(o.name == "block" for o in e.options)]


def test_the_block_is_a_choice_where_it_makes_sense() -> None:
    assert WITH_BLOCKS == [
        "unet_original",
        "unet_padding",
        "unet_plusplus",
        "unet_attention",
        "unet_backbone",
        "unet_3d",
        "unet_25d",
        "vnet_2d",
        "vnet_3d",
    ]


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize(
    "options",
    [
        {"name": "unet_original", "levels": 3, "width": 4},
        {
            "name": "unet_3d",
            "levels": 3,
            "width": 4,
            "padding": "valid",
            "kernel_size": (1, 3, 3),
            "stride": (1, 2, 2),
        },
    ],
    ids=lambda options: options["name"],
)
def test_every_block_works_unpadded(options, block) -> None:
    """The same margin, the same output as ever; inception has two kernels for one."""
    network = build_network(make_spec(**options, block=block)).eval()
    plain = geometry_of(make_spec(**options))
    geometry = network.geometry

    doubled = 2 if block == "inception" else 1
    convs = make_spec(**options, num_convs=4) if "unet_original" in options.values() else None
    if doubled == 1:
        assert geometry.margin == plain.margin
    elif convs is not None:
        assert geometry.margin == geometry_of(convs).margin
    size = geometry.nearest_sizes([n + 8 for n in geometry.smallest])[1]
    image = torch.randn(1, 1, *size)
    with torch.no_grad():
        assert network(image).logits.shape[2:] == geometry.output_size(size)


def test_papers_numbers_are_the_defaults() -> None:
    spec = make_spec("unet_original")

    assert [level.encoder.widths for level in spec.levels] == [
        (64, 64),
        (128, 128),
        (256, 256),
        (512, 512),
        (1024, 1024),
    ]
    assert [level.step.up.width for level in spec.levels[1:]] == [64, 128, 256, 512]
    assert [level.dropout for level in spec.levels] == [0, 0, 0, 0.5, 0.5]
    assert all(level.dropout == 0 for level in make_spec("unet_padding").levels)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        (
            "unet_orignal",
            {},
            "unknown network 'unet_orignal': did you mean 'unet_original'? "
            "(known: unet_original, unet_padding, unet_residual, unet_plusplus, unet_attention, "
            "unet_backbone, unet_3d, unet_25d, vnet_2d, vnet_3d, vnet_3d_depthwise, "
            "vnet_3d_bottleneck, unet_fine_grained, unet_branch)",
        ),
        (
            "unet_padding",
            {"widht": 8},
            "unknown option 'widht' of unet_padding: did you mean 'width'? (known: spatial_dims, "
            "levels, width, widths, num_convs, kernel_size, stride, block, up, align_corners, "
            "norm, activation, dropout, residual)",
        ),
        (
            "unet_original",
            {"spatial_dims": 3},
            "spatial_dims=3 of unet_original is not allowed: give 2",
        ),
        (
            "unet_padding",
            {"levels": 7},
            "levels=7 of unet_padding is not allowed: give a whole number from 3 to 6",
        ),
        (
            "unet_padding",
            {"up": "bicubic"},
            "up='bicubic' of unet_padding is not allowed: give nearest, transposed or linear",
        ),
        (
            "unet_padding",
            {"kernel_size": (3, 3, 3)},
            "unet_padding: kernel_size: (3, 3, 3) has 3 numbers for 2 spatial axes: "
            "give one number, or 2",
        ),
        (
            "unet_padding",
            {"widths": (8, 16, 32), "levels": 4},
            "unet_padding: widths replaces levels: give one or the other",
        ),
        (
            "unet_padding",
            {"residual": True, "block": "plain"},
            "unet_padding: residual replaces block: give one or the other",
        ),
        (
            "unet_padding",
            {"block": "residul"},
            "block='residul' of unet_padding is not allowed: give plain, residual, bottleneck, "
            "depthwise or inception",
        ),
        (
            "unet_padding",
            {"align_corners": True},
            "unet_padding: align_corners is for up=linear, not up=nearest",
        ),
        (
            "unet_original",
            {"block": "bottleneck", "width": 6},
            "unet_original, node x_0_0: widths (6, 6) of a bottleneck block: give multiples of "
            "four",
        ),
        (
            "unet_residual",
            {"levels": 4, "blocks": [1, 2, 3]},
            "unet_residual: blocks: 3 given for 4 levels: give one a level",
        ),
        (
            "unet_backbone",
            {"encoder": "unet", "freeze": 6},
            "unet_backbone: freeze=6: unet has 5 levels to freeze",
        ),
        (
            "unet_backbone",
            {"encoder": None},
            "encoder=None of unet_backbone is not allowed: give a timm model name, such as "
            "resnet34, or unet",
        ),
        (
            "unet_backbone",
            {"encoder": "unet", "decoder_widths": None},
            "decoder_widths=None of unet_backbone is not allowed: give 1 to 8 whole numbers from 1 "
            "to 65536",
        ),
        (
            "unet_backbone",
            {"encoder": "unet", "decoder_widths": [8, 8]},
            "unet_backbone: decoder_widths: 2 given, unet needs 4, lowest first",
        ),
        (
            "unet_backbone",
            {"encoder": "unet", "weights": "a1_in1k"},
            "unet_backbone: weights='a1_in1k' is for timm encoders, not for encoder='unet'",
        ),
    ],
)
def test_wrong_names_and_values_are_one_line_with_the_remedy(name, options, message) -> None:
    with pytest.raises(ConfigError) as caught:
        make_spec(name, **options)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "options",
    [
        {"levels": 2},
        {"levels": 4.0},
        {"levels": True},
        {"levels": "4"},
        {"width": 0},
        {"widths": (8, 16)},
        {"widths": 8},
        {"widths": "888"},
        {"widths": (8, 16, -1)},
        {"kernel_size": 4},
        {"kernel_size": []},
        {"kernel_size": "3"},
        {"stride": 3},
        {"num_convs": 0},
        {"norm": "none at all"},
        {"norm": None},
        {"norm": []},
        {"dropout": 1},
        {"dropout": -0.1},
        {"dropout": float("nan")},
        {"dropout": "0.5"},
        {"residual": 1},
        {"residual": "yes"},
    ],
    ids=str,
)
def test_values_that_are_not_allowed(options) -> None:
    (name,) = options
    with pytest.raises(ConfigError, match=rf"^{name}=.* of unet_padding is not allowed: give "):
        make_spec("unet_padding", **options)


@pytest.mark.parametrize("count", [0, -1, 1.0, "1", True])
def test_channels_and_classes_are_counts(count) -> None:
    with pytest.raises(ConfigError, match=re.escape(f"classes={count!r} of unet_padding")):
        make_spec("unet_padding", classes=count)
    with pytest.raises(ConfigError, match=re.escape(f"in_channels={count!r} of unet_padding")):
        make_spec("unet_padding", in_channels=count)


def test_lists_from_yaml_are_taken_as_tuples() -> None:
    given = make_spec("unet_padding", widths=[8, 16, 32], kernel_size=[3, 5])

    assert given == make_spec("unet_padding", widths=(8, 16, 32), kernel_size=(3, 5))
    assert given.levels[1].encoder.widths == (16, 16)
    assert given.levels[1].encoder.kernel_size == (3, 5)
    assert hash(given) == hash(make_spec("unet_padding", widths=(8, 16, 32), kernel_size=(3, 5)))


def test_options_reach_the_specification() -> None:
    spec = make_spec(
        "unet_padding", levels=4, width=8, num_convs=3, stride=(1, 2), norm="instance", dropout=0.1
    )

    assert [level.encoder.widths for level in spec.levels] == [(w,) * 3 for w in (8, 16, 32, 64)]
    assert {level.step.stride for level in spec.levels[1:]} == {(1, 2)}
    assert spec.kit.norm == "instance"
    assert [level.dropout for level in spec.levels] == [0, 0, 0.1, 0.1]


class TestNetworksOverNetworks:
    @pytest.mark.parametrize("name", ["unet_branch", "unet_fine_grained"])
    def test_options_reach_the_inner_network(self, name) -> None:
        spec = make_spec(name, network="vnet_2d", levels=3, width=4, kernel_size=3, block="plain")
        inner = make_spec("vnet_2d", levels=3, width=4, kernel_size=3, block="plain")

        assert spec.levels == inner.levels
        assert spec.kit == inner.kit
        assert spec.name == name

    def test_the_inner_network_may_have_one_dimension_only(self) -> None:
        assert make_spec("unet_branch", network="vnet_3d").kit.spatial_dims == 3
        assert make_spec("unet_branch", spatial_dims=3).kit.spatial_dims == 3
        with pytest.raises(ConfigError, match=r"spatial_dims=2 of vnet_3d .*: give 3"):
            make_spec("unet_branch", network="vnet_3d", spatial_dims=2)

    def test_auxiliary_outputs_of_the_inner_network_come_after_the_fine_head(self) -> None:
        inner = make_spec("unet_plusplus")

        spec = make_spec("unet_fine_grained", network="unet_plusplus", fine_classes=3)

        assert spec.auxiliary == (FineHead(3), *inner.auxiliary)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"widht": 8}, "unknown option 'widht' of unet_branch: did you mean 'width'?"),
            ({"nod": "x_1_0"}, "unknown option 'nod' of unet_branch: did you mean 'node'?"),
            (
                {"network": "vnet_3d", "residual": True},
                "unknown option 'residual' of unet_branch",
            ),
            ({"levels": 9}, "levels=9 of unet_branch is not allowed: give a whole number from 3"),
            ({"widths": [4, 8, 16], "width": 4}, "unet_branch: widths replaces width"),
            (
                {"network": "unet_paddin"},
                "unet_branch: unknown network 'unet_paddin': did you mean 'unet_padding'?",
            ),
            ({"network": "unet_branch"}, "unet_branch: unknown network 'unet_branch': did you"),
            ({"network": "unet_fine_grained"}, "unet_branch: unknown network 'unet_fine_grained'"),
            ({"network": ["unet_padding"]}, "unet_branch: unknown network"),
            ({"network": None}, "unet_branch: unknown network"),
            ({"node": None}, "node=None of unet_branch is not allowed: give a node, such as"),
        ],
        ids=str,
    )
    def test_wrong_options_are_refused(self, options, message) -> None:
        with pytest.raises(ConfigError) as caught:
            make_spec("unet_branch", **options)
        assert str(caught.value).startswith(message)


class TestNumbersOfThePapers:
    def test_vnet(self) -> None:
        spec = make_spec("vnet_3d")

        assert [level.encoder.widths for level in spec.levels] == [
            (16,), (32,) * 2, (64,) * 3, (128,) * 3, (256,) * 3,
        ]  # fmt: skip
        assert [level.decoder.widths for level in spec.levels[:-1]] == [
            (32,), (64,) * 2, (128,) * 3, (256,) * 3,
        ]  # fmt: skip
        assert {level.encoder.kernel_size for level in spec.levels} == {(5, 5, 5)}
        assert {level.step.down.ending for level in spec.levels[1:]} == {"bare"}
        assert {level.step.up.ending for level in spec.levels[1:]} == {"bare"}
        flat = make_spec("vnet_2d")
        assert {level.step.down.ending for level in flat.levels[1:]} == {"normed"}
        assert flat.kit.activation == "prelu"

    def test_unet_3d(self) -> None:
        spec = make_spec("unet_3d")

        assert [level.encoder.widths for level in spec.levels] == [
            (32, 64), (64, 128), (128, 256), (256, 512),
        ]  # fmt: skip
        assert [level.decoder.widths for level in spec.levels[:-1]] == [
            (64, 64), (128, 128), (256, 256),
        ]  # fmt: skip
        assert [level.step.up.width for level in spec.levels[1:]] == [128, 256, 512]

    @pytest.mark.parametrize(
        ("levels", "encoder", "decoder", "widths"),
        [
            (4, [1, 3, 4, 3], [1, 2, 3], [32, 64, 128, 256]),
            (5, [1, 3, 4, 6, 3], [1, 2, 3, 3], [16, 32, 64, 128, 256]),
        ],
    )
    def test_vnet_bottleneck(self, levels, encoder, decoder, widths) -> None:
        spec = make_spec("vnet_3d_bottleneck", levels=levels)

        assert [level.encoder.widths[0] for level in spec.levels] == widths
        assert [len(level.encoder.widths) for level in spec.levels] == encoder
        assert [len(level.decoder.widths) for level in spec.levels[:-1]] == decoder
        downs = [level.step.down.kind for level in spec.levels[1:]]
        assert downs == ["conv"] + ["inception"] * (levels - 2)
        assert all(isinstance(level.encoder, BottleneckBlock) for level in spec.levels)

    def test_unet_25d(self) -> None:
        spec = make_spec("unet_25d")

        flat, full = (1, 3, 3), (3, 3, 3)
        assert [level.encoder.kernel_size for level in spec.levels] == [flat] * 2 + [full] * 3
        assert [level.step.stride for level in spec.levels[1:]] == [(1, 2, 2)] * 2 + [(2, 2, 2)] * 2
        assert [level.step.up.kernel_size for level in spec.levels[1:]] == [flat] * 2 + [full] * 2
        assert all(isinstance(level.step.up, LinearUp) for level in spec.levels[1:])
        assert [a.node for a in spec.auxiliary] == ["x_4_0", "x_3_1", "x_2_2", "x_1_3", "x_0_4"]
        assert spec.head_kernel == flat

    def test_unet_residual(self) -> None:
        spec = make_spec("unet_residual", spatial_dims=3)

        assert [level.encoder.widths[0] for level in spec.levels] == [32, 64, 128, 256, 320, 320]
        assert [level.encoder.repeats for level in spec.levels] == [1, 3, 4, 6, 6, 6]
        assert [level.encoder.stem for level in spec.levels] == [32, 0, 0, 0, 0, 0]
        assert all(isinstance(level.encoder, ResidualBlock) for level in spec.levels)
        assert [a.node for a in spec.auxiliary] == ["x_1_4", "x_2_3", "x_3_2"]

    def test_unet_plusplus_has_a_head_on_every_node_of_the_top_row(self) -> None:
        spec = make_spec("unet_plusplus")

        assert [a.node for a in spec.auxiliary] == ["x_0_1", "x_0_2", "x_0_3"]
        assert spec.nodes[-1].name == "x_0_4"
        assert make_spec("unet_plusplus", deep_supervision=False).auxiliary == ()
