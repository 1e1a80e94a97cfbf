"""How good a segmentation is: overlap by class, topology of regions, means with intervals.

Pure functions on NumPy arrays of any number of spatial axes.
"""

from ushape.metrics.overlap import OverlapScores, count_table, overlap_scores
from ushape.metrics.statistics import Interval, bootstrap_mean
from ushape.metrics.topology import (
    RandScores,
    Regions,
    RegionScores,
    adapted_rand,
    choose_regions,
    label_regions,
    region_scores,
)

__all__ = [
    "Interval",
    "OverlapScores",
    "RandScores",
    "RegionScores",
    "Regions",
    "adapted_rand",
    "bootstrap_mean",
    "choose_regions",
    "count_table",
    "label_regions",
    "overlap_scores",
    "region_scores",
]
