"""Multiply-adds and memory, against hand arithmetic and against real forward passes."""

import math

import pytest
import torch
from torch import nn

from ushape.errors import ShapeError
from ushape.nets import build_network, make_spec
from ushape.nets.costs import Memory, _alive_at_once, _kept_for_backward, costs_of
from ushape.nets.kit import NearestConv

CONVOLUTIONS = (nn.Conv2d, nn.Conv3d)
TRANSPOSED = (nn.ConvTranspose2d, nn.ConvTranspose3d)


def counted_by_hooks(network, image) -> int:
    """Count multiply-adds layer by layer in a real forward pass."""
    counts = []

    def count(layer, inputs, output) -> None:
        if isinstance(layer, NearestConv):
            kernel = [2 * edge - 1 for edge in layer.stride]
            counts.append(inputs[0].numel() * output.shape[1] * math.prod(kernel))
        elif isinstance(layer, TRANSPOSED):
            counts.append(inputs[0].numel() * math.prod(layer.weight.shape[1:]))
        else:
            counts.append(output.numel() * math.prod(layer.weight.shape[1:]))

    hooks = [
        layer.register_forward_hook(count)
        for layer in network.modules()
        if isinstance(layer, (*CONVOLUTIONS, *TRANSPOSED, NearestConv))
    ]
    with torch.no_grad():
        network.eval()(image)
    for hook in hooks:
        hook.remove()
    return sum(counts)


def saved_by_autograd(network, image) -> int:
    """Sum the memory that a real forward pass saves, weights left out."""
    weights = {p.untyped_storage().data_ptr() for p in network.parameters()}
    kept = {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = (storage.nbytes(), tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        result = network.train()(image)
    del result
    return sum(size for size, _ in kept.values())


def test_multiply_adds_by_hand() -> None:
    """Two convolutions a node at 16 x 16, 8 x 8, 4 x 4; transposed ways up; a head."""
    spec = make_spec("unet_padding", levels=3, width=2, up="transposed", classes=3)
    encoder = 256 * 9 * (1 * 2 + 2 * 2) + 64 * 9 * (2 * 4 + 4 * 4) + 16 * 9 * (4 * 8 + 8 * 8)
    ups = 16 * 4 * (8 * 4) + 64 * 4 * (4 * 2)
    decoder = 64 * 9 * (8 * 4 + 4 * 4) + 256 * 9 * (4 * 2 + 2 * 2)

    assert costs_of(spec, (16, 16)).multiply_adds == encoder + ups + decoder + 256 * 2 * 3


def test_multiply_adds_of_every_kind_of_network(case, small_network, small_image) -> None:
    network = small_network(case, in_channels=2, classes=3)
    image = small_image(network, batch=1)

    found = costs_of(network.spec, tuple(image.shape[2:])).multiply_adds

    assert found == counted_by_hooks(network, image)


def test_memory_kept_in_training(case, small_network, small_image) -> None:
    """The oracle: what a real pass saves for three images, less what it saves for two."""
    network = small_network(case)
    two, three = (saved_by_autograd(network, small_image(network, batch=n)) for n in (2, 3))
    size = tuple(small_image(network).shape[2:])

    found = costs_of(network.spec, size, batch=1).training.float32

    # Ours shares out among images what batch norm keeps once a batch, and does not count the
    # weights that instance norm repeats for every image.
    assert found == pytest.approx(three - two, rel=0.03)


def test_memory_without_norm_is_exact() -> None:
    spec = make_spec("unet_original", levels=3, width=4)
    network = build_network(spec)
    two, three = (saved_by_autograd(network, torch.randn(n, 1, 64, 64)) for n in (2, 3))

    assert costs_of(spec, (64, 64), batch=1).training.float32 == three - two


def test_memory_by_hand() -> None:
    """Padded convolutions of one size; one unit is a map of one channel."""
    unit = 4 * 16 * 16
    with torch.device("meta"):
        image = torch.empty(1, 1, 16, 16)
        chain = nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 8, 3, padding=1), nn.Conv2d(8, 2, 1)
        )
        pooled = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.MaxPool2d(2))

    # The image stays; beside it the input and output of the second convolution.
    assert _alive_at_once(chain, image) == Memory(13 * unit, 13 * unit // 2)
    # Each convolution keeps what it reads.
    assert _kept_for_backward(chain, image) == Memory(13 * unit, 13 * unit // 2)
    # Pooling keeps what it reads, and eight bytes for each place.
    places = 4 * 8 * 8 * 8
    assert _kept_for_backward(pooled, image) == Memory(5 * unit + places, 5 * unit // 2 + places)


def test_maps_in_place_and_views_count_once() -> None:
    unit = 4 * 16 * 16
    with torch.device("meta"):
        image = torch.empty(1, 1, 16, 16)
        chain = nn.Sequential(nn.Conv2d(1, 4, 1), nn.ReLU(inplace=True), nn.Flatten())

    assert _alive_at_once(chain, image).float32 == 5 * unit
    assert _kept_for_backward(chain, image).float32 == 5 * unit


def test_costs_grow_with_the_batch_and_multiply_adds_do_not() -> None:
    spec = make_spec("unet_padding", levels=3, width=4)

    one, five = costs_of(spec, (32, 32)), costs_of(spec, (32, 32), batch=5)

    assert (one.batch, five.batch) == (1, 5)
    assert five.multiply_adds == one.multiply_adds
    assert five.training.float32 == 5 * one.training.float32
    assert five.prediction == Memory(5 * one.prediction.float32, 5 * one.prediction.bf16)


def test_frozen_nodes_keep_nothing() -> None:
    options = {"levels": 3, "width": 4}
    free = costs_of(make_spec("unet_branch", **options), (32, 32)).training
    frozen = costs_of(make_spec("unet_branch", **options, freeze_until="x_1_1"), (32, 32)).training

    assert frozen.float32 < 0.6 * free.float32


def test_one_value_on_the_lowest_level_can_be_measured() -> None:
    """One such image cannot be trained with batch norm, two can."""
    assert costs_of(make_spec("unet_padding", levels=3, width=4), (4, 4)).training.float32 > 0


def test_sizes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ShapeError, match="the nearest is"):
        costs_of(make_spec("unet_padding", levels=3, width=4), (33, 32))
