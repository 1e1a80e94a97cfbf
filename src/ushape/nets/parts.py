"""The parts that network descriptions are made of: one frozen dataclass a kind, no torch.

What varies between papers is a tagged union (`Block`, `Down`, `Up`, `Merge`, `Auxiliary`): a new
kind is a new member with its own fields, not a flag. The `kind` of a member is its name in stored
model files (`spec_json`) and must not change. Sizes are per axis, `(y, x)` or `(z, y, x)`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from ushape.sizes import Size

Padding = Literal["same", "pad-then-valid", "valid"]
"""`same` keeps sizes with zeros at the border, inside each convolution; `pad-then-valid` puts the
same zeros there in a step of its own (equal numbers, another exported graph); `valid` pads nothing
and loses the border."""

StridePadding = Literal["centred", "after"]
"""Where a padded convolution with stride 2 has its zeros: `centred` as PyTorch's `padding=1`;
`after` as TensorFlow's and Keras' "same", whose windows start on the first pixel."""

Norm = Literal["batch", "instance", "none"]
"""What stands between a convolution and its activation."""

Activation = Literal["relu", "leaky_relu", "prelu", "elu", "silu", "gelu"]
"""What stands behind norms; `prelu` has one slope a channel."""

Ending = Literal["bare", "active", "normed"]
"""What follows the convolution of a way up or down: nothing, activation, norm and activation."""


@dataclass(frozen=True)
class KitSpec:
    """What holds for every layer of a network.

    Attributes:
        slope: Of `leaky_relu`, for negative values.
    """

    spatial_dims: int
    padding: Padding
    norm: Norm
    activation: Activation = "relu"
    slope: float = 0.01


@dataclass(frozen=True)
class PlainBlock:
    """One convolution a width, each followed by norm and activation."""

    kind: ClassVar[str] = "plain"
    widths: tuple[int, ...]
    kernel_size: Size


@dataclass(frozen=True)
class BareBlock:
    """One convolution a width and nothing after them."""

    kind: ClassVar[str] = "bare"
    widths: tuple[int, ...]
    kernel_size: Size


@dataclass(frozen=True)
class ResidualBlock:
    """Plain blocks whose input is added before their last activation (He et al. 2016, Fig. 2).

    Where the channels differ, a 1x1 convolution projects the input.

    Attributes:
        widths: Channels of the convolutions of one block.
        repeats: That many such blocks in a row.
        stem: Channels of one convolution, norm, activation before the first; 0 for none.
        shortcut: `project` has a 1x1 convolution with bias; `project_norm` one without bias, then
            norm. Where the block strides, the input is average-pooled first.
    """

    kind: ClassVar[str] = "residual"
    widths: tuple[int, ...]
    kernel_size: Size
    repeats: int = 1
    stem: int = 0
    shortcut: Literal["project", "project_norm"] = "project"


@dataclass(frozen=True)
class VNetBlock:
    """Convolution, norm, activation once a width, plus a shortcut without weights.

    Milletari et al. 2016, Fig. 2: a single channel is repeated, missing ones are zero.

    Attributes:
        adds: `input`, the block's own; `enlarged`, of what a decoder merges the map from below.
    """

    kind: ClassVar[str] = "vnet"
    widths: tuple[int, ...]
    kernel_size: Size
    adds: Literal["input", "enlarged"] = "input"


@dataclass(frozen=True)
class DepthwiseBlock:
    """Once a width: depthwise convolution, norm, activation, and a pointwise one likewise.

    Attributes:
        pointwise: False leaves the pointwise halves out; then channels cannot change.
        adds: `input` adds the block's input, zero-padded or truncated to fit.
    """

    kind: ClassVar[str] = "depthwise"
    widths: tuple[int, ...]
    kernel_size: Size
    pointwise: bool = True
    adds: Literal["input", "nothing"] = "nothing"


@dataclass(frozen=True)
class BottleneckBlock:
    """One bottleneck unit a width n: 1x1 to n/4, kernel at n/4, 1x1 to n, plus the input.

    Norm after each, activation after the first two and after the sum; 1x1 with norm on the
    shortcut where channels differ (He et al. 2016, Fig. 5).
    """

    kind: ClassVar[str] = "bottleneck"
    widths: tuple[int, ...]
    kernel_size: Size


@dataclass(frozen=True)
class InceptionBlock:
    """One inception module a width n: three arms side by side, concatenated.

    1x1 to n/4; 1x1 to n/4 and kernel to n/2; 1x1 to n/4 and the kernel twice at n/4. Norm and
    activation after each (Szegedy et al. 2016, Fig. 5, without the pooling arm).
    """

    kind: ClassVar[str] = "inception"
    widths: tuple[int, ...]
    kernel_size: Size


@dataclass(frozen=True)
class PublishedMap:
    """A map that the backbone publishes; only on encoder nodes of networks that have one."""

    kind: ClassVar[str] = "published"
    widths: tuple[int, ...]


@dataclass(frozen=True)
class NoBlock:
    """Nothing: the merged map is the node's map."""

    kind: ClassVar[str] = "none"
    widths: tuple[int, ...]


ConvolvingBlock = (
    PlainBlock
    | BareBlock
    | ResidualBlock
    | VNetBlock
    | DepthwiseBlock
    | BottleneckBlock
    | InceptionBlock
)
Block = ConvolvingBlock | PublishedMap | NoBlock


@dataclass(frozen=True)
class MaxPool:
    """Max-pooling; window and stride are the step's stride."""

    kind: ClassVar[str] = "max_pool"


