"""Keras files written by hand with h5py alone, in the three forms that Keras has had."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np

import ushape
from ushape.nets.network import SegmentationNetwork
from ushape.weights.layout import network_layers

CLASS_OF = {
    "conv2d": "Conv2D",
    "conv2d_transpose": "Conv2DTranspose",
    "depthwise_conv2d": "DepthwiseConv2D",
    "batch_normalization": "BatchNormalization",
    "p_re_lu": "PReLU",
}
Row = tuple[str, str, dict[str, Any]]
"""Name, class stem, arrays by role."""


def write_old(
    path: Path, rows: list[Row], *, config: dict[str, Any] | None = None, suffix: str = ":0"
) -> Path:
    """Write what Keras 2 writes: names in attributes, weights below `model_weights`."""
    with h5py.File(path, "w") as file:
        home = file.create_group("model_weights")
        home.attrs["layer_names"] = [name.encode() for name, _, _ in rows] + [b"dropout"]
        home.create_group("dropout").attrs["weight_names"] = []
        for name, _, arrays in rows:
            group = home.create_group(name)
            group.attrs["weight_names"] = [f"{name}/{role}{suffix}".encode() for role in arrays]
            for role, array in arrays.items():
                group[f"{name}/{role}{suffix}"] = array
        if config is not None:
            file.attrs["model_config"] = json.dumps(config)
    return path


def write_new(path: Path | io.BytesIO, rows: list[Row], *, has_names: bool = True) -> Path:
    """Write what Keras 3 writes: layers numbered by class, weights numbered."""
    used: dict[str, int] = {}
    with h5py.File(path, "w") as file:
        for name, stem, arrays in rows:
            number = used.get(stem, 0)
            used[stem] = number + 1
            group = file.create_group(f"layers/{stem}_{number}" if number else f"layers/{stem}")
            variables = group.create_group("vars")
            if has_names:
                variables.attrs["name"] = name
            for place, array in enumerate(arrays.values()):
                variables[str(place)] = array
        file.create_group("layers/dropout/seed_generator/vars")["0"] = np.zeros(2, np.uint32)
        file.create_group("optimizer/vars")["0"] = np.zeros((), np.int32)
    return path


def write_archive(path: Path, rows: list[Row], config: dict[str, Any]) -> Path:
    """Write a `.keras` archive."""
    inside = io.BytesIO()
    write_new(inside, rows)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", "{}")
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("model.weights.h5", inside.getvalue())
    return path


def functional(rows: list[Row], **settings: dict[str, Any]) -> dict[str, Any]:
    """Describe the rows as the layers of a functional model; settings by layer name."""
    layers = [
        {
            "class_name": CLASS_OF.get(stem, stem),
            "config": {"name": name, **settings.get(name, {})},
            "name": name,
        }
        for name, stem, _ in rows
    ]
    return {"class_name": "Functional", "config": {"name": "model", "layers": layers}}


STEMS = {
    "convolution": "conv2d",
    "transposed": "conv2d_transpose",
    "norm": "batch_normalization",
    "prelu": "p_re_lu",
}
OPTIONS = {"width": 2, "levels": 3, "up": "transposed"}


def build(**options: object) -> SegmentationNetwork:
    """Build a small network, in eval mode."""
    return ushape.build("unet_padding", **{**OPTIONS, **options}).eval()


def rows_of(network: SegmentationNetwork, seed: int = 0) -> list[Row]:
    """Draw weights for every layer of a network, in Keras's shapes and the order of computation."""
    chance = np.random.default_rng(seed)
    used: dict[str, int] = {}
    rows = []
    for layer in network_layers(network):
        stem = STEMS[layer.kind]
        number = used.get(stem, 0)
        used[stem] = number + 1
        arrays = {
            role: chance.uniform(0.5, 1.5, shape).astype(np.float32)
            for role, shape in layer.shapes.items()
        }
        rows.append((f"{stem}_{number}" if number else stem, stem, arrays))
    return rows
