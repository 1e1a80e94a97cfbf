"""The catalogue: names, options, and what is said when they are wrong."""

import re

import pytest

from ushape.errors import ConfigError
from ushape.nets import entries, make_spec


def test_every_entry_says_what_it_is() -> None:
    for entry in entries():
        assert entry.summary.endswith(".")
        assert "\n" not in entry.summary
        assert "2015" in entry.source
        assert all(option.doc and option.allowed for option in entry.options)


def test_listed_defaults_are_the_ones_used() -> None:
    for entry in entries():
        defaults = {option.name: option.default for option in entry.options}
        # `widths` replaces two others, so giving all of them is possible only while it is None.
        assert defaults["widths"] is None
        assert make_spec(entry.name, **defaults) == make_spec(entry.name)


def test_dimensions_are_those_that_the_option_takes() -> None:
    dims = {entry.name: entry.spatial_dims for entry in entries()}

    assert dims == {"unet_original": (2,), "unet_padding": (2, 3)}


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
            "(known: unet_original, unet_padding)",
        ),
        (
            "unet_padding",
            {"widht": 8},
            "unknown option 'widht' of unet_padding: did you mean 'width'? (known: spatial_dims, "
            "levels, width, widths, num_convs, kernel_size, stride, up, norm, dropout, residual)",
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
