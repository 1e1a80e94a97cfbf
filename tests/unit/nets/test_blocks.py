"""Blocks against what their papers' figures say, computed by hand."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ushape.nets.blocks import AttentionModule, build_block
from ushape.nets.encoders import InceptionReduction
from ushape.nets.kit import LayerKit, fit_channels, initialise
from ushape.nets.parts import (
    BareBlock,
    BottleneckBlock,
    DepthwiseBlock,
    InceptionBlock,
    KitSpec,
    NoBlock,
    PlainBlock,
    ResidualBlock,
    VNetBlock,
)

DIMS = pytest.mark.parametrize("dims", [2, 3])
PADDINGS = pytest.mark.parametrize("padding", ["same", "valid"])


def kit_of(dims: int = 2, padding: str = "same", norm: str = "batch", **more) -> LayerKit:
    return LayerKit(KitSpec(dims, padding, norm, **more))


def convolve(x: torch.Tensor, conv: nn.Module, **options) -> torch.Tensor:
    function = F.conv2d if x.ndim == 4 else F.conv3d
    return function(x, conv.weight, conv.bias, **options)


def middle(x: torch.Tensor, lost: int) -> torch.Tensor:
    return x[(..., *[slice(lost, edge - lost) for edge in x.shape[2:]])]


def test_layers_stand_in_the_order_convolution_norm_activation() -> None:
    kit = kit_of(3, norm="instance", activation="elu")
    block = build_block(kit, 1, PlainBlock((2, 3), (1, 3, 3)))

    layers = [layer for unit in block for layer in unit]
    kinds = [nn.Conv3d, nn.InstanceNorm3d, nn.ELU] * 2
    assert all(isinstance(*pair) for pair in zip(layers, kinds, strict=True))
    assert block[0].conv.padding == (0, 1, 1)
    assert block[0].norm.affine


def test_a_bare_block_is_convolutions_and_nothing_else() -> None:
    block = build_block(kit_of(), 1, BareBlock((2, 3), (3, 3)))
    x = torch.randn(1, 1, 6, 6)

    expected = convolve(convolve(x, block[0], padding=1), block[1], padding=1)

    assert len(list(block.modules())) == 3
    torch.testing.assert_close(block(x), expected)


def test_no_block_is_its_input() -> None:
    x = torch.randn(1, 4, 6, 6)

    assert build_block(kit_of(), 4, NoBlock((4,)))(x) is x


@PADDINGS
@pytest.mark.parametrize("in_channels", [3, 4])
def test_residual_adds_the_input_before_the_last_relu(padding, in_channels) -> None:
    block = build_block(kit_of(padding=padding), in_channels, ResidualBlock((5, 4), (3, 3))).eval()
    x = torch.randn(2, in_channels, 9, 9)

    inner = block.body(x)
    assert (inner < 0).any(), "no activation before the sum"
    added = x if in_channels == 4 else convolve(x, block.shortcut)
    if padding == "valid":
        added = middle(added, 2)
    torch.testing.assert_close(block(x), F.relu(inner + added))


@DIMS
@pytest.mark.parametrize("shortcut", ["project", "project_norm"])
def test_a_striding_residual_block_average_pools_its_shortcut(dims, shortcut) -> None:
    """Bag of tricks, Fig. 2c; ResEnc presets: pooled, then 1x1 without bias, then norm."""
    kit = kit_of(dims, norm="instance")
    spec = ResidualBlock((4, 4), (3,) * dims, repeats=2, shortcut=shortcut)
    block = build_block(kit, 2, spec, stride=(2,) * dims)
    initialise(block)
    x = torch.randn(1, 2, *[8] * dims)

    first, second = block
    pooled = x.unfold(2, 2, 2).unfold(3, 2, 2)
    if dims == 3:
        pooled = pooled.unfold(4, 2, 2)
    pooled = pooled.flatten(dims + 2).mean(-1)
    conv = first.shortcut[1]
    assert (conv.bias is None) == (shortcut == "project_norm")
    added = convolve(pooled, conv)
    if shortcut == "project_norm":
        added = F.instance_norm(added)
    torch.testing.assert_close(first(x), F.relu(first.body(x) + added), rtol=1e-4, atol=1e-5)
    y = first(x)
    assert y.shape[2:] == (4,) * dims
    torch.testing.assert_close(block(x), F.relu(second.body(y) + y))
    assert isinstance(second.shortcut, nn.Identity)


def test_the_stem_comes_first_and_takes_the_stride() -> None:
    block = build_block(kit_of(), 1, ResidualBlock((4,), (3, 3), 1, stem=6), stride=(2, 1)).eval()
    x = torch.randn(1, 1, 8, 8)

    assert block.stem.conv.stride == (2, 1)
    assert block.stem(x).shape == (1, 6, 4, 8)
    assert not isinstance(block[1].shortcut, nn.Sequential), "nothing to pool any more"
    torch.testing.assert_close(block(x), block[1](block.stem(x)))


@DIMS
@PADDINGS
def test_vnet_repeats_one_channel_and_adds_zeros_for_missing_ones(dims, padding) -> None:
    """Milletari et al. 2016, Fig. 2."""
    kit = kit_of(dims, padding)
    for given in (1, 2):
        block = build_block(kit, given, VNetBlock((3, 3), (3,) * dims)).eval()
        x = torch.randn(1, given, *[7] * dims)

        added = block(x) - block.body(x)

        kept = middle(x, 2) if padding == "valid" else x
        missing = torch.zeros_like(kept[:, :1])
        expected = [kept] * 3 if given == 1 else [kept, missing]
        torch.testing.assert_close(added, torch.cat(expected, 1), rtol=1e-4, atol=1e-5)


def test_vnet_decoders_add_the_enlarged_map_and_not_the_skip() -> None:
    block = build_block(kit_of(), 5, VNetBlock((4, 4), (3, 3), "enlarged"), enlarged=2).eval()
    x = torch.randn(1, 5, 6, 6)  # three channels of the skip, two from below

    added = block(x) - block.body(x)

    expected = torch.cat([x[:, 3:], torch.zeros(1, 2, 6, 6)], dim=1)
    torch.testing.assert_close(added, expected, rtol=1e-4, atol=1e-5)


def test_channels_that_are_too_many_are_cut() -> None:
    x = torch.randn(1, 5, 3, 3)

    assert torch.equal(fit_channels(x, 3), x[:, :3])
    assert fit_channels(x, 5) is x


@pytest.mark.parametrize("adds", ["input", "nothing"])
def test_depthwise_halves_keep_channels_apart(adds) -> None:
    block = build_block(
        kit_of(3), 4, DepthwiseBlock((4, 4), (3, 3, 3), pointwise=False, adds=adds)
    ).eval()
    x = torch.randn(1, 4, 5, 5, 5)
    other = x.clone()
    other[:, 2] += 1

    changed = (block(other) - block(x)).abs().amax(dim=(0, 2, 3, 4)) > 0

    assert changed.tolist() == [False, False, True, False]


def test_pointwise_halves_mix_channels_and_only_they_change_their_number() -> None:
    block = build_block(kit_of(), 3, DepthwiseBlock((5, 5), (3, 3), adds="input")).eval()
    initialise(block)
    x = torch.randn(2, 3, 6, 6)

    y = x
    for unit in block.body:
        conv = unit.depthwise.conv
        assert conv.groups == y.shape[1] == conv.out_channels
        y = F.relu(convolve(y, conv, padding=1, groups=y.shape[1]) / (1 + 1e-5) ** 0.5)
        y = F.relu(convolve(y, unit.pointwise.conv) / (1 + 1e-5) ** 0.5)
    expected = y + torch.cat([x, torch.zeros(2, 2, 6, 6)], dim=1)

    torch.testing.assert_close(block(x), expected, rtol=1e-4, atol=1e-5)


@DIMS
@PADDINGS
@pytest.mark.parametrize("in_channels", [3, 8])
def test_bottleneck_by_hand(dims, padding, in_channels) -> None:
    """1x1 to n/4, kernel at n/4, 1x1 to n; He et al. 2016, Fig. 5."""
    kit = kit_of(dims, padding, "none")
    block = build_block(kit, in_channels, BottleneckBlock((8,), (3,) * dims))
    initialise(block)
    (unit,) = block
    x = torch.randn(1, in_channels, *[5] * dims)
    lost = 1 if padding == "valid" else 0

    y = F.relu(convolve(x, unit.body[0].conv))
    assert y.shape[1] == 2
    y = F.relu(convolve(y, unit.body[1].conv, padding=1 - lost))
    y = convolve(y, unit.body[2].conv)
    added = middle(x, lost) if lost else x
    added = added if in_channels == 8 else convolve(added, unit.shortcut.conv)

    torch.testing.assert_close(block(x), F.relu(y + added), rtol=1e-4, atol=1e-5)


@PADDINGS
def test_inception_joins_three_arms(padding) -> None:
    block = build_block(kit_of(padding=padding, norm="none"), 3, InceptionBlock((8,), (3, 3)))
    initialise(block)
    arms = block[0].arms
    x = torch.randn(1, 3, 9, 9)
    pad = 0 if padding == "valid" else 1

    def chain(arm: str) -> torch.Tensor:
        y, units = x, arms[arm] if arm != "point" else [arms[arm]]
        for unit in units:
            size = unit.conv.kernel_size[0]
            y = F.relu(convolve(y, unit.conv, padding=pad if size == 3 else 0))
        return y

    point, narrow, wide = chain("point"), chain("narrow"), chain("wide")
    if padding == "valid":
        point, narrow = middle(point, 2), middle(narrow, 1)
    assert [y.shape[1] for y in (point, narrow, wide)] == [2, 4, 2]
    torch.testing.assert_close(block(x), torch.cat([point, narrow, wide], 1), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("padding", ["centred", "after"])
def test_inception_reduction_by_hand(padding) -> None:
    """Max-pooling; 3x3x3 to c/2; 1x1x1 to c/4, 3x3x3, 3x3x3 to c/2; strides last."""
    module = InceptionReduction(kit_of(3, norm="none"), 8, (2, 2, 2), padding)
    initialise(module)
    x = torch.randn(1, 8, 6, 4, 8)
    pads = (1, 1) * 3 if padding == "centred" else (0, 1) * 3

    pooled = F.max_pool3d(F.pad(x, pads, value=-1e9), 3, 2)
    single = F.relu(convolve(F.pad(x, pads), module.single.conv, stride=2))
    triple = F.relu(convolve(x, module.triple[0].conv))
    triple = F.relu(convolve(triple, module.triple[1].conv, padding=1))
    triple = F.relu(convolve(F.pad(triple, pads), module.triple[2].conv, stride=2))

    result = module(x)
    assert result.shape == (1, 16, 3, 2, 4)
    assert [y.shape[1] for y in (pooled, single, triple)] == [8, 4, 4]
    torch.testing.assert_close(result, torch.cat([pooled, single, triple], 1), rtol=1e-4, atol=1e-5)


@PADDINGS
def test_attention_is_x_a_plus_x(padding) -> None:
    """Wang et al. 2019, Fig. 2."""
    module = AttentionModule(kit_of(3, padding), 6, (1, 3, 3))
    initialise(module)
    x = torch.randn(2, 6, 3, 7, 7)
    pad = (0, 1, 1) if padding == "same" else 0

    seen = F.relu(convolve(x, module.inner, padding=pad))
    assert seen.shape[1] == 3
    seen = convolve(seen, module.outer, padding=pad)
    kept = x if padding == "same" else x[..., 2:-2, 2:-2]
    expected = kept * (1 / (1 + torch.exp(-seen))) + kept

    result, map_logits = module(x)
    torch.testing.assert_close(map_logits, seen)
    torch.testing.assert_close(result, expected)
