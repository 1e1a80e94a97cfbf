"""The 2015 network by overlap tiles: every tile size gives the whole image's prediction.

Tiling knows no network and the network no tiling; this is where margins, strides and edge effects
of the one must fit the other. In float64 the logits agree to 1e-11: nothing but rounding is left.
In float32 the probabilities agree to 1e-5 (logits of size 10 already round by about that much).
"""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import pytest
import torch
from scipy.special import softmax

import ushape
from ushape.tiling import plan_tiles, run_tiled


@pytest.fixture(scope="module")
def unet_original():
    torch.manual_seed(0)
    return ushape.build("unet_original", classes=2, widths=(4, 8, 16, 32, 64)).eval()


@pytest.fixture(scope="module")
def unet_padding():
    """A small padded network whose batch norm has seen data, so that its statistics matter."""
    torch.manual_seed(0)
    network = ushape.build("unet_padding", levels=3, width=4)
    with torch.no_grad():
        for _ in range(3):
            network(torch.randn(2, 1, 32, 32) * 2 + 1)
    return network.double().eval()


def random_image(size, dtype=np.float64):
    return np.random.default_rng(0).normal(size=(1, *size)).astype(dtype)


def whole_image(network, image):
    """Mirror the image with NumPy up to one valid size, and run it in one go."""
    geometry = network.geometry
    sides = list(zip(image.shape[1:], geometry.margin, geometry.edge_effect, strict=True))
    needed = [length + sum(margin) + sum(edge) for length, margin, edge in sides]
    _, valid = geometry.nearest_sizes(needed)
    widths = [
        (margin[0] + edge[0], total - length - margin[0] - edge[0])
        for (length, margin, edge), total in zip(sides, valid, strict=True)
    ]
    padded = np.pad(image, [(0, 0), *widths], mode="reflect")
    with torch.no_grad():
        logits = network(torch.from_numpy(padded)[None]).logits[0].numpy()
    inside = (slice(edge[0], edge[0] + length) for length, _, edge in sides)
    return logits[(slice(None), *inside)]


def tiled(network, image, tile_size, *, batch_size=1, edge_effect=None):
    geometry = network.geometry
    plan = plan_tiles(
        image.shape[1:],
        tile_size=tile_size,
        margin=geometry.margin,
        edge_effect=geometry.edge_effect if edge_effect is None else edge_effect,
        stride=geometry.total_stride,
    )
    result = run_tiled(lambda tiles: network(tiles).logits, image, plan, batch_size=batch_size)
    return result, plan


SIZES = pytest.mark.parametrize(
    ("size", "tile_size"),
    [
        ((1, 1), (220, 220)),
        ((33, 97), (220, 220)),
        ((64, 50), (236, 252)),
        ((111, 45), (252, 220)),
        ((101, 173), (300, 236)),
        ((200, 131), (572, 572)),
    ],
)


@SIZES
def test_any_tile_size_gives_the_whole_images_logits(unet_original, size, tile_size):
    image = random_image(size)
    network = deepcopy(unet_original).double()
    result, _ = tiled(network, image, tile_size, batch_size=2)
    assert result.shape == (2, *size)
    np.testing.assert_allclose(result, whole_image(network, image), rtol=0, atol=1e-11)


@SIZES
def test_any_tile_size_gives_the_whole_images_probabilities(unet_original, size, tile_size):
    image = random_image(size, np.float32)
    result, _ = tiled(unet_original, image, tile_size, batch_size=2)
    expected = softmax(whole_image(unet_original, image), axis=0)
    assert result.dtype == np.float32
    assert size == (1, 1) or np.ptp(expected) > 0.5  # a flat prediction would prove nothing
    np.testing.assert_allclose(softmax(result, axis=0), expected, rtol=0, atol=1e-5)


def test_the_edge_effect_matters(unet_original):
    # Keeping pixels that the padded 2x2 convolution touched must show, or the tests are blind.
    image = random_image((111, 45), np.float32)
    kept, plan = tiled(unet_original, image, (252, 220), edge_effect=[(0, 0), (0, 0)])
    assert plan.num_tiles > 1
    assert np.abs(kept - whole_image(unet_original, image)).max() > 1e-2


@pytest.mark.parametrize("tile_size", [(96, 96), (112, 128)])
def test_a_padded_network_with_its_true_halo_is_exact_too(unet_padding, tile_size):
    image = random_image((83, 70))
    result, plan = tiled(unet_padding, image, tile_size)
    assert plan.num_tiles > 1
    np.testing.assert_allclose(result, whole_image(unet_padding, image), rtol=0, atol=1e-11)
