"""The catalogue: one short function an entry, holding the paper's numbers as its defaults."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from ushape.errors import ConfigError, unknown_name
from ushape.nets.options import (
    Choice,
    Edge,
    Flag,
    Fraction,
    Option,
    OptionInfo,
    Whole,
    Wholes,
    accept_options,
    list_options,
)
from ushape.nets.spec import (
    KitSpec,
    LevelSpec,
    LinearUp,
    MaxPool,
    NearestUp,
    NetworkSpec,
    Norm,
    PlainBlock,
    ResidualBlock,
    Step,
    TransposedUp,
)
from ushape.sizes import Size, per_axis

UpName = Literal["nearest", "transposed", "linear"]
_UPS = {cls.kind: cls for cls in (NearestUp, TransposedUp, LinearUp)}

Levels = Annotated[int, Option(Whole(3, 6), "resolutions, the full one included")]
Width = Annotated[int, Option(Whole(1, 1024), "channels of level 0; every level doubles them")]
Widths = Annotated[
    tuple[int, ...] | None,
    Option(Wholes(3, 6, 1, 65536), "channels of every level", replaces=("levels", "width")),
]
NumConvs = Annotated[int, Option(Whole(1, 8), "convolutions a block")]
KernelSize = Annotated[int | Size, Option(Edge((1, 3, 5, 7)), "kernel of the convolutions")]
Stride = Annotated[int | Size, Option(Edge((1, 2)), "how much smaller each level is")]
UpOption = Annotated[
    UpName,
    Option(
        Choice(tuple(_UPS)),
        "how maps are enlarged: nearest-neighbour and 2x2 convolution, transposed 2x2 "
        "convolution (same parameters, faster), or 1x1 convolution and linear interpolation",
    ),
]
Dropout = Annotated[float, Option(Fraction(), "dropout at the end of the two lowest levels")]


def unet_original(
    *,
    in_channels: int,
    classes: int,
    spatial_dims: Annotated[int, Option(Choice((2,)), "axes of an image")] = 2,
    levels: Levels = 5,
    width: Width = 64,
    widths: Widths = None,
    num_convs: NumConvs = 2,
    kernel_size: KernelSize = 3,
    up: UpOption = "nearest",
    dropout: Dropout = 0.5,
) -> NetworkSpec:
    """U-Net as published: unpadded convolutions, no norm, the border is lost.

    Two unpadded 3x3 convolutions a level, each with ReLU; 2x2 max-pooling; nearest-neighbour
    doubling and a 2x2 convolution that halves the channels; skips centre-cropped and
    concatenated; dropout at the end of the contracting path, on the two levels where the
    released network has it.

    Source: Ronneberger, Fischer, Brox, "U-Net: convolutional networks for biomedical image
    segmentation", MICCAI 2015, Fig. 1 and section 3.
    """
    kit = KitSpec(spatial_dims, padding="valid", norm="none")
    kernel = _axes("kernel_size", kernel_size, spatial_dims)
    stride = per_axis(2, spatial_dims)
    blocks = [PlainBlock((w,) * num_convs, kernel) for w in widths or _doubling(width, levels)]
    return NetworkSpec(
        "unet_original", in_channels, classes, kit, _levels(blocks, stride, up, dropout)
    )


def unet_padding(
    *,
    in_channels: int,
    classes: int,
    spatial_dims: Annotated[int, Option(Choice((2, 3)), "axes of an image")] = 2,
    levels: Levels = 5,
    width: Width = 64,
    widths: Widths = None,
    num_convs: NumConvs = 2,
    kernel_size: KernelSize = 3,
    stride: Stride = 2,
    up: UpOption = "nearest",
    norm: Annotated[
        Norm, Option(Choice(("batch", "instance", "none")), "norm after every convolution")
    ] = "batch",
    dropout: Dropout = 0.0,
    residual: Annotated[bool, Option(Flag(), "add the input of every block to its output")] = False,
) -> NetworkSpec:
    """U-Net with padding that keeps sizes and batch norm, in 2D and 3D.

    As `unet_original`, but padded; order convolution, norm, ReLU. `residual` adds a block's
    input, projected by a 1x1 convolution where channels differ, before the block's last ReLU.

    Source: Ronneberger, Fischer, Brox 2015, padded; residual after He, Zhang, Ren, Sun, "Deep
    residual learning for image recognition", CVPR 2016, Fig. 2.
    """
    kit = KitSpec(spatial_dims, padding="same", norm=norm)
    kernel = _axes("kernel_size", kernel_size, spatial_dims)
    block = ResidualBlock if residual else PlainBlock
    blocks = [block((w,) * num_convs, kernel) for w in widths or _doubling(width, levels)]
    rows = _levels(blocks, _axes("stride", stride, spatial_dims), up, dropout)
    return NetworkSpec("unet_padding", in_channels, classes, kit, rows)


def _axes(option: str, value: int | Size, spatial_dims: int) -> Size:
    try:
        return per_axis(value, spatial_dims)
    except ConfigError as error:
        raise ConfigError(f"{option}: {error}") from error


def _doubling(width: int, levels: int) -> Size:
    return tuple(width * 2**level for level in range(levels))


def _levels(
    blocks: Sequence[PlainBlock | ResidualBlock], stride: Size, up: UpName, dropout: float
) -> tuple[LevelSpec, ...]:
    """Make symmetric levels: the same block on both paths, up to the width of the level above."""
    last = len(blocks) - 1
    return tuple(
        LevelSpec(
            encoder=block,
            decoder=block if level < last else None,
            step=Step(stride, MaxPool(), _UPS[up](blocks[level - 1].widths[-1])) if level else None,
            dropout=dropout if level >= last - 1 else 0.0,
        )
        for level, block in enumerate(blocks)
    )


@dataclass(frozen=True)
class CatalogEntry:
    """One network that can be asked for by name.

    Attributes:
        name: What `build` and `--model` take.
        spatial_dims: The numbers of image axes that it is made for.
        summary: One line.
        source: The paper.
        options: What can be set beside `in_channels` and `classes`.
    """

    name: str
    spatial_dims: tuple[int, ...]
    summary: str
    source: str
    options: tuple[OptionInfo, ...]


_ENTRIES: dict[str, Callable[..., NetworkSpec]] = {
    entry.__name__: entry for entry in (unet_original, unet_padding)
}


def entries() -> tuple[CatalogEntry, ...]:
    """List the catalogue, oldest paper first.

    >>> [entry.name for entry in entries()]
    ['unet_original', 'unet_padding']
    """
    return tuple(_describe_entry(name, entry) for name, entry in _ENTRIES.items())


def make_spec(name: str, *, in_channels: int = 1, classes: int = 1, **options: Any) -> NetworkSpec:
    """Describe a network of the catalogue, every option checked.

    Args:
        name: A catalogue name.
        in_channels: Image channels, 1 or more.
        classes: Logit channels, 1 or more.
        options: The entry's own; lists are taken as tuples.

    Raises:
        ConfigError: Unknown name or option (the nearest is named), or a value not allowed.
    """
    if name not in _ENTRIES:
        raise ConfigError(unknown_name("network", name, _ENTRIES))
    for what, count in (("in_channels", in_channels), ("classes", classes)):
        if type(count) is not int or count < 1:
            raise ConfigError(f"{what}={count!r} of {name} is not allowed: give 1 or more")
    entry = _ENTRIES[name]
    accepted = accept_options(name, entry, options)
    try:
        return entry(in_channels=in_channels, classes=classes, **accepted)
    except ConfigError as error:
        raise ConfigError(f"{name}: {error}") from error


def _describe_entry(name: str, entry: Callable[..., NetworkSpec]) -> CatalogEntry:
    summary, _, rest = inspect.cleandoc(entry.__doc__ or "").partition("\n")
    source = " ".join(rest.partition("Source:")[2].split())
    options = list_options(entry)
    dims = next(option.choices for option in options if option.name == "spatial_dims")
    return CatalogEntry(name, tuple(map(int, dims)), summary, source, options)
