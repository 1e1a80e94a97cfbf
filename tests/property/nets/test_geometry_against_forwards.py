"""Geometry, which is arithmetic, against what real networks do.

The networks are made linear and positive (constant weights, average pooling), so that nothing
hides a dependence: where an output pixel can depend on an input pixel, it does.
"""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from ushape.errors import ShapeError
from ushape.nets import build_network, geometry_of, make_spec
from ushape.nets.spec import NetworkSpec

UPS = ("nearest", "transposed", "linear")


@st.composite
def specs(draw) -> NetworkSpec:
    """Draw small networks of the whole form: both paddings, all ways up, both nestings."""
    name = draw(st.sampled_from(["unet_original", "unet_padding"]))
    options = {
        "levels": draw(st.integers(3, 4)),
        "width": 1,
        "num_convs": draw(st.integers(1, 2)),
        "up": draw(st.sampled_from(UPS)),
        "kernel_size": draw(st.sampled_from([1, 3, (3, 5), (1, 3)])),
    }
    if name == "unet_padding":
        options["stride"] = draw(st.sampled_from([2, (1, 2), (2, 1)]))
        options["residual"] = draw(st.booleans())
        options["norm"] = draw(st.sampled_from(["batch", "none"]))
    spec = make_spec(name, **options)
    return replace(spec, nesting=draw(st.sampled_from(["none", "none", "dense"])))


def positive_network(spec: NetworkSpec) -> nn.Module:
    """Build a network in which every path has a positive weight."""
    network = build_network(spec).double().eval()
    for path, module in list(network.named_modules()):
        if isinstance(module, nn.MaxPool2d):
            parent, _, name = path.rpartition(".")
            pool = nn.AvgPool2d(module.kernel_size)
            setattr(network.get_submodule(parent), name, pool)
        elif "weight" in module._parameters and module.weight.ndim == 4:
            nn.init.constant_(module.weight, 1 / module.weight[0].numel())
            nn.init.constant_(module.bias, 0.1)
    return network


def sizes_around(spec: NetworkSpec, least: tuple[int, ...]) -> tuple[int, ...]:
    return geometry_of(spec).nearest_sizes(least)[1]


@given(specs(), st.data())
@settings(deadline=None, max_examples=25)
def test_output_size_is_the_real_one_and_other_sizes_are_refused(spec, data) -> None:
    network, geometry = positive_network(spec), geometry_of(spec)
    size = tuple(
        low + step * data.draw(st.integers(0, 2))
        for low, step in zip(geometry.smallest, geometry.total_stride, strict=True)
    )

    with torch.no_grad():
        assert tuple(network(torch.rand(1, 1, *size).double()).logits.shape[2:]) == (
            geometry.output_size(size)
        )
    for axis, step in enumerate(geometry.total_stride):
        for extra in range(1, step):
            if extra % 2 == 0 and geometry.is_trimming:
                continue
            wrong = tuple(n + extra * (i == axis) for i, n in enumerate(size))
            with pytest.raises(ShapeError):
                geometry.output_size(wrong)


@given(specs())
@settings(deadline=None, max_examples=25)
def test_one_step_below_the_smallest_size_nothing_is_left(spec) -> None:
    network, geometry = positive_network(spec), geometry_of(spec)
    for axis, step in enumerate(geometry.total_stride):
        below = tuple(n - step * (i == axis) for i, n in enumerate(geometry.smallest))
        if min(below) < 1:
            continue  # no image at all
        with pytest.raises(RuntimeError), torch.no_grad():
            network.decoder(network.encoder(torch.rand(1, 1, *below).double()))


