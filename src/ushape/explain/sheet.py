"""Draw the sheet of a class: rows are levels, encoder left, decoder right, two maps a node.

matplotlib is imported where the sheet is drawn, since that takes more than a second, and used
without pyplot: nothing global changes.
"""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ushape.explain.response import ClassPicture, ClassResponse, NodeResponse

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ushape.explain.maps import Image

_INK, _TRUTH, _OWN, _PROBE = "#30343b", "#00d5ff", "#ff4fd8", "#ffffff"
_PANEL = 2.05
_LONGEST = 360
"""Edge in pixels of the pictures on a sheet; larger ones are thinned out."""

_STYLE: dict[str, Any] = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.titlelocation": "left",
    "axes.edgecolor": "#d9dce1",
    "text.color": _INK,
    "figure.facecolor": "white",
}


def draw(found: ClassResponse, picture: ClassPicture, *, has_truth: bool) -> bytes:
    """Draw one class.

    Args:
        found: Its numbers.
        picture: Its maps. Of a volume, the slice with most of the class is shown, its voxels as
            long and as wide as they are.
        has_truth: Whether the outlines are true or predicted.

    Returns:
        A PNG file; equal input gives equal bytes.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    levels = sorted({node.level for node in found.nodes})
    columns = found.columns
    num_columns = max(4, 2 * len(columns))
    flat = _Flat(picture)
    best = max(found.nodes, key=lambda node: np.nan_to_num(node.probe.dice, nan=-1.0)).name
    style: Any = {**_STYLE, "image.aspect": flat.stretch}
    with mpl.rc_context(style):
        height = (_PANEL * flat.aspect + 0.2) * (len(levels) + 1) + 0.3
        figure = Figure(figsize=(_PANEL * num_columns, height), layout="constrained")
        axes = figure.subplots(len(levels) + 1, num_columns, squeeze=False)
        for axis in axes.ravel():
            axis.set_axis_off()
        _draw_head(axes[0], flat, found, has_truth=has_truth)
        for row, level in enumerate(levels, start=1):
            for number, (_, nodes) in enumerate(columns):
                node = next((node for node in nodes if node.level == level), None)
                if node is not None:
                    _draw_gradient(axes[row][2 * number], flat, node)
                    _draw_probe(axes[row][2 * number + 1], flat, node, best)
        figure.suptitle(_title(found, picture, has_truth=has_truth), x=0.01, ha="left", fontsize=10)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
    return buffer.getvalue()


class _Flat:
    """The picture as planes: a slice of a volume, thinned out where it is large."""

    def __init__(self, picture: ClassPicture) -> None:
        self._slice: tuple[Any, ...] = ()
        if picture.mask.ndim == 3:
            self._slice = (int(picture.mask.sum(axis=(1, 2)).argmax()),)
        self._step = max(1, math.ceil(max(picture.mask.shape[-2:]) / _LONGEST))
        self.image = self.plane(picture.case.image[0])
        self.mask = self.plane(picture.mask)
        self.predicted = self.plane(picture.predicted)
        self.gradient = {name: self.plane(heat) for name, heat in picture.gradient.items()}
        self.probe = {name: self.plane(scores) for name, scores in picture.probe.items()}
        self.limits = picture.limits
        low, high = np.percentile(self.image, (0.5, 99.5))
        self.range = (float(low), float(max(high, low + 1e-6)))
        edges = picture.case.spacing_mm
        self.stretch = 1.0 if edges is None else edges[-2] / edges[-1]  # a pixel's height to width
        self.aspect = self.stretch * self.image.shape[0] / self.image.shape[1]

    def plane(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        chosen: npt.NDArray[Any] = values[self._slice]
        return chosen[:: self._step, :: self._step]


def _draw_head(row: Any, flat: _Flat, found: ClassResponse, *, has_truth: bool) -> None:
    own = "" if math.isnan(found.network_dice) else f", Dice {found.network_dice:.2f}"
    titles = ["image", "truth" if has_truth else "prediction, explained here", f"prediction{own}"]
    panels = [(None, _TRUTH), (flat.mask, _TRUTH), (flat.predicted, _OWN)]
    for axis, title, (mask, color) in zip(
        row, titles, panels[: 3 if has_truth else 2], strict=False
    ):
        _show(axis, flat)
        axis.set_title(title)
        if mask is not None:
            _outline(axis, mask, color, 1.0)
    text = (
        "Below, two maps a node.\n"
        "Gradient: where its features raise the\nclass; the share that lies inside it.\n"
        "Probe: what a linear reading of its\nfeatures finds; white: its mask;\n"
        "bold: the best node."
    )
    row[3].text(0, 0.98, text, va="top", fontsize=7.5, transform=row[3].transAxes)


def _draw_gradient(axis: Axes, flat: _Flat, node: NodeResponse) -> None:
    heat = flat.gradient[node.name]
    peak = float(np.percentile(heat, 99.8)) if heat.size else 0.0
    peak = peak or float(heat.max())
    inside = "-" if math.isnan(node.gradient_inside) else f"{node.gradient_inside:.0%}"
    axis.set_title(f"{node.name} {node.part}: gradient {inside}")
    _show(axis, flat, alpha=0.55)
    strength = np.clip(heat / peak, 0, 1) if peak > 0 else np.zeros_like(heat)
    axis.imshow(strength, cmap="inferno", alpha=0.25 + 0.75 * strength, vmin=0, vmax=1)
    _outline(axis, flat.mask, _TRUTH, 0.6)


def _draw_probe(axis: Axes, flat: _Flat, node: NodeResponse, best: str) -> None:
    scores = flat.probe[node.name]
    axis.imshow(scores, cmap="viridis", vmin=-0.2, vmax=1.1)
    weight = "bold" if node.name == best else "normal"
    axis.set_title(f"{node.name}: probe, Dice {node.probe.dice:.2f}", fontweight=weight)
    _outline(axis, scores >= flat.limits[node.name], _PROBE, 0.6)
    _outline(axis, flat.mask, _TRUTH, 0.6)


def _show(axis: Axes, flat: _Flat, *, alpha: float = 1.0) -> None:
    low, high = flat.range
    axis.imshow(flat.image, cmap="gray", vmin=low, vmax=high, alpha=alpha)


def _outline(axis: Axes, mask: Image | npt.NDArray[np.bool_], color: str, width: float) -> None:
    if mask.any() and not mask.all():
        axis.contour(mask.astype(np.float32), levels=[0.5], colors=[color], linewidths=width)


def _title(found: ClassResponse, picture: ClassPicture, *, has_truth: bool) -> str:
    source = "truth" if has_truth else "the network's own prediction"
    return f"{found.name} in {picture.case.name} · outlines and probes: {source}"
