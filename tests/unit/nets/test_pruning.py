"""Networks without what prediction does not need."""

import pytest
import torch

from ushape import build
from ushape.errors import ConfigError
from ushape.nets import prune


def nested(**options):
    torch.manual_seed(5)
    return build("unet_plusplus", levels=4, width=4, **options).eval()


@pytest.mark.parametrize("columns", [1, 2, 3])
def test_fewer_columns_give_the_logits_of_their_head(columns) -> None:
    network = nested()
    image = torch.randn(2, 1, 32, 24)
    logits, auxiliary = network(image)

    pruned = prune(network, columns=columns)

    expected = [*auxiliary, logits][columns - 1]
    torch.testing.assert_close(pruned(image).logits, expected)
    assert pruned(image).auxiliary == ()


def test_fewer_columns_take_fewer_multiply_adds() -> None:
    from torch.utils.flop_counter import FlopCounterMode

    network, image, counts = nested(), torch.randn(1, 1, 64, 64), []
    for columns in (1, 2, 3):
        with FlopCounterMode(display=False) as counter:
            prune(network, columns=columns)(image)
        counts.append(counter.get_total_flops())

    # 8 widths: one column is a U of two levels, and so on; each adds a diagonal of nodes.
    assert counts[0] < 0.45 * counts[1] < 0.45 * 0.65 * counts[2]


def test_columns_take_smaller_images() -> None:
    assert prune(nested(), columns=1).geometry.total_stride == (2, 2)


def test_pruned_weights_are_copies() -> None:
    network = nested()
    pruned = prune(network, columns=2)
    with torch.no_grad():
        for parameter in pruned.parameters():
            parameter.zero_()

    assert all(p.any() for n, p in network.named_parameters() if n.endswith("weight"))


def test_attention_stays_when_its_maps_are_not_asked_for() -> None:
    network = build("unet_25d", width=2).eval()
    image = torch.randn(1, 1, 4, 16, 16)

    pruned = prune(network)

    assert pruned(image).auxiliary == ()
    torch.testing.assert_close(pruned(image).logits, network(image).logits)


def test_the_fine_head_stays() -> None:
    network = build("unet_fine_grained", levels=3, width=4, fine_classes=2).eval()

    assert len(prune(network).spec.auxiliary) == 1


def test_columns_that_do_not_exist_are_refused() -> None:
    with pytest.raises(ConfigError, match="give 1 to 3"):
        prune(nested(), columns=4)
    with pytest.raises(ConfigError, match="columns are for unet_plusplus"):
        prune(build("unet_padding", levels=3, width=4), columns=1)
    with pytest.raises(ConfigError, match="train it with deep_supervision=true"):
        prune(nested(deep_supervision=False), columns=2)
