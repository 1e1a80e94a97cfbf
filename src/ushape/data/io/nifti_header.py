"""Read the header of a NIfTI file: sizes, type, scaling, and where its voxels lie.

The geometry follows SimpleITK, so that a file means the same place here and there: the spacing
is `pixdim`; direction and origin come from the sform when it is orthogonal and either the only
one or of scanner space, else from the qform; x and y turn from NIfTI's right and anterior to
left and posterior.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ushape.data.io.claims import DEFLATE_RATIO, check_claim, checked_grid, file_bytes
from ushape.data.io.grid import ORTHOGONAL_TOLERANCE, Grid
from ushape.data.io.sniff import unreadable
from ushape.data.io.volume import Header

_TYPES = {
    2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4",
    1024: "i8", 1280: "u8", 128: "u1", 2304: "u1",
}  # fmt: skip
_SAMPLES = {128: 3, 2304: 4}  # RGB and RGBA, interleaved
_UNITS_MM = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}
_UNIT_NAMES = {1: "metre", 3: "micrometre"}
_HEAD_BYTES = 540
_GZIP = b"\x1f\x8b"
_HEADER_REMEDY = "copy it again, or convert it again from its source"


@dataclass(frozen=True)
class Nifti:
    """A NIfTI header with all that is needed to load the voxels.

    Attributes:
        header: What it says, for everyone.
        is_gzip: The file is compressed.
        stored: Type of the numbers on disk, with byte order.
        stored_shape: Shape on disk, slowest axis first.
        offset: Where they start, in the uncompressed file.
        slope: Factor of the stored numbers.
        intercept: What is added then.
    """

    header: Header
    is_gzip: bool
    stored: np.dtype[Any]
    stored_shape: tuple[int, ...]
    offset: int
    slope: float
    intercept: float

    @property
    def is_scaled(self) -> bool:
        """Whether the numbers on disk are not yet the values."""
        return (self.slope, self.intercept) != (1.0, 0.0)


def read_nifti_header(path: Path) -> Nifti:
    """Read and check the header of a .nii or .nii.gz file.

    Raises:
        DataError: It is no NIfTI file, or claims what cannot be.
    """
    stored_bytes = file_bytes(path)
    head, is_gzip = _head(path)
    fields = _fields(path, head)
    kind = fields["datatype"]
    if kind not in _TYPES:
        raise unreadable(
            path, f"its numbers are of NIfTI type {kind}", "save real numbers: complex is no image"
        )
    axes, shape = _axes(path, fields["dim"])
    if kind in _SAMPLES:
        axes, shape = axes + "c", (*shape, _SAMPLES[kind])
    stored = np.dtype(_TYPES[kind]).newbyteorder(fields["order"])
    offset = max(int(fields["vox_offset"]), fields["smallest_offset"])
    num_bytes = int(np.prod(shape, dtype=object)) * stored.itemsize
    payload = stored_bytes if is_gzip else max(0, stored_bytes - offset)
    check_claim(path, shape, num_bytes, payload, ratio=DEFLATE_RATIO if is_gzip else 1)
    slope, intercept = _scaling(fields)
    scaled = (slope, intercept) != (1.0, 0.0)
    dtype = stored.newbyteorder("=")
    if scaled and dtype != np.float64:
        dtype = np.dtype(np.float32)
    size = [n for n, axis in zip(shape, axes, strict=True) if axis in "zyx"]
    grid, remarks = _geometry(path, fields, size)
    header = Header(path, "NIfTI", axes, shape, dtype, grid, remarks)
    return Nifti(header, is_gzip, stored, shape, offset, slope, intercept)


def _head(path: Path) -> tuple[bytes, bool]:
    """Return the first bytes, uncompressed, and whether the file is compressed as it is named."""
    with path.open("rb") as file:
        head = file.read(4 * _HEAD_BYTES)
    is_gzip = head.startswith(_GZIP)
    named_gzip = path.suffix.lower() == ".gz"
    if is_gzip != named_gzip:
        what = "compressed with gzip" if is_gzip else "not compressed"
        right = "*.nii.gz" if is_gzip else "*.nii"
        if not is_gzip and len(head) >= 4 and _version(head) is None:
            raise unreadable(path, "it is neither gzip nor NIfTI", _HEADER_REMEDY)
        raise unreadable(path, f"it is {what} but its name says otherwise", f"rename it to {right}")
    if is_gzip:
        try:
            head = zlib.decompressobj(31).decompress(head, _HEAD_BYTES)
        except zlib.error as error:
            raise unreadable(
                path, f"it is truncated or damaged ({error})", _HEADER_REMEDY
            ) from error
    return head[:_HEAD_BYTES], is_gzip


def _version(head: bytes) -> tuple[int, str] | None:
    """Tell NIfTI 1 or 2, and the byte order."""
    for order in "<>":
        (length,) = struct.unpack_from(f"{order}i", head)
        if length in (348, 540):
            return (1 if length == 348 else 2), order
    return None


def _fields(path: Path, head: bytes) -> dict[str, Any]:
    version = _version(head) if len(head) >= 4 else None
    if version is None:
        raise unreadable(path, "it is no NIfTI file", "give a .nii or .nii.gz file")
    number, order = version
    if len(head) < (348 if number == 1 else 540):
        raise unreadable(path, f"its header is cut off after {len(head)} bytes", _HEADER_REMEDY)
    magic = head[344:347] if number == 1 else head[4:7]
    if magic in (b"ni1", b"ni2"):
        raise unreadable(
            path, "it is half of a pair of .hdr and .img", "convert the pair to one .nii.gz file"
        )
    if magic not in (b"n+1", b"n+2"):
        raise unreadable(path, "it is no NIfTI file", "give a .nii or .nii.gz file")

    def take(layout: str, place: int) -> Any:
        values = struct.unpack_from(order + layout, head, place)
        return values if len(values) > 1 else values[0]

    places = _PLACES[number]
    fields = {name: take(layout, place) for name, (layout, place) in places.items()}
    return {**fields, "order": order, "smallest_offset": 352 if number == 1 else 544}


_PLACES = {
    1: {
        "dim": ("8h", 40), "datatype": ("h", 70), "pixdim": ("8f", 76), "vox_offset": ("f", 108),
        "slope": ("f", 112), "intercept": ("f", 116), "units": ("B", 123), "qcode": ("h", 252),
        "scode": ("h", 254), "quatern": ("3f", 256), "qoffset": ("3f", 268), "sform": ("12f", 280),
    },
    2: {
        "dim": ("8q", 16), "datatype": ("h", 12), "pixdim": ("8d", 104), "vox_offset": ("q", 168),
        "slope": ("d", 176), "intercept": ("d", 184), "units": ("i", 500), "qcode": ("i", 344),
        "scode": ("i", 348), "quatern": ("3d", 352), "qoffset": ("3d", 376), "sform": ("12d", 400),
    },
}  # fmt: skip


def _axes(path: Path, dim: tuple[int, ...]) -> tuple[str, tuple[int, ...]]:
    """Name the axes: x y z, then time, then components; longer files are refused."""
    count = dim[0]
    lengths = dim[1 : count + 1]
    if not 2 <= count <= 7 or min(lengths) < 1 or any(n != 1 for n in lengths[5:]):
        raise unreadable(
            path, f"its header claims the dimensions {list(dim)}", "save one 2D or 3D image a file"
        )
    named = dict(zip("xyztc", lengths[:5], strict=False))
    axes = "".join(axis for axis in "ctzyx" if named.get(axis, 1) > 1 or axis in "yx")
    if count in (3, 4) and "z" not in axes:  # with components, one slice is 2D, as in SimpleITK
        axes = axes.replace("yx", "zyx")
    return axes, tuple(named[axis] for axis in axes)


def _scaling(fields: dict[str, Any]) -> tuple[float, float]:
    slope, intercept = float(fields["slope"]), float(fields["intercept"])
    if not np.isfinite(slope) or not np.isfinite(intercept) or slope == 0.0:
        return 1.0, 0.0  # the format's way to say: unscaled
    return slope, intercept


def _geometry(path: Path, fields: dict[str, Any], size: list[int]) -> tuple[Grid, tuple[str, ...]]:
    dims = len(size)
    edges = np.array(fields["pixdim"][1 : dims + 1], np.float64)
    unit = fields["units"] & 7
    remarks = []
    if unit in _UNIT_NAMES:
        remarks.append(
            f"its unit is {_UNIT_NAMES[unit]}; spacing and origin are converted to millimetres"
        )
    scale = _UNITS_MM.get(unit, 1.0)
    matrix, text = _placement(path, fields, edges)
    remarks += text
    flipped = np.diag([-1.0, -1.0, 1.0, 1.0]) @ matrix
    direction = flipped[:dims, :dims]
    with np.errstate(invalid="ignore", divide="ignore"):  # zero spacing is told by the grid
        direction = direction / np.linalg.norm(direction, axis=0)
    grid = checked_grid(
        path, size, edges[::-1] * scale, flipped[:dims, 3][::-1] * scale, direction[::-1, ::-1]
    )
    return grid, tuple(remarks)


def _placement(
    path: Path, fields: dict[str, Any], edges: NDArray[Any]
) -> tuple[NDArray[np.float64], list[str]]:
    """Choose between sform and qform; return the matrix from voxels to NIfTI's world."""
    has_q, has_s = fields["qcode"] > 0, fields["scode"] > 0
    if not (has_q or has_s):
        return np.diag([-1.0, -1.0, 1.0, 1.0]), [
            "it has neither qform nor sform: its place is unknown"
        ]
    sform = np.vstack([np.reshape(fields["sform"], (3, 4)), [0, 0, 0, 1]]).astype(np.float64)
    qform = _qform(fields)
    s_ok = has_s and _is_orthogonal(sform)
    if not s_ok and not has_q:
        raise unreadable(
            path,
            "its sform is sheared or singular and it has no qform",
            "resample it to a regular grid, or convert it again from its source",
        )
    remarks = []
    if has_q and has_s:
        apart = float(np.abs(sform - qform).max())
        if apart > 1e-2 * float(edges.max()):
            chosen = "sform" if s_ok and fields["scode"] == 1 else "qform"
            remarks.append(
                f"its sform and qform differ (by up to {apart:.3g}); the {chosen} is used, "
                "as SimpleITK does"
            )
    use_s = s_ok and (not has_q or fields["scode"] == 1)
    scales = np.linalg.norm(sform[:3, :3], axis=0)[: len(edges)]
    if use_s and not np.allclose(scales, edges, rtol=1e-3, atol=0):
        remarks.append(
            f"its sform has spacing {_list(scales)}, its pixdim {_list(edges)} (x y z); "
            "pixdim is used, as SimpleITK does"
        )
    return (sform if use_s else qform), remarks


