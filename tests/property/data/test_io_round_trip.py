"""Whatever label values are written, the same values are read."""

import numpy as np
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ushape.data.io import read_image, read_label, write_label, write_probabilities

SIZES = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=40)
QUICK = settings(deadline=None, max_examples=40)


def labels(high):
    values = st.integers(0, high)
    return hnp.arrays(np.int64, SIZES, elements=values)


@QUICK
@given(data=st.data(), suffix=st.sampled_from([".png", ".tif", ".TIFF"]))
def test_labels(tmp_path_factory, data, suffix):
    high = data.draw(st.sampled_from([1, 255, 65535] + [2**31 - 1] * (suffix != ".png")))
    values = data.draw(labels(high))
    path = tmp_path_factory.mktemp("labels") / f"a{suffix}"
    write_label(path, values)
    label = read_label(path)
    np.testing.assert_array_equal(label.values, values)
    assert not label.is_color


@QUICK
@given(values=labels(0xFFFFFF), suffix=st.sampled_from([".png", ".tif"]))
def test_colours(tmp_path_factory, values, suffix):
    path = tmp_path_factory.mktemp("colours") / f"a{suffix}"
    write_label(path, values, is_color=True)
    label = read_label(path, is_color=True)
    np.testing.assert_array_equal(label.values, values)
    assert label.is_color


@QUICK
@given(
    values=hnp.arrays(
        np.float32,
        hnp.array_shapes(min_dims=3, max_dims=3, max_side=12),
        elements=st.floats(0, 1, width=32),
    )
)
def test_probabilities(tmp_path_factory, values):
    path = tmp_path_factory.mktemp("probabilities") / "p.tif"
    write_probabilities(path, values)
    np.testing.assert_array_equal(tifffile.imread(path).reshape(values.shape), values)
    if len(values) == 1:
        np.testing.assert_array_equal(read_image(path), values)
