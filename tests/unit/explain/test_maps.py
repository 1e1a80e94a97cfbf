"""Where maps lie, and that they are those of prediction."""

import math

import numpy as np
import pytest
import torch

import ushape
from ushape.config.schema import TilingConfig
from ushape.explain.cam import class_scores, gradient_maps
from ushape.explain.maps import choose_window, enlarge, feature_maps, most_pixels, sample
from ushape.inference import predict_probabilities

DEVICE = torch.device("cpu")


def test_logits_are_those_of_prediction_for_networks_that_do_not_pad():
    network = ushape.build("unet_original", widths=[4, 4, 4]).eval()
    image = np.random.default_rng(0).normal(size=(1, 53, 70)).astype(np.float32)
    found = feature_maps(network, image, keep_graph=False)
    tiling = TilingConfig(tile_size=(92, 92))
    expected = predict_probabilities(network, image, tiling, device=DEVICE)
    np.testing.assert_allclose(torch.sigmoid(found.logits)[0].numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("name", ["unet_padding", "unet_original"])
@pytest.mark.parametrize("axis", [1, 2])
def test_maps_lie_where_the_image_is(name, axis):
    network = ushape.build(name, widths=[1, 1, 1], num_convs=2, norm="none").eval() \
        if name == "unet_padding" else ushape.build(name, widths=[1, 1, 1]).eval()  # fmt: skip
    with torch.no_grad():
        for conv in (m for m in network.encoder.modules() if isinstance(m, torch.nn.Conv2d)):
            conv.weight.zero_()
            conv.weight[..., 1, 1] = 1
            conv.bias.zero_()
    ramp = np.broadcast_to(np.arange(64.0, dtype=np.float32), (1, 64, 64))
    image = np.ascontiguousarray(ramp if axis == 2 else ramp.swapaxes(1, 2))
    found = feature_maps(network, image, keep_graph=False)
    middle = (0, 0, slice(12, -12), slice(12, -12))
    for level in range(3):
        node = f"x_{level}_0"
        large = enlarge(found.maps[node], found.places[node], found.size)
        # Max-pooling takes the last of the ramp's pixels: half a cell to the right, no more.
        shift = (2**level - 1) / 2
        np.testing.assert_allclose(large[middle], image[0, 12:-12, 12:-12] + shift, atol=1e-4)


@pytest.mark.parametrize("name", ["unet_padding", "unet_original"])
def test_sampling_is_reading_the_enlarged_map(name):
    network = ushape.build(name, widths=[3, 4, 5]).eval()
    image = np.random.default_rng(0).normal(size=(1, 40, 52)).astype(np.float32)
    found = feature_maps(network, image, keep_graph=False)
    points = np.random.default_rng(1).integers(0, (40, 52), (50, 2))
    for node, values in found.maps.items():
        large = enlarge(values, found.places[node], found.size)[0].numpy()
        taken = sample(values, found.places[node], points)
        np.testing.assert_allclose(taken, large[:, points[:, 0], points[:, 1]].T, atol=1e-4)


def test_scores_have_the_softmax_as_their_sigmoid():
    logits = torch.randn(1, 4, 5, 6)
    scores = class_scores(logits, is_exclusive=True)
    torch.testing.assert_close(torch.sigmoid(scores), torch.softmax(logits, dim=1))
    torch.testing.assert_close(class_scores(logits + 7, is_exclusive=True), scores)
    assert class_scores(logits, is_exclusive=False) is logits


def test_gradient_weights_of_the_last_node_are_those_of_the_head():
    network = ushape.build("unet_padding", widths=[5, 4, 4], classes=3).eval()
    image = np.random.default_rng(0).normal(size=(1, 16, 16)).astype(np.float32)
    found = feature_maps(network, image, keep_graph=True)
    mask = torch.zeros(16, 16, dtype=torch.bool)
    mask[2:9, 3:10] = True
    heats = gradient_maps(found, found.logits[0, 2], mask)
    weights = network.heads["x_0_2"].weight[2, :, 0, 0] * mask.sum() / 256
    expected = torch.relu(torch.einsum("c,cyx->yx", weights, found.maps["x_0_2"][0]))
    torch.testing.assert_close(heats["x_0_2"][0, 0], expected)
    assert set(heats) == {"x_0_0", "x_1_0", "x_2_0", "x_1_1", "x_0_2"}
    assert heats["x_1_0"].shape == (1, 1, 8, 8)


def test_windows_hold_most_of_all_classes_alike():
    masks = np.zeros((2, 100, 300), dtype=bool)
    masks[0, :90, :90] = True  # large, left
    masks[1, 40:44, 200:204] = True  # small, right
    masks[0, 40:60, 180:200] = True
    window = choose_window((100, 300), 60 * 60, masks)
    assert window[1].start <= 200
    assert window[1].stop >= 204
    assert [side.stop - side.start for side in window] == [60, 60]


def test_windows_without_masks_lie_in_the_middle():
    assert choose_window((100, 100), 10_000, None) is None
    assert choose_window((100, 300), 3600, None) == (slice(20, 80), slice(120, 180))
    assert choose_window((10, 1000), 1000, None) == (slice(0, 10), slice(450, 550))


def test_memory_is_bounded():
    wide = most_pixels(ushape.build("unet_padding", width=8).spec)
    assert most_pixels(ushape.build("unet_padding", width=16).spec) == pytest.approx(
        wide / 2, rel=0.01
    )
    window = choose_window((4000, 4000), wide, None)
    assert 0.99 * wide < math.prod(side.stop - side.start for side in window) <= wide
