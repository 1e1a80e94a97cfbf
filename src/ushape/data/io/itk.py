"""The border to SimpleITK, which reads DICOM, writes NIfTI, NRRD and MetaImage, and resamples.

SimpleITK runs in x, y, z order; here alone sequences are reversed. It is imported on first use.
"""

from __future__ import annotations

import importlib
import locale
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ushape.data.io.grid import Grid
from ushape.data.io.quiet import quietly
from ushape.data.io.sniff import unreadable
from ushape.data.io.volume import Values

_ADDRESS = re.compile(r"^\s*(\[nrrd\] \S+:|\w+ImageIO ?\(0x[0-9a-f]+\):)")


@contextmanager
def quiet_itk() -> Iterator[Any]:
    """Give SimpleITK with its warnings switched off: they go to the terminal past Python.

    Its DICOM reader sets the process's locale to "C", in which Python writes and reads text as
    ASCII: the locale is set back.
    """
    with quietly():  # its wrapper warns on import under Python 3.12
        sitk: Any = importlib.import_module("SimpleITK")
        before = sitk.ProcessObject_GetGlobalWarningDisplay()
        sitk.ProcessObject_SetGlobalWarningDisplay(False)
        language = locale.setlocale(locale.LC_ALL)
        try:
            yield sitk
        finally:
            locale.setlocale(locale.LC_ALL, language)
            sitk.ProcessObject_SetGlobalWarningDisplay(before)


def dtype_of(sitk: Any, path: Path, pixel_id: int) -> np.dtype[Any]:
    """Translate SimpleITK's name of a type.

    Raises:
        DataError: The numbers are complex, or of no type at all.
    """
    name = sitk.GetPixelIDValueAsString(pixel_id)  # such as "vector of 16-bit unsigned integer"
    words = name.split()
    bits = next((word.removesuffix("-bit") for word in words if word.endswith("-bit")), "")
    if "complex" in words or not bits:
        raise unreadable(path, f"its numbers are {name}", "save real numbers")
    letter = "f" if "float" in words else "u" if "unsigned" in words else "i"
    return np.dtype(f"{letter}{int(bits) // 8}")


class _Held:
    """Lets NumPy use the memory of a SimpleITK image, and keeps the image while it does."""

    def __init__(self, sitk: Any, image: Any) -> None:
        self._image = image
        self._view = sitk.GetArrayViewFromImage(image)
        interface = dict(self._view.__array_interface__)
        interface["data"] = (interface["data"][0], False)  # no one else has this image
        self.__array_interface__ = interface


def values_of(sitk: Any, image: Any) -> Values:
    """Return the values of an image without copying them, z y x, channels last if there are any."""
    return np.asarray(_Held(sitk, image))


def itk_reason(error: BaseException) -> str:
    """Shorten an error of SimpleITK to its last line that says something."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = [line for line in lines if not line.startswith("Exception thrown")]
    text = (said or lines or [type(error).__name__])[-1]
    for mark in ("ITK ERROR:", "itk::ERROR:", "sitk::ERROR:"):
        text = text.split(mark)[-1]
    return _ADDRESS.sub("", text).strip()[:160]


def to_itk(sitk: Any, values: Values, grid: Grid) -> Any:
    """Make an image of values (C, *size); several channels become the components of a vector."""
    is_vector = len(values) > 1
    image = sitk.GetImageFromArray(
        np.moveaxis(values, 0, -1) if is_vector else values[0], isVector=is_vector
    )
    image.SetSpacing(grid.edges_mm[::-1])
    image.SetOrigin(grid.origin_mm[::-1])
    image.SetDirection(np.asarray(grid.direction)[::-1, ::-1].ravel().tolist())
    return image
