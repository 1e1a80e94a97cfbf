"""A small network, and its layers as Keras would store them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from hand_made import Row, build, rows_of

from ushape.nets.network import SegmentationNetwork


@pytest.fixture
def network() -> SegmentationNetwork:
    return build()


@pytest.fixture
def rows(network: SegmentationNetwork) -> list[Row]:
    return rows_of(network)
