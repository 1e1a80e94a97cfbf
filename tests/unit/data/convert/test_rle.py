"""Run lengths: what COCO and CVAT write comes back, damage is refused before memory is taken."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ushape.data.convert.rle import decode_columns, decode_rows, unpack
from ushape.errors import DataError


def lengths(flat):
    """Count runs, the first of zeros."""
    counts, value = [0], False
    for pixel in flat:
        if pixel != value:
            counts.append(0)
            value = pixel
        counts[-1] += 1
    return counts


def pack(counts):
    """Pack as pycocotools' `rleToString` does, transcribed from its C code."""
    text = ""
    for place, count in enumerate(counts):
        rest = count - counts[place - 2] if place > 2 else count
        more = True
        while more:
            bits = rest & 0x1F
            rest >>= 5
            more = rest != -1 if bits & 0x10 else rest != 0
            text += chr((bits | 0x20 if more else bits) + 48)
    return text


masks = arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12)))


@settings(deadline=None, max_examples=80)
@given(masks)
def test_what_is_packed_comes_back(mask):
    counts = lengths(mask.T.ravel())
    np.testing.assert_array_equal(decode_columns(counts, mask.shape), mask)
    np.testing.assert_array_equal(decode_columns(pack(counts), mask.shape), mask)
    np.testing.assert_array_equal(decode_rows(lengths(mask.ravel()), mask.shape), mask)


@settings(deadline=None, max_examples=80)
@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=12))
def test_long_runs_and_falling_ones_come_back(counts):
    assert unpack(pack(counts)) == counts


def test_the_text_that_pycocotools_writes():
    """Texts written by pycocotools 2.0.11 from these pictures."""
    mask = np.zeros((9, 9), bool)
    mask[2:7, 3:6] = True
    np.testing.assert_array_equal(decode_columns("m054000i0", (9, 9)), mask)
    rows = "11001001011000001001101100001011001010010000000101010101010110000101000000111"
    noise = np.array([digit == "1" for digit in rows]).reshape(7, 11)
    text = "011010O0011O30O1NO20N001100O000102NM0130"
    np.testing.assert_array_equal(decode_columns(text, (7, 11)), noise)
    large = np.zeros((300, 200), bool)
    large[:, 20:120] = True
    large[10:290, 150:152] = True
    np.testing.assert_array_equal(decode_columns("`k5`Ym0bi8XoRORWG0fQ>", (300, 200)), large)


@pytest.mark.parametrize(
    ("counts", "pattern"),
    [
        ([5, 5], "fill 10 pixels, 12 are there"),
        ([20, -8], "fill"),
        ([10**30], "no whole numbers"),
        ([[6, 6]], "fill"),
        (["a"], "no whole numbers"),
        ("5\x01", "damaged"),
        ("oooooooooo", "damaged"),
        ("m", "cut off"),
    ],
)
def test_damage_is_refused(counts, pattern):
    with pytest.raises(DataError, match=pattern):
        decode_columns(counts, (3, 4))


def test_a_long_claim_takes_no_memory():
    with pytest.raises(DataError, match="fill"):
        decode_columns([2**40, 2**40], (3, 4))
