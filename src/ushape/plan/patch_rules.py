"""Rules for what one training step sees: the patch, and how many of them.

Source: Isensee et al. 2021, supplementary note 2 (patch and batch size): a patch as large as the
device can take, of the shape of the images, and no batch below 2. What a device can take is here a
matter of time as well as of memory.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from ushape.nets import Geometry, NetworkSpec, geometry_of
from ushape.plan.choices import Choices
from ushape.plan.fine_rules import patches_in_memory
from ushape.plan.grid_rules import Grid
from ushape.plan.request import DEFAULT_BUDGET_S, Situation
from ushape.plan.speed import step_macs, training_bytes
from ushape.sizes import Size, format_size

ENOUGH_STEPS = 2500
"""A network is as wide as leaves this many steps in the budget."""

PATCH_STEPS = 1000
"""A patch of a volume is as large as leaves this many steps to a network of the usual width."""

MANY_STEPS = 4000
"""Only where more than these are left, more volumes than two make a step."""

STEP_PIXELS = 2 * 256 * 256
"""Pixels of one training step in 2D: patch times batch."""

LARGEST_PATCH = 256
"""Longest edge of a patch in 2D."""

STEP_VOXELS = (2**16, 2**22)
"""Fewest and most voxels of one training step in 3D: 2 x 32^3 and 2 x 128^3."""

MOST_PATCHES = {2: 32, 3: 8}


class Step(NamedTuple):
    """What one step sees, and why."""

    size: Size
    batch: int
    why_size: str
    why_batch: str

    @property
    def pixels(self) -> int:
        """Pixels or voxels of all patches."""
        return math.prod(self.size) * self.batch


def choose_patch(choices: Choices, situation: Situation, grid: Grid, spec: NetworkSpec) -> None:
    """Choose patch and batch.

    Raises:
        ShapeError: A patch that was set by hand does not pass through the network.
    """
    is_paper = situation.request.model is not None
    step = plan_step(choices, situation, grid, spec, is_paper=is_paper)
    geometry = geometry_of(spec)
    if "patch.size" not in choices.given or "patch.batch" not in choices.given:
        step = _fit_memory(choices, situation, spec, step, geometry)
    size = tuple(choices.choose("patch.size", step.size, step.why_size))
    geometry.output_size(size)
    choices.choose("patch.batch", step.batch, step.why_batch)


def plan_step(
    choices: Choices, situation: Situation, grid: Grid, spec: NetworkSpec, *, is_paper: bool
) -> Step:
    """Plan a step by time alone; what is set by hand counts."""
    geometry = geometry_of(spec)
    size = choices.given.get("patch.size")
    batch = choices.given.get("patch.batch")
    if grid.spatial_dims == 2:
        return _step_2d(grid, geometry, size, batch, is_paper=is_paper)
    seconds = choices.values.get("schedule.budget_s") or DEFAULT_BUDGET_S
    voxels = seconds * situation.speed.macs_per_s / step_macs(spec, 1)
    return _step_3d(grid, geometry, voxels, size, batch)


def _step_2d(
    grid: Grid, geometry: Geometry, given: Size | None, batch: int | None, *, is_paper: bool
) -> Step:
    edges = tuple(
        max(min(LARGEST_PATCH, length // stride * stride), stride)
        for length, stride in zip(grid.size, geometry.total_stride, strict=True)
    )
    if _is_padded(geometry):
        size, why = edges, "the images' size, at most 256, in multiples of the stride"
    else:
        size = _with_margin(edges, geometry)
        why = f"gives {format_size(geometry.output_size(size))} after unpadded convolutions"
    size = tuple(given or size)
    planned = max(min(round(STEP_PIXELS / math.prod(size)), MOST_PATCHES[2]), 1)
    reason = "about 131 072 pixels a step: many small steps learn most in a short time"
    if is_paper:
        planned, reason = max(planned // 2, 1), "half of the usual: the paper's network is large"
    return Step(size, batch or planned, why, reason)


def _step_3d(
    grid: Grid, geometry: Geometry, voxels: float, given: Size | None, batch: int | None
) -> Step:
    """Plan a step in 3D; `voxels` are those that the whole training can see."""
    fewest, most = STEP_VOXELS
    affordable = min(max(voxels / PATCH_STEPS, fewest), most)
    box = fit_box(grid.size, grid.edges, geometry.total_stride, affordable / (batch or 2))
    size = box if _is_padded(geometry) else _with_margin(box, geometry)
    if all(edge >= length for edge, length in zip(box, grid.size, strict=True)):
        why = f"holds a whole volume of the median size {format_size(grid.size)}"
    else:
        what = "time allows" if affordable < most else "is of use"
        why = f"as large as {what} of {format_size(grid.size)}, as long in mm along every axis"
    if not _is_padded(geometry):
        why += f"; gives {format_size(geometry.output_size(size))} after unpadded convolutions"
    size = tuple(given or size)
    pixels = math.prod(size)
    pair = 2 if 2 * pixels <= affordable else 1
    planned = min(max(int(min(voxels / MANY_STEPS, most) / pixels), pair), MOST_PATCHES[3])
    reason = "many small steps learn most in a short time"
    return Step(size, batch or planned, why, reason)


def fit_box(
    size: Sequence[int], edges: Sequence[float], strides: Sequence[int], most: float
) -> Size:
    """Find the largest box of at most so many voxels that is about as long along every axis.

    Args:
        size: No axis needs to be longer than this; it is rounded up to the stride.
        edges: Edge of a voxel of every axis, in any unit.
        strides: The box's edges are multiples of these, and at least one of them.
        most: Voxels. The smallest box may have more.

    >>> fit_box((24, 512, 512), (50, 4, 4), (2, 16, 16), 2**18)
    (12, 144, 144)
    """
    limits = [-(-length // stride) * stride for length, stride in zip(size, strides, strict=True)]

    def box_of(length: float) -> Size:
        return tuple(
            max(min(int(length / edge * (1 + 1e-9)) // stride * stride, limit), stride)
            for edge, stride, limit in zip(edges, strides, limits, strict=True)
        )

    lengths = sorted(
        {
            edge * stride * number
            for edge, stride, limit in zip(edges, strides, limits, strict=True)
            for number in range(1, limit // stride + 1)
        }
    )
    low, high = 0, len(lengths) - 1
    while low < high:
        middle = (low + high + 1) // 2
        if math.prod(box_of(lengths[middle])) <= most:
            low = middle
        else:
            high = middle - 1
    return box_of(lengths[low])


def _is_padded(geometry: Geometry) -> bool:
    return not any(sum(pair) for pair in geometry.margin)


def _with_margin(size: Size, geometry: Geometry) -> Size:
    wanted = tuple(n + sum(pair) for n, pair in zip(size, geometry.margin, strict=True))
    return geometry.nearest_sizes(wanted)[1]


def _fit_memory(
    choices: Choices, situation: Situation, spec: NetworkSpec, step: Step, geometry: Geometry
) -> Step:
    """Take fewer patches but two, then smaller ones, then one, until a step fits the memory."""
    limit = situation.speed.usable_bytes(situation.device.kind)
    precision = str(choices.values["train.precision"])
    reason = f"what {limit / 2**30:.1f} GiB of memory holds"
    while True:
        batch = patches_in_memory(choices, step.batch)
        needed = training_bytes(spec, step.size, batch, precision, limit)
        if needed <= limit:
            return step
        smaller = None if "patch.size" in choices.given else _halved(step.size, geometry)
        fewest = 2 if smaller else 1
        if step.batch > fewest and "patch.batch" not in choices.given:
            fewer = min(step.batch - 1, int(step.batch * limit / needed))
            step = step._replace(batch=max(fewer, fewest), why_batch=reason)
        elif smaller:
            step = step._replace(size=smaller, why_size=reason)
        else:
            return step


def _halved(size: Size, geometry: Geometry) -> Size | None:
    """Halve the axis that has most strides; None if the size is the smallest."""
    room = [
        (n - low) // stride
        for n, low, stride in zip(size, geometry.smallest, geometry.total_stride, strict=True)
    ]
    axis = room.index(max(room))
    if room[axis] < 1:
        return None
    edge = size[axis] - (room[axis] + 1) // 2 * geometry.total_stride[axis]
    return (*size[:axis], edge, *size[axis + 1 :])
