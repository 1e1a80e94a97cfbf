"""What a plan says of its choices, as rows for the terminal: title, choice, reasons."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from ushape.cli.fine_texts import second_pass_rows
from ushape.config.schema import PreprocessConfig, RunConfig, TilingConfig
from ushape.losses import LossText, loss_to_data
from ushape.sizes import format_count, format_duration, format_size
from ushape.workflow import Prepared
from ushape.workflow.data_facts import format_lengths

WIDTH = 100
"""Columns that reasons are broken to."""

INDENT = " " * 9


class Row(NamedTuple):
    """One choice; empty reasons are left out."""

    title: str
    text: str
    reasons: tuple[str, ...] = ()


def row_lines(row: Row) -> list[str]:
    """Write a short reason behind the choice, others beneath it."""
    head = f"{row.title:8} {row.text}"
    reasons = [reason for reason in row.reasons if reason]
    if len(reasons) == 1 and len(head) + len(reasons[0]) + 4 <= WIDTH:
        return [f"{head}  ({reasons[0]})"]
    lines = _wrapped(head, INDENT)
    for reason in reasons:
        lines += _wrapped(f"{INDENT}({reason})", f"{INDENT} ")
    return lines


def _wrapped(text: str, indent: str) -> list[str]:
    """Break a text at blanks; names and paths stay whole."""
    return textwrap.wrap(
        text, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def plan_rows(prepared: Prepared) -> Iterator[Row]:
    """Yield what will be run and why, in the order of the work."""
    run_plan = prepared.plan
    config, why = run_plan.config, _Reasons(run_plan.reasons)
    split = run_plan.split
    yield Row("split", f"{len(split.train)} train, {len(split.val)} validate")
    yield Row("", split.reason)
    if run_plan.fingerprint.spatial_dims == 3:
        yield from _grid_rows(config.preprocess, why)
    yield from _value_rows(config.preprocess, why)
    options = ", ".join(f"{key} {value}" for key, value in config.model.options.items())
    model = config.model.name + (f" ({options})" if options else "")
    yield Row("model", model, why["model.name", "model.options"])
    patch = f"{format_size(config.patch.size)}, {config.patch.batch} a step"
    yield Row("patches", patch, why["patch.size", "patch.batch"])
    yield from _variation_rows(config, why)
    yield Row("loss", _loss_text(config.loss), why["loss",])
    yield from _target_rows(config, why)
    schedule, optimizer = config.schedule, config.optimizer
    length = (
        f"{schedule.steps} steps" if schedule.steps else format_duration(schedule.budget_s or 0.0)
    )
    learning = f"{optimizer.name} at {optimizer.learning_rate:g}"
    training = f"{length}, {learning}, {config.train.precision}"
    yield Row("training", training, why["optimizer.learning_rate",])
    yield from _prediction_rows(config.tiling, why)
    device = prepared.device
    threads = format_count(device.num_threads, "thread")
    yield Row("device", f"{device.name}, {threads}")


class _Reasons:
    """Reasons by key; a resumed run of an older version has not all of them."""

    def __init__(self, reasons: Mapping[str, str]) -> None:
        self._reasons = reasons

    def __getitem__(self, keys: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self._reasons.get(key, "") for key in keys))


def _grid_rows(config: PreprocessConfig, why: _Reasons) -> Iterator[Row]:
    spacing = config.spacing_mm
    text = "as in the files" if spacing is None else f"resampled to {format_lengths(spacing)}"
    yield Row("voxels", text, why["preprocess.spacing_mm",])
    if config.crop != "none":
        yield Row("", "borders of zeros are cut off", why["preprocess.crop",])


def _value_rows(config: PreprocessConfig, why: _Reasons) -> Iterator[Row]:
    yield Row("values", config.normalise, why["preprocess.normalise",])
    if config.clip is not None:
        low, high = config.clip
        text = f"clipped to the percentiles {low:g} and {high:g} of each image"
        yield Row("", text, why["preprocess.clip",])
    if config.nonzero:
        yield Row("", "mean and deviation of what is not zero", why["preprocess.nonzero",])
    for low, high, mean, deviation in config.intensity:
        text = f"clipped to {low:.4g} .. {high:.4g}, mean {mean:.4g}, deviation {deviation:.4g}"
        yield Row("", text, why["preprocess.intensity",])


def _variation_rows(config: RunConfig, why: _Reasons) -> Iterator[Row]:
    """Say where patches are cut and how they are varied."""
    share = config.sampling.foreground_fraction
    if share:
        text = f"{share:.0%} of the patches are centred on a class"
        yield Row("sampling", text, why["sampling.foreground_fraction",])
    (preset,) = why["augment",]
    if preset:
        yield Row("augment", preset)
    if not config.augment.flip:
        yield Row("" if preset else "augment", "not mirrored", why["augment.flip",])


def _target_rows(config: RunConfig, why: _Reasons) -> Iterator[Row]:
    """Say what is done to targets and losses besides the usual."""
    if config.balance == "auto":
        yield Row("", "its terms are brought to one magnitude")
    if config.weight_map.use:
        weights = config.weight_map
        yield Row("", f"gaps weigh more (w0 {weights.w0:g}, sigma {weights.sigma:g})")
    lines = config.lines
    if lines.classes:
        sigmas = ", ".join(f"{sigma:g}" for sigma in lines.sigma)
        how = "blurred copies beside them" if lines.mode == "blurred" else "graded by distance"
        yield Row("lines", f"{', '.join(lines.classes)}: {how}, sigma {sigmas}")
    for title, text, key in second_pass_rows(config.fine):
        yield Row(title, text, why[key,] if key else ())


def _prediction_rows(config: TilingConfig, why: _Reasons) -> Iterator[Row]:
    yield Row("predict", f"tiles of {format_size(config.tile_size)}", why["tiling.tile_size",])
    views = "eight mirrored views" if config.mirror else "one view"
    (reason,) = why["tiling.mirror",]
    # Most reasons begin with the choice, as they stand alone in config.yaml.
    yield Row("", views, (reason.removeprefix(f"{views}: "),))


def _loss_text(loss: LossText) -> str:
    """Write a loss in one line; groups by name."""
    if isinstance(loss, str):
        return loss
    groups = loss_to_data(loss)
    assert isinstance(groups, dict)
    lines = {
        key: group if isinstance(group, str) else group["terms"] for key, group in groups.items()
    }
    return "; ".join(f"{name}: {line}" for name, line in lines.items())
