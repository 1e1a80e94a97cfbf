"""How good a segmentation is: overlap, surfaces, topology, objects; means with intervals.

Pure functions on NumPy arrays of any number of spatial axes. `docs/metrics.md` has every formula
and the rule for empty cases.
"""

from ushape.metrics.catalog import METRICS, Metric, metric_of_column, parse_metrics
from ushape.metrics.centerline import CenterlineScores, centerline_scores
from ushape.metrics.objects import (
    DetectionScores,
    InstanceScores,
    detection_scores,
    instance_scores,
)
from ushape.metrics.overlap import OverlapScores, count_masks, count_table, overlap_scores
from ushape.metrics.paired import Better, PairedDifference, paired_difference
from ushape.metrics.partitions import (
    InformationScores,
    RandScores,
    adapted_information,
    adapted_rand,
)
from ushape.metrics.statistics import Interval, bootstrap_mean
from ushape.metrics.surface import (
    BoundaryScores,
    SurfaceDistances,
    surface_distances,
    surface_mask,
)
from ushape.metrics.topology import (
    Regions,
    RegionScores,
    betti_numbers,
    choose_regions,
    component_error,
    label_regions,
    region_scores,
    thin_borders,
)
from ushape.metrics.warping import WarpingError, warp, warping_error

__all__ = [
    "METRICS",
    "Better",
    "BoundaryScores",
    "CenterlineScores",
    "DetectionScores",
    "InformationScores",
    "InstanceScores",
    "Interval",
    "Metric",
    "OverlapScores",
    "PairedDifference",
    "RandScores",
    "RegionScores",
    "Regions",
    "SurfaceDistances",
    "WarpingError",
    "adapted_information",
    "adapted_rand",
    "betti_numbers",
    "bootstrap_mean",
    "centerline_scores",
    "choose_regions",
    "component_error",
    "count_masks",
    "count_table",
    "detection_scores",
    "instance_scores",
    "label_regions",
    "metric_of_column",
    "overlap_scores",
    "paired_difference",
    "parse_metrics",
    "region_scores",
    "surface_distances",
    "surface_mask",
    "thin_borders",
    "warp",
    "warping_error",
]
