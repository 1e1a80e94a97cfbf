"""Layers against their plain definitions."""

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ushape.nets import build_network, make_spec
from ushape.nets.decoder import DecoderNode
from ushape.nets.kit import LayerKit, NearestConv, initialise
from ushape.nets.parts import KitSpec, LinearUp


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
        (nn.Conv3d(16, 24, (1, 3, 3)), 16 * 9),
        (nn.Conv2d(512, 512, 3, groups=512), 9),
        (nn.ConvTranspose2d(256, 128, 2, stride=2), 256),
        (nn.ConvTranspose3d(64, 32, (1, 2, 2), stride=(1, 2, 2)), 64),
        (nn.ConvTranspose2d(64, 64, 4, stride=2, padding=1), 64 * 4),
        (nn.ConvTranspose2d(512, 512, 4, stride=2, padding=1, groups=512), 4),
        (NearestConv(128, 64, (2, 2)), 128 * 4),
        (NearestConv(32, 16, (2, 2, 2)), 32 * 8),
    ],
    ids=str,
)
def test_weights_are_drawn_with_the_papers_deviation(layer, incoming) -> None:
    """sqrt(2 / N), N the values that one output element sums; counted by hand."""
    torch.manual_seed(0)
    initialise(layer)

    assert layer.weight.std().item() == pytest.approx(math.sqrt(2 / incoming), rel=0.05)
    assert layer.weight.mean().item() == pytest.approx(0, abs=0.02)
    assert torch.count_nonzero(layer.bias) == 0


def test_every_weight_of_every_network_is_drawn_and_every_bias_zero(case, small_network) -> None:
    network = small_network(case)

    for name, parameter in network.named_parameters():
        if name.endswith("bias") or name == "branch.conv.weight":
            assert not parameter.any(), name
        elif parameter.ndim == 1 and "activation" in name:
            assert (parameter == 0.25).all(), name
        elif parameter.ndim == 1:
            assert (parameter == 1).all(), name
        elif name != "branch.up.weight":  # normal, not torch's uniform: some values lie far out
            furthest = (parameter.abs().max() / parameter.square().mean().sqrt()).item()
            assert parameter.unique().numel() > 0.9 * parameter.numel(), name
            assert furthest > 1.8 or parameter.numel() < 100, name


DIMS = pytest.mark.parametrize("dims", [2, 3])


@DIMS
@pytest.mark.parametrize("kernel", [2, 3, 5])
@pytest.mark.parametrize("length", [6, 8])
def test_padding_after_is_the_rule_of_tensorflow(dims, kernel, length) -> None:
    """The `same` of tf.nn.convolution: windows by stride 2, zeros as even as can be, rest after."""
    kit = LayerKit(KitSpec(dims, "same", "none"))
    layer = kit.conv(2, 3, (kernel,) * dims, stride=(2,) * dims, padding="after")
    x = torch.randn(1, 2, *[length] * dims)

    result = layer(x)

    out = math.ceil(length / 2)
    total = max((out - 1) * 2 + kernel - length, 0)
    first = total // 2
    assert result.shape[2:] == (out,) * dims
    for place in torch.cartesian_prod(*[torch.arange(out)] * dims).tolist():
        summed = layer.bias.clone()
        for offset in torch.cartesian_prod(*[torch.arange(kernel)] * dims).tolist():
            where = [2 * p - first + o for p, o in zip(place, offset, strict=True)]
            if all(0 <= w < length for w in where):
                summed = summed + layer.weight[(..., *offset)] @ x[(0, slice(None), *where)]
        torch.testing.assert_close(result[(0, slice(None), *place)], summed, rtol=1e-4, atol=1e-5)