def _is_orthogonal(matrix: NDArray[Any]) -> bool:
    lengths = np.linalg.norm(matrix[:3, :3], axis=0)
    if not np.all(np.isfinite(matrix)) or not np.all(lengths > 0):
        return False
    unit = matrix[:3, :3] / lengths
    return bool(np.abs(unit.T @ unit - np.eye(3)).max() <= ORTHOGONAL_TOLERANCE / 10)


def _qform(fields: dict[str, Any]) -> NDArray[np.float64]:
    """Turn the quaternion into a matrix (NIfTI-1 standard, method 2), rounded as it is stored."""
    b, c, d = (float(value) for value in fields["quatern"])
    a = float(np.sqrt(max(0.0, 1.0 - (b * b + c * c + d * d))))
    if a < 1e-7:  # a half turn: the rest must have unit length
        scale = 1.0 / max(float(np.sqrt(b * b + c * c + d * d)), 1e-30)
        a, b, c, d = 0.0, b * scale, c * scale, d * scale
    rotation = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )
    scale_xyz = np.abs(np.array(fields["pixdim"][1:4], np.float64))
    scale_xyz[scale_xyz == 0] = 1.0
    if fields["pixdim"][0] < 0:
        rotation[:, 2] *= -1
    matrix = np.eye(4)
    matrix[:3, :3] = rotation * scale_xyz
    matrix[:3, 3] = fields["qoffset"]
    return matrix.astype(np.float32).astype(np.float64)


def _list(values: NDArray[Any]) -> str:
    return " x ".join(f"{value:.6g}" for value in values)
