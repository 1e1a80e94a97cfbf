"""The running average, against the formula in double precision."""

import pytest
import torch
from torch import nn

from ushape.training.average import AveragedWeights


def network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3))


@pytest.mark.parametrize("decay", [0.0, 0.3, 0.99])
def test_the_formula_step_by_step(decay):
    net = network()
    average = AveragedWeights(net, decay)
    expected = {name: value.double().clone() for name, value in net.state_dict().items()}
    for step in range(1, 30):
        with torch.no_grad():
            for parameter in net.parameters():
                parameter.add_(torch.randn_like(parameter))
        net(torch.randn(2, 1, 5, 5))  # moves the statistics of the norm
        average.update(net, step)
        keep = min(decay, (1 + step) / (10 + step))
        for name, value in net.state_dict().items():
            expected[name] = keep * expected[name] + (1 - keep) * value.double()
    for name, value in average.weights.items():
        if value.dtype.is_floating_point:
            assert torch.allclose(value.double(), expected[name], atol=1e-5), name
        else:
            assert torch.equal(value, net.state_dict()[name]), "counters are taken over"


def test_it_starts_as_a_copy_that_does_not_follow():
    net = network()
    before = net[0].weight.detach().clone()
    average = AveragedWeights(net, 0.9)
    with torch.no_grad():
        net[0].weight.zero_()
    assert torch.equal(average.weights["0.weight"], before)
    assert not any(value.requires_grad for value in average.weights.values())


def test_a_short_run_is_not_held_back_by_its_start():
    """Ten steps from far away: a plain decay of 0.99 would keep nine tenths of the start."""
    net = network()
    average = AveragedWeights(net, 0.99)
    with torch.no_grad():
        net[0].weight.fill_(1.0)
        average.weights["0.weight"].fill_(0.0)
    for step in range(1, 11):
        average.update(net, step)
    assert float(average.weights["0.weight"].min()) > 0.95


def test_going_on_from_saved_weights_equals_not_stopping():
    net = network()
    whole, first = AveragedWeights(net, 0.9), AveragedWeights(net, 0.9)
    steps = [network(seed) for seed in range(1, 7)]
    for step, now in enumerate(steps, start=1):
        whole.update(now, step)
    for step, now in enumerate(steps[:3], start=1):
        first.update(now, step)
    saved = {name: value.clone() for name, value in first.weights.items()}
    second = AveragedWeights(network(99), 0.9)
    second.load(saved)
    for step, now in enumerate(steps[3:], start=4):
        second.update(now, step)
    assert all(torch.equal(whole.weights[name], second.weights[name]) for name in saved)


def test_memory_order_does_not_matter():
    net = network()
    plain, ordered = AveragedWeights(net, 0.5), network().to(memory_format=torch.channels_last)
    other = AveragedWeights(ordered, 0.5)
    later = network(1)
    plain.update(later, 3)
    other.update(later.to(memory_format=torch.channels_last), 3)
    assert all(torch.equal(plain.weights[n], other.weights[n]) for n in plain.weights)
