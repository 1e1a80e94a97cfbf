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


@dataclass(frozen=True)
class ScoreSettings:
    """How cases are scored.

    Attributes:
        metrics: Names from the catalogue, in its order; `OVERLAP_METRICS` are among them.
        tolerance: Of NSD and boundary F, in `unit`.
        unit: Of all distances.
        regions: Which side region scores take as regions: `auto`, `background`, `foreground`.
        min_iou: From which IoU on two objects may match.
    """

    metrics: tuple[str, ...]
    tolerance: float = 1.0
    unit: Unit = "pixels"
    regions: str = "auto"
    min_iou: float = 0.5

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the scores as they stand in tables: distances with their unit."""
        return tuple(METRICS[name].column(self.unit) for name in self.metrics)


def choose_metrics(asked: str | Sequence[str] | None, target: str) -> tuple[str, ...]:
    """Take what was asked for, or what suits a kind of target.

    Args:
        asked: Names of metrics or of groups of them, or None for the default: overlap, HD95 and
            NSD, and V_rand for binary targets.
        target: `binary`, `multiclass` or `multilabel`.

    Raises:
        ConfigError: There is no such metric.
    """
    if asked is not None:
        chosen: tuple[str, ...] = parse_metrics(asked)
    else:
        chosen = SURFACE_DEFAULTS if target != "binary" else (*SURFACE_DEFAULTS, "v_rand")
    return tuple(name for name in METRICS if name in chosen or name in OVERLAP_METRICS)


def check_tolerance(tolerance: float | None) -> None:
    """Refuse a tolerance that is no distance.

    Raises:
        ConfigError: It is negative, infinite or nan.
    """
    if tolerance is not None and not 0 <= tolerance < float("inf"):
        raise ConfigError(f"tolerance {tolerance}: give a distance of 0 or more, such as 1")
