"""Truth and prediction of a case as pictures of one value a pixel, also where classes overlap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ushape.data.io import Grid
from ushape.data.layouts import CaseFiles
from ushape.data.masks import Masks, read_masks
from ushape.data.preprocess import read_case_target
from ushape.data.targets import class_masks, void_mask
from ushape.labels import LabelTable
from ushape.workflow.scores import predicted_files


@dataclass(frozen=True)
class ClassPictures:
    """Two label maps and what their values mean.

    Attributes:
        prediction: Shape (*size), integer, 0 is the background.
        truth: Same shape.
        names: By value. Where classes overlap, every set of classes that occurs has a value:
            `membrane`, `membrane + synapse`.
    """

    prediction: npt.NDArray[Any]
    truth: npt.NDArray[Any]
    names: tuple[str, ...]


def read_masks_of(
    predictions: Path, case: CaseFiles, table: LabelTable, grid: Grid, *, align: bool = False
) -> tuple[Masks, Masks]:
    """Read prediction and truth of a case as masks. Void pixels are background in both.

    Args:
        predictions: Folder of what was predicted.
        case: With its labels.
        table: The classes.
        grid: Of its image.
        align: Resample labels that lie on another grid than their image.

    Returns:
        Prediction and truth, shape (class, *size), in the order of the file's axes.
    """
    target = read_case_target(case, table, grid, align=align)
    files = replace(predicted_files(predictions, case, table), spacing_mm=case.spacing_mm)
    if table.writes_masks:
        found = read_masks(files, grid)
        assert found is not None, "predictions of such classes are masks"
        prediction = found.masks
    else:
        prediction = class_masks(read_case_target(files, table, grid), table)
    void = void_mask(target, table)
    if void is not None:
        prediction = prediction & ~void
    return prediction, class_masks(target, table)


def unite(prediction: Masks, truth: Masks, names: Sequence[str]) -> ClassPictures:
    """Give every set of classes that occurs a value of its own, single classes first.

    Args:
        prediction: Shape (class, *size), bool.
        truth: Same shape.
        names: Of the classes.
    """
    bits = 1 << np.arange(len(names), dtype=np.int64)
    sets = [np.tensordot(bits, masks.astype(np.int64), 1) for masks in (prediction, truth)]
    single = bits.tolist()
    others = [v for v in np.union1d(*sets).tolist() if v and v not in single]
    codes = np.array([0, *single, *others], dtype=np.int64)
    order = np.argsort(codes)
    pictures = [order[np.searchsorted(codes[order], values)] for values in sets]
    joined = [
        " + ".join(name for name, bit in zip(names, single, strict=True) if value & bit)
        for value in others
    ]
    return ClassPictures(pictures[0], pictures[1], ("background", *names, *joined))
