"""Geometry, which is arithmetic, against what real networks do.

The networks are made smooth and positive (positive weights, average pooling), so that nothing
hides a dependence and nothing cancels: where an output pixel can depend on an input pixel, a
derivative is not zero. Sigmoids of attention stay in, fed with small numbers.

In 3D one axis at a time has kernels and strides, the others are one pixel long; that the axes are
not confused shows in which one it is. `is_local` False (instance norm, aligned corners, a
library's encoder) promises no exact border or receptive field: those are left out there.
"""

import warnings
from dataclasses import replace

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from ushape.errors import ConfigError, ShapeError
from ushape.nets import build_network, geometry_of, make_spec
from ushape.nets.kit import LowestPad
from ushape.nets.parts import (
    Add,
    Attention,
    BareBlock,
    BlockDown,
    BottleneckBlock,
    Branch,
    Concatenate,
    ConvDown,
    DepthwiseBlock,
    GatedConcatenate,
    InceptionBlock,
    InceptionDown,
    KitSpec,
    LevelSpec,
    LinearUp,
    LinkUp,
    MaxPool,
    NearestUp,
    NoBlock,
    PlainBlock,
    RepeatUp,
    ResidualBlock,
    Step,
    TransposedUp,
    VNetBlock,
)
from ushape.nets.spec import NetworkSpec

SMOOTH = settings(deadline=None, max_examples=40)

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # torch's own, at the first use
    torch.func.jvp(torch.sin, (torch.zeros(1),), (torch.ones(1),))
KERNELS = (1, 3, 5)


def along(axis: int | None, edge: int, dims: int) -> tuple[int, ...]:
    """Give one axis (None: every axis) an edge, the others 1."""
    return tuple(edge if axis in (None, i) else 1 for i in range(dims))


@st.composite
def blocks(draw, width: int, kernel: tuple[int, ...], given: int, *, strides: bool = False):
    """Draw a block of any kind that ends in `width` channels."""
    kinds = [PlainBlock, ResidualBlock, BottleneckBlock, InceptionBlock, DepthwiseBlock, BareBlock]
    if not strides and given <= width:
        kinds.append(VNetBlock)
    kind = draw(st.sampled_from([PlainBlock, ResidualBlock] if strides else kinds))
    widths = (width,) * draw(st.integers(1, 2))
    if kind is ResidualBlock:
        return kind(widths, kernel, draw(st.integers(1, 2)), stem=draw(st.sampled_from([0, 0, 2])))
    if kind is DepthwiseBlock:
        adds = draw(st.sampled_from(["input", "nothing"]))
        return kind(widths, kernel, given != width or draw(st.booleans()), adds)
    return kind(widths, kernel)


@st.composite
def downs(draw, stride: tuple[int, ...], width: int, padding: str):
    """Draw a way down, and the stride that goes with it."""
    if padding == "valid":
        return draw(st.sampled_from([MaxPool(), ConvDown(width, stride, "bare")]))
    zeros = draw(st.sampled_from(["centred", "after"]))
    kernel = tuple(draw(st.sampled_from([edge, 3, 5])) if edge > 1 else 1 for edge in stride)
    choices = [MaxPool(), BlockDown(), ConvDown(width, kernel, "normed", zeros)]
    return draw(st.sampled_from([*choices, InceptionDown(2 * width, zeros)]))


@st.composite
def ups(draw, width: int, below: int, axis: int | None, dims: int, *, is_added: bool):
    """Draw a way up; `repeat` where the map below has the channels that are asked for."""
    kernel = draw(st.sampled_from([None, *(along(axis, edge, dims) for edge in KERNELS)]))
    choices = [NearestUp(width), TransposedUp(width), LinearUp(width, "bare", kernel)]
    if not is_added or below == width:
        choices.append(RepeatUp(below))
    return draw(st.sampled_from([*choices, LinkUp(width)]))


