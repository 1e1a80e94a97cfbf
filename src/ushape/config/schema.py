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
Percentile = Annotated[float, Ge(0), Le(100)]
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
            `percentile`: its 0.5 and 99.5 percentiles to -2 and 2. `unit`: the type's largest
            value (255, 65535) to 1. `none`: as it is. `ct`: by the same numbers in every image,
            `intensity`, as the values have a physical meaning.
        clip: Percentiles of each channel of each image that its values are clipped to first, such
            as `[0.5, 99.5]`: holds single wild pixels off the mean.
        nonzero: Take mean and deviation over pixels that are not zero, which stay zero.
        intensity: For `ct`: of each channel the values to clip to, and the mean to subtract and the
            deviation to divide by; unless set, those inside the foreground of the training cases.
        spacing_mm: Voxel edges, z y x, that every volume is resampled to; None keeps its own.
        crop: `nonzero` cuts borders off that are zero in all channels.
    """

    __pydantic_config__: ClassVar[dict[str, object]] = _STRICT
    channels: Count
    normalise: Literal["zscore", "percentile", "unit", "none", "ct"] = "zscore"
    clip: tuple[Percentile, Percentile] | None = None
    nonzero: bool = False
    intensity: tuple[tuple[float, float, float, Positive], ...] = ()
    spacing_mm: Annotated[tuple[Positive, ...], MinLen(2)] | None = None
    crop: Literal["none", "nonzero"] = "none"


@dataclass(frozen=True)
class PatchConfig:
    """What one training step sees."""

    __pydantic_config__: ClassVar[dict[str, object]] = _STRICT
    size: Sizes
    batch: Count


@dataclass(frozen=True)
class SamplingConfig:
    """Where training patches are cut.

    Attributes:
        foreground_fraction: Share of a batch's patches that are centred on a voxel of a class
            (rounded to whole patches, at least one where it is not 0); the others lie anywhere.
        classes: Which class such a patch is centred on: classes take `equal` turns, so that a batch
            with as many such patches as there are classes shows every one; or by their `size`.
        cases: Chance of a case: by its `size` (every voxel is as likely), or `equal`.
    """

    __pydantic_config__: ClassVar[dict[str, object]] = _STRICT
    foreground_fraction: Fraction = 0.0
    classes: Literal["equal", "size"] = "equal"
    cases: Literal["size", "equal"] = "size"


@dataclass(frozen=True)
class AugmentConfig:
    """How training patches are varied.

    Probabilities are per patch. Lengths are in pixels of the prepared image; where its axes are
    spaced unequally, in edges of its finest axis, so that one length is the same distance along
    every axis. Intensities are in units of the image's standard deviation. `*_range` and factors
    are the largest one; the smallest is its inverse.

    Attributes:
        right_angles: Also turn by 90 degrees, between axes of equal size and spacing.
        scale_axis_range: Further factor, drawn for each axis by itself.
        shear_degrees: Largest slant of one axis along another.
        elastic_pixels: Standard deviation of the offsets at the control points.
        elastic_spacing_pixels: Distance of the control points.
        slice_shift_pixels: How far the slices of a stack are shifted against each other.
        per_channel: Draw intensity changes for every channel by itself (several modalities) and
            not for all at once (colours).
        contrast_keeps_range: Clip to the range that the patch had.
        gamma_keeps_statistics: Restore the mean and the deviation that the patch had.
        inverted_gamma_probability: The same curve on the negative, besides `gamma_probability`.
        low_resolution: Largest factor by which the patch is sampled more coarsely.
        low_resolution_axes: `all` axes by the same factor, or `some`, drawn by chance.
        bias_field: Largest logarithm of the smooth factor.
        spikes: Most waves over a patch (spikes in k-space); spike_strength is their amplitude.
        cutout_boxes: Most boxes that are blanked; cutout_fraction is their longest edge as a
            fraction of the patch's.
        slice_dropout_fraction: Chance of every slice of a chosen patch to be blanked.
    """

    __pydantic_config__: ClassVar[dict[str, object]] = _STRICT
    flip: bool = True
    right_angles: bool = True
    rotation_probability: Fraction = 0.2
    rotation_degrees: Annotated[float, Ge(0), Le(180)] = 180.0
    scale_probability: Fraction = 0.2
    scale_range: Annotated[float, Ge(1), Le(4)] = 1.25
    scale_axis_probability: Fraction = 0.0
    scale_axis_range: Annotated[float, Ge(1), Le(2)] = 1.2
    shear_probability: Fraction = 0.0
    shear_degrees: Annotated[float, Ge(0), Le(45)] = 8.0
    shift_probability: Fraction = 0.0
    shift_pixels: NotNegative = 8.0
    elastic_probability: Fraction = 0.1
    elastic_pixels: NotNegative = 4.0
    elastic_spacing_pixels: Annotated[int, Ge(4)] = 32
    slice_shift_probability: Fraction = 0.0
    slice_shift_pixels: NotNegative = 2.0
    per_channel: bool = False
    brightness_probability: Fraction = 0.5
    brightness: NotNegative = 0.15
    brightness_factor_probability: Fraction = 0.0
    brightness_factor: Annotated[float, Ge(1), Le(10)] = 1.25
    contrast_probability: Fraction = 0.5
    contrast: Annotated[float, Ge(1), Le(10)] = 1.15
    contrast_keeps_range: bool = False
    gamma_probability: Fraction = 0.2
    gamma: Annotated[float, Ge(1), Le(10)] = 1.3
    inverted_gamma_probability: Fraction = 0.0
    gamma_keeps_statistics: bool = False
    noise_probability: Fraction = 0.15
    noise: NotNegative = 0.15
    blur_probability: Fraction = 0.1
    blur_pixels: Annotated[float, Ge(0), Le(8)] = 1.0
    low_resolution_probability: Fraction = 0.0
    low_resolution: Annotated[float, Ge(1), Le(8)] = 2.0
    low_resolution_axes: Literal["all", "some"] = "all"
    bias_field_probability: Fraction = 0.0
    bias_field: Annotated[float, Ge(0), Le(2)] = 0.4
    spikes_probability: Fraction = 0.0
    spikes: Count = 2
    spike_strength: NotNegative = 0.5
    cutout_probability: Fraction = 0.0
    cutout_boxes: Count = 3
    cutout_fraction: Fraction = 0.25
    slice_dropout_probability: Fraction = 0.0
    slice_dropout_fraction: Fraction = 0.1


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
    """The rest of the training loop.

    Attributes:
        thresholds: Which classes are predicted from the probability on that suits the validation
            cases best: thin `lines` only, or `all` classes that do not compete in a softmax.
        start_from: Run folder or model file whose weights the network starts from; only its heads
            and a branch may be new.
    """

    __pydantic_config__: ClassVar[dict[str, object]] = _STRICT
    seed: Annotated[int, Ge(0), Le(2**31 - 1)] = 0
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    channels_last: bool = False
    ema_decay: Annotated[float, Ge(0), Le(0.99999)] = 0.99
    validations: Count = 8
    save_every_s: NotNegative = 30.0
    thresholds: Literal["lines", "all"] = "lines"
    start_from: str | None = None


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
        label_folder: Name of the folder that the labels are in, where it is none of the usual.
        layout: The kind of layout, where a person said it (`ushape.data.layouts`).
        stack_mm: Voxel edges, z y x, where the pictures are the slices of one stack.
        align: Resample labels that lie on another grid than their image.
    """

    __pydantic_config__: ClassVar[dict[str, object]] = _STRICT
    root: str
    validation: str
    labels: Mapping[str, Any]
    label_folder: str | None = None
    layout: str | None = None
    stack_mm: tuple[Positive, Positive, Positive] | None = None
    align: bool = False


