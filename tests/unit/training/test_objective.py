"""The objective of one step, split over processes: the loss and gradient of the whole batch."""

from __future__ import annotations

import pytest
import torch

from ushape.losses import build_loss
from ushape.nets import build
from ushape.nets.network import Output
from ushape.training.batch import Batch
from ushape.training.objective import Objective

SHARES = (slice(0, 3), slice(3, 4))
"""Unequal, so that a mean of the shares' means is not the mean of the batch."""


def objective_of(loss):
    lines = build_loss("dice(squared=true) + bce", num_logits=1, class_fractions=[0.1])
    return Objective(build_loss(loss, num_logits=1, class_fractions=[0.2]), lines, line_weight=2.0)


def step_of():
    """A network with inner outputs and a graded line, what it gave, and the batch it saw."""
    generator = torch.Generator().manual_seed(3)
    torch.manual_seed(0)
    network = build("unet_plusplus", classes=2, width=2, levels=3).eval()
    images, graded, weight = (torch.rand(4, 1, 16, 16, generator=generator) for _ in range(3))
    target = (images > 0.6).float()
    target[3] *= target[3].roll(3, -1)
    mask = torch.rand(4, 1, 16, 16, generator=generator) > 0.1
    output = network(images)
    assert len(output.auxiliary) > 0
    leaves = [x.detach().requires_grad_() for x in (output.logits, *output.auxiliary)]
    return network.spec, leaves, Batch(images, target, graded, mask, 1 + weight)


def share_of(spec, leaves, batch, share):
    """Cut what the objective takes."""
    logits, *auxiliary = (x[share] for x in leaves)
    images = (batch.images, batch.target, batch.graded, batch.mask, batch.weight)
    return Output(logits, tuple(auxiliary)), spec, Batch(*(x[share] for x in images))


@pytest.mark.parametrize("loss", ["dice", "dice + 3*bce(weight=auto) + tversky(gamma=0.75)"])
def test_two_ranks_have_the_loss_and_the_gradients_of_one_process(loss):
    spec, leaves, batch = step_of()
    objective = objective_of(loss)
    whole = objective(*share_of(spec, leaves, batch, slice(None)))
    expected = torch.autograd.grad(whole.total, leaves)

    sums = [[], []]
    for own, share in zip(sums, SHARES, strict=True):
        objective(
            *share_of(spec, leaves, batch, share),
            reduce=lambda tensor, own=own: own.append(tensor.detach()) or tensor,
        )
    assert len(sums[0]) == len(sums[1]) > 1

    gradients = [torch.zeros_like(x) for x in leaves]
    for rank, share in enumerate(SHARES):
        others = iter(sums[1 - rank])
        found = objective(
            *share_of(spec, leaves, batch, share),
            reduce=lambda tensor, others=others: tensor + next(others),
        )
        torch.testing.assert_close(found.total, whole.total)
        assert found.parts.keys() == whole.parts.keys()
        torch.testing.assert_close(dict(found.parts), dict(whole.parts))
        for total, part in zip(gradients, torch.autograd.grad(found.total, leaves), strict=True):
            total += part
    torch.testing.assert_close(gradients, list(expected))


def test_without_it_the_mean_of_the_ranks_is_another_number():
    spec, leaves, batch = step_of()
    objective = objective_of("dice")
    whole, *own = (
        objective(*share_of(spec, leaves, batch, share)).total.detach()
        for share in (slice(None), *SHARES)
    )
    assert abs(sum(own) / 2 - whole) > 1e-3
