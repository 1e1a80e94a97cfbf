"""Which ending means which format, and what a case is called without it."""

from __future__ import annotations

from pathlib import Path

from ushape.data.io.sniff import FORMATS
from ushape.errors import DataError

VOLUME_FORMATS = {
    ".nii": "NIfTI",
    ".nii.gz": "NIfTI",
    ".nrrd": "NRRD",
    ".nhdr": "NRRD",
    ".mha": "MetaImage",
    ".mhd": "MetaImage",
    ".dcm": "DICOM",
    ".npy": "NPY",
    ".npz": "NPZ",
    ".zarr": "OME-Zarr",
    ".tif": "TIFF",
    ".tiff": "TIFF",
}
READ_FORMATS = {**FORMATS, **VOLUME_FORMATS}
"""Every ending that `read_volume` knows, in lower case."""

_DOUBLE = (".nii.gz", ".ome.zarr", ".ome.tiff", ".ome.tif")


def suffix_of(path: str | Path) -> str:
    """Return the ending in lower case, both parts of the double ones.

    >>> suffix_of("a.b.NII.gz"), suffix_of("a.b.png")
    ('.nii.gz', '.png')
    """
    name = Path(path).name.lower()
    double = next((ending for ending in _DOUBLE if name.endswith(ending)), None)
    return double or Path(name).suffix


def stem_of(path: str | Path) -> str:
    """Return the name without its ending.

    >>> stem_of("scans/a.b.nii.gz")
    'a.b'
    """
    name = Path(path).name
    ending = suffix_of(path)
    return name[: -len(ending)] if ending else name


def format_of(path: str | Path) -> str | None:
    """Return the format that an ending stands for, None for an ending that is not known."""
    ending = suffix_of(path)
    return READ_FORMATS.get(ending) or READ_FORMATS.get(Path(ending).suffix)


def known_format(path: Path) -> str:
    """Return the format that an ending stands for.

    Raises:
        DataError: No format has this ending.
    """
    found = format_of(path)
    if found is None:
        endings = ", ".join(READ_FORMATS)
        raise DataError(
            f"cannot read {path}: its ending {suffix_of(path) or '(none)'} is not known; "
            f"known are {endings} and folders with a DICOM series"
        )
    return found
