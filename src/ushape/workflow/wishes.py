"""What a person asks of a run, joined from files, `--set` and options; the later ones win."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ushape.config.load import check_key, check_value, read_settings
from ushape.errors import ConfigError
from ushape.labels import LabelTable, LabelWish, parse_names, parse_regions, parse_value
from ushape.nets import make_spec
from ushape.plan import Request
from ushape.sizes import parse_duration_s

FROM_DATA = {
    "data.root": "it is the folder DATA",
    "data.validation": "use --val",
    "data.labels": "use --labels, --foreground, --target, --ignore or --region",
    "data.label_folder": "use --label-folder",
    "preprocess.channels": "it follows from the images",
    "model.in_channels": "it follows from the images",
    "model.classes": "it follows from the labels",
}
"""Settings that `config.yaml` records but that nobody sets by key."""

SCHEDULE = ("schedule.budget_s", "schedule.steps")
"""One of them is set, so a later voice that names one silences both of an earlier voice."""


@dataclass(frozen=True)
class Wishes:
    """All that a person asks for.

    Attributes:
        request: What the planner is asked.
        labels: What the labels mean.
    """

    request: Request
    labels: LabelWish = field(default_factory=LabelWish)


def read_wishes(
    *,
    files: Sequence[Path],
    settings: Mapping[str, Any],
    model: str | None,
    budget: str | float | None,
    steps: int | None,
    val: str | None,
    foreground: str | None,
    labels: str | Mapping[str, int] | None,
    seed: int | None,
    target: str | None = None,
    ignore: int | str | None = None,
    regions: Sequence[str] | Mapping[str, Sequence[str]] | None = None,
    label_folder: str | None = None,
) -> Wishes:
    """Join and check what a person asks for. No data is read.

    Args:
        files: Settings files, the weakest first.
        settings: Settings by key; they win over files.
        model: This and the others are options of their own, which win over everything.

    Raises:
        ConfigError: A value has the wrong type, or a setting is given twice.
    """
    joined: dict[str, Any] = {}
    for file in files:
        joined = _lay_over(joined, _spread(read_settings(file)))
    for key in settings:
        check_key(key)
        if key in FROM_DATA:
            raise ConfigError(f"{key} cannot be set: {FROM_DATA[key]}")
    by_hand = _spread({k: check_value(k, v, place="settings") for k, v in settings.items()})
    budget_s = parse_duration_s(budget) if isinstance(budget, str) else budget
    given = {"model.name": model, "train.seed": seed, "data.validation": val}
    options: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    has_length = budget is not None or steps is not None
    if has_length:
        options |= dict(zip(SCHEDULE, (budget_s, steps), strict=True))
    for key in by_hand:
        if key in options:
            raise ConfigError(f"{key} is given twice, by --set and by its own option: give it once")
    # The network's name first: it silences the options of another network in files, not those here.
    joined = _lay_over(_lay_over(joined, options), by_hand)
    _check_model(joined)

    wish = LabelWish(
        foreground,
        parse_names(labels) if isinstance(labels, str) else labels,
        target,
        parse_value(ignore) if isinstance(ignore, str) else ignore,
        regions if isinstance(regions, Mapping) else parse_regions(regions or ()),
    )
    if wish == LabelWish():
        wish = LabelWish(table=_recorded_labels(joined))
    apart = {*FROM_DATA, *(("model.name",) if model else ()), *(SCHEDULE if has_length else ())}
    request = Request(
        model=model,
        budget_s=budget_s,
        steps=steps,
        validation=joined.get("data.validation", Request.validation),
        label_folder=label_folder or joined.get("data.label_folder"),
        settings={key: value for key, value in joined.items() if key not in apart},
    )
    return Wishes(request, wish)


def _lay_over(weak: Mapping[str, Any], strong: Mapping[str, Any]) -> dict[str, Any]:
    """Let settings win over others, and silence those that go with what they replace."""
    kept = dict(weak)
    if any(key in strong for key in SCHEDULE):
        kept = {key: value for key, value in kept.items() if key not in SCHEDULE}
    name = kept.get("model.name")
    if name is not None and strong.get("model.name", name) != name:
        kept = {k: v for k, v in kept.items() if not k.startswith("model.options.")}
    return {**kept, **strong}


def _spread(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Give every option of the network a key of its own, as `--set` writes it."""
    spread = dict(settings)
    options = spread.pop("model.options", {})
    return {**{f"model.options.{name}": value for name, value in options.items()}, **spread}


def _check_model(joined: Mapping[str, Any]) -> None:
    """Refuse an unknown network or option now, before a large data set is read."""
    if "model.name" in joined:
        options = {
            key.removeprefix("model.options."): value
            for key, value in joined.items()
            if key.startswith("model.options.")
        }
        # How many classes there are is known from the data alone: here, as many as are named.
        named = [k for k in options.get("branch_classes") or () if type(k) is int]
        make_spec(joined["model.name"], in_channels=1, classes=1 + max(named, default=0), **options)


def _recorded_labels(joined: Mapping[str, Any]) -> LabelTable | None:
    if "data.labels" not in joined:
        return None
    try:
        return LabelTable.from_json(joined["data.labels"])
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            f"data.labels: not a table of classes ({error}); give --labels name=value,..."
        ) from error
