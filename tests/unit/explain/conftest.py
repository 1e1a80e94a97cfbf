"""A network with weights set by hand: what each of its nodes can tell is known."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pytest
import torch
from scipy import ndimage

import ushape
from ushape.explain import Case
from ushape.labels import LabelClass, LabelTable


def convolutions(module):
    return [m for m in module.modules() if isinstance(m, (torch.nn.Conv2d, torch.nn.Conv3d))]


def set_weights(conv, weights):
    """Set (out, in) -> weight at the kernel's middle, and everything else to zero."""
    middle = tuple(edge // 2 for edge in conv.kernel_size)
    with torch.no_grad():
        conv.weight.zero_()
        if conv.bias is not None:
            conv.bias.zero_()
        for (to, of), weight in weights.items():
            conv.weight[(to, of, *middle)] = weight


@pytest.fixture(scope="session")
def hand_made():
    """Build a U-Net with three channels: the blob, a grey level u, and max(0, u - 1).

    `middle` is where u is 1, of 0, 1 and 2: linearly it is u - 2 max(0, u - 1), so a node can tell
    it only if it has the third channel. `knowing` lists the nodes that compute it; no node passes
    it on.
    """

    def build(knowing: Collection[str] = ()):
        network = ushape.build(
            "unet_padding", in_channels=2, classes=2, widths=[3, 3, 3], norm="none", num_convs=1,
            up="linear",
        ).eval()  # fmt: skip
        for name, node in [*network.encoder.items(), *network.decoder.items()]:
            passing = {(0, 0): 1.0, (1, 1): 1.0}
            if name in network.decoder:
                set_weights(convolutions(node.up)[0], passing)
                passing = {(k, k + shift): 0.5 for k in (0, 1) for shift in (0, 3)}
            if name in knowing:
                passing |= {(2, of): weight for (to, of), weight in passing.items() if to == 1}
            (conv,) = convolutions(node.block)
            set_weights(conv, passing)
            with torch.no_grad():
                conv.bias[2] = -1.0
        head = network.heads["x_0_2"]
        set_weights(head, {(0, 0): 8.0, (1, 1): 8.0, (1, 2): -16.0})
        with torch.no_grad():
            head.bias.fill_(-4.0)
        return network

    return build


@pytest.fixture(scope="session")
def make_case():
    """Draw an image that the network made by hand can read."""

    def draw(seed: int = 0, size: tuple[int, int] = (64, 64), *, noise: float = 0.05):
        generator = np.random.default_rng(seed)
        blob = ndimage.gaussian_filter(generator.normal(size=size), 5) > 0.05
        smooth = ndimage.gaussian_filter(generator.normal(size=size), 6)
        grey = np.digitize(smooth, np.quantile(smooth, [0.4, 0.6]))
        image = np.stack([blob, grey]) + noise * generator.normal(size=(2, *size))
        return Case(f"image {seed}", image.astype(np.float32), np.stack([blob, grey == 1]))

    return draw


@pytest.fixture(scope="session")
def table():
    names = ("background", "blob", "middle")
    classes = tuple(LabelClass(name, value) for value, name in enumerate(names))
    return LabelTable(classes, kind="multilabel")
