"""All metrics of a case by name: what they are called, their unit, which values are good."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from ushape.errors import ConfigError, unknown_name
from ushape.metrics.paired import Better

Group = Literal["overlap", "surface", "topology", "objects"]


@dataclass(frozen=True)
class Metric:
    """One metric of one class in one case.

    Attributes:
        name: As people type it.
        title: As people read it.
        group: The family; its name asks for all of them.
        better: Which values are good.
        is_length: It is a distance, in mm or in pixels; else a fraction or a count.
    """

    name: str
    title: str
    group: Group
    better: Better = "high"
    is_length: bool = False

    def column(self, unit: str) -> str:
        """Name the column of a table: distances carry their unit.

        >>> METRICS["hd95"].column("mm"), METRICS["dice"].column("mm")
        ('hd95_mm', 'dice')
        """
        return f"{self.name}_{unit}" if self.is_length else self.name


_ALL = (
    Metric("dice", "Dice", "overlap"),
    Metric("iou", "IoU", "overlap"),
    Metric("precision", "Precision", "overlap"),
    Metric("recall", "Recall", "overlap"),
    Metric("specificity", "Specificity", "overlap"),
    Metric("volume_error", "Volume error", "overlap", "zero"),
    Metric("hd", "HD", "surface", "low", is_length=True),
    Metric("hd95", "HD95", "surface", "low", is_length=True),
    Metric("assd", "ASSD", "surface", "low", is_length=True),
    Metric("nsd", "NSD", "surface"),
    Metric("boundary_f", "Boundary F", "surface"),
    Metric("v_rand", "V_rand", "topology"),
    Metric("v_rand_thinned", "V_rand, thinned", "topology"),
    Metric("v_info", "V_info", "topology"),
    Metric("v_info_thinned", "V_info, thinned", "topology"),
    Metric("warping_error", "Warping error", "topology", "low"),
    Metric("topology_errors", "Topology errors", "topology", "low"),
    Metric("cldice", "clDice", "topology"),
    Metric("component_error", "Component error", "topology", "zero"),
    Metric("detection_sensitivity", "Detection sensitivity", "objects"),
    Metric("detection_precision", "Detection precision", "objects"),
    Metric("detection_f1", "Detection F1", "objects"),
    Metric("instance_precision", "Instance precision", "objects"),
    Metric("instance_recall", "Instance recall", "objects"),
    Metric("instance_f1", "Instance F1", "objects"),
    Metric("panoptic_quality", "Panoptic quality", "objects"),
)

METRICS: Mapping[str, Metric] = MappingProxyType({metric.name: metric for metric in _ALL})
"""By name, in the order in which they are reported."""

GROUPS: tuple[Group, ...] = ("overlap", "surface", "topology", "objects")
UNITS = ("mm", "pixels")


def parse_metrics(names: str | Iterable[str]) -> tuple[str, ...]:
    """Read a list of metrics and of groups of them.

    Args:
        names: Such as `dice,hd95` or `("overlap", "nsd")`; `all` is everything.

    Returns:
        Names of metrics in the order of the catalogue, each once.

    Raises:
        ConfigError: There is no such metric; the message has the nearest one.

    >>> parse_metrics("nsd,dice")
    ('dice', 'nsd')
    """
    given = names.split(",") if isinstance(names, str) else list(names)
    wanted: set[str] = set()
    for name in (piece.strip() for piece in given):
        if name == "all":
            wanted.update(METRICS)
        elif name in GROUPS:
            wanted.update(metric.name for metric in _ALL if metric.group == name)
        elif name in METRICS:
            wanted.add(name)
        else:
            raise ConfigError(unknown_name("metric", name, (*METRICS, *GROUPS, "all")))
    return tuple(name for name in METRICS if name in wanted)


def metric_of_column(column: str) -> tuple[str, Metric] | None:
    """Split the name of a column into what stands before the metric, and the metric.

    Returns:
        The class (empty where the column is a metric alone) and the metric, or None.

    >>> metric_of_column("left kidney_hd95_mm")[0]
    'left kidney'
    """
    matches = []
    for metric in _ALL:
        for unit in UNITS if metric.is_length else ("",):
            ending = metric.column(unit)
            if column == ending or column.endswith(f"_{ending}"):
                matches.append((len(ending), column[: -len(ending)].removesuffix("_"), metric))
    if not matches:
        return None
    _, name, metric = max(matches, key=lambda match: match[0])
    return name, metric
