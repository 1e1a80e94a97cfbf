"""Our side: order of computation, what depends on what, and the order of axes."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hand_made import build

import ushape
from ushape.errors import ConfigError
from ushape.weights.layout import network_layers, to_torch


def test_layers_stand_in_the_order_of_computation_with_keras_shapes():
    layers = network_layers(ushape.build("unet_padding", width=2, levels=3, residual=True))
    names = [layer.name for layer in layers]
    assert names[0] == "encoder.x_0_0.block.body.0.conv"
    assert names[-1] == "heads.x_0_2"
    assert names.index("decoder.x_1_1.up.conv") < names.index("decoder.x_1_1.block.body.0.conv")
    first, up = layers[0], layers[names.index("decoder.x_1_1.up.conv")]
    assert (first.kind, first.shapes) == ("convolution", {"kernel": (3, 3, 1, 2), "bias": (2,)})
    # Nearest-neighbour doubling and a convolution: the kernel is that of a Keras Conv2D.
    assert (up.kind, up.shapes["kernel"]) == ("convolution", (2, 2, 8, 4))


def test_transposed_kernels_have_their_channels_swapped():
    up = next(layer for layer in network_layers(build()) if layer.kind == "transposed")
    assert up.shapes == {"kernel": (2, 2, 4, 8), "bias": (4,)}


def test_what_stands_side_by_side_does_not_depend_on_each_other():
    layers = network_layers(ushape.build("unet_padding", width=2, levels=3, residual=True))
    place = {layer.name.removeprefix("encoder.x_1_0.block."): n for n, layer in enumerate(layers)}
    shortcut = layers[place["shortcut"]].earlier
    assert place["body.0.conv"] not in shortcut
    assert place["body.0.conv"] in layers[place["body.1.norm"]].earlier
    assert place["shortcut"] not in layers[place["body.1.norm"]].earlier
    assert max(shortcut) < place["body.0.conv"]


def test_the_network_itself_is_neither_run_nor_changed():
    network = build()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    network_layers(network)
    after = network.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert all(value.device.type == "cpu" for value in after.values())


def test_instance_norm_is_refused_by_name():
    with pytest.raises(ConfigError, match=r"block\.0\.norm is a InstanceNorm2d"):
        network_layers(build(norm="instance"))


@pytest.mark.parametrize("dims", [2, 3])
def test_kernels_computed_by_hand(dims):
    """One output pixel of each kind of convolution, from Keras's definition."""
    chance = np.random.default_rng(0)
    kernel = chance.normal(size=(3,) * dims + (4, 5))  # in 4, out 5
    image = chance.normal(size=(4, *(3,) * dims))
    wanted = sum(
        np.tensordot(image[(slice(None), *place)], kernel[place], (0, 0))
        for place in np.ndindex(*(3,) * dims)
    )
    convolve = F.conv2d if dims == 2 else F.conv3d
    found = convolve(torch.from_numpy(image[None]).float(), to_torch(kernel))
    np.testing.assert_allclose(found.reshape(-1), wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dims", [2, 3])
def test_transposed_kernels_computed_by_hand(dims):
    """Keras: every input pixel paints the kernel, unflipped, on its window."""
    chance = np.random.default_rng(0)
    kernel = chance.normal(size=(2,) * dims + (5, 4))  # out 5, in 4
    image = chance.normal(size=(4, *(2,) * dims))
    wanted = np.zeros((5, *(4,) * dims))
    for pixel in np.ndindex(*(2,) * dims):
        for place in np.ndindex(*(2,) * dims):
            target = tuple(2 * p + k for p, k in zip(pixel, place, strict=True))
            wanted[(slice(None), *target)] = kernel[place] @ image[(slice(None), *pixel)]
    transposed = F.conv_transpose2d if dims == 2 else F.conv_transpose3d
    found = transposed(torch.from_numpy(image[None]).float(), to_torch(kernel), stride=2)
    np.testing.assert_allclose(found[0], wanted, rtol=1e-5, atol=1e-5)