@DIMS
def test_pooling_with_padding_after_takes_no_maximum_from_outside(dims) -> None:
    kit = LayerKit(KitSpec(dims, "same", "none"))
    x = -torch.arange(1.0, 7.0).expand(1, 1, *[6] * dims)  # all below the zeros of a padding

    after = kit.max_pool((2,) * dims, kernel_size=(3,) * dims, padding="after")(x)
    centred = kit.max_pool((2,) * dims, kernel_size=(3,) * dims)(x)

    assert after[(0, 0, *[0] * (dims - 1))].tolist() == [-1, -3, -5]
    assert centred[(0, 0, *[0] * (dims - 1))].tolist() == [-1, -2, -4]


@DIMS
@pytest.mark.parametrize("stride", [1, 2])
def test_centred_padding_is_that_of_torch(dims, stride) -> None:
    kit = LayerKit(KitSpec(dims, "same", "none"))
    layer = kit.conv(2, 3, (3,) * dims, stride=(stride,) * dims)
    x = torch.randn(1, 2, *[6] * dims)
    convolve = F.conv2d if dims == 2 else F.conv3d

    expected = convolve(x, layer.weight, layer.bias, stride=stride, padding=1)

    assert torch.equal(layer(x), expected)


@pytest.mark.parametrize("dims", [2, 3])
def test_padding_in_a_step_of_its_own_changes_nothing_but_the_graph(dims) -> None:
    options = {"levels": 3, "width": 3, "spatial_dims": dims, "block": "residual"}
    inside = make_spec("unet_padding", **options)
    torch.manual_seed(1)
    network = build_network(inside).eval()
    apart = build_network(replace(inside, kit=replace(inside.kit, padding="pad-then-valid"))).eval()
    image = torch.randn(2, 1, *[8] * dims)

    apart.load_state_dict(network.state_dict())

    assert torch.equal(apart(image).logits, network(image).logits)
    assert apart.geometry.edge_effect == network.geometry.edge_effect
    kinds = {type(layer).__name__ for layer in apart.modules()}
    assert f"PadsFirstConv{dims}d" in kinds


def test_both_paddings_of_the_depthwise_network_are_equal(small_network, small_image) -> None:
    options = {"levels": 4, "width": 2}
    same = build_network(make_spec("vnet_3d_depthwise", padding="same", **options)).eval()
    apart = build_network(make_spec("vnet_3d_depthwise", padding="pad-then-valid", **options))
    image = torch.randn(1, 1, 8, 8, 16)

    apart.eval().load_state_dict(same.state_dict())

    assert torch.equal(apart(image).logits, same(image).logits)


def interpolated(values: list[float], factor: int, *, align_corners: bool) -> list[float]:
    """Interpolate one row by the definition of each kind of position."""
    length, found = len(values), []
    for i in range(length * factor):
        if align_corners:
            position = i * (length - 1) / (length * factor - 1)
        else:
            position = min(max((i + 0.5) / factor - 0.5, 0), length - 1)
        low = min(int(position), length - 2)
        share = position - low
        found.append((1 - share) * values[low] + share * values[low + 1])
    return found


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_linear_enlargement_by_definition(align_corners, axis) -> None:
    kit = LayerKit(KitSpec(3, "same", "none"))
    stride = tuple(2 if i == axis else 1 for i in range(3))
    row = [1.0, 4.0, 2.0, 8.0]
    x = torch.tensor(row).reshape(1, 1, *[4 if i == axis else 1 for i in range(3)])
    x = x.expand(1, 1, *[4 if i == axis else 3 for i in range(3)])

    result = kit.linear_resize(stride, align_corners=align_corners)(x)

    found = result[(0, 0, *[slice(None) if i == axis else 1 for i in range(3)])].tolist()
    assert found == pytest.approx(interpolated(row, 2, align_corners=align_corners), rel=1e-5)


