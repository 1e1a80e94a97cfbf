"""The check list that every network of the catalogue passes."""

import math

import pytest
import torch
from safetensors.torch import load, save

import ushape
from ushape.errors import ShapeError
from ushape.nets import build_network, entries, spec_from_json, spec_to_json

SMALL = {
    "unet_original": {"levels": 3, "width": 4},
    "unet_padding": {"levels": 3, "width": 4},
    "unet_padding-residual": {"levels": 3, "width": 4, "residual": True, "up": "transposed"},
    "unet_padding-3d": {"levels": 3, "width": 4, "spatial_dims": 3, "up": "linear"},
}


def small_network(case: str, in_channels: int = 1, classes: int = 1):
    torch.manual_seed(3)
    name = case.partition("-")[0]
    return ushape.build(name, in_channels=in_channels, classes=classes, **SMALL[case])


def small_image(network, batch: int = 2) -> torch.Tensor:
    geometry = network.geometry
    size = geometry.nearest_sizes(
        tuple(
            low + step for low, step in zip(geometry.smallest, geometry.total_stride, strict=True)
        )
    )[1]
    return torch.randn(batch, network.spec.in_channels, *size)


cases = pytest.mark.parametrize("case", SMALL)


def test_every_entry_is_on_the_check_list() -> None:
    assert {case.partition("-")[0] for case in SMALL} == {entry.name for entry in entries()}


@cases
@pytest.mark.parametrize("in_channels", [1, 3])
@pytest.mark.parametrize("classes", [1, 4])
class TestEveryNetwork:
    def test_result_has_the_size_that_geometry_says(self, case, in_channels, classes) -> None:
        network = small_network(case, in_channels, classes)
        image = small_image(network)

        logits, auxiliary = network(image)

        size = network.geometry.output_size(image.shape[2:])
        assert logits.shape == (2, classes, *size)
        assert auxiliary == ()
        assert ((logits < 0) | (logits > 1)).any(), "logits, not probabilities"

    def test_images_of_a_batch_do_not_see_each_other(self, case, in_channels, classes) -> None:
        network = small_network(case, in_channels, classes).eval()
        image = small_image(network, batch=3)

        together = network(image).logits
        alone = torch.cat([network(one[None]).logits for one in image])

        torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)
        assert not torch.allclose(together[0], together[1])

    def test_gradient_reaches_every_parameter(self, case, in_channels, classes) -> None:
        # eval: in training the bias before a batch norm has no influence, by construction
        network = small_network(case, in_channels, classes).eval()

        network(small_image(network)).logits.square().sum().backward()

        still = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()]
        assert still == []

    def test_no_tensor_is_stored_twice(self, case, in_channels, classes) -> None:
        tensors = small_network(case, in_channels, classes).state_dict().values()

        places = [tensor.data_ptr() for tensor in tensors]
        assert len(places) == len(set(places))

    def test_saved_and_loaded_network_is_equal(self, case, in_channels, classes) -> None:
        network = small_network(case, in_channels, classes)
        image = small_image(network)
        network.train()(image)  # running statistics leave their start values
        network.eval()

        again = build_network(spec_from_json(spec_to_json(network.spec))).eval()
        again.load_state_dict(load(save(network.state_dict())))

        assert torch.equal(again(image).logits, network(image).logits)


@cases
def test_bad_size_is_refused_with_the_sizes_that_pass(case) -> None:
    network = small_network(case)
    good = small_image(network, batch=1)
    bad = good[..., :-1]

    with pytest.raises(ShapeError, match="does not fit unet_") as caught:
        network(bad)
    assert " x ".join(map(str, good.shape[2:])) + " (pad)" in str(caught.value)


def test_an_even_surplus_is_trimmed_at_both_borders() -> None:
    network = small_network("unet_original").eval()
    image = torch.randn(1, 1, 50, 54)

    assert torch.equal(network(image).logits, network(image[:, :, 1:-1, 1:-1]).logits)


@cases
def test_wrong_channels_and_axes_are_refused(case) -> None:
    network = small_network(case)
    image = small_image(network)

    for wrong in (image.repeat(1, 3, *[1] * (image.ndim - 2)), image[0], image[..., None]):
        with pytest.raises(ShapeError, match=r"give \(batch, 1, (z, )?y, x\)"):
            network(wrong)


def test_a_single_value_cannot_train_batch_norm() -> None:
    network = small_network("unet_padding").train()

    with pytest.raises(ShapeError, match="size of 8 x 8 or more"):
        network(torch.randn(1, 1, 4, 4))
    network(torch.randn(2, 1, 4, 4))
    network.eval()(torch.randn(1, 1, 4, 4))


@pytest.mark.parametrize("case", ["unet_original", "unet_padding-3d"])
def test_exported_program_is_equal_for_any_size(case) -> None:
    network = small_network(case).eval()
    image = small_image(network)
    free = {0: torch.export.Dim.AUTO, 2: torch.export.Dim.AUTO, 3: torch.export.Dim.AUTO}

    program = torch.export.export(network, (image,), dynamic_shapes={"image": free}).module()

    larger = torch.randn(3, 1, *image.shape[2:])
    step = network.geometry.total_stride
    larger = torch.nn.functional.pad(larger, [0, 0] * (image.ndim - 4) + [0, step[1], 0, step[0]])
    for given in (image, larger):
        torch.testing.assert_close(program(given).logits, network(given).logits)


def test_compiled_network_is_equal() -> None:
    network = small_network("unet_original").eval()
    image = small_image(network)

    compiled = torch.compile(network, backend="eager", fullgraph=True)

    torch.testing.assert_close(compiled(image).logits, network(image).logits)


@cases
def test_channels_last_stays_channels_last(case) -> None:
    """A layer that falls back to another layout costs a copy at every step of the main path."""
    # Three image channels: with one, torch cannot tell the layout of a 1x1 projection's weight.
    network = small_network(case, in_channels=3)
    layout = torch.channels_last if network.spec.kit.spatial_dims == 2 else torch.channels_last_3d
    network = network.to(memory_format=layout)
    changed = []

    def watch(name):
        def hook(module, given, result) -> None:
            if isinstance(result, torch.Tensor) and not result.is_contiguous(memory_format=layout):
                changed.append(name)

        return hook

    for name, module in network.named_modules():
        module.register_forward_hook(watch(name))
    image = small_image(network).contiguous(memory_format=layout)
    with torch.autocast("cpu", torch.bfloat16):
        logits = network(image).logits

    assert changed == []
    assert logits.dtype == torch.bfloat16


def test_dropout_acts_in_training_only_and_only_at_the_end_of_the_contracting_path() -> None:
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
