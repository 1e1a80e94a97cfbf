"""Networks over another network of the family: two heads, or a branch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Any

from ushape.errors import ConfigError
from ushape.nets.catalog.shared import Dims
from ushape.nets.options import Option, Text, Whole, Wholes
from ushape.nets.parts import Branch, FineHead
from ushape.nets.spec import NetworkSpec

Inner = Annotated[
    str,
    Option(
        Text("a name of the catalogue"),
        "the network that is extended; its options can be set beside these",
        is_inner=True,
    ),
]


def unet_fine_grained(
    *,
    make_inner: Callable[..., NetworkSpec],
    spatial_dims: Dims = 2,
    network: Inner = "unet_padding",
    fine_classes: Annotated[int, Option(Whole(1, 4096), "logits of the fine head")] = 1,
    **options: Any,
) -> NetworkSpec:
    """Fine-grained network: one trunk, a head for large structures and one for small ones.

    The coarse head (`logits`) is read when the trunk sees the whole image, the fine head (first
    of `auxiliary`) when it sees the region of interest, cut out and enlarged; both passes use
    the same trunk weights. `ushape train` trains both in joint steps, and prediction makes one
    pass after the other (docs/fine_grained.md).

    Source: two-stage coarse-to-fine segmentation with shared weights; trunk as `network`.

    Use: Small structures inside a large one that is easy to find.
    """
    inner = make_inner(network, spatial_dims=spatial_dims, **options)
    return replace(
        inner,
        name="unet_fine_grained",
        auxiliary=(FineHead(fine_classes), *inner.auxiliary),
    )


def unet_branch(
    *,
    make_inner: Callable[..., NetworkSpec],
    spatial_dims: Dims = 2,
    network: Inner = "unet_padding",
    node: Annotated[
        str, Option(Text("a node, such as x_2_0 or x_1_3"), "where the branch starts")
    ] = "x_2_0",
    branch_classes: Annotated[
        tuple[int, ...] | None,
        Option(Wholes(1, 4096, 0, 4095), "logit channels that it is added to; all without"),
    ] = None,
    freeze_until: Annotated[
        str | None,
        Option(Text("a node, such as x_2_0"), "this node and all that it reads are not trained"),
    ] = None,
    **options: Any,
) -> NetworkSpec:
    """Branch network: some classes are also read from an inner level, straight to the logits.

    1x1 convolution that starts at zero and transposed convolution that starts at linear
    interpolation, added to the logits of `branch_classes`: before training nothing has changed.
    `freeze_until` keeps what computes a node as it was.

    Source: skips to the score as in Long, Shelhamer, Darrell, "Fully convolutional networks",
    CVPR 2015, section 4; trunk as `network`.

    Use: A class whose features respond at an inner level and fade on the way up.
    """
    inner = make_inner(network, spatial_dims=spatial_dims, **options)
    chosen = tuple(range(inner.classes)) if branch_classes is None else branch_classes
    spec = replace(inner, name="unet_branch", branch=Branch(node, chosen))
    if freeze_until is None:
        return spec
    if freeze_until not in [entry.name for entry in spec.nodes]:
        known = ", ".join(entry.name for entry in spec.nodes)
        raise ConfigError(f"freeze_until={freeze_until!r}: give one of the nodes {known}")
    frozen = {*inner.frozen, *read_by(spec, freeze_until)}
    return replace(spec, frozen=tuple(n.name for n in spec.nodes if n.name in frozen))


def read_by(spec: NetworkSpec, name: str) -> tuple[str, ...]:
    """List a node and every node that it depends on, in the order of computation.

    >>> from ushape.nets import make_spec
    >>> read_by(make_spec("unet_padding", levels=3), "x_1_1")
    ('x_0_0', 'x_1_0', 'x_2_0', 'x_1_1')
    """
    needed = {name}
    for node in reversed(spec.nodes):
        if node.name in needed:
            needed.update(node.skips)
            needed.update([node.source] if node.source else [])
    return tuple(node.name for node in spec.nodes if node.name in needed)
