"""A scan summed up."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ushape.data.layouts import find_cases
from ushape.data.scan import scan_cases
from ushape.errors import ConfigError, DataError
from ushape.labels import LabelWish
from ushape.plan import take_fingerprint


@pytest.fixture
def root(tmp_path):
    """Three grey cases of unequal size; class 2 is in one of them."""
    rng = np.random.default_rng(0)
    for folder in ("images", "labels"):
        (tmp_path / "cells" / folder).mkdir(parents=True)
    for name, size in (("a", (20, 40)), ("b", (30, 20)), ("c", (40, 30))):
        Image.fromarray(rng.integers(10, 200, size, dtype=np.uint8)).save(
            tmp_path / "cells" / "images" / f"{name}.png"
        )
        label = np.zeros(size, np.uint8)
        label[:10, :10] = 1
        if name == "c":
            label[20:25, :10] = 2
        Image.fromarray(label).save(tmp_path / "cells" / "labels" / f"{name}.png")
    return tmp_path / "cells"


def scan(root: Path):
    return scan_cases(find_cases(root))


def test_what_is_understood(root):
    found = take_fingerprint(scan(root))
    assert (found.name, found.case_ids, found.channels) == ("cells", ("a", "b", "c"), 1)
    assert found.median_size == (30, 30)
    assert found.smallest_size == (20, 20)
    assert found.largest_size == (40, 40)
    assert found.value_types == ("uint8",)
    assert found.value_range[0] >= 10
    assert found.value_range[1] < 200
    pixels = 20 * 40 + 30 * 20 + 40 * 30
    assert found.class_fractions == pytest.approx(
        ((pixels - 350) / pixels, 300 / pixels, 50 / pixels)
    )
    assert found.class_cases == (3, 3, 1)


def test_fractions_follow_the_table_not_the_values(root):
    found = take_fingerprint(scan(root), LabelWish(names={"rare": 2, "cell": 1, "rest": 0}))
    assert found.labels.names == ("rare", "cell", "rest")
    assert found.class_cases == (1, 3, 3)
    assert found.class_fractions[0] < found.class_fractions[1] < found.class_fractions[2]


def test_wishes_that_do_not_fit_the_labels(root):
    with pytest.raises(ConfigError, match="3 values"):
        take_fingerprint(scan(root), LabelWish(foreground="1"))
    with pytest.raises(ConfigError, match="also name 2"):
        take_fingerprint(scan(root), LabelWish(names={"rest": 0, "cell": 1}))


def test_colour_images_need_three_channels_and_grey_in_colours_one(root):
    for name in "abc":
        path = root / "images" / f"{name}.png"
        grey = np.asarray(Image.open(path))
        Image.fromarray(np.stack([grey] * 3, -1)).save(path)
    assert take_fingerprint(scan(root)).channels == 1
    path = root / "images" / "b.png"
    values = np.array(Image.open(path))
    values[0, 0, 0] ^= 1
    Image.fromarray(values).save(path)
    assert take_fingerprint(scan(root)).channels == 3


def test_without_labels_there_is_nothing_to_learn(root):
    from dataclasses import replace

    with pytest.raises(DataError, match="no case has a label"):
        take_fingerprint(replace(scan(root), label_counts={}))
