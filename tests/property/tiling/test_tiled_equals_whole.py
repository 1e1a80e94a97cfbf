"""A real network with pooling, run by tiles, gives the numbers of the whole mirrored image."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from ushape.tiling import plan_tiles, run_tiled

CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
POOL = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}

# Two poolings. Sizes along an axis, tile n: 3-convolution n-2, pool, -2, pool, -2, double, -2,
# double, -2: n-20 in all, ten a side; n = 2 modulo 4 passes both poolings evenly.
MARGIN, STRIDE = 10, 4
# A 2-convolution padded by one pixel after each doubling spoils the last pixel, which doubling
# makes two, and the next such convolution three. The 3-convolutions take as many as they spoil.
EDGE_EFFECT = {"plain": (0, 0), "padded": (0, 3)}


@cache
def network(kind: str, dims: int, dtype: torch.dtype) -> Callable[[torch.Tensor], torch.Tensor]:
    """Build a U of two poolings with random weights and skips that are cropped at the centre."""
    generator = torch.Generator().manual_seed(dims)

    def weight(out_channels: int, in_channels: int, kernel: int) -> torch.Tensor:
        values = torch.randn(
            (out_channels, in_channels, *(kernel,) * dims), generator=generator, dtype=torch.float64
        )
        return (values / (in_channels * kernel**dims) ** 0.5).to(dtype)

    down = [weight(3, 2, 3), weight(4, 3, 3), weight(4, 4, 3)]
    doubled = [weight(4, 4, 2), weight(3, 3, 2)]
    up = [weight(3, 8, 3), weight(2, 6, 3)]

    def double(x: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
        for axis in range(2, 2 + dims):
            x = x.repeat_interleave(2, dim=axis)
        return CONV[dims](F.pad(x, (0, 1) * dims), kernel) if kind == "padded" else x

    def crop(x: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        for axis in range(2, 2 + dims):
            length = like.shape[axis]
            x = x.narrow(axis, (x.shape[axis] - length) // 2, length)
        return x

    def forward(x: torch.Tensor) -> torch.Tensor:
        assert all(length % 4 == 2 for length in x.shape[2:])
        level_0 = F.relu(CONV[dims](x, down[0]))
        level_1 = F.relu(CONV[dims](POOL[dims](level_0, 2), down[1]))
        x = double(F.relu(CONV[dims](POOL[dims](level_1, 2), down[2])), doubled[0])
        x = F.relu(CONV[dims](torch.cat([crop(level_1, x), x], 1), up[0]))
        x = double(x, doubled[1])
        return CONV[dims](torch.cat([crop(level_0, x), x], 1), up[1])

    return forward


def whole_image(forward, image: np.ndarray, edge_effect: tuple[int, int]) -> np.ndarray:
    """Mirror the whole image with NumPy, run it in one go, cut out the image."""
    before = MARGIN + edge_effect[0]
    widths = [(0, 0)]
    for length in image.shape[1:]:
        needed = length + 2 * MARGIN + sum(edge_effect)
        widths.append((before, needed + (2 - needed) % 4 - before - length))
    padded = np.pad(image, widths, mode="reflect")
    out = forward(torch.from_numpy(padded)[None])[0].numpy()
    start = edge_effect[0]
    return out[(slice(None), *(slice(start, start + length) for length in image.shape[1:]))]


def tiled(forward, image, tile_size, edge_effect, *, stride=STRIDE, batch_size=1) -> np.ndarray:
    dims = image.ndim - 1
    plan = plan_tiles(
        image.shape[1:],
        tile_size=tile_size,
        margin=[(MARGIN, MARGIN)] * dims,
        edge_effect=[edge_effect] * dims,
        stride=(stride,) * dims,
    )
    return run_tiled(forward, image, plan, batch_size=batch_size)


def random_image(size, dtype=np.float64) -> np.ndarray:
    return np.random.default_rng(5).normal(size=(2, *size)).astype(dtype)


@settings(deadline=None, max_examples=40)
@given(data=st.data(), kind=st.sampled_from(["plain", "padded"]), dims=st.integers(1, 2))
def test_any_size_and_any_tile(data, kind, dims):
    size = data.draw(st.tuples(*[st.integers(1, 70)] * dims))
    tile_size = data.draw(st.tuples(*[st.sampled_from(range(30, 60, 4))] * dims))
    image = random_image(size)
    forward = network(kind, dims, torch.float64)
    expected = whole_image(forward, image, EDGE_EFFECT[kind])
    result = tiled(forward, image, tile_size, EDGE_EFFECT[kind], batch_size=3)
    assert result.shape == (2, *size)
    np.testing.assert_allclose(result, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", ["plain", "padded"])
@pytest.mark.parametrize("size", [(1, 9, 13), (17, 5, 11)])
def test_volumes(kind, size):
    image = random_image(size)
    forward = network(kind, 3, torch.float64)
    expected = whole_image(forward, image, EDGE_EFFECT[kind])
    result = tiled(forward, image, (30, 34, 30), EDGE_EFFECT[kind])
    np.testing.assert_allclose(result, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", ["plain", "padded"])
def test_float32(kind):
    image = random_image((101, 77), np.float32)
    forward = network(kind, 2, torch.float32)
    result = tiled(forward, image, (46, 34), EDGE_EFFECT[kind])
    assert result.dtype == np.float32
    expected = whole_image(forward, image, EDGE_EFFECT[kind])
    np.testing.assert_allclose(result, expected, rtol=0, atol=1e-5)


def test_the_comparison_notices_spoilt_pixels_and_a_broken_grid():
    # Without this, a network too tame to show either fault would let every test above pass.
    image = random_image((61, 61))
    padded = network("padded", 2, torch.float64)
    expected = whole_image(padded, image, EDGE_EFFECT["padded"])
    for edge_effect in ((0, 0), (0, 2)):
        kept = tiled(padded, image, (34, 34), edge_effect)
        assert np.abs(kept - expected).max() > 1e-3
    plain = network("plain", 2, torch.float64)
    off_the_grid = tiled(plain, image, (34, 34), (0, 0), stride=1)
    assert np.abs(off_the_grid - whole_image(plain, image, (0, 0))).max() > 1e-3


def test_the_true_halo_makes_a_padded_network_exact():
    # Two 3-convolutions with zero padding and a pooling between: 1 + 2 pixels and the pool's phase.
    weights = torch.randn(
        (2, 2, 2, 3), generator=torch.Generator().manual_seed(0), dtype=torch.float64
    )

    def forward(x: torch.Tensor) -> torch.Tensor:
        x = F.max_pool1d(F.conv1d(x, weights[0], padding=1), 2)
        return F.conv1d(x, weights[1], padding=1).repeat_interleave(2, dim=-1)

    image = random_image((53,))
    halo = (4, 4)
    padded = np.pad(image, [(0, 0), (4, 5)], mode="reflect")
    expected = forward(torch.from_numpy(padded)[None])[0].numpy()[:, 4:57]
    for tile in (12, 20, 34, 62):
        plan = plan_tiles(
            (53,), tile_size=(tile,), margin=[(0, 0)], edge_effect=[halo], stride=(2,)
        )
        np.testing.assert_allclose(run_tiled(forward, image, plan), expected, rtol=0, atol=1e-12)