@dataclass(frozen=True)
class LinesConfig:
    """Graded targets of thin classes.

    Attributes:
        classes: Names of the thin classes; none for no graded targets.
        mode: `blurred`: copies of the mask, blurred with each sigma, are learnt beside it as
            outputs of their own. `distance`: the class itself is learnt as a Gaussian of the
            distance to the line, with the one sigma.
        sigma: In pixels, in volumes in edges of the finest axis; by default those of Gaussian
            kernels of 3, 7 and 15 pixels.
        loss: Of the blurred copies.
        weight: What that loss is multiplied by.
    """

    __pydantic_config__: ClassVar[dict[str, object]] = _STRICT
    classes: tuple[str, ...] = ()
    mode: Literal["blurred", "distance"] = "blurred"
    sigma: Annotated[tuple[Positive, ...], MinLen(1)] = (0.8, 1.4, 2.6)
    loss: str = "dice(squared=true) + bce"
    weight: NotNegative = 1.0

    @property
    def num_extra(self) -> int:
        """Outputs that a network has besides those of the classes."""
        return len(self.classes) * len(self.sigma) if self.mode == "blurred" else 0


@dataclass(frozen=True)
class FineConfig:
    """The second pass of a fine-grained network: small classes, looked for within a large one.

    Attributes:
        classes: Names of the small classes; none where there is no second pass.
        within: Name of the class that holds them; its regions are cut out and enlarged.
        regions: Look into `each` connected object of that class, or into the `largest` only.
        most_regions: Look into so many objects of an image, the largest ones.
        kind: `square` cuts the whole box; `mask` also blanks what lies outside the object.
        margin_fraction: Added on every side of an object, as a fraction of its longest edge.
        jitter: Largest shift of a box in training, as a fraction of its edges, and largest change
            of its size: predicted boxes are not perfect.
        cut_size: Pixels that a cut is resized to.
        cuts: Cuts of one training step.
        present_fraction: Share of the cuts that are drawn from regions that hold a small class
            (rounded); the others are drawn from all.
        loss: Of the small classes in the cuts.
        weight: What that loss is multiplied by.
    """

    __pydantic_config__: ClassVar[dict[str, object]] = _STRICT
    classes: tuple[str, ...] = ()
    within: str | None = None
    regions: Literal["each", "largest"] = "each"
    most_regions: Count = 64
    kind: Literal["square", "mask"] = "square"
    margin_fraction: Annotated[float, Ge(0), Le(4)] = 0.25
    jitter: Annotated[float, Ge(0), Le(1)] = 0.1
    cut_size: Sizes | None = None
    cuts: Count = 8
    present_fraction: Fraction = 0.25
    loss: str = "dice + bce"
    weight: NotNegative = 1.0


