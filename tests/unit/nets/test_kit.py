"""Layers against their plain definitions."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ushape.nets.blocks import build_block
from ushape.nets.kit import LayerKit, NearestConv, initialise
from ushape.nets.skips import center_crop, merge
from ushape.nets.parts import KitSpec, PlainBlock, ResidualBlock


def nearest_conv_by_definition(layer: NearestConv, x: torch.Tensor) -> torch.Tensor:
    """Enlarge, pad after the last pixel, convolve: the three steps that the layer merges."""
    for axis, edge in enumerate(layer.stride, start=2):
        x = x.repeat_interleave(edge, dim=axis)
    pads = [number for edge in reversed(layer.stride) for number in (0, edge - 1)]
    convolve = F.conv2d if len(layer.stride) == 2 else F.conv3d
    return convolve(F.pad(x, pads), layer.weight, layer.bias)


@pytest.mark.parametrize("stride", [(2, 2), (1, 2), (3, 2), (2, 2, 2), (1, 2, 2)], ids=str)
def test_nearest_conv_equals_its_definition(stride) -> None:
    layer = NearestConv(3, 2, stride).double()
    nn.init.normal_(layer.weight)
    nn.init.normal_(layer.bias)
    x = torch.randn(2, 3, *(3, 4, 5)[: len(stride)]).double().requires_grad_()

    result = layer(x)
    expected = nearest_conv_by_definition(layer, x)

    torch.testing.assert_close(result, expected, rtol=0, atol=1e-13)
    weights = torch.randn_like(result)
    ours = torch.autograd.grad((result * weights).sum(), [x, layer.weight, layer.bias])
    theirs = torch.autograd.grad((expected * weights).sum(), [x, layer.weight, layer.bias])
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, rtol=0, atol=1e-11)


@pytest.mark.parametrize(
    ("layer", "incoming"),
    [
        (nn.Conv2d(64, 48, 3), 64 * 9),
        (nn.ConvTranspose2d(256, 128, 2, stride=2), 256),
        (NearestConv(128, 64, (2, 2)), 128 * 4),
    ],
    ids=["conv", "transposed", "nearest"],
)
def test_weights_are_drawn_with_the_papers_deviation(layer, incoming) -> None:
    initialise(layer)

    assert layer.weight.std().item() == pytest.approx(math.sqrt(2 / incoming), rel=0.05)
    assert layer.weight.mean().item() == pytest.approx(0, abs=0.01)
    assert torch.count_nonzero(layer.bias) == 0


def test_center_crop_takes_the_middle_as_a_view() -> None:
    x = torch.arange(6 * 8.0).reshape(1, 1, 6, 8)

    middle = center_crop(x, (2, 8))

    assert middle.tolist() == x[:, :, 2:4].tolist()
    assert middle.data_ptr() == x[:, :, 2:].data_ptr()


def test_concatenation_puts_skips_first_in_column_order() -> None:
    skips = [torch.full((1, 1, 4, 4), 1.0), torch.full((1, 2, 6, 6), 2.0)]

    joined = merge(Concatenate(), skips, torch.full((1, 1, 2, 2), 3.0))

    assert joined.shape == (1, 4, 2, 2)
    assert joined[0, :, 0, 0].tolist() == [1, 2, 2, 3]


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("in_channels", [3, 4])
def test_residual_adds_the_input_before_the_last_relu(padding, in_channels) -> None:
    kit = LayerKit(KitSpec(2, padding, "batch"))
    block = build_block(kit, in_channels, ResidualBlock((5, 4), (3, 3))).eval()
    x = torch.randn(2, in_channels, 9, 9)

    result = block(x)

    inner = block.body(x)
    assert (inner < 0).any(), "no activation before the sum"
    added = x if in_channels == 4 else block.shortcut(x)
    if padding == "valid":
        added = added[:, :, 2:-2, 2:-2]
    torch.testing.assert_close(result, F.relu(inner + added))


def test_layers_stand_in_the_order_convolution_norm_relu() -> None:
    block = build_block(LayerKit(KitSpec(3, "same", "instance")), 1, PlainBlock((2, 3), (1, 3, 3)))

    names = [type(layer).__name__ for unit in block for layer in unit]
    assert names == ["Conv3d", "InstanceNorm3d", "ReLU"] * 2
    assert block[0].conv.padding == (0, 1, 1)
    assert block[0].norm.affine
