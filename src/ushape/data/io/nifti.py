"""Load the voxels of NIfTI files.

Not left to SimpleITK: it takes a truncated file for a whole one, and fills up with zeros.
"""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ushape.data.io.nifti_header import Nifti, read_nifti_header
from ushape.data.io.sniff import unreadable
from ushape.data.io.volume import Source, Values

_PIECE_BYTES = 2**20
_COPY_AGAIN = "copy it again or remove it"


def open_nifti(path: Path) -> Source:
    """Look at a NIfTI file.

    Raises:
        DataError: It cannot be read.
    """
    nifti = read_nifti_header(path)
    return Source(nifti.header, lambda: _load(nifti))


def _load(nifti: Nifti) -> Values:
    path = nifti.header.path
    values = np.empty(nifti.stored_shape, nifti.stored)
    try:
        with path.open("rb") as raw:
            if nifti.is_gzip:
                with gzip.GzipFile(fileobj=raw) as file:
                    num_read = _fill(file, nifti.offset, values)
                    while file.read(_PIECE_BYTES):  # the check sum is compared at the very end
                        pass
            else:
                num_read = _fill(raw, nifti.offset, values)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        detail = " ".join(str(error).split())
        raise unreadable(path, f"it is truncated or damaged ({detail})", _COPY_AGAIN) from error
    if num_read < values.nbytes:
        what = f"it is truncated: {num_read:,} of {values.nbytes:,} bytes of voxels are there"
        raise unreadable(path, what, _COPY_AGAIN)
    if not nifti.stored.isnative:
        values = values.byteswap(inplace=True).view(nifti.stored.newbyteorder("="))
    return _scale(nifti, values) if nifti.is_scaled else values


def _fill(file: BinaryIO | gzip.GzipFile, offset: int, values: Values) -> int:
    """Read straight into the array; return how many bytes came."""
    file.seek(offset)
    view = memoryview(values.reshape(-1).view(np.uint8))  # type: ignore[arg-type]
    num_read = 0
    while num_read < len(view):
        # In pieces: asked for all at once, the decompressor would make a copy of all.
        count = file.readinto(view[num_read : num_read + _PIECE_BYTES])  # type: ignore[union-attr]
        if not count:
            break
        num_read += count
    return num_read


def _scale(nifti: Nifti, values: Values) -> Values:
    """Apply slope and intercept without a float64 in between."""
    dtype = nifti.header.dtype
    scaled = np.multiply(values, dtype.type(nifti.slope), dtype=dtype, casting="unsafe")
    scaled += dtype.type(nifti.intercept)
    return np.asarray(scaled)