@st.composite
def specs(draw, dims: int | None = None) -> NetworkSpec:
    """Draw small networks of the whole form."""
    dims = dims or draw(st.sampled_from([2, 3]))
    axis = draw(st.integers(0, 2)) if dims == 3 else draw(st.sampled_from([0, 1, None]))
    padding = draw(st.sampled_from(["same", "valid", "pad-then-valid"]))
    merge = draw(st.sampled_from([Concatenate(), Concatenate(), Add(), GatedConcatenate()]))
    nesting = draw(st.sampled_from(["none", "none", "dense"]))
    width = 4  # what bottlenecks and inceptions need
    depth = 2 if axis is None else draw(st.integers(2, 3))

    def kernel() -> tuple[int, ...]:
        if axis is None:
            return (draw(st.sampled_from([1, 3])), draw(st.sampled_from([1, 3])))
        return along(axis, draw(st.sampled_from(KERNELS)), dims)

    rows: list[LevelSpec] = []
    for level in range(depth):
        step, given, own, strides = None, 1, width, False
        if level:
            stride = along(axis, draw(st.sampled_from([2, 2, 4] if depth == 2 else [2])), dims)
            down = draw(downs(stride, width, padding))
            own = 2 * width if isinstance(down, InceptionDown) else width
            above = rows[-1].encoder.widths[-1]
            assume(not isinstance(down, InceptionDown) or own == 2 * above)
            strides = isinstance(down, BlockDown)
            given = above if isinstance(down, MaxPool | BlockDown) else down.width
            is_added = isinstance(merge, Add)
            up = draw(ups(rows[-1].encoder.widths[-1], own, axis, dims, is_added=is_added))
            step = Step(stride, down, up)
        kernel_size = kernel()
        rows.append(
            LevelSpec(
                encoder=draw(blocks(own, kernel_size, given, strides=strides)),
                decoder=PlainBlock((own,), kernel()) if level < depth - 1 else None,
                step=step,
                attention=Attention(kernel()) if draw(st.booleans()) else None,
            )
        )
    for level in range(depth - 1):
        own, up = rows[level].encoder.widths[-1], rows[level + 1].step.up
        if isinstance(merge, Add):
            joined, lower = own, "input"
        else:
            joined, lower = own + up.width, "enlarged"
        decoder = draw(blocks(own, kernel(), joined))
        if isinstance(decoder, VNetBlock):
            decoder = replace(decoder, adds=lower)
        if isinstance(merge, Add) and draw(st.booleans()):
            decoder = NoBlock((own,))
        rows[level] = replace(rows[level], decoder=decoder)
    nodes = [f"x_{level}_0" for level in range(depth)] + [f"x_{depth - 2}_1"]
    try:
        spec = NetworkSpec(
            "drawn",
            1,
            1,
            KitSpec(dims, padding, draw(st.sampled_from(["batch", "none"]))),
            tuple(rows),
            merge=merge,
            nesting=nesting,
            head_kernel=draw(st.sampled_from([None, kernel()])),
            branch=Branch(draw(st.sampled_from(nodes)), (0,)) if draw(st.booleans()) else None,
        )
        geometry_of(spec)
    except ConfigError as error:
        # Channels do not match in nested or repeated forms, or a nested skip is too small.
        assume("channels" not in str(error) and "smaller than the enlarged" not in str(error))
        raise
    return spec


def catalogue_networks():
    """List the entries as they are, small, with every part that only they combine."""
    small = {"levels": 3}
    return [
        make_spec("unet_residual", widths=(2, 4, 8), norm="batch", blocks=(1, 2, 1)),
        make_spec("unet_residual", widths=(2, 4, 8), norm="batch", kernel_size=(1, 3)),
        make_spec("unet_attention", **small, width=1),
        make_spec("unet_plusplus", **small, width=1, up="nearest"),
        make_spec("vnet_2d", **small, width=2, kernel_size=3),
        make_spec("unet_branch", network="unet_original", **small, width=1, node="x_1_1"),
        # Here the branch alone sees farther than one cell of the lowest level.
        make_spec("unet_branch", **small, width=1, kernel_size=1, up="transposed", node="x_2_0"),
        make_spec("unet_fine_grained", **small, width=1, kernel_size=(5, 3)),
        make_spec("unet_3d", **small, width=1, padding="valid", kernel_size=(1, 1, 3)),
        make_spec("vnet_3d_depthwise", **small, width=1, kernel_size=(1, 1, 3)),
    ]


