"""Read the voxel spacing that ImageJ and OME note in TIFF files.

The resolution tags alone are not believed: programs write 72 dpi into pictures of anything.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ushape.data.io.sniff import unreadable

UNITS_MM = {
    "pm": 1e-9, "picometer": 1e-9, "angstrom": 1e-7, "å": 1e-7, "a": 1e-7,
    "nm": 1e-6, "nanometer": 1e-6, "nanometre": 1e-6,
    "um": 1e-3, "µm": 1e-3, "μm": 1e-3, "micron": 1e-3, "microns": 1e-3, "micrometer": 1e-3,
    "micrometre": 1e-3, "\\u00b5m": 1e-3,
    "mm": 1.0, "millimeter": 1.0, "millimetre": 1.0, "cm": 10.0, "centimeter": 10.0,
    "centimetre": 10.0, "m": 1e3, "meter": 1e3, "metre": 1e3, "in": 25.4, "inch": 25.4,
}  # fmt: skip
"""Millimetres of every unit of length that is understood, in lower case."""

Spacing = dict[str, float]


def spacing_of(tif: Any) -> Spacing:
    """Return the spacing in mm by axis letter, for the axes that the file tells it of.

    Args:
        tif: An open tifffile.TiffFile.

    Raises:
        DataError: A number there is none; the message names the field.
    """
    path = Path(tif.filehandle.path)
    if tif.is_ome and tif.ome_metadata:
        return _ome(path, tif.ome_metadata)
    if tif.is_imagej and tif.imagej_metadata:
        return _imagej(path, tif.imagej_metadata, tif.pages[0].tags)
    return {}


def missing_edges(spacing: Spacing, axes: str) -> str | None:
    """Say which edges of a voxel a file lacks where it tells others; None where all is told.

    Args:
        spacing: By axis letter, in mm.
        axes: The letters of the spatial axes.
    """
    told = [axis for axis in axes if axis in spacing]
    if len(told) in (0, len(axes)):
        return None
    edges = " x ".join(f"{spacing[axis]:g}" for axis in told)
    lacking = ", ".join(axis for axis in axes if axis not in spacing)
    return (
        f"it tells the edges of a voxel along {', '.join(told)} ({edges} mm) but not along "
        f"{lacking}: none is used; tell all in the column spacing_mm of a manifest.csv"
    )


def _ome(path: Path, text: str) -> Spacing:
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        return {}  # entities could expand without bound, and OME has none
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError:
        return {}
    pixels = root.find(".//{*}Pixels")
    if pixels is None:
        return {}
    found = {}
    for axis in "zyx":
        edge = pixels.get(f"PhysicalSize{axis.upper()}")
        unit = pixels.get(f"PhysicalSize{axis.upper()}Unit", "µm")  # the default of the schema
        scale = UNITS_MM.get(unit.lower() if len(unit) > 1 else unit)
        if edge is not None and scale is not None:
            found[axis] = _number(path, f"PhysicalSize{axis.upper()}", edge, "OME") * scale
    return found


def _imagej(path: Path, metadata: Mapping[str, Any], tags: Any) -> Spacing:
    unit = str(metadata.get("unit", "")).strip().lower()
    scale = UNITS_MM.get(unit)
    if scale is None:  # "pixel", or nothing
        return {}
    between = _number(path, "spacing", metadata.get("spacing", 1.0), "ImageJ")  # a 1 is left out
    found = {"z": abs(between) * scale}
    for axis, name in (("x", "XResolution"), ("y", "YResolution")):
        tag = tags.get(name)
        if tag is not None and tag.value[0]:
            found[axis] = tag.value[1] / tag.value[0] * scale
    return found


def _number(path: Path, field: str, value: Any, program: str) -> float:
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        text = " ".join(str(value).split())[:40]
        raise unreadable(
            path,
            f"{field} in its {program} metadata is {text!r}, which is no number",
            "correct it, such as in Fiji under Image > Properties, and save it anew",
        ) from error
