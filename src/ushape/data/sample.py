"""One case in memory: the form that everything between the files and the network speaks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Sample:
    """One case.

    Attributes:
        id: The case's name.
        image: Shape (channel, *size), float32, normalised.
        target: What every pixel is (`ushape.data.targets`), shape (*size): its class index, uint8,
            or a set of classes; None for an unlabelled case.
        weight: How much every pixel counts in the loss, shape (*size), or None for all alike.
        num_valid: Pixels that are not void; None for all.
        places: By foreground class (index 1, 2, ...): some of its voxels, shape (n, axes), n = 0
            where the case has none of it; empty where nothing was indexed.
        spacing_mm: Voxel edges of the array; None of pictures, and where the file does not say.
        sampling_weight: How many times as often as by itself patches are cut here.
    """

    id: str
    image: npt.NDArray[np.float32]
    target: npt.NDArray[np.unsignedinteger[Any]] | None = None
    weight: npt.NDArray[np.float32] | None = None
    num_valid: int | None = None
    places: tuple[npt.NDArray[np.integer[Any]], ...] = ()
    spacing_mm: tuple[float, ...] | None = None
    sampling_weight: float = 1.0

    @property
    def size(self) -> tuple[int, ...]:
        """Spatial size."""
        return tuple(self.image.shape[1:])
