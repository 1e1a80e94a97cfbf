"""Values to class indices and back lose nothing, whatever the values."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ushape.data.targets import decode_labels, encode_labels
from ushape.errors import DataError
from ushape.labels import LabelClass, LabelTable, choose_labels

QUICK = settings(deadline=None, max_examples=60)
VALUES = st.lists(st.integers(0, 2**31 - 1), min_size=2, max_size=12, unique=True)


def table_of(values):
    return LabelTable(tuple(LabelClass(f"c{value}", value) for value in values))


@QUICK
@given(data=st.data(), values=VALUES)
def test_round_trip(data, values):
    """The table's order is arbitrary: it must not matter that it is not sorted."""
    table = table_of(values)
    shape = data.draw(hnp.array_shapes(min_dims=2, max_dims=3, max_side=6))
    picture = data.draw(hnp.arrays(np.int64, shape, elements=st.sampled_from(values)))
    index = encode_labels(picture, table)
    assert index.dtype == np.uint8
    for number, value in enumerate(values):
        assert np.array_equal(index == number, picture == value)
    back = decode_labels(index, table)
    assert np.array_equal(back, picture)
    assert back.dtype == np.min_scalar_type(max(values))


@QUICK
@given(values=VALUES, strange=st.integers(0, 2**31 - 1))
def test_a_value_of_no_class_is_named(values, strange):
    assume(strange not in values)
    picture = np.array([[values[0], strange]])
    with pytest.raises(DataError, match=f"label value {strange} is in no class"):
        encode_labels(picture, table_of(values))


@QUICK
@given(counts=st.dictionaries(st.integers(0, 2**31 - 1), st.integers(1, 1000), min_size=2))
def test_every_value_found_gets_one_class(counts):
    table = choose_labels(counts)
    assert sorted(table.values) == sorted(counts)
    assert LabelTable.from_json(table.to_json()) == table
