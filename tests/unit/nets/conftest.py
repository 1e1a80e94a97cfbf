"""One small network of every kind, for the tests that every network passes.

A test with an argument `case` runs once for each of `SMALL`; the fixtures build and feed it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import torch

from ushape.nets import build_network, make_spec
from ushape.nets.network import SegmentationNetwork
from ushape.nets.spec import NetworkSpec

TINY = {"levels": 3, "width": 4}
TINY_3D = {"levels": 3, "width": 2, "spatial_dims": 3}
SMALL: dict[str, dict[str, Any]] = {
    "unet_original": TINY,
    "unet_padding": TINY,
    "unet_padding-residual": TINY | {"residual": True, "up": "transposed"},
    "unet_padding-3d": TINY_3D | {"up": "linear"},
    "unet_residual": TINY | {"levels": 4, "blocks": (1, 2, 1, 1)},
    "unet_residual-3d": TINY_3D | {"norm": "batch", "stride": (1, 2, 2)},
    "unet_plusplus": TINY,
    "unet_plusplus-3d": TINY_3D | {"norm": "instance"},
    "unet_attention": TINY,
    "unet_attention-3d": TINY_3D | {"norm": "none"},
    "unet_backbone": {"encoder": "unet"},
    "unet_backbone-add": {"encoder": "unet", "decoder": "add"},
    "unet_3d": {"levels": 3, "width": 2},
    "unet_3d-valid": {"levels": 3, "width": 1, "padding": "valid", "norm": "none"},
    "unet_25d": {"levels": 4, "width": 2},
    "vnet_2d": TINY | {"levels": 4},
    "vnet_3d": {"levels": 3, "width": 4, "kernel_size": 3},
    "vnet_3d-linear": {"levels": 3, "width": 4, "kernel_size": 3, "up": "linear"},
    "vnet_3d_depthwise": {"levels": 4, "width": 2},
    "vnet_3d_depthwise-halves": {
        "levels": 4,
        "width": 2,
        "pointwise": False,
        "padding": "pad-then-valid",
    },
    "vnet_3d_bottleneck": {"width": 8},
    "vnet_3d_bottleneck-after": {"width": 8, "reduction_padding": "after"},
    "unet_fine_grained": TINY | {"fine_classes": 2},
    "unet_fine_grained-3d": {
        "network": "unet_25d",
        "levels": 3,
        "width": 2,
    },
    "unet_branch": TINY | {"network": "unet_original", "node": "x_1_1"},
    "unet_branch-3d": TINY_3D | {"network": "unet_padding", "node": "x_2_0"},
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run tests that take a `case` once for each small network."""
    if "case" in metafunc.fixturenames:
        metafunc.parametrize("case", list(SMALL))


def _thinner(value: Any, factor: int) -> Any:
    """Divide every width of a description, for entries whose widths are not an option."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
        return dataclasses.replace(
            value,
            **{
                name: _narrow(entry, factor)
                if name in ("width", "widths")
                else _thinner(entry, factor)
                for name, entry in fields.items()
            },
        )
    if isinstance(value, tuple):
        return tuple(_thinner(entry, factor) for entry in value)
    return value


def _narrow(width: int | tuple[int, ...], factor: int) -> int | tuple[int, ...]:
    return width // factor if isinstance(width, int) else tuple(w // factor for w in width)


@pytest.fixture(scope="session")
def small_case_names() -> tuple[str, ...]:
    """List the names in `SMALL`."""
    return tuple(SMALL)


@pytest.fixture(scope="session")
def small_spec() -> Callable[..., NetworkSpec]:
    """Describe one of `SMALL`: `small_spec("unet_padding-3d", in_channels=3, classes=4)`."""

    def make(case: str, in_channels: int = 1, classes: int = 1) -> NetworkSpec:
        name = case.partition("-")[0]
        spec = make_spec(name, in_channels=in_channels, classes=classes, **SMALL[case])
        return _thinner(spec, 16) if name == "unet_backbone" else spec

    return make


@pytest.fixture(scope="session")
def small_network(
    small_spec: Callable[..., NetworkSpec],
) -> Callable[..., SegmentationNetwork]:
    """Build one of `SMALL`, weights drawn from a fixed seed."""

    def make(case: str, in_channels: int = 1, classes: int = 1) -> SegmentationNetwork:
        torch.manual_seed(3)
        return build_network(small_spec(case, in_channels, classes))

    return make


@pytest.fixture(scope="session")
def small_image() -> Callable[..., torch.Tensor]:
    """Draw an image that fits a network and leaves two elements an axis on its lowest level."""

    def make(network: SegmentationNetwork, batch: int = 2) -> torch.Tensor:
        geometry = network.geometry
        edges = zip(geometry.smallest, geometry.total_stride, strict=True)
        size = geometry.nearest_sizes([low + step for low, step in edges])[1]
        return torch.randn(batch, network.spec.in_channels, *size)

    return make