@dataclass(frozen=True)
class WeightMapConfig:
    """Pixel weights that hold gaps between objects open (Ronneberger et al. 2015, Eq. 2).

    Attributes:
        use: Whether the loss is weighted so.
        w0: Height of the weights in gaps.
        sigma: Their width, in pixels; in volumes whose files tell a spacing, in edges of a voxel
            along its finest axis, so that a gap across thick slices counts by its true width.
    """

    __pydantic_config__: ClassVar[dict[str, object]] = _STRICT
    use: bool = False
    w0: NotNegative = 10.0
    sigma: Positive = 5.0


@dataclass(frozen=True)
class RunConfig:
    """Everything that a run depends on, besides the data files themselves.

    Attributes:
        loss: A line for all classes, or a mapping from classes and groups of them to lines
            (`ushape.losses`).
        balance: `auto` brings the terms of the loss to one magnitude while training.
    """

    __pydantic_config__: ClassVar[dict[str, object]] = _STRICT
    data: DataConfig
    model: ModelConfig
    preprocess: PreprocessConfig
    patch: PatchConfig
    augment: AugmentConfig
    loss: str | Mapping[str, Any]
    optimizer: OptimizerConfig
    schedule: ScheduleConfig
    train: TrainConfig
    tiling: TilingConfig
    balance: Literal["none", "auto"] = "none"
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    lines: LinesConfig = field(default_factory=LinesConfig)
    fine: FineConfig = field(default_factory=FineConfig)
    weight_map: WeightMapConfig = field(default_factory=WeightMapConfig)
