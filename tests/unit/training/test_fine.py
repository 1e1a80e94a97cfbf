"""Joint steps: what the second pass sees, its loss, and its state."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from ushape.config.load import check_config
from ushape.data.sample import Sample
from ushape.labels import LabelClass, LabelTable
from ushape.losses import LossValue
from ushape.nets import build, geometry_of, make_spec
from ushape.nets.second_pass import separate_statistics
from ushape.serial import input_size
from ushape.training.batch import make_batch
from ushape.training.fine import (
    SecondPass,
    join_losses,
    make_fine_batch,
    split_state,
    with_border,
)

TABLE = LabelTable(
    tuple(LabelClass(name, n) for n, name in enumerate(["background", "disc", "knob"]))
)
CPU = torch.device("cpu")
CHANCES = ("rotation", "scale", "elastic", "brightness", "contrast", "gamma", "noise", "blur")
STILL = {
    **{f"{name}_probability": 0.0 for name in CHANCES},
    "flip": False,
    "right_angles": False,
}


def config_of(dims=2, *, augment=None, **fine):
    size = (32,) * dims
    return check_config(
        {
            "data": {"root": ".", "validation": "none", "labels": TABLE.to_json()},
            "model": {"name": "unet_fine_grained", "in_channels": 1, "classes": 1},
            "preprocess": {"channels": 1},
            "patch": {"size": size, "batch": 2},
            "augment": augment or {},
            "loss": "dice + bce",
            "optimizer": {},
            "schedule": {"steps": 4},
            "train": {},
            "tiling": {"tile_size": size},
            "fine": {
                "classes": ["knob"],
                "within": "disc",
                "cut_size": (16,) * dims,
                "cuts": 3,
                **fine,
            },
        }
    )


def samples(dims=2):
    size = (48,) * dims
    target = np.zeros(size, np.uint8)
    target[(slice(10, 30),) * dims] = 1
    target[(slice(20, 26),) * dims] = 2
    return [Sample("a", (target == 2).astype(np.float32)[None], target)]


def fine_batch(config, dims=2, **changes):
    second = SecondPass(config, TABLE, samples(dims))
    geometry = geometry_of(make_spec("unet_fine_grained", spatial_dims=dims, levels=3))
    asked = {"labels": TABLE, "step": 1, "rank": 0, "device": CPU, **changes}
    return make_fine_batch(samples(dims), second.objects, config, geometry, **asked)


@pytest.mark.parametrize("dims", [2, 3])
def test_a_cut_shows_image_and_target_alike(dims):
    batch = fine_batch(config_of(dims, augment=STILL), dims)
    assert batch.images.shape == batch.target.shape == (3, 1, *(16,) * dims)
    assert batch.mask.all()
    wrong = (batch.images > 0.5) != (batch.target > 0.5)
    assert wrong.float().mean() < 0.02
    # Of the box of 30 pixels, jittered, the knob takes the sixth to the fourth part of an edge.
    share = batch.target.mean().item()
    assert (1 / 7) ** dims < share < (1 / 3.5) ** dims


@pytest.mark.parametrize("dims", [2, 3])
def test_augmented_cuts_are_a_pure_function_of_seed_step_and_rank(dims):
    config = config_of(dims)
    first, again = (fine_batch(config, dims) for _ in range(2))
    assert torch.equal(first.images, again.images)
    assert torch.equal(first.target, again.target)
    assert not torch.equal(first.images, fine_batch(config, dims, step=2).images)
    assert not torch.equal(first.images, fine_batch(config, dims, rank=1).images)


def test_the_first_pass_learns_the_small_class_as_part_of_the_large_one():
    config = config_of(augment=STILL)
    geometry = geometry_of(make_spec("unet_fine_grained", levels=3))
    asked = {"labels": TABLE, "step": 1, "rank": 0, "device": CPU}
    batch = make_batch(samples(), config, geometry, **asked)
    assert batch.target.shape[1] == 1
    one_pass = replace(config, fine=replace(config.fine, classes=()))
    three = make_batch(samples(), one_pass, geometry, **asked).target
    assert torch.equal(batch.images, make_batch(samples(), one_pass, geometry, **asked).images)
    assert torch.equal(batch.target[:, 0], three[:, 1] + three[:, 2])


def network_of():
    torch.manual_seed(0)
    network = build("unet_fine_grained", levels=3, width=4)
    separate_statistics(network)
    return network.train()


def loss_of(second, network, first, **changes):
    asked = {"step": 0, "rank": 0, "device": CPU, **changes}
    return second(network, network, first, **asked)


def test_the_loss_is_that_of_the_fine_head_on_the_cuts_times_its_weight():
    network = network_of()
    first = network(torch.randn(2, 1, 32, 32))
    values = {}
    for weight in (1.0, 2.5):
        second = SecondPass(config_of(weight=weight, loss="bce"), TABLE, samples())
        values[weight] = loss_of(second, network, first)
    torch.testing.assert_close(values[2.5].total, 2.5 * values[1.0].total)
    assert set(values[1.0].parts) == {"fine.bce"}
    batch = fine_batch(config_of(), step=0)
    logits = network_of()(batch.images).auxiliary[0]
    assert not batch.mask.all(), "augmentation turns in what lies beyond the image"
    expected = torch.nn.functional.binary_cross_entropy_with_logits(
        logits[batch.mask], batch.target[batch.mask]
    )
    torch.testing.assert_close(values[1.0].total, expected)


def weighted_samples(dims=2):
    (sample,) = samples(dims)
    return [replace(sample, weight=1 + 9 * (sample.target == 2).astype(np.float32))]


@pytest.mark.parametrize("kind", ["square", "mask"])
@pytest.mark.parametrize("dims", [2, 3])
def test_pixel_weights_are_cut_where_the_target_is(dims, kind):
    config = config_of(dims, augment=STILL, kind=kind)
    second = SecondPass(config, TABLE, weighted_samples(dims))
    geometry = geometry_of(make_spec("unet_fine_grained", spatial_dims=dims, levels=3))
    asked = {"labels": TABLE, "step": 1, "rank": 0, "device": CPU}
    batch = make_fine_batch(weighted_samples(dims), second.objects, config, geometry, **asked)
    assert batch.weight.shape == batch.target.shape
    assert batch.weight.min() == pytest.approx(1), "also where kind mask blanks the image"
    # The weights are linear in a mask that is also the image: both are resized alike.
    torch.testing.assert_close(
        batch.weight[batch.mask], 1 + 9 * batch.images[batch.mask], atol=1e-5, rtol=1e-5
    )
    assert ((batch.weight > 5.5) != (batch.target > 0.5)).float().mean() < 0.02
    assert fine_batch(config, dims).weight is None


def test_a_weight_map_counts_in_the_loss_of_the_second_pass():
    config = config_of(loss="bce")
    second = SecondPass(config, TABLE, weighted_samples())
    network = network_of()
    first = network(torch.randn(2, 1, 32, 32))
    found = loss_of(second, network, first).total
    geometry = geometry_of(make_spec("unet_fine_grained", levels=3))
    asked = {"labels": TABLE, "step": 0, "rank": 0, "device": CPU}
    batch = make_fine_batch(weighted_samples(), second.objects, config, geometry, **asked)
    logits = network_of()(batch.images).auxiliary[0].detach().double()
    target, counts = batch.target.double(), (batch.weight * batch.mask).double()
    cost = -target * torch.log(torch.sigmoid(logits))
    cost -= (1 - target) * torch.log(1 - torch.sigmoid(logits))
    expected = (counts * cost).sum() / counts.sum()
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-6)
    plain = loss_of(SecondPass(config, TABLE, samples()), network_of(), first).total
    assert abs(plain - found) > 0.01


def test_two_ranks_with_a_sum_over_both_have_the_loss_of_all_cuts():
    second = SecondPass(config_of(loss="dice"), TABLE, samples())
    first = network_of()(torch.randn(2, 1, 32, 32))
    sums = []  # one term of one head: one sum a rank
    for rank in (0, 1):
        loss_of(second, network_of(), first, rank=rank, reduce=lambda t: sums.append(t) or t)
    ranks = [
        loss_of(second, network_of(), first, rank=rank, reduce=lambda t: sums[0] + sums[1]).total
        for rank in (0, 1)
    ]
    batches = [fine_batch(config_of(), step=0, rank=rank) for rank in (0, 1)]
    logits = torch.cat([network_of()(batch.images).auxiliary[0] for batch in batches])
    target, mask = (torch.cat([getattr(b, key) for b in batches]) for key in ("target", "mask"))
    whole = second.loss(logits, target, mask=mask).total
    assert len(sums) == 2
    torch.testing.assert_close(ranks, [whole, whole])
    alone = [loss_of(second, network_of(), first, rank=rank).total for rank in (0, 1)]
    assert abs(sum(alone) / 2 - whole) > 1e-4


def test_void_pixels_have_no_gradient():
    config = config_of(kind="mask", loss="dice + bce")
    batch = fine_batch(config)
    assert not batch.mask.all()
    logits = torch.zeros_like(batch.target, requires_grad=True)
    loss = SecondPass(config, TABLE, samples()).loss
    loss(logits, batch.target, mask=batch.mask).total.backward()
    assert (logits.grad[~batch.mask] == 0).all()
    assert (logits.grad[batch.mask] != 0).all()


def test_without_objects_every_weight_still_has_a_gradient():
    empty = [replace(samples()[0], target=np.zeros((48, 48), np.uint8))]
    second = SecondPass(config_of(), TABLE, empty)
    network = network_of()
    first = network(torch.randn(2, 1, 32, 32))
    value = loss_of(second, network, first)
    assert value.total == 0
    assert not value.parts
    joined = join_losses(LossValue(first.logits.mean(), {"a": first.logits.mean()}), value)
    joined.total.backward()
    assert all(p.grad is not None for p in network.parameters())


def test_balances_of_both_passes_are_saved_apart():
    config = replace(config_of(), balance="auto")
    second = SecondPass(config, TABLE, samples())
    network = network_of()
    loss_of(second, network, network(torch.randn(2, 1, 32, 32)))
    state = second.state()
    assert state
    assert all(name.startswith("fine.") for name in state)
    first, other = split_state({"dice": torch.ones(1), **state})
    assert first == {"dice": torch.ones(1)}
    fresh = SecondPass(config, TABLE, samples())
    fresh.load_state(other)
    assert all(torch.equal(value, fresh.state()[name]) for name, value in state.items())


def test_unpadded_networks_see_cuts_mirrored_at_their_border():
    geometry = geometry_of(make_spec("unet_original"))
    images = torch.arange(100.0 * 116).reshape(1, 1, 100, 116)
    wanted = input_size(geometry, (100, 116))
    large = with_border(images, wanted, geometry)
    assert large.shape[2:] == wanted
    (before, _), (left, _) = geometry.margin
    assert torch.equal(large[..., before : before + 100, left : left + 116], images)
    assert torch.equal(large[0, 0, before - 1, left : left + 116], images[0, 0, 1])
    assert geometry.output_size(wanted) == (100, 116)


def test_what_the_second_pass_does_not_see_is_told():
    second = SecondPass(config_of(), TABLE, samples())
    assert second.notes == ()
    few = SecondPass(config_of(most_regions=1), TABLE, samples())
    assert "1 training case with 1 or more objects of disc;" in few.notes[0]
    empty = [replace(samples()[0], target=np.zeros((48, 48), np.uint8))]
    assert "no training case holds disc" in SecondPass(config_of(), TABLE, empty).notes[0]
