"""Our side of a conversion: a network's layers as they are computed, and the order of axes.

Keras stores kernels channels-last: `(*kernel, in, out)` for convolutions, `(*kernel, out, in)` for
transposed ones, `(*kernel, channels, 1)` for depthwise ones. PyTorch has `(out, in, *kernel)`,
`(in, out, *kernel)` and `(channels, 1, *kernel)`. In all three the two channel axes come first
instead of last, swapped for the first two.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ushape.errors import ConfigError
from ushape.nets import build_network
from ushape.nets.kit import NearestConv
from ushape.nets.network import SegmentationNetwork
from ushape.weights.keras_file import Shape
from ushape.weights.keras_layers import Kind

_CONVOLUTIONS = (nn.Conv2d, nn.Conv3d)
_TRANSPOSED = (nn.ConvTranspose2d, nn.ConvTranspose3d)
_BATCH_NORMS = (nn.BatchNorm2d, nn.BatchNorm3d)


@dataclass(frozen=True)
class NetLayer:
    """One of our layers with weights.

    Attributes:
        name: Its place in the state dict.
        kind: What it does; a depthwise convolution is a convolution here, whichever way Keras
            wrote it (`DepthwiseConv2D`, or `Conv3D(groups=channels)`).
        shapes: Its weights in Keras's order of axes, by Keras's role, depthwise ones as Keras
            stores convolutions with groups.
        earlier: Places (in the list of layers) of those whose result it needs.
        is_depthwise: It could be a `DepthwiseConv2D`.
        epsilon: What a batch norm adds to the variance.
        stride: Of a convolution, per axis; None where the kind has none.
        is_centred: A convolution with a stride whose zeros stand on both sides of the image,
            where Keras's "same" puts the one odd zero after it.
    """

    name: str
    kind: Kind
    shapes: Mapping[str, Shape]
    earlier: frozenset[int] = frozenset()
    is_depthwise: bool = False
    epsilon: float = 0.0
    stride: Shape | None = None
    is_centred: bool = False


def network_layers(network: SegmentationNetwork) -> tuple[NetLayer, ...]:
    """List a network's layers with weights in the order in which it computes them.

    A copy without memory (PyTorch's meta device) is run once; what depends on what is read from
    the graph that it leaves for the gradient.

    Raises:
        ConfigError: The network has a layer that Keras files are not converted to.
    """
    with torch.device("meta"):
        copy = build_network(network.spec).eval().requires_grad_(True)
        image = torch.zeros(1, network.spec.in_channels, *network.geometry.smallest)
    seen: list[_Seen] = []
    hooks = [
        module.register_forward_hook(_note_in(seen, name))
        for name, module in copy.named_modules()
        if next(module.parameters(recurse=False), None) is not None
    ]
    with torch.enable_grad():
        copy(image)
    for hook in hooks:
        hook.remove()
    _check_all_seen(copy, {name for name, _, _ in seen})
    places = {node: place for place, (_, _, node) in enumerate(seen)}
    return tuple(_net_layer(name, module, _earlier(node, places)) for name, module, node in seen)


def to_torch(values: npt.NDArray[np.float64]) -> Tensor:
    """Bring a weight from Keras's order of axes to PyTorch's, as float32.

    Kernels: see the head of this module. Vectors stay; the slopes of a PReLU lose their axes of 1.

    >>> to_torch(np.zeros((3, 3, 16, 32))).shape
    torch.Size([32, 16, 3, 3])
    """
    if values.ndim > 3:
        values = np.moveaxis(values, (-1, -2), (0, 1))
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))


_Seen = tuple[str, nn.Module, Any]
"""Name, layer, and the node of the gradient's graph that its result has."""


def _note_in(seen: list[_Seen], name: str) -> Callable[[nn.Module, object, Tensor], None]:
    """Make the hook that notes a layer when it is first computed."""

    def note(module: nn.Module, inputs: object, output: Tensor) -> None:
        del inputs
        if all(known != name for known, _, _ in seen):
            seen.append((name, module, output.grad_fn))

    return note


def _earlier(node: Any, places: Mapping[Any, int]) -> frozenset[int]:
    """Walk the gradient's graph back from a layer, and list the layers that are met."""
    found, visited, waiting = set(), {node}, [node]
    while waiting:
        for following, _ in waiting.pop().next_functions:
            if following is not None and following not in visited:
                visited.add(following)
                waiting.append(following)
                if following in places:
                    found.add(places[following])
    return frozenset(found)


def _check_all_seen(network: SegmentationNetwork, seen: set[str]) -> None:
    for name, _ in network.named_parameters():
        if name.rpartition(".")[0] not in seen:
            raise ConfigError(
                f"{network.spec.name}: {name} takes no part in a prediction, so no Keras layer can "
                "be found for it: build the network without auxiliary heads"
            )


def _net_layer(name: str, module: nn.Module, earlier: frozenset[int]) -> NetLayer:
    if isinstance(module, NearestConv):
        shapes = _kernel_shapes(module.weight, has_bias=True)
        return NetLayer(name, "convolution", shapes, earlier, stride=(1,) * len(module.stride))
    if isinstance(module, _TRANSPOSED):
        shapes = _kernel_shapes(module.weight, has_bias=module.bias is not None)
        if "bias" in shapes:
            shapes["bias"] = (module.out_channels,)
        return NetLayer(name, "transposed", shapes, earlier, stride=tuple(module.stride))
    if isinstance(module, _CONVOLUTIONS):
        return _net_convolution(name, module, earlier)
    if isinstance(module, _BATCH_NORMS) and module.track_running_stats:
        roles = ("gamma", "beta", "moving_mean", "moving_variance")
        shapes = dict.fromkeys(roles, (module.num_features,))
        return NetLayer(name, "norm", shapes, earlier, epsilon=module.eps)
    if isinstance(module, nn.PReLU):
        return NetLayer(name, "prelu", {"alpha": (module.num_parameters,)}, earlier)
    raise ConfigError(
        f"{name} is a {type(module).__name__}, for which Keras files have no equal layer: networks "
        "with batch norm or none can be converted"
    )


def _net_convolution(name: str, module: nn.Conv2d | nn.Conv3d, earlier: frozenset[int]) -> NetLayer:
    edges = zip(module.kernel_size, module.stride, module.padding, strict=True)
    return NetLayer(
        name,
        "convolution",
        _kernel_shapes(module.weight, has_bias=module.bias is not None),
        earlier,
        is_depthwise=module.groups == module.in_channels == module.out_channels,
        stride=tuple(module.stride),
        is_centred=any(kernel > stride > 1 and bool(pad) for kernel, stride, pad in edges),
    )


def _kernel_shapes(weight: Tensor, *, has_bias: bool) -> dict[str, Shape]:
    """Write the shapes of a convolution's weights as Keras has them."""
    first, second, *kernel = weight.shape
    shapes: dict[str, Shape] = {"kernel": (*kernel, second, first)}
    if has_bias:
        shapes["bias"] = (first,)
    return shapes
