"""From files to normalised arrays on disk, which training reads through memory maps, and back.

`prepare` makes the array of one image and records how (`ushape.data.placement`), `target` brings
its labels onto the same voxels by exact rules, `cases` does so for a data set and keeps the arrays
in the `cache`; `normalise`, `resample` and `weights` do the arithmetic. `ushape.data.restore` is
the way back.
"""

from __future__ import annotations

from ushape.data.placement import Placement
from ushape.data.preprocess.cache import PreparedCase
from ushape.data.preprocess.cases import prepare_cases
from ushape.data.preprocess.normalise import normalise_image
from ushape.data.preprocess.prepare import place_image, prepare_image, read_sample
from ushape.data.preprocess.target import make_weights, place_target, read_case_target, read_target

__all__ = [
    "Placement",
    "PreparedCase",
    "make_weights",
    "normalise_image",
    "place_image",
    "place_target",
    "prepare_cases",
    "prepare_image",
    "read_case_target",
    "read_sample",
    "read_target",
]
