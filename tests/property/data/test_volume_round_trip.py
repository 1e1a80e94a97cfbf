"""Whatever is written on whatever grid, the same values are read at the same places."""

from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ushape.data.io import (
    Grid,
    Volume,
    read_header,
    read_label_volume,
    read_volume,
    to_canonical,
    write_label_volume,
    write_volume,
)

QUICK = settings(deadline=None, max_examples=25)
SUFFIXES = st.sampled_from([".nii", ".nii.gz", ".nrrd", ".mha", ".npz"])
TYPES = st.sampled_from(["u1", "i2", "u2", "i4", "f4", "f8"])


@st.composite
def grids(draw, size):
    """Any rotation and reflection, nanometres to centimetres, up to 25 times anisotropic."""
    seed = draw(st.integers(0, 2**32 - 1))
    matrix, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    scale = 10 ** draw(st.floats(-6, 1))
    spacing = [scale * draw(st.floats(0.2, 5)) for _ in range(3)]
    origin = [edge * draw(st.floats(-500, 500)) for edge in spacing]
    return Grid.of(size, spacing, origin, matrix)


@QUICK
@given(data=st.data(), suffix=SUFFIXES, dtype=TYPES)
def test_images(tmp_path_factory, data, suffix, dtype):
    size = data.draw(hnp.array_shapes(min_dims=3, max_dims=3, min_side=2, max_side=7))
    channels = data.draw(st.integers(1, 3))
    values = data.draw(
        hnp.arrays(dtype, (channels, *size), elements={"allow_nan": False, "allow_infinity": False})
        if dtype[0] == "f"
        else hnp.arrays(dtype, (channels, *size))
    )
    grid = data.draw(grids(size))
    path = tmp_path_factory.mktemp("volumes") / f"a{suffix}"
    write_volume(path, values, grid)
    volume = read_volume(path)
    np.testing.assert_array_equal(volume.values, values)
    assert volume.values.dtype == dtype
    assert grid.is_same(volume.grid, 1e-2)
    header = read_header(path)
    assert (header.grid, header.dtype, header.num_channels) == (volume.grid, dtype, channels)


@QUICK
@given(data=st.data(), suffix=SUFFIXES, high=st.sampled_from([1, 255, 65535, 2**31 - 1]))
def test_labels(tmp_path_factory, data, suffix, high):
    size = data.draw(hnp.array_shapes(min_dims=3, max_dims=3, min_side=2, max_side=7))
    values = data.draw(hnp.arrays(np.int64, size, elements=st.integers(0, high)))
    path = tmp_path_factory.mktemp("labels") / f"a{suffix}"
    write_label_volume(path, values, data.draw(grids(size)))
    np.testing.assert_array_equal(read_label_volume(path).values, values)


@QUICK
@given(data=st.data())
def test_turning_keeps_every_voxel_at_its_place(data):
    size = data.draw(hnp.array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=6))
    grid = data.draw(grids(size))
    index = np.argwhere(np.ones(size))
    places = grid.positions_mm(index).T.reshape(3, *size)  # an image whose values are positions
    canonical, turn = to_canonical(Volume(places, grid, Path()))
    found = canonical.grid.positions_mm(np.argwhere(np.ones(canonical.grid.size)))
    scale = max(grid.edges_mm) * 1e-6 + np.abs(places).max() * 1e-9
    np.testing.assert_allclose(found, canonical.values.reshape(3, -1).T, atol=scale)
    np.testing.assert_array_equal(turn.undo(canonical.values), places)
    assert to_canonical(canonical)[1].is_identity