@dataclass(frozen=True)
class ConvDown:
    """A convolution with the step's stride."""

    kind: ClassVar[str] = "conv"
    width: int
    kernel_size: Size
    ending: Ending = "normed"
    padding: StridePadding = "centred"


@dataclass(frozen=True)
class InceptionDown:
    """Three arms with the step's stride, concatenated; c channels become `width` = 2c.

    3x3 max-pooling; 3x3 convolution to c/2; 1x1 to c/4, 3x3 at c/4, 3x3 to c/2; the strides are on
    the last layer of each arm, norm and activation after every convolution.
    """

    kind: ClassVar[str] = "inception"
    width: int
    padding: StridePadding = "centred"


@dataclass(frozen=True)
class BlockDown:
    """No layer of its own: the level's block strides in its first convolution."""

    kind: ClassVar[str] = "block"


@dataclass(frozen=True)
class BackboneDown:
    """Inside the backbone."""

    kind: ClassVar[str] = "backbone"


Down = MaxPool | ConvDown | InceptionDown | BlockDown | BackboneDown


@dataclass(frozen=True)
class NearestUp:
    """Nearest-neighbour enlargement, a convolution of the stride's size.

    The convolution keeps the enlarged size: zeros stand after the last pixel of each axis.
    """

    kind: ClassVar[str] = "nearest"
    width: int
    ending: Ending = "active"


@dataclass(frozen=True)
class TransposedUp:
    """A transposed convolution whose kernel is its stride."""

    kind: ClassVar[str] = "transposed"
    width: int
    ending: Ending = "active"
    bias: bool = True


@dataclass(frozen=True)
class LinearUp:
    """Linear enlargement and a convolution.

    Attributes:
        kernel_size: None for 1x1, which commutes with the enlargement and is computed before it.
        align_corners: False has half-pixel centres; True maps corner pixels on corner pixels, as
            the Keras originals did; then a pixel's place depends on the size of the image.
    """

    kind: ClassVar[str] = "linear"
    width: int
    ending: Ending = "active"
    kernel_size: Size | None = None
    align_corners: bool = False


@dataclass(frozen=True)
class RepeatUp:
    """Nearest-neighbour enlargement alone; `width` is that of the map below."""

    kind: ClassVar[str] = "repeat"
    width: int


@dataclass(frozen=True)
class LinkUp:
    """1x1 to a quarter, transposed convolution of twice the stride's size, 1x1 to `width`.

    Norm and activation after each (Chaurasia and Culurciello 2017, Fig. 3).
    """

    kind: ClassVar[str] = "link"
    width: int


Up = NearestUp | TransposedUp | LinearUp | RepeatUp | LinkUp


@dataclass(frozen=True)
class Concatenate:
    """Earlier maps of the level, centre-cropped, then the enlarged map, channel after channel."""

    kind: ClassVar[str] = "concatenate"


@dataclass(frozen=True)
class Add:
    """The sum of the enlarged map and earlier maps of the level, all of one width."""

    kind: ClassVar[str] = "add"


@dataclass(frozen=True)
class GatedConcatenate:
    """As `Concatenate`, each earlier map scaled by an attention gate (Oktay et al. 2018, Fig. 2).

    The gate reads the map and, at its coarser resolution, the map from below.
    """

    kind: ClassVar[str] = "gated"


Merge = Concatenate | Add | GatedConcatenate


@dataclass(frozen=True)
class Step:
    """How a level hangs on the level above it: the way down to it and the way up from it."""

    stride: Size
    down: Down
    up: Up


@dataclass(frozen=True)
class Attention:
    """Spatial attention before a block: x becomes x * a + x (Wang et al. 2019, Fig. 2).

    a = sigmoid(convolution to one channel(ReLU(convolution to half the channels(x)))).
    """

    kernel_size: Size


@dataclass(frozen=True)
class LevelSpec:
    """One resolution.

    Attributes:
        encoder: Block of node (level, 0); None where a backbone publishes no map.
        decoder: Block of the level's other nodes; None on the lowest level, which has none.
        step: Step from the level above; None on level 0, which reads the image.
        dropout: Probability that an element of the encoder's map is zeroed in training.
        attention: What stands before the level's decoder blocks (lowest level: its encoder block).
    """

    encoder: Block | None
    decoder: Block | None = None
    step: Step | None = None
    dropout: float = 0.0
    attention: Attention | None = None


@dataclass(frozen=True)
class Backbone:
    """An encoder of the timm library, by its name there.

    Attributes:
        weights: Where fresh networks take its weights from: a timm tag or a file; None draws them.
    """

    model: str
    weights: str | None = None


@dataclass(frozen=True)
class NodeHead:
    """Logits of the same classes from an inner node (deep supervision)."""

    kind: ClassVar[str] = "logits"
    node: str


@dataclass(frozen=True)
class AttentionMap:
    """The one-channel map of a node's attention, before its sigmoid."""

    kind: ClassVar[str] = "attention"
    node: str


@dataclass(frozen=True)
class FineHead:
    """A second head on the output node, with classes of its own (fine-grained networks)."""

    kind: ClassVar[str] = "fine"
    classes: int


Auxiliary = NodeHead | AttentionMap | FineHead


@dataclass(frozen=True)
class Branch:
    """A way from an inner node straight to the logits of some classes.

    1x1 convolution, transposed convolution to full resolution, added to those logits.

    Attributes:
        node: Where it starts.
        classes: The logit channels that it is added to.
    """

    node: str
    classes: tuple[int, ...]
