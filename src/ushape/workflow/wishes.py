"""What a person asks of a run, joined from files, `--set` and options; the later ones win."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypedDict

from ushape.config.load import check_key, check_value, read_settings
from ushape.errors import ConfigError, unknown_name
from ushape.labels import LabelTable, LabelWish, parse_names, parse_regions, parse_value
from ushape.nets import make_spec
from ushape.plan import Request
from ushape.sizes import parse_duration_s, parse_stack

FROM_DATA = {
    "data.root": "it is the folder DATA",
    "data.validation": "use --val",
    "data.labels": "use --labels, --foreground, --target, --ignore or --region",
    "data.label_folder": "use --label-folder",
    "data.layout": "use --layout",
    "data.stack_mm": "use --stack",
    "data.align": "use --align",
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


class Asks(TypedDict, total=False):
    """What a person may ask of `plan` and `train`; all of it may be left out.

    Attributes:
        model: A network of `ushape models`, with its paper's numbers. Left out: the plan chooses
            one whose width fits the device and the budget.
        budget: Time to train, such as `"10m"`, or seconds.
        steps: Steps to train, instead of a budget.
        val: Validation cases: names, ranges (`"24-29"`), globs, a fraction, a text file, `none`, or
            `own`: as the data set divides itself. By default that, or else a fifth of the cases.
        folds: Divide the cases into so many parts, by chance and always alike ...
        fold: ... and validate on this one, 0 to folds - 1; instead of `val`.
        foreground: The label value that is the foreground of a binary data set.
        labels: Class names with their label values, background first.
        target: `binary`, `multiclass`, `multilabel`, `instances` or `instances+border`; by default
            what the labels show.
        ignore: The label value of void pixels, which count in no loss and no score.
        regions: Further classes made of labels, such as `{"whole": ["disc", "knob"]}`.
        label_folder: The folder to take labels from, beside `images/`.
        layout: How the folder is laid out (docs/layouts.md); by default it is recognised.
        stack: The pictures are slices of one stack, with voxel edges z, y, x such as
            `"50x4x4nm"`, or three numbers in mm.
        augment: How strongly patches are varied: `light`, `default`, `strong` or `nnunet`; by
            default the plan chooses. Whether directions matter is seen in the data.
        align: Resample labels that lie on another grid than their image, instead of refusing them.
        start_from: A run folder or model file whose weights the network starts from.
        settings: Any setting by key, such as `{"patch.batch": 8}`.
        seed: Of all chance; 0 by default.
    """

    model: str | None
    budget: str | float | None
    steps: int | None
    val: str | None
    folds: int | None
    fold: int | None
    foreground: str | None
    labels: str | Mapping[str, int] | None
    target: str | None
    ignore: int | str | None
    regions: Sequence[str] | Mapping[str, Sequence[str]] | None
    label_folder: str | None
    layout: str | None
    stack: str | Sequence[float] | None
    align: bool
    augment: str | None
    start_from: str | Path | None
    settings: Mapping[str, Any] | None
    seed: int | None


def read_wishes(files: Sequence[Path], asks: Asks) -> Wishes:
    """Join and check what a person asks for. No data is read.

    Args:
        files: Settings files, the weakest first.
        asks: Its settings win over files; the others are options of their own, which win over
            everything.

    Raises:
        ConfigError: A value has the wrong type, or a setting is given twice.
    """
    unknown = next((name for name in asks if name not in Asks.__annotations__), None)
    if unknown:
        raise ConfigError(unknown_name("argument", unknown, tuple(Asks.__annotations__)))
    settings = asks.get("settings") or {}
    model, budget, steps = asks.get("model"), asks.get("budget"), asks.get("steps")
    start = asks.get("start_from")
    joined: dict[str, Any] = {}
    for file in files:
        joined = _lay_over(joined, _spread(read_settings(file)))
    if asks.get("augment"):  # a preset said now replaces what a file says of augmentation
        joined = {key: value for key, value in joined.items() if not key.startswith("augment.")}
    for key in settings:
        check_key(key)
        if key in FROM_DATA:
            raise ConfigError(f"{key} cannot be set: {FROM_DATA[key]}")
    by_hand = _spread({k: check_value(k, v, place="settings") for k, v in settings.items()})
    budget_s = parse_duration_s(budget) if isinstance(budget, str) else budget
    given = {
        "model.name": model,
        "train.seed": asks.get("seed"),
        "data.validation": _validation(asks),
        "train.start_from": None if start is None else str(start),
    }
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

    wish = _label_wish(asks)
    if wish == LabelWish():
        wish = LabelWish(table=_recorded_labels(joined))
    apart = {*FROM_DATA, *(("model.name",) if model else ()), *(SCHEDULE if has_length else ())}
    request = Request(
        model=model,
        budget_s=budget_s,
        steps=steps,
        validation=joined.get("data.validation", ""),
        label_folder=asks.get("label_folder") or joined.get("data.label_folder"),
        layout=asks.get("layout") or joined.get("data.layout"),
        stack_mm=read_stack(asks.get("stack")) or joined.get("data.stack_mm"),
        augment=asks.get("augment"),
        align=bool(asks.get("align") or joined.get("data.align", False)),
        settings={key: value for key, value in joined.items() if key not in apart},
    )
    return Wishes(request, wish)


def _label_wish(asks: Asks) -> LabelWish:
    labels, ignore, regions = asks.get("labels"), asks.get("ignore"), asks.get("regions")
    return LabelWish(
        asks.get("foreground"),
        parse_names(labels) if isinstance(labels, str) else labels,
        asks.get("target"),
        parse_value(ignore) if isinstance(ignore, str) else ignore,
        regions if isinstance(regions, Mapping) else parse_regions(regions or ()),
    )


def _validation(asks: Asks) -> str | None:
    """Say which cases validate, in one line."""
    val, folds, fold = asks.get("val"), asks.get("folds"), asks.get("fold")
    if folds is None and fold is None:
        return val
    if val is not None:
        raise ConfigError("--val and --folds both say which cases validate: give one of them")
    if folds is None or fold is None:
        missing, example = ("folds", "5") if folds is None else ("fold", "0")
        raise ConfigError(
            f"--folds N --fold K belong together, --{missing} is missing: such as "
            f"--{missing} {example}; each fold is a run of its own"
        )
    return f"fold {fold} of {folds}"


def read_stack(stack: str | Sequence[float] | None) -> tuple[float, float, float] | None:
    """Read what is asked of `stack`: voxel edges z, y, x in mm, or None where nothing is."""
    if stack is None or isinstance(stack, str):
        return None if stack is None else parse_stack(stack)
    if len(stack) != 3 or any(not edge > 0 for edge in stack):
        raise ConfigError(f"stack = {list(stack)}: give three edges above 0, z, y, x, in mm")
    return (float(stack[0]), float(stack[1]), float(stack[2]))


def _lay_over(weak: Mapping[str, Any], strong: Mapping[str, Any]) -> dict[str, Any]:
    """Let settings win over others, and silence those that go with what they replace."""
    kept = dict(weak)
    if any(key in strong for key in SCHEDULE):
        kept = {key: value for key, value in kept.items() if key not in SCHEDULE}
    name = kept.get("model.name")
    if name is not None and strong.get("model.name", name) != name:
        kept = {k: v for k, v in kept.items() if not k.startswith(("model.options.", "fine."))}
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
