"""Maps are right for every number of channels and size; freezing follows what is computed."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import timm
from ushape.errors import ConfigError
from ushape.nets.timm_encoder import TimmEncoder, published

SMALL = (
    "test_resnet",
    "vgg11",
    "convnext_atto",
    "test_efficientnet",
    "mobilenetv3_small_050",
    "swin_tiny_patch4_window7_224",
)
LARGER = ("resnet34", "resnet50", "vgg16", "darknet53", "tf_efficientnetv2_b0")


def image(channels: int, *size: int) -> Tensor:
    return torch.randn(2, channels, *size)


def lively(encoder: TimmEncoder) -> TimmEncoder:
    """Undo initial zeros, which would hide whole branches."""
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.add_(0.1 * torch.rand_like(parameter))
    return encoder


def expected_shapes(encoder: TimmEncoder, x: Tensor) -> list[tuple[int, ...]]:
    what = encoder.published
    return [
        (len(x), channels, *(-(-edge // stride) for edge in x.shape[2:]))
        for channels, stride in zip(what.channels, what.strides, strict=True)
    ]


@pytest.mark.parametrize("in_channels", [1, 2, 3, 4])
@pytest.mark.parametrize("model", SMALL)
def test_maps_have_the_published_shapes_and_depend_on_every_channel(
    model: str, in_channels: int
) -> None:
    encoder = TimmEncoder(model, in_channels=in_channels).eval()
    x = image(in_channels, 64, 96).requires_grad_()
    maps = encoder(x)
    assert [tuple(m.shape) for m in maps] == expected_shapes(encoder, x)
    (gradient,) = torch.autograd.grad(maps[-1].square().sum(), x)
    assert (gradient.abs().sum((0, 2, 3)) > 0).all()


@pytest.mark.parametrize("model", LARGER)
def test_larger_encoders_return_what_they_publish(model: str) -> None:
    encoder = TimmEncoder(model, in_channels=2).eval()
    x = image(2, 64, 32)
    with torch.no_grad():
        maps = encoder(x)
    assert [tuple(m.shape) for m in maps] == expected_shapes(encoder, x)


@pytest.mark.parametrize("model", SMALL)
def test_eval_repeats_itself_and_keeps_images_apart(model: str) -> None:
    encoder = TimmEncoder(model, in_channels=1).eval()
    x = image(1, 64, 64)
    with torch.no_grad():
        together, again, first = encoder(x), encoder(x), encoder(x[:1])
    for one, other, alone in zip(together, again, first, strict=True):
        assert torch.equal(one, other)
        torch.testing.assert_close(one[:1], alone, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("model", ["test_resnet", "swin_tiny_patch4_window7_224"])
def test_maps_are_those_that_timm_itself_computes(model: str) -> None:
    """Of the image size that the model was made for, so that no size option plays a part."""
    encoder = TimmEncoder(model, in_channels=3).eval()
    theirs = timm.create_model(model, pretrained=False).eval()
    own = {name.removeprefix("net."): t for name, t in encoder.state_dict().items()}
    rest = theirs.state_dict()
    theirs.load_state_dict(
        {name: own.get(name, own.get(name.replace(".", "_", 1), rest[name])) for name in rest}
    )
    x = image(3, *theirs.pretrained_cfg["input_size"][1:])
    with torch.no_grad():
        last = theirs.forward_intermediates(x, indices=1, intermediates_only=True)[0]
        torch.testing.assert_close(encoder(x)[-1], last, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("model", SMALL)
def test_it_builds_without_data(model: str) -> None:
    with torch.device("meta"):
        bare = TimmEncoder(model, in_channels=2)
    real = TimmEncoder(model, in_channels=2)
    assert all(p.is_meta for p in bare.parameters())
    assert not any(t.is_meta for t in real.state_dict().values())
    assert {n: p.shape for n, p in bare.named_parameters()} == {
        n: p.shape for n, p in real.named_parameters()
    }


@pytest.mark.parametrize("model", SMALL)
def test_every_parameter_learns(model: str) -> None:
    encoder = TimmEncoder(model, in_channels=1).train()
    sum(m.square().mean() for m in encoder(image(1, 64, 64))).backward()
    assert [n for n, p in encoder.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize("num_levels", [0, 1, 3])
@pytest.mark.parametrize("model", SMALL)
def test_dependence_is_what_changes_the_maps(model: str, num_levels: int) -> None:
    """Checked by brute force: every tensor is changed in turn, and the maps are compared."""
    encoder = lively(TimmEncoder(model, in_channels=1)).eval()
    state = {name: t.clone() for name, t in encoder.state_dict().items()}
    mode = [m.training for m in encoder.modules()]
    found = encoder.parameters_of(num_levels)
    assert all(torch.equal(t, state[name]) for name, t in encoder.state_dict().items())
    assert [m.training for m in encoder.modules()] == mode
    frozen = {id(p) for p in found.parameters}
    x = image(1, 64, 64)
    with torch.no_grad():
        before = encoder(x)
        touched = [p for n, p in encoder.named_parameters() if id(p) not in frozen]
        for parameter in touched:
            parameter.add_(torch.randn_like(parameter))
        statistics = [m for m in encoder.modules() if getattr(m, "running_mean", None) is not None]
        for module in statistics:
            if module not in found.modules:
                module.running_mean.add_(1)
        after = encoder(x)
    same = [torch.equal(a, b) for a, b in zip(before, after, strict=True)]
    assert same == [True] * num_levels + [False] * (len(same) - num_levels)


@pytest.mark.parametrize("model", ["test_resnet", "vgg11"])
def test_nothing_is_frozen_that_the_maps_do_not_depend_on(model: str) -> None:
    encoder = lively(TimmEncoder(model, in_channels=1)).eval()
    x = image(1, 64, 64)
    found = encoder.parameters_of(2)
    for parameter in found.parameters:
        with torch.no_grad():
            before = encoder(x)[:2]
            kept = parameter.clone()
            parameter.add_(torch.randn_like(parameter) + 0.5)
            after = encoder(x)[:2]
            parameter.copy_(kept)
        assert not all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    for module in found.modules:
        assert isinstance(module, nn.BatchNorm2d)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_dependence_is_found_where_gradients_are_switched_off(mode: type) -> None:
    encoder = TimmEncoder("test_resnet", in_channels=1)
    expected = encoder.parameters_of(2)
    with mode():
        assert encoder.parameters_of(2) == expected
    assert expected.parameters


def test_all_levels_depend_on_all_parameters() -> None:
    encoder = TimmEncoder("test_resnet", in_channels=1)
    num_levels = len(encoder.published.strides)
    assert len(encoder.parameters_of(num_levels).parameters) == len(list(encoder.parameters()))
    with pytest.raises(ConfigError, match=f"publishes {num_levels}, so give 0 to {num_levels}"):
        encoder.parameters_of(num_levels + 1)


@pytest.mark.parametrize("model", ["test_resnet", "vgg11", "swin_tiny_patch4_window7_224"])
def test_export_equals_eager(model: str) -> None:
    encoder = TimmEncoder(model, in_channels=1).eval()
    x = image(1, 64, 64)
    program = torch.export.export(encoder, (x,))
    with torch.no_grad():
        for one, other in zip(program.module()(x), encoder(x), strict=True):
            torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("model", ["test_resnet", "test_convnext"])
def test_compiled_equals_eager(model: str) -> None:
    encoder = TimmEncoder(model, in_channels=1).eval()
    compiled = torch.compile(encoder, backend="aot_eager", fullgraph=True)
    x = image(1, 64, 64)
    with torch.no_grad():
        for one, other in zip(compiled(x), encoder(x), strict=True):
            torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def test_published_is_plain_data() -> None:
    assert published("test_resnet") == published("test_resnet")
    assert {published("test_resnet")} == {TimmEncoder("test_resnet", in_channels=4).published}
