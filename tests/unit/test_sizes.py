"""Sizes and durations, as typed and as shown."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ushape.errors import ConfigError
from ushape.sizes import (
    format_duration,
    format_size,
    parse_duration_s,
    parse_size,
    parse_spacing_mm,
    parse_stack,
    per_axis,
)

QUICK = settings(deadline=None, max_examples=60)


@given(edges=st.lists(st.integers(1, 999_999_999), min_size=1, max_size=3))
@QUICK
def test_a_size_is_read_as_written(edges):
    assert parse_size(format_size(edges).replace(" ", "")) == tuple(edges)


def test_spellings_of_a_size():
    assert parse_size("64X96×128") == (64, 96, 128)


@pytest.mark.parametrize("text", ["", "0x4", "4x", "4x-4", "1x2x3x4", "a", "4.5", "04x4", " 4x4"])
def test_what_is_no_size(text):
    with pytest.raises(ConfigError, match="512x512"):
        parse_size(text)


def test_per_axis():
    assert per_axis(2, 3) == (2, 2, 2)
    assert per_axis([1, 2], 2) == (1, 2)
    with pytest.raises(ConfigError, match=r"\(1, 2\) has 2 numbers for 3 spatial axes"):
        per_axis((1, 2), 3)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("10m", 600), ("1h30m", 5400), ("2d", 172_800), ("1.5 H", 5400), ("0.5m", 30)],
)
def test_a_duration_in_seconds(text, seconds):
    assert parse_duration_s(text) == seconds


@pytest.mark.parametrize("text", ["", "10", "m", "10x", "1h30", "-5m", "10m!", "1.2.3s", "ten m"])
def test_what_is_no_duration(text):
    with pytest.raises(ConfigError, match="such as 90s, 10m"):
        parse_duration_s(text)


def test_no_time_is_no_duration():
    with pytest.raises(ConfigError, match="not positive"):
        parse_duration_s("0s")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (59.4, "59s"), (59.6, "1m"), (3599.7, "1h"), (5400, "1h 30m"), (86_399, "23h 59m"),
     (90_061, "1d 1h"), (86_400, "1d")],
)  # fmt: skip
def test_a_duration_is_shown_with_two_units_at_most(seconds, text):
    assert format_duration(seconds) == text


@given(seconds=st.integers(1, 10**7))
@QUICK
def test_a_shown_duration_loses_less_than_its_smaller_unit(seconds):
    shown = parse_duration_s(format_duration(seconds))
    unit = 1 if seconds < 3600 else 60 if seconds < 86_400 else 3600
    assert 0 <= seconds - shown < unit


@given(
    edges=st.lists(st.integers(1, 10**6), min_size=2, max_size=3),
    unit=st.sampled_from([("nm", 1e6), ("um", 1e3), ("µm", 1e3), ("mm", 1), ("", 1)]),
)
@QUICK
def test_edges_of_voxels_in_any_unit(edges, unit):
    text = "x".join(map(str, edges)) + unit[0]
    assert parse_spacing_mm(text) == tuple(edge / unit[1] for edge in edges)


def test_spellings_of_edges():
    assert parse_stack(" 50 × 4,4 NM ") == (50 / 1e6, 4 / 1e6, 4 / 1e6)
    assert parse_spacing_mm("1e-3x.5x2.") == (0.001, 0.5, 2.0)


@pytest.mark.parametrize(
    "text", ["", "nm", "4", "1x2x3x4", "0x1x1", "-1x1x1", "nanx1x1", "1xinfx1", "1xx1", "axbxc"]
)
def test_what_are_no_edges(text):
    with pytest.raises(ConfigError, match=r"50x4x4nm|unknown unit"):
        parse_spacing_mm(text)


def test_a_stack_has_three_edges_and_a_known_unit():
    with pytest.raises(ConfigError, match=r"stack '4x4nm' is not understood"):
        parse_stack("4x4nm")
    with pytest.raises(ConfigError, match=r"unknown unit 'nmm': did you mean 'nm'"):
        parse_stack("50x4x4nmm")