@given(specs(), st.integers(0, 1000))
@settings(deadline=None, max_examples=25)
def test_edge_effect_is_exactly_where_a_window_differs_from_the_whole(spec, seed) -> None:
    network, geometry = positive_network(spec), geometry_of(spec)
    axes = list(zip(geometry.edge_effect, geometry.total_stride, geometry.margin, strict=True))
    window = sizes_around(spec, tuple(b + a + 2 * m + 3 for (b, a), _, (m, _) in axes))
    before = tuple(step * -(-(b + 1) // step) for (b, _), step, _ in axes)
    after = tuple(step * -(-(a + 1) // step) for (_, a), step, _ in axes)
    whole_size = tuple(map(sum, zip(before, window, after, strict=True)))
    whole = torch.rand(1, 1, *whole_size, generator=torch.Generator().manual_seed(seed)).double()
    cut = tuple(slice(b, b + n) for b, n in zip(before, window, strict=True))

    with torch.no_grad():
        alone = network(whole[(..., *cut)]).logits[0, 0]
        out = tuple(slice(b, b + n) for b, n in zip(before, alone.shape, strict=True))
        differs = (alone - network(whole).logits[0, 0][out]).abs() > 1e-13

    for axis, ((b, a), _, _) in enumerate(axes):
        other = 1 - axis
        (other_b, other_a) = geometry.edge_effect[other]
        inner = differs.narrow(other, other_b, alone.shape[other] - other_b - other_a)
        touched = inner.any(dim=other).tolist()
        assert touched == [True] * b + [False] * (len(touched) - b - a) + [True] * a


@given(specs())
@settings(deadline=None, max_examples=25)
def test_receptive_field_is_the_support_of_the_gradient(spec) -> None:
    network, geometry = positive_network(spec), geometry_of(spec)
    # A pixel in the middle, far from every border, in each place of the pooling grid.
    reach = [2 * field for field in geometry.receptive_field]
    size = sizes_around(
        spec, tuple(r + 2 * m + 8 for r, (m, _) in zip(reach, geometry.margin, strict=True))
    )
    image = torch.rand(1, 1, *size).double().requires_grad_()
    logits = network(image).logits[0, 0]
    found = [0, 0]
    for place in range(max(geometry.total_stride)):
        steps = zip(logits.shape, geometry.total_stride, strict=True)
        middle = [edge // 2 + place % step for edge, step in steps]
        (gradient,) = torch.autograd.grad(logits[tuple(middle)], image, retain_graph=True)
        for axis in range(2):
            seen = gradient[0, 0].any(dim=1 - axis).nonzero()
            found[axis] = max(found[axis], int(seen.max() - seen.min() + 1))

    assert tuple(found) == geometry.receptive_field


@pytest.mark.parametrize("up", UPS)
def test_receptive_field_of_every_node(up) -> None:
    spec = make_spec("unet_padding", levels=3, width=1, up=up, norm="none")
    network, geometry = positive_network(spec), geometry_of(spec)
    image = torch.rand(1, 1, 128, 128).double().requires_grad_()
    maps = network.decoder(network.encoder(image))
    for name, axes in geometry.nodes.items():
        found = 0
        for place in range(geometry.total_stride[0] // axes[0].extent.stride):
            middle = maps[name].shape[-1] // 2 + place
            pixel = maps[name][0, :, middle, middle].sum()
            (gradient,) = torch.autograd.grad(pixel, image, retain_graph=True)
            seen = gradient[0, 0].any(dim=0).nonzero()
            found = max(found, int(seen.max() - seen.min() + 1))
        assert axes[0].receptive_field == found, name


@pytest.mark.parametrize("up", UPS)
def test_margin_is_where_the_output_lies_on_the_input(up) -> None:
    """With the ways up silenced and deltas as kernels, the network only crops."""
    network = build_network(make_spec("unet_original", levels=3, width=1, up=up)).eval()
    for name, parameter in network.named_parameters():
        nn.init.zeros_(parameter)
        if parameter.ndim == 4 and ".up." not in name:
            middle = parameter.shape[-1] // 2
            with torch.no_grad():
                parameter[:, 0, middle, middle] = 1
    image = torch.rand(1, 1, 60, 76)

    (before_y, after_y), (before_x, after_x) = network.geometry.margin

    expected = image[:, :, before_y : 60 - after_y, before_x : 76 - after_x]
    assert torch.equal(network(image).logits, expected)
