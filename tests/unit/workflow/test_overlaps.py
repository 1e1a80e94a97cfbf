"""Overlapping classes as one picture."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra import numpy as arrays

from ushape.report import Overlay
from ushape.workflow.overlaps import unite


@settings(deadline=None, max_examples=50)
@given(arrays.arrays(bool, (2, 4, 5, 6)))
def test_every_pixel_is_named_by_its_classes(masks):
    names = ["a", "b", "c", "d"]
    pictures = unite(masks[0], masks[1], names)
    for picture, wanted in ((pictures.prediction, masks[0]), (pictures.truth, masks[1])):
        for place in np.ndindex(picture.shape):
            here = [
                name
                for name, is_in in zip(names, wanted[(slice(None), *place)], strict=True)
                if is_in
            ]
            assert pictures.names[picture[place]] == (" + ".join(here) or "background")
    assert len(set(pictures.names)) == len(pictures.names)
    Overlay("t", "", np.zeros((1, 5, 6)), pictures.prediction, pictures.truth, pictures.names)


@pytest.mark.parametrize("count", [1, 3])
def test_single_classes_keep_their_place_and_so_their_colour(count):
    masks = np.zeros((count, 2, 2), bool)
    assert unite(masks, masks, "abc"[:count]).names == ("background", *"abc"[:count])
