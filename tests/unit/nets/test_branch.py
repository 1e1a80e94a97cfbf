"""A branch adds nothing before training and something after; frozen parts stay as they are."""

import pytest
import torch
from torch import nn

from ushape.errors import ConfigError
from ushape.nets import build_network, make_spec

INNER = {
    "valid": {"network": "unet_original", "levels": 3, "width": 4},
    "valid 3d": {
        "network": "unet_3d",
        "levels": 3,
        "width": 1,
        "padding": "valid",
        "kernel_size": (1, 3, 3),
        "stride": (1, 2, 2),
        "norm": "none",
    },
    "padded": {"network": "unet_padding", "levels": 3, "width": 4},
    "padded 3d": {"network": "unet_padding", "spatial_dims": 3, "levels": 3, "width": 2},
    "nested": {"network": "unet_plusplus", "levels": 3, "width": 4},
    "any size": {"network": "unet_25d", "levels": 3, "width": 2, "flat_levels": 1},
}


def with_and_without(options, classes=4, **branch):
    """Build a network with a branch and the same one without, weights equal."""
    torch.manual_seed(7)
    inner = {key: value for key, value in options.items() if key != "network"}
    plain = build_network(make_spec(options["network"], classes=classes, **inner))
    branched = build_network(make_spec("unet_branch", classes=classes, **options, **branch))
    missing, unexpected = branched.load_state_dict(plain.state_dict(), strict=False)
    assert {key.partition(".")[0] for key in missing} == {"branch"}
    assert unexpected == []
    return plain, branched


def image_for(network, batch: int = 2) -> torch.Tensor:
    geometry = network.geometry
    least = [low + step for low, step in zip(geometry.smallest, geometry.total_stride, strict=True)]
    size = geometry.nearest_sizes(least)[1]
    if geometry.is_padding:
        size = tuple(edge - 1 for edge in size)
    return torch.randn(batch, 1, *size, generator=torch.Generator().manual_seed(1))


