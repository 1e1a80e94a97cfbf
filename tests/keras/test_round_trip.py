"""Keras networks with random weights, saved by Keras, converted: the same logits."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import networks
import numpy as np
import pytest
import torch

import keras
import ushape
from ushape.weights import convert_weights

# Keras's own, and those of the libraries below it; ours are errors as everywhere.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:keras")

Case = tuple[str, dict[str, object], Callable[..., keras.Model], tuple[int, ...]]

CASES: dict[str, Case] = {
    "unet_original": ("unet_original", {}, networks.unet_original, (188, 188)),
    "unet_original, narrow": (
        "unet_original",
        {"levels": 3, "width": 4},
        partial(networks.unet_original, levels=3, width=4),
        (60, 68),
    ),
    "unet_padding": ("unet_padding", {}, networks.unet_padding, (32, 16)),
    "unet_padding, transposed": (
        "unet_padding",
        {"levels": 3, "width": 4, "up": "transposed"},
        partial(networks.unet_padding, levels=3, width=4, up="transposed"),
        (16, 24),
    ),
    "unet_padding, residual": (
        "unet_padding",
        {"levels": 3, "width": 4, "residual": True},
        partial(networks.unet_padding, levels=3, width=4, residual=True),
        (16, 24),
    ),
    "unet_padding, 3D": (
        "unet_padding",
        {"spatial_dims": 3, "levels": 3, "width": 4, "up": "linear"},
        partial(networks.unet_padding, levels=3, width=4, up="linear"),
        (8, 12, 16),
    ),
    "vnet_2d": ("vnet_2d", {}, networks.vnet_2d, (32, 16)),
    "vnet_3d, kernel 3, linear": (
        "vnet_3d",
        {"kernel_size": 3, "up": "linear"},
        networks.vnet_3d,
        (16, 16, 32),
    ),
    "vnet_3d, kernel 5, transposed": (
        "vnet_3d",
        {"width": 2},
        partial(networks.vnet_3d, kernel_size=5, up="transposed", width=2),
        (16, 16, 32),
    ),
    "vnet_3d_depthwise": (
        "vnet_3d_depthwise",
        {"pointwise": False},
        networks.vnet_3d_depthwise,
        (16, 16, 32),
    ),
    "vnet_3d_depthwise, pointwise": (
        "vnet_3d_depthwise",
        {},
        partial(networks.vnet_3d_depthwise, pointwise=True),
        (16, 16, 32),
    ),
    "unet_25d": ("unet_25d", {}, networks.unet_25d, (4, 16, 32)),
    "unet_25d, PReLU": (
        "unet_25d",
        {"width": 4, "activation": "prelu"},
        partial(networks.unet_25d, width=4, activation=networks.prelu),
        (4, 32, 16),
    ),
}
TOLERANCE = 1e-4
"""On logits whose standard deviation is near one."""


def save(model: keras.Model, path: Path) -> Path:
    if path.name.endswith(".weights.h5"):
        model.save_weights(path)
    else:
        with warnings.catch_warnings():  # Keras calls its own old form old
            warnings.simplefilter("ignore")
            model.save(path)
    return path


def channels_first(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.moveaxis(np.asarray(array), -1, 1).copy())


def logits_of(path: Path, name: str, image: np.ndarray, **options: object) -> torch.Tensor:
    torch.manual_seed(1)
    network = ushape.build(name, **options).eval()
    convert_weights(path, network)
    with torch.no_grad():
        return network(channels_first(image)).logits


@pytest.mark.parametrize("case", CASES)
def test_a_keras_network_gives_the_same_logits(case: str, tmp_path: Path) -> None:
    name, options, make, size = CASES[case]
    keras.utils.set_random_seed(0)
    model = make(size, channels=2, classes=3)
    image = np.random.default_rng(0).normal(size=(2, *size, 2)).astype("float32")
    wanted = channels_first(networks.draw_weights(model, image, seed=1))
    assert 0.1 < wanted.std() < 1.1
    for ending in (".weights.h5", ".keras", ".h5"):
        path = save(model, tmp_path / f"model{ending}")
        found = logits_of(path, name, image, in_channels=2, classes=3, **options)
        assert found.shape == wanted.shape
        torch.testing.assert_close(found, wanted, rtol=0, atol=TOLERANCE, msg=f"{case}, {ending}")


def test_one_channel_is_repeated_as_in_keras(tmp_path: Path) -> None:
    image = np.random.default_rng(0).normal(size=(1, 16, 16, 1)).astype("float32")
    model = networks.vnet_2d((16, 16), width=2)
    wanted = channels_first(networks.draw_weights(model, image, seed=1))
    path = save(model, tmp_path / "model.weights.h5")
    found = logits_of(path, "vnet_2d", image, width=2)
    torch.testing.assert_close(found, wanted, rtol=0, atol=TOLERANCE)


def small_model() -> tuple[keras.Model, np.ndarray, torch.Tensor]:
    image = np.random.default_rng(0).normal(size=(2, 16, 16, 1)).astype("float32")
    model = networks.unet_padding((16, 16), levels=3, width=4)
    return model, image, channels_first(networks.draw_weights(model, image, seed=1))


SMALL = {"levels": 3, "width": 4}


@pytest.mark.parametrize("ending", [".weights.h5", ".keras", ".h5"])
def test_a_trained_model_keeps_its_optimiser_out_of_the_way(ending: str, tmp_path: Path) -> None:
    model, image, _ = small_model()
    model.compile("adam", "mse")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(image, np.zeros_like(image), epochs=2, verbose=0)
    wanted = channels_first(networks.predict(model, image))
    path = save(model, tmp_path / f"model{ending}")
    found = logits_of(path, "unet_padding", image, **SMALL)
    torch.testing.assert_close(found, wanted, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("ending", [".weights.h5", ".keras", ".h5"])
def test_a_model_inside_a_model_is_found(ending: str, tmp_path: Path) -> None:
    model, image, wanted = small_model()
    outer = keras.Sequential([keras.Input((16, 16, 1)), model, keras.layers.Activation("linear")])
    path = save(outer, tmp_path / f"model{ending}")
    found = logits_of(path, "unet_padding", image, **SMALL)
    torch.testing.assert_close(found, wanted, rtol=0, atol=TOLERANCE)


def test_another_epsilon_is_taken_from_the_configuration(tmp_path: Path) -> None:
    image = np.random.default_rng(0).normal(size=(1, 16, 16, 1)).astype("float32")
    model = networks.unet_padding((16, 16), **SMALL)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.epsilon = 0.3
    wanted = channels_first(networks.draw_weights(model, image, seed=1))
    path = save(model, tmp_path / "model.keras")
    found = logits_of(path, "unet_padding", image, **SMALL)
    torch.testing.assert_close(found, wanted, rtol=0, atol=TOLERANCE)


def test_the_command_line_makes_a_model_that_predicts(tmp_path: Path, cli) -> None:
    from PIL import Image

    model, _, _ = small_model()
    path = save(model, tmp_path / "model.keras")
    out = tmp_path / "model.safetensors"
    result = cli(
        *("convert", "weights", path, "--model", "unet_padding", "--set", "levels=3"),
        *("--set", "width=4", "--labels", "rest=0,cell=255", "--out", out),
    )
    assert result.code == 0, result.err
    assert "zscore" in result.err
    picture = np.random.default_rng(3).integers(0, 255, (16, 16), dtype=np.uint8)
    (tmp_path / "images").mkdir()
    Image.fromarray(picture).save(tmp_path / "images" / "a.png")
    result = cli("predict", out, tmp_path / "images", "--out", tmp_path / "masks")
    assert result.code == 0, result.err
    scaled = ((picture - picture.mean()) / picture.std()).astype("float32")[None, ..., None]
    wanted = np.where(networks.predict(model, scaled)[0, ..., 0] > 0, 255, 0)
    written = np.asarray(Image.open(tmp_path / "masks" / "a.png"))
    assert (written == wanted).mean() > 0.99
    assert 0.05 < (wanted == 255).mean() < 0.95


@pytest.mark.parametrize("size", [(8, 8), (7, 9), (8, 7)])
def test_same_padding_at_stride_two_starts_on_the_first_pixel_of_even_edges(
    size: tuple[int, int],
) -> None:
    """The picture in docs/keras.md."""
    image = np.random.default_rng(0).normal(size=(1, *size, 1)).astype("float32")
    layer = keras.layers.Conv2D(1, 3, strides=2, padding="same")
    wanted = channels_first(keras.ops.convert_to_numpy(layer(image)))
    kernel = torch.from_numpy(keras.ops.convert_to_numpy(layer.kernel)).permute(3, 2, 0, 1)
    x = channels_first(image)
    centred = torch.nn.functional.conv2d(x, kernel, stride=2, padding=1)
    # An even edge gets one zero after the image; an odd one gets one on each side, as PyTorch.
    pads = [(0, 1) if edge % 2 == 0 else (1, 1) for edge in reversed(size)]
    padded = torch.nn.functional.pad(x, [zeros for pair in pads for zeros in pair])
    after = torch.nn.functional.conv2d(padded, kernel, stride=2)
    torch.testing.assert_close(after, wanted, rtol=0, atol=1e-5)
    is_even = any(edge % 2 == 0 for edge in size)
    assert ((centred - wanted).abs().max() > 0.1) == is_even
