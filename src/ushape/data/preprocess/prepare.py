"""One case from its files to normalised arrays in memory: turned, cropped, resampled, scaled.

Images are turned to the canonical order of axes, cut to what is not zero, and sampled on voxels
of one spacing with cubic kernels (linear ones across thick slices). Intensities are measured
before, on the file's own voxels, and scaled before they are mixed: a wild voxel is clipped, not
spread.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from ushape.config.schema import PreprocessConfig
from ushape.data.case_image import read_case_image
from ushape.data.io import Grid, Volume, canonical_turn
from ushape.data.io.claims import memory_bytes
from ushape.data.io.volume import Values
from ushape.data.layouts import CaseFiles
from ushape.data.placement import Placement
from ushape.data.preprocess.normalise import Image, measure_scaling, slabs, used_channels
from ushape.data.preprocess.resample import resample_image
from ushape.data.preprocess.target import read_case_target
from ushape.data.preprocess.weights import ROUNDING, choose_kernels
from ushape.data.sample import Sample
from ushape.errors import DataError
from ushape.labels import LabelTable
from ushape.sizes import Size, format_size


def place_image(volume: Volume, config: PreprocessConfig) -> Placement:
    """Say where the prepared array of an image will lie.

    Args:
        volume: As read from its file, in the file's order of axes.
        config: How it is cropped and resampled.

    Raises:
        DataError: It is to be resampled and does not say its spacing, or would be too large.
    """
    turn = canonical_turn(volume.grid)
    start, cropped = (0,) * turn.new.spatial_dims, turn.new.size
    if config.crop == "nonzero":
        box = _nonzero_box(volume.values)
        picked = [box[axis] for axis in turn.order]
        ends = zip(picked, turn.flips, turn.new.size, strict=True)
        start = tuple(n - stop if flip else first for (first, stop), flip, n in ends)
        cropped = tuple(stop - first for first, stop in picked)
    size = prepared_size(cropped, turn.new, config, volume.name)
    _check_memory(volume, size)
    edges = turn.new.spacing_mm
    spacing = edges and tuple(
        e * old / new for e, old, new in zip(edges, cropped, size, strict=True)
    )
    return Placement(turn, start, cropped, size, spacing)


def prepared_size(cropped: Size, grid: Grid, config: PreprocessConfig, name: str) -> Size:
    """Count the voxels that a box has after resampling; the box itself where there is none.

    Args:
        cropped: Size of the box.
        grid: The canonical grid.
        config: Which spacing is wanted.
        name: Of the image, for messages.

    Raises:
        DataError: The image has other axes than the wanted spacing, or does not say its own.
    """
    wanted = config.spacing_mm
    if wanted is None:
        return cropped
    if len(wanted) != grid.spatial_dims:
        raise DataError(
            f"{name}: it has {grid.spatial_dims} axes ({format_size(grid.size)}), the model takes "
            f"images of {len(wanted)}, resampled to {_edges(wanted)} mm: give such as in training"
        )
    if grid.spacing_mm is None:
        raise DataError(
            f"{name}: it does not say its spacing, and images are resampled to {_edges(wanted)} "
            "mm: save it in a format that tells the spacing, such as .nii.gz"
        )
    return tuple(
        max(1, math.floor(length * edge / new + 0.5 + ROUNDING))
        for length, edge, new in zip(cropped, grid.spacing_mm, wanted, strict=True)
    )


def prepare_image(volume: Volume, config: PreprocessConfig) -> tuple[Image, Placement]:
    """Bring an image to the form that the network takes.

    Args:
        volume: As read from its file.
        config: How training images were prepared.

    Returns:
        Shape (channel, *size), float32, and how it was made: what `restore` needs to bring a
        prediction back.

    Raises:
        DataError: The image does not fit the model; it is named.
    """
    try:
        values = used_channels(volume.values, config)
        _check_range(values)
        placement = place_image(volume, config)
        box = placement.box(values)
        scalings = measure_scaling(box, config)
    except DataError as error:
        raise _naming(volume.name, error) from error
    image = np.empty((len(box), *placement.size), np.float32)
    kernels = choose_kernels(_edges_before_and_after(placement))
    for channel, scaling, out in zip(box, scalings, image, strict=True):
        if placement.is_resampled:
            resample_image(channel, placement.size, kernels, scaling.apply, out)
            continue
        for slab in slabs(channel.shape):
            out[slab] = scaling.apply(channel[slab])
    return image, placement


def read_sample(
    case: CaseFiles, table: LabelTable, config: PreprocessConfig, *, align: bool = False
) -> Sample:
    """Read one case from its files and prepare it.

    Raises:
        DataError: A file cannot be read or does not fit; it is named.
    """
    image, placement = prepare_image(read_case_image(case), config)
    spacing = placement.spacing_mm if placement.spatial_dims == 3 else None
    if not case.label_paths:
        return Sample(case.id, image, spacing_mm=spacing)
    target = read_case_target(case, table, placement, align=align)
    return Sample(case.id, image, target, spacing_mm=spacing)


def _nonzero_box(values: Values) -> list[tuple[int, int]]:
    """Find first and last plane along every axis that are not zero in all channels.

    An image of zeros keeps its whole box.
    """
    held: list[npt.NDArray[np.bool_]] = [np.zeros(n, np.bool_) for n in values.shape[1:]]
    for channel in values:
        for index, plane in enumerate(channel):  # one by one: no mask of the whole
            mask = plane != 0
            held[0][index] |= mask.any()
            for axis in range(mask.ndim):
                others = tuple(other for other in range(mask.ndim) if other != axis)
                held[axis + 1] |= mask.any(axis=others)
    if not held[0].any():
        return [(0, n) for n in values.shape[1:]]
    found = [np.flatnonzero(along) for along in held]
    return [(int(where[0]), int(where[-1]) + 1) for where in found]


def _check_range(values: Values) -> None:
    """Refuse numbers that only double precision holds."""
    if values.dtype.kind == "f" and values.dtype.itemsize > 4:
        largest = max(float(values.max()), -float(values.min()))
        if largest > float(np.finfo(np.float32).max):
            raise DataError(
                f"the image holds {largest:.3g}, more than float32 does: divide its values by a "
                "power of ten, or replace wild ones"
            )


def _check_memory(volume: Volume, size: Size) -> None:
    num_bytes, memory = math.prod(size) * 4 * volume.num_channels, memory_bytes()
    if memory and num_bytes > memory:
        raise DataError(
            f"{volume.name}: resampled it would have {format_size(size)} voxels ({num_bytes:,} "
            f"bytes), this machine has {memory:,} bytes of memory: check the spacing in its "
            "header, or set a larger preprocess.spacing_mm"
        )


def _edges_before_and_after(placement: Placement) -> tuple[tuple[float, ...], tuple[float, ...]]:
    before = placement.turn.new.edges_mm
    return before, placement.spacing_mm or before


def _edges(spacing: tuple[float, ...]) -> str:
    return " x ".join(f"{edge:g}" for edge in spacing)


def _naming(name: str, error: DataError) -> DataError:
    text = str(error)
    return DataError(text if name in text else f"{name}: {text}")
