"""Two passes over whole images, with a network that reads its answers off the image."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from ushape.config.schema import FineConfig, TilingConfig
from ushape.errors import ConfigError
from ushape.inference import predict_probabilities
from ushape.labels import LabelClass, LabelTable
from ushape.nets import build, geometry_of, make_spec
from ushape.nets.network import Output
from ushape.serial import Passes, input_size

TABLE = LabelTable(
    tuple(LabelClass(name, n) for n, name in enumerate(["background", "disc", "knob", "cord"]))
)


class Reader(nn.Module):
    """Channel 0 shows discs, 1 knobs, 2 cords: their logits are read from there."""

    def __init__(self, dims):
        super().__init__()
        self.spec = make_spec("unet_fine_grained", in_channels=3, spatial_dims=dims, levels=3)
        self.geometry = geometry_of(self.spec)
        self.inputs = []

    def forward(self, image):
        self.inputs.append(tuple(image.shape[2:]))
        disc, knob, cord = (20 * (image[:, n : n + 1] - 0.5) for n in range(3))
        return Output(torch.cat([torch.zeros_like(disc), disc, cord], 1), (knob,))


def scene(dims):
    """Two discs, a knob in one of them, and a knob far from any disc, which must not be found."""
    size = (48, 64) if dims == 2 else (12, 48, 64)
    image = np.zeros((3, *size), np.float32)
    lead = () if dims == 2 else (slice(3, 9),)
    image[(0, *lead, slice(8, 14), slice(6, 26))] = 1
    image[(0, *lead, slice(30, 36), slice(30, 50))] = 1
    image[(1, *lead, slice(31, 35), slice(44, 49))] = 1
    image[(1, *lead, slice(2, 6), slice(56, 60))] = 1
    image[(2, *lead, slice(40, 46), slice(4, 60))] = 1
    return image


def passes(dims, **changes):
    cut = (32, 32) if dims == 2 else (12, 32, 32)
    fine = FineConfig(classes=("knob",), within="disc", cut_size=cut, **changes)
    tiling = TilingConfig((64,) * dims if dims == 2 else (16, 64, 64))
    return Passes(TABLE, tiling, torch.device("cpu"), fine=fine)


@pytest.mark.parametrize("dims", [2, 3])
def test_small_classes_are_found_within_the_large_one_only(dims):
    image, network = scene(dims), Reader(dims)
    found = passes(dims).probabilities(network, image)
    assert found.shape == (4, *image.shape[1:])
    np.testing.assert_allclose(found.sum(0), 1, rtol=1e-4)
    classes = found.argmax(0)
    truth = np.where(image[1] > 0, 2, np.where(image[0] > 0, 1, np.where(image[2] > 0, 3, 0)))
    far = (..., slice(0, 8), slice(54, 64))
    truth[far] = 0
    assert (classes[far] == 0).all()
    assert (classes != truth).mean() < 0.002
    hits = ((classes == 2) & (truth == 2)).sum()
    assert 2 * hits / ((classes == 2).sum() + (truth == 2).sum()) > 0.85


@pytest.mark.parametrize("dims", [2, 3])
def test_one_cut_for_every_object(dims):
    image, network = scene(dims), Reader(dims)
    both = passes(dims).both(network, image)
    assert len(both.regions) == 2
    assert network.inputs[1:] == [both_size(dims)] * 2
    largest = passes(dims, regions="largest").both(network, image)
    assert len(largest.regions) == 1


def both_size(dims):
    return (32, 32) if dims == 2 else (12, 32, 32)


def test_true_regions_in_place_of_predicted_ones():
    image, network = scene(2), Reader(2)
    blind = image.copy()
    blind[0] = 0  # the first pass finds no disc
    several = passes(2)
    assert several.probabilities(network, blind)[2].max() == 0
    found = several.within(network, blind, image[0] > 0)
    np.testing.assert_array_equal(found, several.both(network, image).fine)
    assert found.max() > 0.9


def test_a_sink_gets_the_whole_at_once():
    image, network, got = scene(2), Reader(2), []
    expected = passes(2).probabilities(network, image)
    assert passes(2).probabilities(network, image, sink=lambda *a: got.append(a)) is None
    assert [first for first, _ in got] == [0]
    np.testing.assert_array_equal(got[0][1], expected)


def test_one_pass_is_what_inference_does():
    torch.manual_seed(0)
    network = build("unet_padding", levels=3, width=4, classes=4).eval()
    image = np.random.default_rng(0).normal(size=(1, 40, 30)).astype(np.float32)
    tiling, device = TilingConfig((16, 16)), torch.device("cpu")
    one = Passes(TABLE, tiling, device)
    expected = predict_probabilities(network, image, tiling, device=device, labels=TABLE)
    np.testing.assert_array_equal(one.probabilities(network, image), expected)
    with pytest.raises(ConfigError, match="one pass"):
        one.both(network, image)


def test_the_input_of_a_cut():
    padded, valid = (geometry_of(make_spec(n)) for n in ("unet_padding", "unet_original"))
    assert input_size(padded, (32, 48)) == (32, 48)
    size = input_size(valid, (100, 116))
    assert valid.output_size(size) == (100, 116)
    with pytest.raises(ConfigError, match=r"fine\.cut_size = 33 x 33.*32 x 32 and 48 x 48"):
        input_size(padded, (33, 33))


def test_cuts_need_a_size():
    several = passes(2)
    fine = replace(several.fine, cut_size=None)
    with pytest.raises(ConfigError, match="cut_size"):
        replace(several, fine=fine).both(Reader(2), scene(2))


def test_nothing_to_look_into_is_told():
    image, network, told = scene(2), Reader(2), []
    passes(2).probabilities(network, image, note=told.append)
    assert told == []
    image[0] = 0
    passes(2).probabilities(network, image, note=told.append)
    assert told == ["no disc was found, so no knob was looked for"]
