"""Kernels for another number of input channels. (Loading is tested where timm is: tests/timm.)"""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ushape.nets.pretrained import spread_kernel

channels = st.integers(1, 9)


def test_one_channel_takes_the_sum() -> None:
    kernel = torch.randn(4, 3, 5, 5)
    torch.testing.assert_close(spread_kernel(kernel, 1, 3), kernel.sum(1, keepdim=True))


def test_two_channels_share_the_third_kernel() -> None:
    a, b, c = torch.randn(3, 4, 3, 3)
    spread = spread_kernel(torch.stack([a, b, c], 1), 2, 3)
    torch.testing.assert_close(spread, torch.stack([a + c / 2, b + c / 2], 1))


def test_four_channels_share_the_first_kernel() -> None:
    a, b, c = torch.randn(3, 4, 3, 3)
    spread = spread_kernel(torch.stack([a, b, c], 1), 4, 3)
    torch.testing.assert_close(spread, torch.stack([a / 2, b, c, a / 2], 1))


def test_the_same_number_of_channels_keeps_the_kernel() -> None:
    kernel = torch.randn(4, 3, 5, 5)
    assert torch.equal(spread_kernel(kernel, 3, 3), kernel)


def test_half_precision_stays() -> None:
    assert spread_kernel(torch.ones(2, 3, 1, 1, dtype=torch.float16), 2, 3).dtype == torch.float16


@given(channels, channels, st.integers(1, 4))
def test_equal_channels_give_the_same_response(wanted: int, base: int, groups: int) -> None:
    """Groups are those of a stem that moves pixels into channels, the channels running fastest."""
    kernel = torch.randn(2, groups * base, 3, 3, dtype=torch.float64)
    pixels = torch.randn(1, groups, 1, 7, 7, dtype=torch.float64)
    expected = torch.conv2d(pixels.expand(1, groups, base, 7, 7).flatten(1, 2), kernel)
    spread = spread_kernel(kernel, wanted, base)
    found = torch.conv2d(pixels.expand(1, groups, wanted, 7, 7).flatten(1, 2), spread)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("multiple", [1, 2, 3])
def test_whole_multiples_are_tiled_and_rescaled(multiple: int) -> None:
    kernel = torch.randn(2, 3, 3, 3)
    tiled = kernel.repeat(1, multiple, 1, 1) / multiple
    torch.testing.assert_close(spread_kernel(kernel, 3 * multiple, 3), tiled)
