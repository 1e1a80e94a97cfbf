"""One plane of a case to look at: its image, and the masks of its classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ushape.data.case_image import read_case_image
from ushape.data.io import to_canonical
from ushape.data.label_grid import ImagePlace, read_labels
from ushape.data.layouts import CaseFiles
from ushape.data.masks import Masks, read_masks
from ushape.data.targets import class_masks, encode_labels, encode_masks
from ushape.labels import LabelTable

THICK = 1.2
"""Slices lie across an axis whose voxels are this much longer than those along z, or across z."""


@dataclass(frozen=True, eq=False)
class CaseSlice:
    """A plane of a case, in canonical order.

    Attributes:
        image: Shape (channel, *plane), as stored.
        masks: Of the foreground classes, shape (class, *plane).
        edges: Lengths of a pixel along the two axes.
        plane: In words, which plane of a volume it is; empty for a picture.
    """

    image: npt.NDArray[Any]
    masks: Masks
    edges: tuple[float, float]
    plane: str = ""


def cut_case(files: CaseFiles, table: LabelTable, *, align: bool = False) -> CaseSlice:
    """Read a case and take the plane that has half of its foreground below it.

    Raises:
        DataError: A file cannot be read, or does not fit the classes.
    """
    volume, turn = to_canonical(read_case_image(files))
    image, grid = volume.values, volume.grid
    if grid.spatial_dims == 2:
        across, first, second = 0, grid.edges_mm[0], grid.edges_mm[1]
    else:
        across = slice_axis(grid.edges_mm)
        first, second = (edge for axis, edge in enumerate(grid.edges_mm) if axis != across)
        image = _upright(np.moveaxis(image, 1 + across, 1), across)
    place = ImagePlace(
        turn.old, str(files.image), align, files.spacing_mm, outside=table.ignore or 0
    )

    def lay(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        lead = values.ndim - grid.spatial_dims
        return _upright(np.moveaxis(turn.apply(values), lead + across, lead), across)

    found = read_masks(files, place, ignore=table.ignore) if files.label_paths else None
    if found is not None:
        masks = lay(found.masks)
        plane = _middle(np.asarray(masks.any(axis=0)))
        void = None if found.void is None else lay(found.void)[plane]
        target = encode_masks(masks[(slice(None), *plane)], void, table)
    elif files.label is not None:
        label = read_labels(files.label, is_color=table.is_color or None)
        values = lay(place.lay(label))
        plane = _middle(_is_marked(values, table))
        target = encode_labels(values[plane], table)
    else:
        plane = _middle(np.zeros(image.shape[1:], np.bool_))
        target = np.zeros(image.shape[-2:], np.uint8)
    name = f"{'zyx'[across]} {plane[0] + 1} of {grid.size[across]}" if plane else ""
    shown = image[(slice(None), *plane)]
    return CaseSlice(shown, class_masks(target, table), (first, second), name)


def slice_axis(edges: Sequence[float]) -> int:
    """Say across which axis of a volume planes are shown: where voxels are thick, else z."""
    thickest = int(np.argmax(edges))
    return thickest if edges[thickest] > THICK * edges[0] else 0


def _upright(values: npt.NDArray[Any], across: int) -> npt.NDArray[Any]:
    """Turn planes along z upside down: in the body that axis grows upwards."""
    return values[..., ::-1, :] if across else values


def _is_marked(values: npt.NDArray[Any], table: LabelTable) -> npt.NDArray[np.bool_]:
    """Mark the voxels of foreground classes."""
    if table.form == "instances":
        return np.asarray((values != 0) & (values != (table.ignore or 0)))
    members = sorted({value for entry in table.foreground for value in entry.members})
    return np.isin(values, members)


def _middle(marked: npt.NDArray[np.bool_]) -> tuple[Any, ...]:
    """Give the index of the plane that has half of the marked voxels below it; () of a picture."""
    if marked.ndim == 2:
        return ()
    below = np.cumsum(np.count_nonzero(marked, axis=(1, 2)))
    if not below[-1]:
        return (len(marked) // 2,)
    return (int(np.searchsorted(below, below[-1] / 2)),)
