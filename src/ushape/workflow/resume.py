"""Begin a run folder, or go on with the run that lies in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ushape.config.load import config_tree, load_config, write_config
from ushape.config.schema import RunConfig
from ushape.errors import ConfigError, DataError
from ushape.files import make_folder, write_json
from ushape.plan import Plan, Split
from ushape.workflow.folder import RunFolder
from ushape.workflow.wishes import Asks, read_stack

_UNRECORDED = ("palette", "order")
"""Of labels, what earlier releases did not know: how predictions look, not what is learnt."""


def free_folder(run_plan: Plan) -> Path:
    """Name a run folder that does not exist yet."""
    base = f"{run_plan.fingerprint.name}-{run_plan.config.model.name}"
    taken = (Path("runs") / (base if n == 1 else f"{base}-{n}") for n in range(1, 10**6))
    return next(path for path in taken if not path.exists())


def check_folder(folder: RunFolder, *, is_resumed: bool) -> None:
    """Refuse a folder that something else lies in, before the data are read."""
    if folder.root.exists() and not folder.root.is_dir():
        raise ConfigError(f"--out {folder.root} is a file: choose another name for the run folder")
    if is_resumed or not folder.root.exists():
        return
    if folder.config.exists():
        raise ConfigError(
            f"{folder.root} already holds a run: add --resume to go on with it, "
            "or choose another --out"
        )
    if any(path != folder.lock for path in folder.root.iterdir()):
        raise ConfigError(
            f"{folder.root} is not empty and holds no run: choose another --out, or an empty folder"
        )


def check_subject(folder: RunFolder, asks: Asks) -> None:
    """Refuse another network, or slices that were pictures, before a plan is made of half of each.

    Raises:
        ConfigError: The run was begun with another; the message names both.
    """
    old = load_config(folder.config)
    for key, was, now in (
        ("model.name", old.model.name, asks.get("model")),
        ("data.stack_mm", old.data.stack_mm, read_stack(asks.get("stack"))),
    ):
        if now not in (None, was):
            raise _cannot_go_on(folder, key, was, now)


def resume_or_begin(folder: RunFolder, new: Plan) -> Plan:
    """Write the settings of a new run, or take those of the run that is resumed."""
    if folder.config.exists():
        folder.sweep()
        return _resumed_plan(folder, new)
    make_folder(folder.fold)
    write_json(
        folder.split, {"train": new.split.train, "val": new.split.val, "why": new.split.reason}
    )
    # Last, because its presence says that a run was begun.
    write_config(folder.config, new.config, new.reasons)
    return new


def _resumed_plan(folder: RunFolder, new: Plan) -> Plan:
    """Take the recorded settings; refuse others, since the result would be neither."""
    old = load_config(folder.config)
    for key, was, now in _differences(old, new.config):
        raise _cannot_go_on(folder, key, was, now)
    train_ids, val_ids = folder.read_split()
    if (train_ids, val_ids) != (new.split.train, new.split.val):
        raise DataError(
            f"{folder.root} was begun with {len(train_ids)} training and {len(val_ids)} validation "
            f"cases, the data now gives {len(new.split.train)} and {len(new.split.val)}: restore "
            "the files, or start a new run"
        )
    split = Split(train_ids, val_ids, new.split.reason)
    return Plan(old, folder.read_reasons(), split, new.fingerprint)


def _cannot_go_on(folder: RunFolder, key: str, was: object, now: object) -> ConfigError:
    """Say that a run was begun with another setting."""
    option = ": leave what is said of labels out, as it is recorded" if key == "data.labels" else ""
    return ConfigError(
        f"{folder.root} was begun with {key} = {was} and cannot go on with {now}"
        f"{option or ': leave that as it was'}, or start a new run with another --out"
    )


def _differences(old: RunConfig, new: RunConfig) -> Iterator[tuple[str, Any, Any]]:
    now = config_tree(new)
    for section, before in config_tree(old).items():
        if not isinstance(before, Mapping):
            before, after, place = {section: before}, {section: now[section]}, ""
        else:
            after, place = now[section], f"{section}."
        for key, value in before.items():
            if place + key == "data.root" or _is_same(value, after[key], place + key):
                continue
            yield place + key, value, after[key]


def _is_same(was: Any, now: Any, key: str) -> bool:
    """Compare a setting; what earlier releases did not record of labels makes no difference."""
    if key == "data.labels":
        now = {name: value for name, value in now.items() if name in was or name not in _UNRECORDED}
    return bool(was == now)
