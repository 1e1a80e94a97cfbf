"""The check list that every network of the catalogue passes. Its small networks: `conftest`.

Exported and compiled networks: `test_export`.
"""

import json
import math

import pytest
import torch
from safetensors.torch import load, save
from torch import nn

import ushape
from ushape.errors import ShapeError
from ushape.nets import build_network, entries, spec_from_json, spec_to_json


def outputs(network, image) -> tuple[torch.Tensor, ...]:
    result = network(image)
    return (result.logits, *result.auxiliary)


def let_every_weight_act(network) -> None:
    """Take away what hides a gradient at the start: dead units, and a branch that adds nothing."""
    for path, module in list(network.named_modules()):
        if isinstance(module, nn.ReLU):
            parent, _, name = path.rpartition(".")
            setattr(network.get_submodule(parent), name, nn.LeakyReLU(0.3))
    if network.branch is not None:
        nn.init.normal_(network.branch.conv.weight)


def test_every_entry_is_on_the_check_list_in_all_its_dimensions(
    small_case_names, small_spec
) -> None:
    listed = {
        (case.partition("-")[0], small_spec(case).kit.spatial_dims) for case in small_case_names
    }

    assert listed == {(entry.name, dims) for entry in entries() for dims in entry.spatial_dims}


@pytest.mark.parametrize("in_channels", [1, 3])
@pytest.mark.parametrize("classes", [1, 4])
class TestEveryNetwork:
    def test_result_has_the_size_that_geometry_says(
        self, case, in_channels, classes, small_network, small_image
    ) -> None:
        network = small_network(case, in_channels, classes)
        image = small_image(network)

        logits = network(image).logits

        size = network.geometry.output_size(image.shape[2:])
        assert logits.shape == (2, classes, *size)
        assert ((logits < 0) | (logits > 1)).any(), "logits, not probabilities"

    def test_images_of_a_batch_do_not_see_each_other(
        self, case, in_channels, classes, small_network, small_image
    ) -> None:
        network = small_network(case, in_channels, classes).double().eval()
        image = small_image(network, batch=3).double()

        with torch.no_grad():
            together = outputs(network, image)
            one_by_one = zip(*(outputs(network, one[None]) for one in image), strict=True)

        for all_at_once, singles in zip(together, one_by_one, strict=True):
            torch.testing.assert_close(all_at_once, torch.cat(singles), rtol=1e-9, atol=1e-10)
            assert not torch.allclose(all_at_once[0], all_at_once[1])

    def test_gradient_reaches_every_parameter(
        self, case, in_channels, classes, small_network, small_image
    ) -> None:
        # eval: in training the bias before a batch norm has no influence, by construction
        network = small_network(case, in_channels, classes).eval()
        let_every_weight_act(network)

        sum(result.square().sum() for result in outputs(network, small_image(network))).backward()

        still = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()]
        assert still == []

    def test_no_tensor_is_stored_twice(self, case, in_channels, classes, small_network) -> None:
        tensors = small_network(case, in_channels, classes).state_dict().values()

        places = [tensor.data_ptr() for tensor in tensors]
        assert len(places) == len(set(places))

    def test_saved_and_loaded_network_is_equal(
        self, case, in_channels, classes, small_network, small_image
    ) -> None:
        network = small_network(case, in_channels, classes)
        image = small_image(network)
        with torch.no_grad():
            network.train()(image)  # running statistics leave their start values
            network.eval()

            description = json.loads(json.dumps(spec_to_json(network.spec)))
            again = build_network(spec_from_json(description)).eval()
            again.load_state_dict(load(save(network.state_dict())))

            assert again.spec == network.spec
            for ours, theirs in zip(outputs(again, image), outputs(network, image), strict=True):
                assert torch.equal(ours, theirs)


def test_each_auxiliary_output_is_where_the_description_says(
    case, small_network, small_image
) -> None:
    network = small_network(case, classes=3).eval()
    image = small_image(network)

    results = network(image).auxiliary

    assert len(results) == len(network.spec.auxiliary)
    for kind, result in zip(network.spec.auxiliary, results, strict=True):
        if kind.kind == "fine":
            wanted = (2, kind.classes, *network.geometry.output_size(image.shape[2:]))
        else:
            channels = 3 if kind.kind == "logits" else 1
            wanted = (2, channels, *network.geometry.node_size(kind.node, image.shape[2:]))
        assert result.shape == wanted


def test_bad_size_is_refused_with_the_sizes_that_pass(case, small_network, small_image) -> None:
    network = small_network(case)
    good = small_image(network, batch=1)
    bad = good[..., :-1]
    if network.spec.takes_any_size:
        assert network.eval()(bad).logits.shape[2:] == bad.shape[2:]
        with pytest.raises(
            ShapeError, match=f"0 does not fit {network.spec.name}: every edge .* 1"
        ):
            network(bad[..., :0])
        return

    with pytest.raises(ShapeError, match=f"does not fit {network.spec.name}") as caught:
        network(bad)
    allowed = network.geometry.nearest_sizes(bad.shape[2:])[1]
    assert " x ".join(map(str, allowed)) + " (pad)" in str(caught.value)


