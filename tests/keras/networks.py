"""The networks of the family in Keras, written from their papers: the oracle of the conversion.

One function a network, functional API, channels last. Nothing here is taken from `ushape`. Merged
maps stand skip first, then the enlarged map.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

import keras
from keras import layers, ops

Tensor = keras.KerasTensor
Activation = Callable[[Tensor], Tensor]
CONV = {2: layers.Conv2D, 3: layers.Conv3D}
TRANSPOSED = {2: layers.Conv2DTranspose, 3: layers.Conv3DTranspose}
POOL = {2: layers.MaxPooling2D, 3: layers.MaxPooling3D}
CROP = {2: layers.Cropping2D, 3: layers.Cropping3D}
REPEAT = {2: layers.UpSampling2D, 3: layers.UpSampling3D}


@keras.saving.register_keras_serializable("ushape-tests")
class LinearEnlarge(layers.Layer):
    """Double chosen axes linearly with half-pixel centres, as `keras.ops.image.resize` in 2D."""

    def __init__(self, factors: Sequence[int], **options: object) -> None:
        super().__init__(**options)
        self.factors = tuple(factors)

    def call(self, x):
        for axis, factor in enumerate(self.factors, start=1):
            if factor == 2:
                x = self._double(x, axis)
        return x

    @staticmethod
    def _double(x, axis):
        edge = x.shape[axis]
        before = ops.take(x, np.maximum(np.arange(edge) - 1, 0), axis=axis)
        after = ops.take(x, np.minimum(np.arange(edge) + 1, edge - 1), axis=axis)
        pairs = ops.stack([0.75 * x + 0.25 * before, 0.75 * x + 0.25 * after], axis=axis + 1)
        return ops.reshape(pairs, (-1, *x.shape[1:axis], 2 * edge, *x.shape[axis + 1 :]))

    def compute_output_shape(self, shape):
        return (
            shape[0],
            *(e * f for e, f in zip(shape[1:-1], self.factors, strict=True)),
            shape[-1],
        )

    def get_config(self):
        return {**super().get_config(), "factors": self.factors}


@keras.saving.register_keras_serializable("ushape-tests")
class FitChannels(layers.Layer):
    """Bring a map to a number of channels: repeat a single one, else append zeros or cut."""

    def __init__(self, channels: int, **options: object) -> None:
        super().__init__(**options)
        self.channels = channels

    def call(self, x):
        missing = self.channels - x.shape[-1]
        if x.shape[-1] == 1:
            return ops.repeat(x, self.channels, axis=-1)
        if missing > 0:
            return ops.pad(x, [(0, 0)] * (len(x.shape) - 1) + [(0, missing)])
        return x[..., : self.channels]

    def compute_output_shape(self, shape):
        return (*shape[:-1], self.channels)

    def get_config(self):
        return {**super().get_config(), "channels": self.channels}


def relu(x: Tensor) -> Tensor:
    return layers.ReLU()(x)


def leaky(x: Tensor) -> Tensor:
    return layers.LeakyReLU(negative_slope=0.01)(x)


def prelu(x: Tensor) -> Tensor:
    """One slope a channel."""
    return layers.PReLU(shared_axes=list(range(1, len(x.shape) - 1)))(x)


def norm(x: Tensor) -> Tensor:
    return layers.BatchNormalization()(x)


def sum_with(x: Tensor, other: Tensor) -> Tensor:
    """Add a map whose channels may differ."""
    if other.shape[-1] != x.shape[-1]:
        other = FitChannels(x.shape[-1])(other)
    return layers.Add()([x, other])


def unet_original(
    size: Sequence[int], *, channels: int = 1, classes: int = 1, levels: int = 5, width: int = 64
) -> keras.Model:
    """Ronneberger et al. 2015: unpadded convolutions, cropped skips, no norm."""
    image = x = keras.Input((*size, channels))
    skips = []
    for level in range(levels):
        if level:
            x = layers.MaxPooling2D(2)(x)
        for _ in range(2):
            x = layers.Conv2D(width * 2**level, 3, activation="relu")(x)
        if level >= levels - 2:
            x = layers.Dropout(0.5)(x)
        skips.append(x)
    for level in range(levels - 2, -1, -1):
        x = layers.UpSampling2D(2)(x)
        x = layers.Conv2D(width * 2**level, 2, padding="same", activation="relu")(x)
        surplus = skips[level].shape[1] - x.shape[1], skips[level].shape[2] - x.shape[2]
        skip = layers.Cropping2D([(edge // 2, edge - edge // 2) for edge in surplus])(skips[level])
        x = layers.Concatenate()([skip, x])
        for _ in range(2):
            x = layers.Conv2D(width * 2**level, 3, activation="relu")(x)
    return keras.Model(image, layers.Conv2D(classes, 1)(x))


def unet_padding(
    size: Sequence[int],
    *,
    channels: int = 1,
    classes: int = 1,
    levels: int = 5,
    width: int = 64,
    up: str = "nearest",
    residual: bool = False,
) -> keras.Model:
    """The same with padding and batch norm, 2D or 3D."""
    dims = len(size)

    def block(x: Tensor, width: int) -> Tensor:
        before = x
        for place in range(2):
            x = norm(CONV[dims](width, 3, padding="same")(x))
            if place == 0 or not residual:
                x = relu(x)
        if residual:
            if before.shape[-1] != width:
                before = CONV[dims](width, 1)(before)
            x = relu(layers.Add()([x, before]))
        return x

    def enlarge(x: Tensor, width: int) -> Tensor:
        if up == "transposed":
            return relu(TRANSPOSED[dims](width, 2, strides=2)(x))
        if up == "linear":
            return relu(CONV[dims](width, 1)(LinearEnlarge((2,) * dims)(x)))
        return relu(CONV[dims](width, 2, padding="same")(REPEAT[dims](2)(x)))

    image = x = keras.Input((*size, channels))
    skips = []
    for level in range(levels):
        if level:
            x = POOL[dims](2)(x)
        x = block(x, width * 2**level)
        skips.append(x)
    for level in range(levels - 2, -1, -1):
        x = layers.Concatenate()([skips[level], enlarge(x, width * 2**level)])
        x = block(x, width * 2**level)
    return keras.Model(image, CONV[dims](classes, 1)(x))


def vnet(
    size: Sequence[int],
    *,
    channels: int,
    classes: int,
    kernel_size: int,
    up: str,
    activation: Activation,
    is_bare: bool,
    depth: int = 5,
    width: int = 16,
) -> keras.Model:
    """Milletari et al. 2016; `is_bare`: the ways down and up carry neither norm nor activation."""
    dims = len(size)
    conv, transposed = CONV[dims], TRANSPOSED[dims]

    def finish(x: Tensor) -> Tensor:
        return x if is_bare else activation(norm(x))

    def convolve(x: Tensor, width: int, times: int) -> Tensor:
        for _ in range(times):
            x = activation(norm(conv(width, kernel_size, padding="same")(x)))
        return x

    image = x = keras.Input((*size, channels))
    skips = []
    for level in range(depth):
        if level:
            x = finish(conv(width * 2**level, 2, strides=2, padding="same")(x))
        x = sum_with(convolve(x, width * 2**level, min(level + 1, 3)), x)
        skips.append(x)
    for level in range(depth - 2, -1, -1):
        skip = width * 2**level
        if up == "transposed":
            x = transposed(skip, 2, strides=2, padding="same")(x)
        else:
            x = conv(skip, 1)(LinearEnlarge((2,) * dims)(x))
        enlarged = finish(x)
        x = convolve(layers.Concatenate()([skips[level], enlarged]), 2 * skip, min(level + 1, 3))
        x = sum_with(x, enlarged)
    return keras.Model(image, conv(classes, 1)(x))


def vnet_2d(
    size: Sequence[int], *, channels: int = 1, classes: int = 1, **options: int
) -> keras.Model:
    """V-Net with 5x5 kernels; norm and PReLU on the ways down and up too."""
    return vnet(
        size,
        channels=channels,
        classes=classes,
        kernel_size=5,
        up="transposed",
        activation=prelu,
        is_bare=False,
        **options,
    )


def vnet_3d(
    size: Sequence[int],
    *,
    channels: int = 1,
    classes: int = 1,
    kernel_size: int = 3,
    up: str = "linear",
    **options: int,
) -> keras.Model:
    """V-Net with LeakyReLU and bare ways down and up."""
    return vnet(
        size,
        channels=channels,
        classes=classes,
        kernel_size=kernel_size,
        up=up,
        activation=leaky,
        is_bare=True,
        **options,
    )


def vnet_3d_depthwise(
    size: Sequence[int],
    *,
    channels: int = 1,
    classes: int = 1,
    pointwise: bool = False,
    depth: int = 5,
    width: int = 16,
) -> keras.Model:
    """V-Net of depthwise convolutions; Keras has no DepthwiseConv3D, so groups say it."""

    def unit(x: Tensor, width: int) -> Tensor:
        own = x.shape[-1]
        x = leaky(norm(layers.Conv3D(own, 3, padding="same", groups=own)(x)))
        return leaky(norm(layers.Conv3D(width, 1)(x))) if pointwise else x

    def block(x: Tensor, width: int, times: int) -> Tensor:
        before = x
        for _ in range(times):
            x = unit(x, width)
        return sum_with(x, before)

    image = keras.Input((*size, channels))
    x = layers.Conv3D(width, 3, padding="same")(image)
    skips = []
    for i in range(depth - 1):
        skips.append(x)
        x = layers.Conv3D(2 * width * 2**i, 2, strides=2, padding="same")(x)
        x = block(x, 2 * width * 2**i, min(i + 1, 3))
    for i in range(depth - 2, -1, -1):
        x = layers.Conv3D(width * 2**i, 1)(LinearEnlarge((2, 2, 2))(x))
        x = layers.Concatenate()([skips[i], x])
        x = block(x, 2 * width * 2**i, min(i + 1, 3))
    return keras.Model(image, layers.Conv3D(classes, 1)(x))


def unet_25d(
    size: Sequence[int],
    *,
    channels: int = 1,
    classes: int = 1,
    activation: Activation = relu,
    width: int = 16,
) -> keras.Model:
    """Wang et al. 2019: two levels in the plane, three in 3D, attention on the way up."""

    def kernel(level: int) -> tuple[int, int, int]:
        return (1, 3, 3) if level < 2 else (3, 3, 3)

    def stride(level: int) -> tuple[int, int, int]:
        return (1, 2, 2) if level <= 2 else (2, 2, 2)

    def conv(x: Tensor, width: int, level: int, **options: object) -> Tensor:
        return layers.Conv3D(width, kernel(level), padding="same", **options)(x)

    def block(x: Tensor, level: int) -> Tensor:
        for _ in range(2):
            x = activation(norm(conv(x, width * 2**level, level)))
        return x

    def attend(x: Tensor, level: int) -> Tensor:
        gate = conv(x, x.shape[-1] // 2, level, activation="relu")
        gate = conv(gate, 1, level, activation="sigmoid")
        return layers.Add()([layers.Multiply()([x, gate]), x])

    image = x = keras.Input((*size, channels))
    skips = []
    for level in range(5):
        if level:
            x = layers.MaxPooling3D(stride(level))(x)
        if level == 4:
            x = attend(x, level)
        x = block(x, level)
        skips.append(x)
    for level in range(3, -1, -1):
        x = LinearEnlarge(stride(level + 1))(x)
        x = conv(x, width * 2**level, level)
        x = attend(layers.Concatenate()([skips[level], x]), level)
        x = block(x, level)
    return keras.Model(image, conv(x, classes, 0))


def draw_weights(model: keras.Model, image: np.ndarray, seed: int) -> np.ndarray:
    """Give every weight a random value, moments included; logits get mean 0, deviation near 1.

    Returns:
        The logits of `image`, shape (N, *size, classes).
    """
    chance = np.random.default_rng(seed)
    for layer in model.layers:
        for variable in layer.variables:
            value = _draw(chance, variable.name, tuple(variable.shape), layer.name)
            if value is not None:
                variable.assign(value.astype("float32"))
    head = model.layers[-1]
    kernel, bias = head.get_weights()
    logits = predict(model, image)
    middle = logits.reshape(-1, logits.shape[-1]).mean(axis=0)
    head.set_weights([kernel / logits.std(), (bias - middle) / logits.std()])
    return predict(model, image)


def predict(model: keras.Model, image: np.ndarray) -> np.ndarray:
    """Compute logits in eval mode, shape (N, *size, classes)."""
    return np.asarray(model.predict_on_batch(image))


def _draw(
    chance: np.random.Generator, role: str, shape: tuple[int, ...], layer: str
) -> np.ndarray | None:
    if role == "kernel":
        incoming = shape[-1] if "transpose" in layer else np.prod(shape[:-1])
        return chance.normal(0, np.sqrt(2 / incoming), shape)
    if role in ("gamma", "moving_variance"):
        return chance.uniform(0.5, 1.5, shape)
    if role == "alpha":
        return chance.uniform(0, 0.5, shape)
    if role in ("bias", "beta", "moving_mean"):
        return chance.normal(0, 0.2, shape)
    return None  # the state of a dropout's generator