def positive_network(spec: NetworkSpec) -> nn.Module:
    """Build a network in which every path has a positive weight."""
    network = build_network(spec).double().eval()
    is_volume = spec.kit.spatial_dims == 3
    zeros = nn.ConstantPad3d if is_volume else nn.ConstantPad2d
    average = nn.AvgPool3d if is_volume else nn.AvgPool2d
    for path, module in list(network.named_modules()):
        parent, _, name = path.rpartition(".")
        if isinstance(module, nn.MaxPool2d | nn.MaxPool3d):
            pool = average(module.kernel_size, module.stride)
            if module.padding != 0:
                around = [edge for edge in reversed(module.padding) for _ in range(2)]
                pool = nn.Sequential(zeros(around, 0.0), pool)
            setattr(network.get_submodule(parent), name, pool)
        elif isinstance(module, LowestPad):
            setattr(network.get_submodule(parent), name, zeros(module.pads, 0.0))
        elif "weight" in module._parameters and module.weight.ndim >= 4:
            # A sigmoid of large values would have no derivative left.
            scale = 1e-4 if name in ("outer", "psi") else 1.0
            nn.init.constant_(module.weight, scale / module.weight[0].numel())
            if module.bias is not None:
                nn.init.constant_(module.bias, 0.1)
    return network


def size_from(spec: NetworkSpec, least: tuple[int, ...]) -> tuple[int, ...]:
    """Return the next valid size; axes on which the network does nothing stay one pixel long."""
    geometry = geometry_of(spec)
    is_idle = [
        s == 1 and r == 1
        for s, r in zip(geometry.total_stride, geometry.receptive_field, strict=True)
    ]
    return geometry.nearest_sizes(
        tuple(1 if idle else edge for edge, idle in zip(least, is_idle, strict=True))
    )[1]


def outputs_that_depend_on(network: nn.Module, image: Tensor, pixels: Tensor) -> Tensor:
    """Find the logits whose derivative by any of the chosen pixels is not zero."""
    with torch.no_grad():
        _, change = torch.func.jvp(lambda x: network(x).logits, (image,), (pixels.double(),))
    return change[0, 0] != 0


@given(specs(), st.data())
@SMOOTH
def test_output_size_is_the_real_one_and_other_sizes_are_refused(spec, data) -> None:
    network, geometry = positive_network(spec), geometry_of(spec)
    size = tuple(
        low + step * data.draw(st.integers(0, 2))
        for low, step in zip(geometry.smallest, geometry.total_stride, strict=True)
    )

    with torch.no_grad():
        image = torch.rand(1, 1, *size).double()
        assert tuple(network(image).logits.shape[2:]) == geometry.output_size(size)
        maps = network.decoder(network.encoder(image))
        for node in spec.nodes:
            assert tuple(maps[node.name].shape[2:]) == geometry.node_size(node.name, size)
    for axis, step in enumerate(geometry.total_stride):
        for extra in range(1, step):
            if extra % 2 == 0 and geometry.is_trimming:
                continue
            wrong = tuple(n + extra * (i == axis) for i, n in enumerate(size))
            with pytest.raises(ShapeError):
                geometry.output_size(wrong)


@given(specs())
@SMOOTH
def test_one_step_below_the_smallest_size_nothing_is_left(spec) -> None:
    network, geometry = positive_network(spec), geometry_of(spec)
    for axis, step in enumerate(geometry.total_stride):
        below = tuple(n - step * (i == axis) for i, n in enumerate(geometry.smallest))
        if min(below) < 1:
            continue  # no image at all
        with pytest.raises(RuntimeError), torch.no_grad():
            network.heads(network.decoder(network.encoder(torch.rand(1, 1, *below).double())))


