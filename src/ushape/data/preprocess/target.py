"""Read the target of a case, and bring it onto the grid of its prepared image by exact rules.

No value is interpolated: classes that exclude each other are weighed against each other in every
new voxel, classes that overlap are each held against one half, and numbers of objects are those
of the nearest voxel, from which the borders between objects are then found anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ushape.config.schema import WeightMapConfig
from ushape.data.io import Grid
from ushape.data.io.volume import Values
from ushape.data.label_grid import ImagePlace, read_labels
from ushape.data.layouts import CaseFiles
from ushape.data.masks import read_masks, read_values
from ushape.data.placement import Placement
from ushape.data.preprocess.resample import resample_classes, resample_nearest, resample_sets
from ushape.data.targets import TargetMap, class_masks, encode_labels, encode_masks
from ushape.errors import DataError
from ushape.labels import LabelTable
from ushape.losses import weight_map


def read_target(path: Path, table: LabelTable) -> TargetMap:
    """Read a file of label values as a target, with the file named in any error."""
    return _encode(path, read_values(path, is_color=table.is_color).values, table)


def read_case_target(
    case: CaseFiles,
    table: LabelTable,
    where: Placement | Grid | Sequence[int],
    *,
    align: bool = False,
) -> TargetMap:
    """Read the target of a labelled case, in whatever form its files are.

    Args:
        case: With a label.
        table: The classes.
        where: How the image was prepared, and the target will be; or the grid, or the bare size,
            of the image as it is in its file.
        align: Resample labels that lie on another grid than their image.

    Returns:
        Shape (*prepared size), or (*size) in the order of the file.

    Raises:
        DataError: A file cannot be read or does not fit; it is named.
    """
    if isinstance(where, Placement):
        if table.form == "instances":
            numbers = read_objects(case, table, where, align=align)
            return _encode_numbers(case, numbers, table)
        return place_target(read_case_target(case, table, where.grid, align=align), where, table)
    place = _place(case, where, table, is_alignable=align)
    if case.planes and table.form in ("values", "instances"):
        size = place.grid.size[1:]
        return np.stack([read_case_target(plane, table, size) for plane in case.planes])
    if table.form in ("values", "instances"):
        assert case.label is not None
        values = place.lay(read_labels(case.label, is_color=table.is_color))
        return _encode(case.label, values, table)
    found = read_masks(case, place, ignore=table.ignore)
    first = case.label_paths[0]
    if found is None:
        raise DataError(f"{first}: one picture of values; the model was trained on masks by class")
    try:
        return encode_masks(found.masks, found.void, table)
    except DataError as error:
        raise DataError(f"{first}: {error}") from error


def place_target(target: TargetMap, placement: Placement, table: LabelTable) -> TargetMap:
    """Bring a target from the grid of its file onto the prepared one.

    Args:
        target: Shape (*file size), class indices or sets of classes.
        placement: How the image was prepared.
        table: The classes.
    """
    box = placement.box(target)
    if not placement.is_resampled:
        return np.ascontiguousarray(box)
    return (resample_sets if table.is_overlapping else resample_classes)(box, placement.size)


def read_objects(
    case: CaseFiles, table: LabelTable, placement: Placement, *, align: bool = False
) -> Values:
    """Read the numbers of objects, void as it is, onto the prepared grid."""
    place = _place(case, placement.grid, table, is_alignable=align)
    if case.planes:
        values = np.stack([_numbers(plane, place.grid.size[1:], table) for plane in case.planes])
    else:
        values = _numbers(case, place, table)
    return resample_nearest(placement.box(values), placement.size)


def make_weights(
    case: CaseFiles,
    target: TargetMap,
    table: LabelTable,
    config: WeightMapConfig,
    placement: Placement,
    *,
    align: bool = False,
) -> npt.NDArray[np.float32]:
    """Compute the pixel weights of a case.

    Cells are the numbered objects where the labels number them, else the connected parts of
    everything that is not background. Void pixels are background here; they count nowhere. Slices
    of a stack number their objects each for itself, so each is weighed by itself. Distances are
    counted in `weight_edges`.
    """
    edges = weight_edges(placement)
    if table.form == "instances":
        numbers = read_objects(case, table, placement, align=align)
        cells: npt.NDArray[Any] = np.where(numbers == table.ignore, 0, numbers)
        if case.planes:
            flat = _in_finest(edges[1:])
            return np.stack(
                [weight_map(c, w0=config.w0, sigma=config.sigma, spacing=flat) for c in cells]
            )
    else:
        cells = np.asarray(class_masks(target, table).any(axis=0))
    return weight_map(cells, w0=config.w0, sigma=config.sigma, spacing=edges)


def weight_edges(placement: Placement) -> tuple[float, ...]:
    """Give the edges of a voxel in which the weights of a volume count distances.

    The unit is the finest edge, so that `sigma` means as many of its voxels whatever the slices
    are. All edges are 1 where the file tells no spacing, and of pictures.
    """
    if placement.spatial_dims == 2 or placement.spacing_mm is None:
        return (1.0,) * placement.spatial_dims
    return _in_finest(placement.spacing_mm)


def _in_finest(edges: Sequence[float]) -> tuple[float, ...]:
    # Rounded: what is isotropic but for the last digits of a header is so.
    return tuple(round(edge / min(edges), 5) for edge in edges)


def _place(
    case: CaseFiles, where: Grid | Sequence[int], table: LabelTable, *, is_alignable: bool
) -> ImagePlace:
    grid = where if isinstance(where, Grid) else Grid.of(where)
    outside = 0 if table.ignore is None else table.ignore
    return ImagePlace(grid, str(case.image), is_alignable, case.spacing_mm, outside)


def _numbers(case: CaseFiles, where: ImagePlace | Sequence[int], table: LabelTable) -> Values:
    assert case.label is not None
    place = where if isinstance(where, ImagePlace) else ImagePlace(Grid.of(where), str(case.image))
    return place.lay(read_labels(case.label, is_color=table.is_color))


def _encode_numbers(case: CaseFiles, numbers: Values, table: LabelTable) -> TargetMap:
    """Find objects and borders; within each slice of a stack, whose numbers are its own."""
    if case.planes:
        return np.stack([encode_labels(plane, table) for plane in numbers])
    return encode_labels(numbers, table)


def _encode(path: Path, values: Values, table: LabelTable) -> TargetMap:
    try:
        return encode_labels(values, table)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