def train(network, image, steps: int, learning_rate: float = 0.1) -> None:
    weights = [p for p in network.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(weights, lr=learning_rate)
    network.train()
    for step in range(steps):
        optimizer.zero_grad()
        result = network(image + 0.1 * step)
        loss = nn.functional.softplus(result.logits).mean()
        for extra in result.auxiliary:
            loss = loss + nn.functional.softplus(extra).mean()
        loss.backward()
        optimizer.step()
    network.eval()


@pytest.mark.parametrize("node", ["x_0_0", "x_1_0", "x_2_0", "x_1_1", "x_0_2"])
@pytest.mark.parametrize("inner", INNER)
def test_before_training_nothing_has_changed_to_the_last_bit(inner, node) -> None:
    plain, branched = with_and_without(INNER[inner], node=node)
    image = image_for(plain)

    for mode in (True, False):
        torch.manual_seed(2)  # the same dropout
        ours = branched.train(mode)(image)
        torch.manual_seed(2)
        theirs = plain.train(mode)(image)
        assert torch.equal(ours.logits, theirs.logits)
        assert all(map(torch.equal, ours.auxiliary, theirs.auxiliary))


@pytest.mark.parametrize("inner", INNER)
@pytest.mark.parametrize("node", ["x_2_0", "x_1_1"])
def test_after_ten_steps_the_branch_takes_part(inner, node) -> None:
    plain, branched = with_and_without(INNER[inner], node=node)
    image = image_for(plain)

    train(branched, image, 10)
    train(plain, image, 10)

    assert not torch.allclose(branched(image).logits, plain(image).logits)
    assert branched.branch.conv.weight.any()
    trained = branched(image).logits
    nn.init.zeros_(branched.branch.conv.weight)
    nn.init.zeros_(branched.branch.conv.bias)
    assert not torch.allclose(branched(image).logits, trained), "it adds something of its own"


@pytest.mark.parametrize("classes", [(2,), (0, 3), (3, 1), (0, 1, 2, 3)])
def test_only_the_chosen_classes_are_added_to(classes) -> None:
    plain, branched = with_and_without(INNER["padded"], node="x_1_0", branch_classes=classes)
    plain.eval(), branched.eval()
    image = image_for(plain)
    with torch.no_grad():
        for place in range(len(classes)):
            branched.branch.conv.bias[place] = 1 + place

    added = branched(image).logits - plain(image).logits

    for channel in range(4):
        height = 1 + classes.index(channel) if channel in classes else 0
        inside = added[:, channel, 2:-2, 2:-2]  # the border is interpolated towards zero
        torch.testing.assert_close(inside, torch.full_like(inside, height), rtol=0, atol=1e-5)


@pytest.mark.parametrize("spatial_dims", [2, 3])
@pytest.mark.parametrize("node", ["x_0_0", "x_1_0", "x_2_0"])
def test_the_enlargement_starts_as_linear_interpolation(spatial_dims, node) -> None:
    _, branched = with_and_without(
        {"network": "unet_padding", "spatial_dims": spatial_dims, "levels": 3, "width": 2},
        node=node,
    )
    factor = 2 ** int(node[2])
    x = torch.randn(1, 4, *(5, 6, 4)[:spatial_dims])

    enlarged = branched.branch.up(x)

    mode = "bilinear" if spatial_dims == 2 else "trilinear"
    expected = nn.functional.interpolate(x, scale_factor=float(factor), mode=mode)
    inner = (..., *[slice(factor // 2, edge - factor // 2) for edge in expected.shape[2:]])
    assert enlarged.shape == expected.shape
    torch.testing.assert_close(enlarged[inner], expected[inner])


def test_the_branch_of_an_unpadded_network_lies_on_the_same_pixels() -> None:
    """A delta on the node's map comes out around the place that geometry gives it."""
    _, branched = with_and_without(INNER["valid"], classes=1, node="x_1_0")
    node = torch.zeros(1, 8, 20, 24)
    node[:, :, 10, 9] = 1
    nn.init.ones_(branched.branch.conv.weight)
    extent = branched.geometry.nodes["x_1_0"][0].extent
    size = [extent.stride * edge + extent.loss for edge in (20, 24)]
    logits = torch.zeros(1, 1, *branched.geometry.output_size(size))

    with torch.no_grad():
        seen = branched.branch({"x_1_0": node}, logits)[0, 0]

    margin = branched.geometry.margin[0][0]
    for axis, place in enumerate((10, 9)):
        profile = seen.sum(dim=1 - axis)
        middle = ((profile * torch.arange(len(profile))).sum() / profile.sum()).item()
        # The element covers pixels loss / 2 + stride * place and the next of the image.
        assert middle + margin == pytest.approx(extent.loss / 2 + extent.stride * place + 0.5)


def changed_by_training(network, image) -> tuple[set[str], set[str]]:
    """Train; return the names of tensors (buffers among them) that changed, and that did not."""
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    train(network, image, 3)
    after = network.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    return changed, before.keys() - changed


@pytest.mark.parametrize("freeze_until", ["x_0_0", "x_2_0", "x_1_1"])
def test_freeze_until_freezes_a_node_and_all_that_it_reads(freeze_until) -> None:
    torch.manual_seed(7)
    spec = make_spec("unet_branch", **INNER["padded"], node="x_1_0", freeze_until=freeze_until)
    network = build_network(spec)
    wanted = {
        "x_0_0": {"encoder.x_0_0"},
        "x_2_0": {"encoder.x_0_0", "encoder.x_1_0", "encoder.x_2_0"},
        "x_1_1": {"encoder.x_0_0", "encoder.x_1_0", "encoder.x_2_0", "decoder.x_1_1"},
    }[freeze_until]

    changed, kept = changed_by_training(network, image_for(network))

    assert {".".join(name.split(".")[:2]) for name in kept} == wanted
    assert not any(name.startswith(tuple(wanted)) for name in changed)
    assert any("running_mean" in name for name in changed)


def test_frozen_parts_stay_in_prediction_mode_however_often_modes_change() -> None:
    spec = make_spec(
        "unet_branch", network="unet_original", levels=3, width=4, freeze_until="x_2_0"
    )
    network = build_network(spec)
    image = image_for(network)

    network.eval().train()

    assert torch.equal(network(image).logits, network(image).logits), "dropout is frozen too"
    assert network.decoder.x_1_1.training
    assert not network.encoder.x_1_0.training


@pytest.mark.parametrize("decoder", ["concat", "add"])
@pytest.mark.parametrize("freeze", [0, 1, 3, 5])
def test_freeze_of_a_backbone_freezes_its_first_levels(small_spec, freeze, decoder) -> None:
    from dataclasses import replace

    frozen = make_spec("unet_backbone", encoder="unet", freeze=freeze, decoder=decoder).frozen
    case = "unet_backbone" if decoder == "concat" else "unet_backbone-add"
    torch.manual_seed(7)
    network = build_network(replace(small_spec(case), frozen=frozen))

    changed, kept = changed_by_training(network, torch.randn(2, 1, 32, 32))

    nodes = {name.split(".")[1] for name in kept if name.startswith("encoder")}
    assert nodes == {f"x_{level}_0" for level in range(freeze)}
    assert not any(name.split(".")[1] in nodes for name in changed if name.startswith("encoder"))
    assert not any(name.startswith("decoder") and "weight" in name for name in kept)


def test_both_ways_of_freezing_hold_together() -> None:
    spec = make_spec(
        "unet_branch", network="unet_backbone", encoder="unet", freeze=3, freeze_until="x_1_0"
    )

    assert spec.frozen == ("x_0_0", "x_1_0", "x_2_0")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"node": "x_9_0"}, r"no node 'x_9_0' for the branch.*\(nodes: x_0_0, "),
        ({"freeze_until": "x_0_9"}, "freeze_until='x_0_9': give one of the nodes x_0_0, "),
        ({"branch_classes": [1]}, r"classes \(1,\): give different logit channels from 0 to 0"),
        ({"branch_classes": []}, "branch_classes=.* is not allowed"),
    ],
)
def test_wrong_places_are_refused(options, message) -> None:
    with pytest.raises(ConfigError, match=message):
        make_spec("unet_branch", **options)
