"""Read and write images and labels of every format, 2D and 3D.

Pictures (PNG, JPEG, BMP, TIFF) have a way of their own, without geometry: `decode` turns a file
into numbers or a one-line error, `read` gives them their meaning, `write` is the way back.

Volumes keep their place: `volumes` reads every format, one module each, into (C, *size) on a
`Grid`; `volume_write` is the way back; `orientation` and `align` move between grids. What a header
claims is checked in `claims` before anything is allocated. SimpleITK and zarr are imported on use.
"""

from __future__ import annotations

from ushape.data.io.align import align
from ushape.data.io.channels import group_channels, split_channel
from ushape.data.io.claims import path_inside
from ushape.data.io.decode import PICTURE_SUFFIXES
from ushape.data.io.dicom import is_dicom
from ushape.data.io.formats import READ_FORMATS, format_of, stem_of, suffix_of
from ushape.data.io.grid import Grid, check_same_grid
from ushape.data.io.orientation import Turn, canonical_turn, to_canonical, turn_onto, turned_onto
from ushape.data.io.read import LabelPicture, read_image, read_label
from ushape.data.io.volume import Header, LabelVolume, Volume
from ushape.data.io.volume_write import (
    PLACED_SUFFIXES,
    WRITTEN_SUFFIXES,
    check_place,
    write_label_volume,
    write_volume,
)
from ushape.data.io.volumes import read_header, read_label_volume, read_stack, read_volume
from ushape.data.io.write import LABEL_SUFFIXES, write_label, write_probabilities

__all__ = [
    "LABEL_SUFFIXES",
    "PICTURE_SUFFIXES",
    "PLACED_SUFFIXES",
    "READ_FORMATS",
    "WRITTEN_SUFFIXES",
    "Grid",
    "Header",
    "LabelPicture",
    "LabelVolume",
    "Turn",
    "Volume",
    "align",
    "canonical_turn",
    "check_place",
    "check_same_grid",
    "format_of",
    "group_channels",
    "is_dicom",
    "path_inside",
    "read_header",
    "read_image",
    "read_label",
    "read_label_volume",
    "read_stack",
    "read_volume",
    "split_channel",
    "stem_of",
    "suffix_of",
    "to_canonical",
    "turn_onto",
    "turned_onto",
    "write_label",
    "write_label_volume",
    "write_probabilities",
    "write_volume",
]
