"""The second pass of a fine-grained network: its head, and statistics of its own."""

import pytest
import torch

from ushape.errors import ConfigError
from ushape.nets import build, prune
from ushape.nets.second_pass import (
    FineView,
    has_separate_statistics,
    second_pass,
    separate_statistics,
)


def fine_grained(**options):
    torch.manual_seed(0)
    return build("unet_fine_grained", levels=3, width=4, fine_classes=2, **options)


def test_each_pass_learns_and_uses_its_own_statistics():
    network = fine_grained()
    separate_statistics(network)
    network.train()
    whole, part = torch.randn(4, 1, 16, 16), 3 + 2 * torch.randn(4, 1, 16, 16)
    for _ in range(40):
        network(whole)
        with second_pass(network):
            network(part)
    alone = fine_grained().train()
    for _ in range(40):
        alone(whole)
    other = fine_grained().train()
    for _ in range(40):
        other(part)
    for module in (network, alone, other):
        module.eval()
    # Each equals a network that has seen nothing else.
    torch.testing.assert_close(network(whole).logits, alone(whole).logits)
    torch.testing.assert_close(FineView(network)(part).logits, other(part).auxiliary[0])
    assert not torch.allclose(network(part).auxiliary[0], FineView(network)(part).logits)


def test_statistics_are_exchanged_back_even_after_an_error():
    network = fine_grained()
    separate_statistics(network)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    next(iter(network.modules()))
    with pytest.raises(RuntimeError), second_pass(network):
        raise RuntimeError
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_they_are_part_of_the_state_and_survive_pruning():
    network = fine_grained()
    plain = set(network.state_dict())
    assert not has_separate_statistics(network)
    separate_statistics(network)
    separate_statistics(network)
    added = set(network.state_dict()) - plain
    assert {key.rpartition(".")[2] for key in added} == {
        "second_running_mean",
        "second_running_var",
    }
    for key in added:
        network.state_dict()[key].add_(1)
    kept = prune(network).state_dict()
    assert all(torch.equal(kept[key], network.state_dict()[key]) for key in added)


def test_networks_without_batch_norm_have_one_set_of_everything():
    network = fine_grained(network="unet_residual")
    separate_statistics(network)
    assert not has_separate_statistics(network)
    image = torch.randn(1, 1, 16, 16)
    torch.testing.assert_close(FineView(network.eval())(image).logits, network(image).auxiliary[0])


def test_a_network_with_one_head_has_no_second_pass():
    with pytest.raises(ConfigError, match="unet_fine_grained"):
        FineView(build("unet_padding", levels=3, width=4))
