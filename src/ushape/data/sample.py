"""One case in memory: the form that everything between the files and the network speaks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Sample:
    """One case.

    Attributes:
        id: The case's name.
        image: Shape (channel, *size), float32, normalised.
        target: Class index of every pixel, shape (*size), uint8; None for an unlabelled case.
    """

    id: str
    image: npt.NDArray[np.float32]
    target: npt.NDArray[np.uint8] | None = None

    @property
    def size(self) -> tuple[int, ...]:
        """Spatial size."""
        return tuple(self.image.shape[1:])
