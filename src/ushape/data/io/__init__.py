"""Read and write pictures: PNG, JPEG, BMP and TIFF; grey, RGB or palette; 8 or 16 bit or float.

`decode` turns any file into numbers or a one-line error, `read` gives them their meaning as an
image or as a label, `write` is the way back. Volumes with geometry are not read here.
"""

from __future__ import annotations

from ushape.data.io.decode import PICTURE_SUFFIXES
from ushape.data.io.read import LabelPicture, read_image, read_label
from ushape.data.io.write import LABEL_SUFFIXES, write_label, write_probabilities

__all__ = [
    "LABEL_SUFFIXES",
    "PICTURE_SUFFIXES",
    "LabelPicture",
    "read_image",
    "read_label",
    "write_label",
    "write_probabilities",
]
