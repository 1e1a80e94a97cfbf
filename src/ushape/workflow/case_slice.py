"""One plane of a case to look at: its image, and the masks of its classes."""

from __future__ import annotations

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


@dataclass(frozen=True, eq=False)
class CaseSlice:
    """A plane of a case, in canonical order.

    Attributes:
        image: Shape (channel, y, x), as stored.
        masks: Of the foreground classes, shape (class, y, x).
        edges: Lengths of a pixel, y x.
        plane: Number of the plane along z, and of all planes; None for a picture.
    """

    image: npt.NDArray[Any]
    masks: Masks
    edges: tuple[float, float]
    plane: tuple[int, int] | None = None


def cut_case(files: CaseFiles, table: LabelTable, *, align: bool = False) -> CaseSlice:
    """Read a case and take the plane that has half of its foreground below it.

    Raises:
        DataError: A file cannot be read, or does not fit the classes.
    """
    volume, turn = to_canonical(read_case_image(files))
    image, grid = volume.values, volume.grid
    place = ImagePlace(
        turn.old, str(files.image), align, files.spacing_mm, outside=table.ignore or 0
    )
    found = read_masks(files, place, ignore=table.ignore) if files.label_paths else None
    edges = (grid.edges_mm[-2], grid.edges_mm[-1])
    if found is not None:
        masks, void = turn.apply(found.masks), None
        plane = _middle(masks.any(axis=0))
        if found.void is not None:
            void = turn.apply(found.void)[plane]
        target = encode_masks(masks[:, *plane], void, table)
    elif files.label is not None:
        label = read_labels(files.label, is_color=table.is_color or None)
        values = turn.apply(place.lay(label))
        plane = _middle(_is_marked(values, table))
        target = encode_labels(values[plane], table)
    else:
        plane = _middle(np.zeros(grid.size, np.bool_))
        target = np.zeros(grid.size[-2:], np.uint8)
    number = (int(plane[0]) + 1, grid.size[0]) if plane else None
    return CaseSlice(image[:, *plane], class_masks(target, table), edges, number)


def _is_marked(values: npt.NDArray[Any], table: LabelTable) -> npt.NDArray[np.bool_]:
    """Mark the voxels of foreground classes."""
    if table.form == "instances":
        return np.asarray((values != 0) & (values != (table.ignore or 0)))
    members = sorted({value for entry in table.foreground for value in entry.members})
    return np.isin(values, members)


def _middle(marked: npt.NDArray[np.bool_]) -> tuple[int, ...]:
    """Give the index of the plane that has half of the marked voxels below it; () of a picture."""
    if marked.ndim == 2:
        return ()
    below = np.cumsum(np.count_nonzero(marked, axis=(1, 2)))
    if not below[-1]:
        return (len(marked) // 2,)
    return (int(np.searchsorted(below, below[-1] / 2)),)
