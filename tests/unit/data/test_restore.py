"""Restoring holds its result and a few planes, and decides on the file's own voxels."""

import tracemalloc

import numpy as np

from ushape.config.schema import PreprocessConfig
from ushape.data.io import Grid, Volume
from ushape.data.preprocess import place_image
from ushape.data.restore import Restorer
from ushape.labels import LabelClass, LabelTable

TABLE = LabelTable(tuple(LabelClass(name, i) for i, name in enumerate(("bg", "a", "b"))))
SIZE = (80, 70, 60)


def placed(size, spacing, wanted, direction=None):
    grid = Grid.of(size, spacing, direction=direction)
    volume = Volume(np.ones((1, *size), np.uint8), grid, "a")
    return place_image(volume, PreprocessConfig(1, spacing_mm=wanted))


def test_planes_stream_through():
    """Probabilities of the whole on either grid would be twelve times the result."""
    placement = placed(SIZE, (1, 1, 1), (1.2, 0.9, 0.8), np.eye(3)[::-1])
    plane = np.full((3, 1, *placement.size[1:]), 1 / 3, np.float32)
    tracemalloc.start()
    restorer = Restorer(placement, TABLE)
    for first in range(placement.size[0]):
        restorer.put(first, plane)
    result = restorer.classes()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert result.shape == SIZE
    assert peak < result.nbytes + 12 * plane.nbytes < 6 * result.nbytes


def test_a_border_lies_where_the_probabilities_cross_and_not_on_coarse_voxels():
    """Four fine voxels a coarse one: the share falls from 1 to 0 about 2.25 coarse voxels."""
    placement = placed((20, 1, 1), (1, 1, 1), (4, 1, 1))
    share = np.array([1, 1, 0.75, 0, 0], np.float32)
    probabilities = np.stack([1 - share, share, 0 * share])[:, :, None, None]
    restorer = Restorer(placement, TABLE)
    restorer.put(0, probabilities)
    # Centres of coarse voxels lie at 1.5, 5.5, 9.5, 13.5: one half is reached 4 / 3 behind 9.5.
    assert restorer.classes().ravel().tolist() == [1] * 11 + [0] * 9