def check_edge_effect(spec: NetworkSpec, seed: int) -> None:
    """Compare the network on a window with itself on the whole image around it."""
    network, geometry = positive_network(spec), geometry_of(spec)
    axes = list(zip(geometry.edge_effect, geometry.total_stride, geometry.margin, strict=True))
    window = size_from(spec, tuple(b + a + 2 * m + 3 for (b, a), _, (m, _) in axes))
    is_idle = [edge == 1 for edge in window]
    steps = [
        (0, 0) if idle else (step * -(-(b + 1) // step), step * -(-(a + 1) // step))
        for ((b, a), step, _), idle in zip(axes, is_idle, strict=True)
    ]
    size = tuple(b + n + a for (b, a), n in zip(steps, window, strict=True))
    whole = torch.rand(1, 1, *size, generator=torch.Generator().manual_seed(seed)).double()
    cut = tuple(slice(b, b + n) for (b, _), n in zip(steps, window, strict=True))
    outside = torch.ones_like(whole)
    outside[(..., *cut)] = 0

    with torch.no_grad():
        alone = network(whole[(..., *cut)]).logits[0, 0]
        out = tuple(slice(b, b + n) for (b, _), n in zip(steps, alone.shape, strict=True))
        around = network(whole).logits[0, 0][out]
    depends = outputs_that_depend_on(network, whole, outside)[out]

    inner = tuple(slice(b, n - a) for ((b, a), _, _), n in zip(axes, alone.shape, strict=True))
    assert alone[inner].numel()
    torch.testing.assert_close(alone[inner], around[inner], rtol=1e-12, atol=0)
    for axis, ((b, a), _, _) in enumerate(axes):
        others = [i for i in range(len(axes)) if i != axis]
        kept = tuple(slice(None) if i == axis else inner[i] for i in range(len(axes)))
        touched = depends[kept].any(dim=others).tolist()
        assert touched == [True] * b + [False] * (len(touched) - b - a) + [True] * a


def check_receptive_field(spec: NetworkSpec) -> None:
    """Compare with the support of the gradient of pixels in every place of the pooling grid."""
    network, geometry = positive_network(spec), geometry_of(spec)
    # A pixel in the middle, far from every border.
    fields = zip(geometry.receptive_field, geometry.margin, strict=True)
    size = size_from(spec, tuple(2 * r + 2 * m + 8 for r, (m, _) in fields))
    image = torch.rand(1, 1, *size).double().requires_grad_()
    logits = network(image).logits[0, 0]
    found = [0] * len(size)
    for place in range(max(geometry.total_stride)):
        steps = zip(logits.shape, geometry.total_stride, strict=True)
        middle = tuple(edge // 2 + place % step for edge, step in steps)
        (gradient,) = torch.autograd.grad(logits[middle], image, retain_graph=True)
        for axis in range(len(size)):
            others = [i for i in range(len(size)) if i != axis]
            seen = gradient[0, 0].any(dim=others).nonzero()
            found[axis] = max(found[axis], int(seen.max() - seen.min() + 1))

    assert tuple(found) == geometry.receptive_field


@given(specs(), st.integers(0, 1000))
@SMOOTH
def test_edge_effect_is_exactly_where_a_window_differs_from_the_whole(spec, seed) -> None:
    check_edge_effect(spec, seed)


@given(specs())
@SMOOTH
def test_receptive_field_is_the_support_of_the_gradient(spec) -> None:
    check_receptive_field(spec)


@pytest.mark.parametrize("spec", catalogue_networks(), ids=lambda spec: spec.name)
def test_entries_of_the_catalogue(spec) -> None:
    assert geometry_of(spec).is_local
    check_edge_effect(spec, seed=5)
    check_receptive_field(spec)


@pytest.mark.parametrize("up", ["nearest", "transposed", "linear"])
def test_receptive_field_of_every_node(up) -> None:
    spec = make_spec("unet_padding", levels=3, width=1, up=up, norm="none")
    network, geometry = positive_network(spec), geometry_of(spec)
    image = torch.rand(1, 1, 128, 128).double().requires_grad_()
    maps = network.decoder(network.encoder(image))
    maps["logits"] = network.heads(maps)[0]
    assert maps.keys() == geometry.nodes.keys()
    for name, found_map in maps.items():
        axes = geometry.nodes[name]
        found = 0
        for place in range(geometry.total_stride[0] // axes[0].extent.stride):
            middle = found_map.shape[-1] // 2 + place
            pixel = found_map[0, :, middle, middle].sum()
            (gradient,) = torch.autograd.grad(pixel, image, retain_graph=True)
            seen = gradient[0, 0].any(dim=0).nonzero()
            found = max(found, int(seen.max() - seen.min() + 1))
        assert axes[0].receptive_field == found, name


@pytest.mark.parametrize("up", ["nearest", "transposed", "linear"])
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
