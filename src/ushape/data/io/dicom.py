"""DICOM in: a folder with one series, or one file. Nothing missing is guessed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ushape.data.io.claims import check_claim, checked_grid, file_bytes
from ushape.data.io.grid import Grid
from ushape.data.io.itk import dtype_of, itk_reason, quiet_itk, values_of
from ushape.data.io.sniff import unreadable
from ushape.data.io.volume import Header, Source, Values

_UNEVEN = 0.01
"""Part of the slice distance by which distances may vary: positions are written with few digits."""

_ONE_SERIES = "keep one series a folder"
_RAW_SYNTAXES = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2")
_COPY_AGAIN = "copy it again or remove it"


@dataclass(frozen=True)
class Slice:
    """One DICOM file of a series, without its pixels."""

    path: Path
    series: str
    size: tuple[int, ...]
    dtype: np.dtype[Any]
    num_channels: int
    spacing_yx: tuple[float, float]
    position: NDArray[np.float64] | None
    axes: NDArray[np.float64] | None

    @property
    def normal(self) -> NDArray[np.float64]:
        """The direction across the slice, x y z."""
        assert self.axes is not None
        return np.cross(self.axes[0], self.axes[1])


def is_dicom(path: Path) -> bool:
    """Tell by its content whether a file is DICOM."""
    try:
        with path.open("rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError:
        return False


def open_dicom(folder: Path) -> Source:
    """Look at a DICOM series.

    Args:
        folder: A folder with one series, or a single file: a slice is 2D, several frames are 3D.

    Raises:
        DataError: Slices are missing, doubled, of several series, of different geometry, or
            cannot be read; the message names the slices.
    """
    files = _files(folder)
    with quiet_itk() as sitk:
        if len(files) == 1:
            return _open_single(sitk, folder, files[0])
        slices = [_look(sitk, path) for path in files]
    _check_one_series(folder, slices)
    slices, gap = _in_order(folder, slices)
    first = slices[0]
    assert first.axes is not None
    assert first.position is not None
    direction = np.stack([*first.axes, first.normal], axis=1)  # columns x, y, z of world x, y, z
    grid = checked_grid(
        folder,
        (len(slices), *first.size[-2:]),
        (gap, *first.spacing_yx),
        first.position[::-1],
        direction[::-1, ::-1],
    )
    kinds = {each.dtype for each in slices}
    dtype = first.dtype if len(kinds) == 1 else np.dtype(np.float32)
    header = _header(folder, grid, dtype, first.num_channels)
    check_claim(folder, header.shape, header.num_bytes, 0, ratio=0)
    paths = [each.path for each in slices]
    return Source(header, lambda: _load(header, paths, is_mixed=len(kinds) > 1))


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        file_bytes(folder)
        return [folder]
    files = [
        path
        for path in sorted(folder.iterdir())
        if path.is_file() and path.name.upper() != "DICOMDIR" and is_dicom(path)
    ]
    if not files:
        raise unreadable(folder, "the folder holds no DICOM files", "give one volume, or its files")
    return files


def _header(path: Path, grid: Grid, dtype: np.dtype[Any], channels: int) -> Header:
    axes, shape = "zyx"[-grid.spatial_dims :], grid.size
    if channels > 1:
        axes, shape = axes + "c", (*shape, channels)
    return Header(path, "DICOM", axes, shape, dtype, grid)


def _reader(sitk: Any, path: Path) -> Any:
    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise unreadable(path, f"it is damaged ({itk_reason(error)})", _COPY_AGAIN) from error
    return reader


def _numbers(reader: Any, tag: str, count: int) -> NDArray[np.float64] | None:
    if not reader.HasMetaDataKey(tag):
        return None
    words = reader.GetMetaData(tag).replace("\0", "").split("\\")
    try:
        values = np.array([float(word) for word in words])
    except ValueError:
        return None
    return values if len(values) == count else None


def _look(sitk: Any, path: Path) -> Slice:
    reader = _reader(sitk, path)
    size = tuple(int(n) for n in reader.GetSize()[::-1])
    dtype = dtype_of(sitk, path, reader.GetPixelID())
    channels = int(reader.GetNumberOfComponents())
    _check_stored(path, size, dtype, channels)
    series = reader.GetMetaData("0020|000e") if reader.HasMetaDataKey("0020|000e") else ""
    edges = reader.GetSpacing()
    cosines = _numbers(reader, "0020|0037", 6)
    return Slice(
        path,
        series.strip("\0 "),
        size,
        dtype,
        channels,
        (float(edges[1]), float(edges[0])),
        _numbers(reader, "0020|0032", 3),
        None if cosines is None else cosines.reshape(2, 3),
    )


def _check_stored(path: Path, size: Sequence[int], dtype: np.dtype[Any], channels: int) -> None:
    """Compare what the header claims with the file, where it is not compressed."""
    with path.open("rb") as file:
        head = file.read(4096)
    syntax = re.search(rb"\x02\x00\x10\x00UI..([0-9.]+)", head, re.DOTALL)
    is_raw = syntax is not None and syntax.group(1).decode() in _RAW_SYNTAXES
    # A rescaled value may be wider than a stored one, which takes at least a byte.
    num_stored = int(np.prod(size, dtype=object)) * channels
    check_claim(path, size, num_stored, file_bytes(path), ratio=1 if is_raw else 0)
    check_claim(path, size, num_stored * dtype.itemsize, 0, ratio=0)


def _open_single(sitk: Any, path: Path, file: Path) -> Source:
    reader = _reader(sitk, file)
    seen = _look(sitk, file)
    if seen.size[:-2] in ((), (1,)):
        has_spacing = reader.HasMetaDataKey("0028|0030") or reader.HasMetaDataKey("0018|1164")
        grid = checked_grid(path, seen.size[-2:], seen.spacing_yx if has_spacing else None)
    else:
        direction = np.reshape(reader.GetDirection(), (3, 3))[::-1, ::-1]
        grid = checked_grid(
            path, seen.size, reader.GetSpacing()[::-1], reader.GetOrigin()[::-1], direction
        )
    header = _header(path, grid, seen.dtype, seen.num_channels)
    return Source(header, lambda: _load(header, [file], is_mixed=False))


def _check_one_series(folder: Path, slices: list[Slice]) -> None:
    series = Counter(each.series for each in slices)
    if len(series) > 1:
        example = {each.series: each.path.name for each in reversed(slices)}
        listed = ", ".join(
            f"{name or 'no number'}: {count} files such as {example[name]}"
            for name, count in series.most_common(4)
        )
        raise unreadable(folder, f"it holds {len(series)} series ({listed})", _ONE_SERIES)
    unplaced = next((each for each in slices if each.position is None or each.axes is None), None)
    if unplaced:
        raise unreadable(
            folder, f"{unplaced.path.name} does not say where it lies", "remove it from the folder"
        )
    first = slices[0]
    for each in slices[1:]:
        for what, its, mine in (
            ("size", each.size, first.size),
            ("pixel spacing", each.spacing_yx, first.spacing_yx),
            ("number of channels", each.num_channels, first.num_channels),
            ("direction", _rounded(each.axes), _rounded(first.axes)),
        ):
            if its != mine:
                what = f"{each.path.name} has {what} {its}, {first.path.name} has {mine}"
                raise unreadable(folder, what, _ONE_SERIES)


def _rounded(axes: NDArray[np.float64] | None) -> tuple[float, ...]:
    assert axes is not None
    return tuple(float(value) + 0.0 for value in np.round(axes.ravel(), 4))


def _in_order(folder: Path, slices: list[Slice]) -> tuple[list[Slice], float]:
    """Sort slices along their normal; return them with the one distance between them."""
    normal = slices[0].normal
    positions = np.array([each.position for each in slices])
    order = np.argsort(positions @ normal, kind="stable")
    slices, positions = [slices[i] for i in order], positions[order]
    gaps = np.diff(positions @ normal)
    gap = float(np.median(gaps))
    for number, (distance, before, after) in enumerate(
        zip(gaps, slices[:-1], slices[1:], strict=True)
    ):
        names = f"{before.path.name} and {after.path.name}"
        if distance <= _UNEVEN * max(gap, 1e-6):
            raise unreadable(
                folder,
                f"{names} lie at the same place",
                "remove doubles; keep one time point a folder",
            )
        if abs(distance - gap) > _UNEVEN * gap:
            times = distance / gap
            missing = round(times) - 1
            if missing >= 1 and abs(times - round(times)) < 10 * _UNEVEN:
                what = f"{missing} slice{'s' * (missing > 1)} missing between {names}"
                remedy = "copy the series again, whole"
            else:
                what, remedy = (
                    f"different slice distances: {names}",
                    "resample it to equal distances",
                )
            raise unreadable(
                folder, f"{what} ({distance:.4g} mm apart, others {gap:.4g} mm)", remedy
            )
        step = positions[number + 1] - positions[number]
        aside = float(np.linalg.norm(step - distance * normal))
        if aside > _UNEVEN * gap:
            raise unreadable(
                folder,
                f"{names} are shifted sideways by {aside:.4g} mm (a tilted gantry)",
                "resample it to a straight grid first",
            )
    return slices, gap


def _load(header: Header, paths: list[Path], *, is_mixed: bool) -> Values:
    with quiet_itk() as sitk:
        reader = sitk.ImageFileReader() if len(paths) == 1 else sitk.ImageSeriesReader()
        reader.SetImageIO("GDCMImageIO")
        if len(paths) == 1:
            reader.SetFileName(str(paths[0]))
        else:
            reader.SetFileNames([str(path) for path in paths])
        if is_mixed:  # slices with scales of their own, as in PET: whole numbers would be cut
            reader.SetOutputPixelType(sitk.sitkFloat32)
        try:
            image = reader.Execute()
        except (RuntimeError, MemoryError) as error:
            broken = next((path for path in paths if not _can_load(sitk, path)), header.path)
            raise unreadable(broken, f"it is damaged ({itk_reason(error)})", _COPY_AGAIN) from error
        return values_of(sitk, image).reshape(header.shape)


def _can_load(sitk: Any, path: Path) -> bool:
    try:
        sitk.ReadImage(str(path), imageIO="GDCMImageIO")
    except RuntimeError:
        return False
    return True