@pytest.mark.parametrize("align_corners", [False, True])
def test_a_1x1_convolution_before_the_enlargement_is_one_after_it(align_corners) -> None:
    spec = make_spec("unet_padding", levels=3, width=4, up="linear", align_corners=align_corners)
    up = DecoderNode(LayerKit(spec.kit), spec, spec.nodes[-1]).up
    nn.init.normal_(up.conv.bias)
    x = torch.randn(2, 8, 5, 6)

    enlarged = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=align_corners)

    torch.testing.assert_close(up(x), F.relu(up.conv(enlarged)), rtol=1e-4, atol=1e-5)


def test_a_larger_kernel_convolves_what_was_enlarged() -> None:
    spec = make_spec("unet_25d", levels=3, width=4, flat_levels=1)
    assert isinstance(spec.step(2).up, LinearUp)
    up = DecoderNode(LayerKit(spec.kit), spec, spec.node("x_1_1")).up
    x = torch.randn(1, 16, 2, 3, 4)

    enlarged = F.interpolate(x, scale_factor=2, mode="trilinear", align_corners=False)

    assert up.conv.kernel_size == (3, 3, 3)
    assert torch.equal(up(x), up.conv(enlarged))


@pytest.mark.parametrize(("kernel", "depth"), [(3, 1), (3, 2), (3, 3), (5, 3), (5, 4)])
@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last_3d], ids=str)
def test_bfloat16_gradients_of_kernels_deeper_than_the_map(kernel, depth, order) -> None:
    """A plain `nn.Conv3d` gives nan or huge numbers here, where the CPU has bfloat16 units."""
    torch.manual_seed(0)
    layer = LayerKit(KitSpec(3, "same", "none")).conv(16, 32, (kernel, 3, 3))
    layer = layer.to(memory_format=order)
    x = torch.randn(2, 16, depth, 4, 6).contiguous(memory_format=order)

    def gradients() -> list[torch.Tensor]:
        y = layer(image := x.clone().requires_grad_()).float()
        assert y.shape == (2, 32, depth, 4, 6)
        loss = y.square().mean()
        return [y, *torch.autograd.grad(loss, [image, layer.weight, layer.bias])]

    exact = gradients()
    for _ in range(3):
        with torch.autocast("cpu", torch.bfloat16):
            rounded = gradients()
        for mine, other in zip(rounded, exact, strict=True):
            torch.testing.assert_close(
                mine, other, rtol=0, atol=0.02 * float(other.detach().abs().max())
            )


def test_activations_are_the_named_ones() -> None:
    x = torch.linspace(-3, 3, 13).reshape(1, 1, 13, 1).repeat(1, 2, 1, 1)
    expected = {
        "relu": F.relu(x),
        "leaky_relu": torch.where(x < 0, 0.3 * x, x),
        "prelu": torch.where(x < 0, 0.25 * x, x),
        "elu": torch.where(x < 0, torch.expm1(x), x),
        "silu": x * torch.sigmoid(x),
        "gelu": x * (1 + torch.erf(x / math.sqrt(2))) / 2,
    }
    for name, values in expected.items():
        layer = LayerKit(KitSpec(2, "same", "none", name, slope=0.3)).activation(2)
        torch.testing.assert_close(layer(x.clone()), values)
        assert sum(p.numel() for p in layer.parameters()) == (2 if name == "prelu" else 0)


@DIMS
def test_norms_are_the_named_ones(dims) -> None:
    x = 3 + 2 * torch.randn(4, 2, *[5] * dims)
    over = {"batch": (0, *range(2, dims + 2)), "instance": tuple(range(2, dims + 2))}
    for name, axes in over.items():
        layer = LayerKit(KitSpec(dims, "same", name)).norms(2)["norm"]
        mean = x.mean(axes, keepdim=True)
        variance = x.var(axes, unbiased=False, keepdim=True)
        torch.testing.assert_close(layer(x), (x - mean) / torch.sqrt(variance + 1e-5))
        assert sum(p.numel() for p in layer.parameters()) == 4
    assert LayerKit(KitSpec(dims, "same", "none")).norms(2) == {}
