"""Label values, class indices, and what losses compare with."""

import numpy as np
import pytest
import torch

from ushape.data.targets import decode_labels, encode_labels, most_likely, one_hot
from ushape.errors import DataError
from ushape.labels import LabelClass, LabelTable

INVERTED = LabelTable((LabelClass("cell", 255), LabelClass("membrane", 0)))
GAPS = LabelTable(tuple(LabelClass(f"c{v}", v) for v in (0, 700, 3)))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.int64])
def test_encode_follows_the_table_not_the_numbers(dtype):
    index = encode_labels(np.array([[0, 255, 255]], dtype=dtype), INVERTED)
    assert index.tolist() == [[1, 0, 0]]
    assert index.dtype == np.uint8


def test_decode_takes_the_smallest_type():
    assert decode_labels(np.array([[1, 0]], np.uint8), INVERTED).dtype == np.uint8
    values = decode_labels(np.array([[2, 1, 0]], np.uint8), GAPS)
    assert values.dtype == np.uint16
    assert values.tolist() == [[3, 700, 0]]


def test_values_of_no_class_are_listed_with_the_classes_and_the_remedy():
    with pytest.raises(DataError) as caught:
        encode_labels(np.array([[0, 9, 900, 3, 8]]), GAPS)
    assert "label value 8, 9, 900 is in no class" in str(caught.value)
    assert "0 = c0, 700 = c700, 3 = c3" in str(caught.value)
    assert "--labels" in str(caught.value)


def test_one_hot_of_a_binary_target_is_the_foreground():
    index = torch.tensor([[[0, 1], [1, 0]]], dtype=torch.uint8)
    target = one_hot(index, 1)
    assert target.shape == (1, 1, 2, 2)
    assert target.dtype == torch.float32
    assert target[0, 0].tolist() == [[0, 1], [1, 0]]


@pytest.mark.parametrize("size", [(2, 3), (2, 3, 2)])
def test_one_hot_of_classes(size):
    index = torch.randint(0, 4, (2, *size), generator=torch.Generator().manual_seed(0))
    target = one_hot(index.to(torch.uint8), 4)
    assert target.shape == (2, 4, *size)
    assert torch.equal(target.argmax(1), index)
    assert torch.equal(target.sum(1), torch.ones(2, *size))


def test_the_most_likely_class():
    binary = np.array([[[0.2, 0.5, 0.51]]], np.float32)
    assert most_likely(binary).tolist() == [[0, 0, 1]]
    several = np.array([[0.2, 0.4], [0.5, 0.3], [0.3, 0.3]], np.float32)[:, None]
    assert most_likely(several).tolist() == [[1, 0]]
    assert most_likely(several).dtype == np.uint8
