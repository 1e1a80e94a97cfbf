"""Every setting of a run, as frozen dataclasses.

The planner fills them in (`ushape.plan.rules`), `config.yaml` in the run folder records them with
the reasons, `--set section.key=value` and `--config FILE` change them. pydantic checks types and
refuses unknown keys where text comes in (`ushape.config.load`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, Le, MinLen
from pydantic import AllowInfNan

Fraction = Annotated[float, Ge(0), Le(1)]
Positive = Annotated[float, Gt(0), AllowInfNan(False)]
NotNegative = Annotated[float, Ge(0), AllowInfNan(False)]
Count = Annotated[int, Ge(1)]
Sizes = Annotated[tuple[Count, ...], MinLen(2)]

_STRICT: dict[str, object] = {"extra": "forbid"}


@dataclass(frozen=True)
class ModelConfig:
    """Which network of the family (`ushape models`), and its options."""

    __pydantic_config__: ClassVar[dict[str, object]] = _STRICT
    name: str
    in_channels: Count
    classes: Count
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class PreprocessConfig:
    """How an image becomes the network's input.

    Attributes:
        channels: Channels that the network takes: 1 (grey) or 3 (RGB).
        normalise: `zscore`: each channel of each image to mean 0 and deviation 1.
            `percentile`: its 0.5 and 99.5 percentiles to -2 and 2.
    """

    __pydantic_config__: ClassVar[dict[str, object]] = _STRICT
    channels: Count
    normalise: Literal["zscore", "percentile"] = "zscore"


@dataclass(frozen=True)
class PatchConfig:
    """What one training step sees."""

    __pydantic_config__: ClassVar[dict[str, object]] = _STRICT
    size: Sizes
    batch: Count


@dataclass(frozen=True)
class AugmentConfig:
    """How training patches are varied.

    Probabilities are per patch. Lengths are in pixels of the prepared image, intensities in
    units of the image's standard deviation.
    """

    __pydantic_config__: ClassVar[dict[str, object]] = _STRICT
    flip: bool = True
    right_angles: bool = True
    rotation_probability: Fraction = 0.2
    rotation_degrees: Annotated[float, Ge(0), Le(180)] = 180.0
    scale_probability: Fraction = 0.2
    scale_range: Annotated[float, Ge(1), Le(4)] = 1.25
    shift_probability: Fraction = 0.0
    shift_pixels: NotNegative = 8.0
    elastic_probability: Fraction = 0.1
    elastic_pixels: NotNegative = 4.0
    elastic_spacing_pixels: Annotated[int, Ge(4)] = 32
    brightness_probability: Fraction = 0.5
    brightness: NotNegative = 0.15
    contrast_probability: Fraction = 0.5
    contrast: Annotated[float, Ge(1), Le(10)] = 1.15
    gamma_probability: Fraction = 0.2
    gamma: Annotated[float, Ge(1), Le(10)] = 1.3
    noise_probability: Fraction = 0.15
    noise: NotNegative = 0.15
    blur_probability: Fraction = 0.1
    blur_pixels: Annotated[float, Ge(0), Le(8)] = 1.0


@dataclass(frozen=True)
class OptimizerConfig:
    """The optimiser. `momentum` is for sgd only."""

    __pydantic_config__: ClassVar[dict[str, object]] = _STRICT
    name: Literal["adamw", "sgd"] = "adamw"
    learning_rate: Positive = 2e-3
    weight_decay: NotNegative = 1e-2
    momentum: Annotated[float, Ge(0), Le(0.9999)] = 0.99
    clip_norm: Positive = 5.0


@dataclass(frozen=True)
class ScheduleConfig:
    """When training ends, and how the learning rate gets there.

    Exactly one of `budget_s` and `steps` is set. The rate rises for `warmup_fraction` of the
    training and then falls along `shape` to zero, exactly at the end.
    """

    __pydantic_config__: ClassVar[dict[str, object]] = _STRICT
    budget_s: Positive | None = None
    steps: Count | None = None
    shape: Literal["cosine", "linear", "polynomial"] = "cosine"
    warmup_fraction: Fraction = 0.05


@dataclass(frozen=True)
class TrainConfig:
    """The rest of the training loop."""

    __pydantic_config__: ClassVar[dict[str, object]] = _STRICT
    seed: Annotated[int, Ge(0), Le(2**31 - 1)] = 0
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    channels_last: bool = False
    ema_decay: Annotated[float, Ge(0), Le(0.99999)] = 0.99
    validations: Count = 8
    save_every_s: NotNegative = 30.0


@dataclass(frozen=True)
class TilingConfig:
    """How whole images are predicted.

    Attributes:
        tile_size: Input size of a tile; a multiple of the network's total stride, or one of the
            sizes that an unpadded network takes.
        overlap_fraction: Overlap of blended tiles; unpadded networks tile exactly.
        batch: Tiles that go through the network at once.
        mirror: Average over the image's flips and right-angle turns: eight times the work in 2D.
    """

    __pydantic_config__: ClassVar[dict[str, object]] = _STRICT
    tile_size: Sizes
    overlap_fraction: Annotated[float, Ge(0), Le(0.75)] = 0.25
    batch: Count = 1
    mirror: bool = False


@dataclass(frozen=True)
class DataConfig:
    """Where the cases are and what their labels mean.

    Attributes:
        root: The data folder.
        validation: What `--val` said (names, ranges, globs, a fraction, a file).
        labels: The label table (`ushape.labels.LabelTable.to_json`).
    """

    __pydantic_config__: ClassVar[dict[str, object]] = _STRICT
    root: str
    validation: str
    labels: Mapping[str, Any]


@dataclass(frozen=True)
class RunConfig:
    """Everything that a run depends on, besides the data files themselves."""

    __pydantic_config__: ClassVar[dict[str, object]] = _STRICT
    data: DataConfig
    model: ModelConfig
    preprocess: PreprocessConfig
    patch: PatchConfig
    augment: AugmentConfig
    loss: str
    optimizer: OptimizerConfig
    schedule: ScheduleConfig
    train: TrainConfig
    tiling: TilingConfig