def test_an_even_surplus_is_trimmed_at_both_borders(small_network) -> None:
    network = small_network("unet_original").eval()
    image = torch.randn(1, 1, 50, 54)

    assert torch.equal(network(image).logits, network(image[:, :, 1:-1, 1:-1]).logits)


@pytest.mark.parametrize("case_name", ["unet_25d", "unet_fine_grained-3d", "unet_backbone"])
def test_images_that_do_not_fit_are_continued_at_their_ends(small_network, case_name) -> None:
    network = small_network(case_name).eval()
    fitting = [2 * step for step in network.geometry.total_stride]
    steps = network.geometry.total_stride
    short = [
        edge - lost % step for edge, step, lost in zip(fitting, steps, (1, 3, 2), strict=False)
    ]
    image = torch.randn(2, 1, *short)
    by_hand = image
    for axis, edge in enumerate(fitting, start=2):
        last = by_hand.narrow(axis, by_hand.shape[axis] - 1, 1)
        missing = [last] * (edge - by_hand.shape[axis])
        by_hand = torch.cat([by_hand, *missing], dim=axis)

    kept = (..., *(slice(0, edge) for edge in short))
    assert torch.equal(network(image).logits, network(by_hand).logits[kept])
    for kind, ours, theirs in zip(
        network.spec.auxiliary, network(image).auxiliary, network(by_hand).auxiliary, strict=True
    ):
        assert torch.equal(ours, theirs[kept] if kind.kind == "fine" else theirs)


def test_any_number_of_slices_is_taken(small_network) -> None:
    network = small_network("unet_25d").eval()

    for slices in range(1, 6):
        logits = network(torch.randn(1, 1, slices, 16, 16)).logits
        assert logits.shape == (1, 1, slices, 16, 16)


def test_wrong_channels_and_axes_are_refused(case, small_network, small_image) -> None:
    network = small_network(case)
    image = small_image(network)

    for wrong in (image.repeat(1, 3, *[1] * (image.ndim - 2)), image[0], image[..., None]):
        with pytest.raises(ShapeError, match=r"give \(batch, 1, (z, )?y, x\)"):
            network(wrong)


def test_a_single_value_cannot_train_batch_norm(small_network) -> None:
    network = small_network("unet_padding").train()

    with pytest.raises(ShapeError, match="size of 8 x 8 or more"):
        network(torch.randn(1, 1, 4, 4))
    network(torch.randn(1, 1, 8, 8))
    network(torch.randn(2, 1, 4, 4))
    network.eval()(torch.randn(1, 1, 4, 4))


def test_the_size_that_trains_batch_norm_is_right_for_padded_images(small_network) -> None:
    network = small_network("unet_25d").train()

    with pytest.raises(ShapeError, match="size of 4 x 16 x 16 or more"):
        network(torch.randn(1, 1, 1, 4, 4))
    network(torch.randn(1, 1, 4, 16, 16))


def test_channels_last_stays_channels_last(case, small_network, small_image) -> None:
    """A layer that falls back to another layout costs a copy at every step of the main path.

    Torch itself has two that do: instance norm, and average pooling in 3D (on a shortcut).
    """
    # Three image channels: with one, torch cannot tell the layout of a 1x1 projection's weight.
    network = small_network(case, in_channels=3)
    if network.spec.kit.norm == "instance":
        pytest.skip("torch's instance norm knows one layout")
    layout = torch.channels_last if network.spec.kit.spatial_dims == 2 else torch.channels_last_3d
    network = network.to(memory_format=layout)
    changed = []

    def watch(name):
        def hook(module, given, result) -> None:
            if isinstance(result, torch.Tensor) and not result.is_contiguous(memory_format=layout):
                changed.append(name)

        return hook

    for name, module in network.named_modules():
        if "shortcut" not in name:
            module.register_forward_hook(watch(name))
    image = small_image(network).contiguous(memory_format=layout)
    with torch.autocast("cpu", torch.bfloat16):
        logits = network(image).logits

    assert changed == []
    assert logits.dtype == torch.bfloat16


def test_dropout_acts_in_training_only_and_only_at_the_end_of_the_contracting_path(
    small_network, small_image
) -> None:
    network = small_network("unet_original")
    image = small_image(network)

    assert not torch.equal(network(image).logits, network(image).logits)
    maps = network.encoder(image)
    assert torch.equal(maps["x_0_0"], network.encoder(image)["x_0_0"])
    assert not torch.equal(maps["x_1_0"], network.encoder(image)["x_1_0"])
    network.eval()
    assert torch.equal(network(image).logits, network(image).logits)


def test_signal_keeps_its_scale_at_the_start() -> None:
    """He et al. 2015: neither vanishing nor exploding through 18 convolutions."""
    torch.manual_seed(0)
    network = ushape.build("unet_original", width=16).eval()

    with torch.no_grad():
        deviation = network(torch.randn(1, 1, 220, 220)).logits.std().item()

    assert 0.1 < deviation < 10
    assert math.isfinite(deviation)
