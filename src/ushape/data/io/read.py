"""Give the numbers of a picture file their meaning: intensities of an image, or label values."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ushape.data.io.decode import decode
from ushape.data.io.sniff import unreadable

_LARGEST_VALUE = 2**31 - 1
_ALPHA_REMEDY = "save it without the alpha channel"


@dataclass(frozen=True)
class LabelPicture:
    """The values of one label file.

    Attributes:
        values: Shape (y, x), an integer type, never negative; packed 0xRRGGBB for colours.
        is_color: The values are packed colours.
        num_channels: 3 when the file stores colours, even if all of them are grey; else 1.
        palette: Of a palette file, packed colours by index; the values are indices. Else empty.
    """

    values: np.ndarray[Any, Any]
    is_color: bool
    num_channels: int = 1
    palette: tuple[int, ...] = ()


def read_image(path: str | Path) -> np.ndarray[Any, Any]:
    """Read an image.

    Palettes are expanded to colours. An alpha channel is dropped when every pixel is opaque.
    Intensities stay as stored for uint8 and uint16; one bit becomes 0 and 255; every other type
    becomes float32.

    Args:
        path: A PNG, JPEG, BMP or TIFF file with one picture.

    Returns:
        Shape (C, y, x) with C = 1 for grey or 3 for colour; uint8, uint16 or float32; finite.

    Raises:
        DataError: The file cannot be read, is partly transparent, or holds nan or infinity.
    """
    path = Path(path)
    raster = decode(path)
    if not raster.is_opaque:
        raise unreadable(path, "parts of the image are transparent", _ALPHA_REMEDY)
    samples = raster.samples
    if raster.palette is not None:
        samples = raster.palette[samples[..., 0]]
    if samples.dtype == np.bool_ or samples.dtype.kind not in "uif":
        raise unreadable(path, f"its numbers are {samples.dtype}", "save it with 8 or 16 bit")
    if samples.dtype.newbyteorder("=") not in (np.uint8, np.uint16):
        samples = _finite_float32(path, samples)
    native = samples.astype(samples.dtype.newbyteorder("="), copy=False)
    return np.ascontiguousarray(np.moveaxis(native, -1, 0))


def read_label(path: str | Path, *, is_color: bool | None = None) -> LabelPicture:
    """Read a label picture: whole numbers, one a pixel.

    Palette files give the index, not the colour. Colour files whose three channels are equal
    everywhere give the grey value, others the packed colour 0xRRGGBB.

    Args:
        path: A PNG, JPEG, BMP or TIFF file with one picture.
        is_color: None takes each file as it is. True packs grey values v of a colour file as
            0xvvvvvv too, as a data set needs whose other labels are colours; False refuses
            true colours.

    Returns:
        The values, and whether they are packed colours.

    Raises:
        DataError: The file cannot be read, is partly transparent, holds fractions, nan or
            negative values, or is coloured where grey is needed or the reverse.
    """
    path = Path(path)
    raster = decode(path)
    if not raster.is_opaque and raster.palette is None:
        raise unreadable(path, "parts of the label are transparent", _ALPHA_REMEDY)
    values = _whole_numbers(path, raster.samples)
    num_channels = values.shape[-1]
    is_grey = num_channels == 1 or bool(np.all(values == values[..., :1]))
    if is_color is None:
        is_color = not is_grey
    elif is_color and num_channels == 1:
        raise unreadable(
            path, "the label is grey, the other labels are colours", "save all labels in one way"
        )
    elif not is_color and not is_grey:
        raise unreadable(
            path, "the label has colours, the other labels are grey", "save all labels in one way"
        )
    if not is_color:
        return LabelPicture(values[..., 0].copy(), False, num_channels, _packed(raster.palette))
    if int(values.max()) > 255:
        raise unreadable(path, "its colours have 16 bit", "save the label with 8 bit a channel")
    red, green, blue = np.moveaxis(values.astype(np.int32), -1, 0)
    return LabelPicture((red << 16) | (green << 8) | blue, True, num_channels)


def _packed(palette: np.ndarray[Any, Any] | None) -> tuple[int, ...]:
    if palette is None:
        return ()
    return tuple(int(color) for color in palette.astype(np.int64) @ (1 << 16, 1 << 8, 1))


def _finite_float32(path: Path, samples: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    with np.errstate(over="ignore"):  # too large for float32 becomes infinite and is told below
        values = samples.astype(np.float32)
    num_bad = int(values.size - np.count_nonzero(np.isfinite(values)))
    if num_bad:
        raise unreadable(
            path,
            f"{num_bad} values are nan or infinite",
            "replace them by numbers, or leave it out",
        )
    return values


def _whole_numbers(path: Path, samples: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Check label values and bring them to uint8, uint16 or int32."""
    kind = samples.dtype.kind
    if kind not in "uif":
        raise unreadable(
            path, f"its numbers are {samples.dtype}", "save whole numbers, 8 or 16 bit"
        )
    if kind == "f" and not bool(np.all(np.isfinite(samples))):
        raise unreadable(path, "the label holds nan or infinity", "replace them by a label value")
    if kind == "f" and not bool(np.all(samples == np.rint(samples))):
        raise unreadable(
            path, "the label holds fractions", "save whole numbers, or threshold it first"
        )
    if kind != "u" and float(samples.min()) < 0:
        raise unreadable(
            path, f"the label holds {samples.min():g}", "label values must be 0 or larger"
        )
    if int(samples.max()) > _LARGEST_VALUE:
        raise unreadable(
            path, f"the label holds {samples.max():g}", f"the largest value is {_LARGEST_VALUE}"
        )
    if kind == "u" and samples.dtype.itemsize <= 2:
        return samples.astype(samples.dtype.newbyteorder("="), copy=False)
    return samples.astype(np.int32)
