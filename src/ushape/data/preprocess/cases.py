"""Prepare the cases of a data set in threads: bounded in memory, taken up again after a kill."""

from __future__ import annotations

import math
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ushape.config.schema import PreprocessConfig, SamplingConfig, WeightMapConfig
from ushape.data.case_image import read_case_header, read_case_image
from ushape.data.io import Grid, canonical_turn
from ushape.data.layouts import CaseFiles
from ushape.data.placement import Placement
from ushape.data.preprocess.cache import (
    PreparedCase,
    entry_path,
    image_key,
    load_array,
    load_placement,
    save_array,
    save_placement,
    target_key,
)
from ushape.data.preprocess.prepare import prepare_image, prepared_size
from ushape.data.preprocess.target import make_weights, read_case_target, weight_edges
from ushape.data.sampling import index_places, pack_places
from ushape.data.threads import MemoryBudget, machine_budget, map_in_threads
from ushape.errors import DataError
from ushape.labels import LabelTable

_TARGET_BYTES, _BORDER_BYTES = 8, 40
"""Memory that one voxel takes while a target is made: as values, as classes, as parts of them; and
while borders between numbered objects are looked for."""

_WEIGHT_BYTES = 64
"""Memory that one voxel takes while pixel weights are computed, in double precision."""


def prepare_cases(
    cases: Sequence[CaseFiles],
    table: LabelTable,
    config: PreprocessConfig,
    cache: Path,
    *,
    weights: WeightMapConfig | None = None,
    sampling: SamplingConfig | None = None,
    align: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[PreparedCase, ...]:
    """Make every labelled case ready for training, using again what is prepared already.

    Args:
        cases: Cases with a label.
        table: The classes.
        config: How images are prepared.
        cache: Folder of the prepared arrays.
        weights: The pixel weights to compute, if any.
        sampling: Where patches will be cut; voxels of classes are indexed if it needs them.
        align: Resample labels that lie on another grid than their image.
        progress: Called with (done, total), from the calling thread.

    Raises:
        DataError: A file cannot be read or does not fit; it is named. What was prepared before
            is kept.
    """
    twice = [case_id for case_id, count in Counter(case.id for case in cases).items() if count > 1]
    if twice:
        raise DataError(f"several cases are called {', '.join(twice[:5])}: give each its own name")
    needed = weights if weights is not None and weights.use else None
    is_indexed = sampling is not None and sampling.foreground_fraction > 0
    work = _Preparation(table, config, cache, needed, is_indexed, align, machine_budget())
    return tuple(map_in_threads(work.prepare, cases, progress))


@dataclass(frozen=True)
class _Preparation:
    """What is done to every case, and the memory that all of them share."""

    table: LabelTable
    config: PreprocessConfig
    cache: Path
    weights: WeightMapConfig | None
    is_indexed: bool
    is_alignable: bool
    budget: MemoryBudget

    def prepare(self, case: CaseFiles) -> PreparedCase:
        """Prepare what is not prepared yet."""
        image_path, placement = self._image(case)
        key = target_key(case, self.table, placement, align=self.is_alignable)
        target_path = entry_path(self.cache, case.id, f"{key}-target.npy")
        if not target_path.exists():
            with self.budget.hold(self._target_bytes(placement)):
                target = read_case_target(case, self.table, placement, align=self.is_alignable)
                save_array(target_path, target)
        return PreparedCase(
            case.id,
            image_path,
            target_path,
            placement,
            self._weights(case, target_path, placement, key),
            has_void=self.table.ignore is not None,
            is_overlapping=self.table.is_overlapping,
            places_path=self._places(case, target_path, key),
            sampling_weight=case.sampling_weight,
        )

    def _target_bytes(self, placement: Placement) -> int:
        size = max(math.prod(placement.grid.size), math.prod(placement.size))
        if self.table.form == "instances":
            return _BORDER_BYTES * size
        # Masks are held as they are and as bools, a class each.
        return (_TARGET_BYTES + (2 * len(self.table.classes) * self.table.writes_masks)) * size

    def _image(self, case: CaseFiles) -> tuple[Path, Placement]:
        key = image_key(case, self.config)
        path = entry_path(self.cache, case.id, f"{key}-image.npy")
        record = entry_path(self.cache, case.id, f"{key}-placement.json")
        if not (path.exists() and record.exists()):
            with self.budget.hold(image_bytes(case, self.config)):
                image, placement = prepare_image(read_case_image(case), self.config)
                save_array(path, image)
                save_placement(record, placement)
        return path, load_placement(record)

    def _weights(
        self, case: CaseFiles, target_path: Path, placement: Placement, key: str
    ) -> Path | None:
        if self.weights is None:
            return None
        w0, sigma = self.weights.w0, self.weights.sigma
        edges = weight_edges(placement)
        told = "" if set(edges) == {1.0} else "-" + "x".join(f"{edge:g}" for edge in edges)
        path = entry_path(self.cache, case.id, f"{key}-weight-{w0:g}-{sigma:g}{told}.npy")
        if not path.exists():
            target = load_array(target_path)
            with self.budget.hold(_WEIGHT_BYTES * target.size):
                weights = make_weights(
                    case, target, self.table, self.weights, placement, align=self.is_alignable
                )
                save_array(path, weights)
        return path

    def _places(self, case: CaseFiles, target_path: Path, key: str) -> Path | None:
        if not self.is_indexed:
            return None
        path = entry_path(self.cache, case.id, f"{key}-places.npy")
        if not path.exists():
            target = load_array(target_path)
            seed = zlib.crc32(np.ascontiguousarray(target).data)  # alike in every format of file
            places = index_places(target, self.table, seed)
            save_array(path, pack_places(places))
        return path


def image_bytes(case: CaseFiles, config: PreprocessConfig) -> int:
    """Say from its header how much memory the preparation of an image takes, at most.

    These are the values, once more while they are read or sorted for percentiles, and the result.

    Raises:
        DataError: The header cannot be read, or the image is not to be had at this spacing.
    """
    header = read_case_header(case)
    grid = canonical_turn(header.grid).new
    if case.planes:
        grid = Grid.of((len(case.planes), *grid.size), case.spacing_mm)
    prepared = math.prod(prepared_size(grid.size, grid, config, header.name))
    num_channels = header.num_channels * header.num_frames * max(1, len(case.channels))
    stored = 2 * max(4, header.dtype.itemsize) * math.prod(grid.size)
    return num_channels * (stored + 4 * prepared)
