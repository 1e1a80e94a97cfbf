"""What to measure: which metrics, in which unit, with which tolerance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ushape.errors import ConfigError
from ushape.metrics import METRICS, parse_metrics

Unit = Literal["mm", "pixels"]

OVERLAP_METRICS = ("dice", "iou", "precision", "recall")
"""Always measured: they cost nothing beside reading the files."""

SURFACE_DEFAULTS = ("hd95", "nsd")

SECTION_METRICS = ("v_rand_thinned", "v_info_thinned", "warping_error", "topology_errors")
"""Made for sections: of volumes only measured where they are named, which takes minutes."""

REGION_METRICS = frozenset(("v_rand", "v_info", *SECTION_METRICS))
"""These need to know which side of a mask the regions are."""


@dataclass(frozen=True)
class ScoreSettings:
    """How cases are scored.

    Attributes:
        metrics: Names from the catalogue, in its order; `OVERLAP_METRICS` are among them.
        tolerance: Of NSD and boundary F, in `unit`.
        unit: Of all distances.
        regions: Which side region scores take as regions: `auto`, `background`, `foreground`.
        min_iou: From which IoU on two objects may match.
        left_out: Metrics of a group that was asked for which do not suit volumes.
    """

    metrics: tuple[str, ...]
    tolerance: float = 1.0
    unit: Unit = "pixels"
    regions: str = "auto"
    min_iou: float = 0.5
    left_out: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the scores as they stand in tables: distances with their unit."""
        return tuple(METRICS[name].column(self.unit) for name in self.metrics)


def choose_metrics(
    asked: str | Sequence[str] | None, target: str, spatial_dims: int = 2
) -> tuple[str, ...]:
    """Take what was asked for, or what suits a kind of target.

    Args:
        asked: Names of metrics or of groups of them, or None for the default: overlap, HD95 and
            NSD, and V_rand for binary targets of pictures.
        target: `binary`, `multiclass` or `multilabel`.
        spatial_dims: 3 leaves out of groups what is made for sections.

    Raises:
        ConfigError: There is no such metric.
    """
    if asked is not None:
        out = left_out(asked, spatial_dims)
        chosen = tuple(name for name in parse_metrics(asked) if name not in out)
    else:
        is_flat = target == "binary" and spatial_dims == 2
        chosen = (*SURFACE_DEFAULTS, "v_rand") if is_flat else SURFACE_DEFAULTS
    return tuple(name for name in METRICS if name in chosen or name in OVERLAP_METRICS)


def left_out(asked: str | Sequence[str] | None, spatial_dims: int) -> tuple[str, ...]:
    """List the metrics of groups that were asked for which do not suit volumes.

    >>> left_out("topology,v_rand_thinned,v_info_thinned", 3)
    ('warping_error', 'topology_errors')
    """
    if asked is None or spatial_dims == 2:
        return ()
    pieces = asked.split(",") if isinstance(asked, str) else list(asked)
    named = {piece.strip() for piece in pieces}
    chosen = parse_metrics(asked)
    return tuple(name for name in SECTION_METRICS if name in chosen and name not in named)


def check_tolerance(tolerance: float | None) -> None:
    """Refuse a tolerance that is no distance.

    Raises:
        ConfigError: It is negative, infinite or nan.
    """
    if tolerance is not None and not 0 <= tolerance < float("inf"):
        raise ConfigError(f"tolerance {tolerance}: give a distance of 0 or more, such as 1")
