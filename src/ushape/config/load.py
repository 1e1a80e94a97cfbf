"""Read settings from YAML files and `--set key=value`, check them, and write `config.yaml`.

A key is a dotted path such as `optimizer.learning_rate`. Settings that people give are kept as a
flat mapping from key to value until the planner has filled in the rest.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, get_type_hints

import yaml
from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from ushape.config import schema
from ushape.config.schema import PreprocessConfig, RunConfig
from ushape.errors import ConfigError, nearest_name, unknown_name
from ushape.files import write_text
from ushape.losses import LossText, check_loss, loss_to_data

FREE_FORM = "model.options."
"""Keys that begin so are checked where they are used: options differ between networks."""

LOSSES = ("loss", "lines.loss", "fine.loss")
"""Keys whose values are written in the language of losses."""

_IN_YAML = {
    "tuple_type": "input should be a list, such as [256, 256]",
    "dict_type": "input should be a mapping, such as {width: 32}",
    "mapping_type": "input should be a mapping, such as {width: 32}",
}
"""What pydantic says in Python's words, in the words of the files that people write."""


@functools.cache
def known_keys() -> tuple[str, ...]:
    """List every key of a run's settings, in the order of `config.yaml`."""
    keys: list[str] = []
    for section in dataclasses.fields(RunConfig):
        kind = getattr(schema, str(section.type), None)
        if dataclasses.is_dataclass(kind):
            keys += [f"{section.name}.{field.name}" for field in dataclasses.fields(kind)]
        else:
            keys.append(section.name)
    return tuple(keys)


def check_key(key: str) -> None:
    """Refuse a key that does not exist, with the nearest one that does."""
    if key in known_keys() or key.startswith(FREE_FORM):
        return
    meant = _likely_keys(key)
    if meant:
        hint = " or ".join(repr(known) for known in meant)
        raise ConfigError(f"unknown setting {key!r}: did you mean {hint}?")
    inside = _section(key) or dict.fromkeys(known.partition(".")[0] for known in known_keys())
    raise ConfigError(unknown_name("setting", key, inside))


def _section(key: str) -> list[str]:
    section = key.partition(".")[0]
    return [known for known in known_keys() if known.startswith(f"{section}.")]


def _likely_keys(key: str) -> tuple[str, ...]:
    """Find what a wrong key may mean: its last word in another section, its initials, its spelling.

    People write `batch` for `patch.batch` and `lr` for `optimizer.learning_rate`.
    """
    words = {known: known.rpartition(".")[2] for known in known_keys()}
    wanted = key.rpartition(".")[2]
    initials = {w: "".join(part[0] for part in w.split("_")) for w in words.values() if "_" in w}
    found = [known for known, word in words.items() if wanted in (word, initials.get(word))]
    if not found:
        among = _section(key) or list(words)
        spelt = nearest_name(wanted, [words[known] for known in among])
        found = [known for known in among if words[known] == spelt]
    nearest = nearest_name(key, found) if "." in key else None
    return (nearest,) if nearest else tuple(found)


def check_value(key: str, value: Any, *, place: str) -> Any:
    """Check the value of one setting, and bring it to the setting's type.

    YAML reads 1e-3 as a text, for example, and a list where a tuple is meant.

    Args:
        key: A key that exists.
        value: Plain data; options of networks are checked where the network is made.
        place: What to call the source in errors.

    Raises:
        ConfigError: With the key, what was given and what is allowed.
    """
    adapter = _value_adapter(key)
    if adapter is None:
        return value
    try:
        checked = adapter.validate_python(value)
    except ValidationError as error:
        raise ConfigError(_wrong_value(place, key, error.errors()[0])) from error
    return _read_loss(checked, key, place) if key in LOSSES else checked


def _read_loss(loss: LossText, key: str, place: str) -> str | dict[str, Any]:
    """Check the language of a loss and fill in its fields; which classes there are shows later."""
    check_loss(loss, place=key if place in ("--set", "settings") else f"{place}: {key}")
    return loss_to_data(loss)


def read_assignments(assignments: Iterable[str]) -> dict[str, Any]:
    """Read `--set key=value` arguments; values are YAML.

    Raises:
        ConfigError: No equals sign, an unknown key, or a value that is not YAML.
    """
    settings: dict[str, Any] = {}
    for text in assignments:
        key, equals, value = text.partition("=")
        key = key.strip()
        if not equals or not key:
            raise ConfigError(f"--set {text!r}: write key=value, such as patch.batch=8")
        check_key(key)
        try:
            settings[key] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise ConfigError(f"--set {text!r}: the value is not valid YAML") from error
        settings[key] = check_value(key, settings[key], place="--set")
    return settings


def read_settings(path: str | Path) -> dict[str, Any]:
    """Read a YAML file of settings (any part of a `config.yaml`) as a flat mapping.

    Raises:
        ConfigError: The file cannot be read, is not YAML, or holds an unknown key; with its place.
    """
    tree = _read_yaml(Path(path))
    settings: dict[str, Any] = {}
    for name, value in tree.items():
        is_section = any(key.startswith(f"{name}.") for key in known_keys())
        items = value.items() if is_section and isinstance(value, Mapping) else [(None, value)]
        for key, item in items:
            full = name if key is None else f"{name}.{key}"
            try:
                check_key(str(full))
            except ConfigError as error:
                raise ConfigError(f"{path}: {error}") from error
            settings[str(full)] = check_value(str(full), item, place=str(path))
    return settings


def load_config(path: str | Path) -> RunConfig:
    """Read a run's complete `config.yaml`."""
    tree = _read_yaml(Path(path))
    return check_config(tree, place=str(path))


def check_config(tree: Mapping[str, Any], *, place: str = "settings") -> RunConfig:
    """Check types, ranges and names of complete settings.

    Args:
        tree: Nested plain data, as in `config.yaml`.
        place: What to call the source in errors.

    Raises:
        ConfigError: With the key, what was given and what is allowed.
    """
    try:
        config = _adapter().validate_python(dict(tree))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"] if isinstance(part, str))
        if first["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
            try:
                check_key(key)
            except ConfigError as unknown:
                raise ConfigError(f"{place}: {unknown}") from error
        if first["type"] in ("missing", "missing_argument"):
            raise ConfigError(f"{place}: the setting {key} is missing") from error
        raise ConfigError(_wrong_value(place, key, first)) from error
    check_loss(config.loss, place=f"{place}: loss")
    check_loss(config.lines.loss, place=f"{place}: lines.loss")
    check_loss(config.fine.loss, place=f"{place}: fine.loss")
    if (config.schedule.budget_s is None) == (config.schedule.steps is None):
        raise ConfigError(f"{place}: set one of schedule.budget_s and schedule.steps, not both")
    _check_preprocess(config.preprocess, place)
    return config


def _check_preprocess(config: PreprocessConfig, place: str) -> None:
    if config.clip is not None and config.clip[0] >= config.clip[1]:
        raise ConfigError(
            f"{place}: preprocess.clip = {list(config.clip)}: the first percentile must be the "
            "smaller one, such as [0.5, 99.5]"
        )
    if config.nonzero and config.normalise != "zscore":
        raise ConfigError(
            f"{place}: preprocess.nonzero leaves zeros out of mean and deviation, which "
            f"preprocess.normalise = {config.normalise} does not take: set one of them only"
        )
    _check_intensity(config, place)


def _check_intensity(config: PreprocessConfig, place: str) -> None:
    """Refuse `ct` without its numbers, and numbers of which a channel can make nothing."""
    given = len(config.intensity)
    if config.normalise == "ct" and given != config.channels:
        raise ConfigError(
            f"{place}: preprocess.normalise = ct takes preprocess.intensity of each of the "
            f"{config.channels} channel(s), not of {given}: give [[low, high, mean, deviation]] "
            "with one row a channel, or set normalise to zscore"
        )
    for low, high, _, _ in config.intensity:
        if low >= high:
            raise ConfigError(
                f"{place}: preprocess.intensity clips to {low:g} .. {high:g}: the first number "
                "must be the smaller one, such as [[-160, 240, 40, 60]]"
            )


def _wrong_value(place: str, key: str, problem: ErrorDetails) -> str:
    message, _, _ = problem["msg"].partition(", unable to parse")
    message = _IN_YAML.get(problem["type"], message[0].lower() + message[1:])
    return f"{place}: {key} = {problem['input']!r}: {message}"


def config_tree(config: RunConfig) -> dict[str, Any]:
    """Turn settings into nested plain data."""
    tree = _adapter().dump_python(config, mode="json")
    assert isinstance(tree, dict)
    return tree


def write_config(path: str | Path, config: RunConfig, reasons: Mapping[str, str]) -> None:
    """Write `config.yaml`: complete, with the reason beside each choice that was made for it."""
    lines = ["# Complete settings of this run; after # stands why a value was chosen."]
    for name, value in config_tree(config).items():
        if not isinstance(value, Mapping):
            lines.append(_line(name, value, reasons.get(name), indent=""))
            continue
        lines.append(f"{name}:{_comment(reasons.get(name))}")
        for key, item in value.items():
            lines.append(_line(key, item, reasons.get(f"{name}.{key}"), indent="  "))
    write_text(path, "\n".join(lines) + "\n")


def _line(key: str, value: Any, reason: str | None, *, indent: str) -> str:
    text = _flow(value, is_unicode=True)
    if not text.isprintable():  # YAML folds some line breaks of Unicode into blanks
        text = _flow(value, is_unicode=False)
    return f"{indent}{key}: {text}{_comment(reason)}"


def _comment(reason: str | None) -> str:
    shown = "".join(c if c.isprintable() else " " for c in reason or "")
    return f"  # {' '.join(shown.split())}" if shown else ""


def _flow(value: Any, *, is_unicode: bool) -> str:
    text = yaml.safe_dump(
        value, default_flow_style=True, width=10**6, allow_unicode=is_unicode, sort_keys=False
    )
    return str(text).removesuffix("\n").removesuffix("\n...")


def _read_yaml(path: Path) -> Mapping[str, Any]:
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not a text file"
        raise ConfigError(f"{path}: cannot be read: {reason}") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "not valid YAML"
        raise ConfigError(f"{path}{where}: {problem}; correct the file") from error
    if not isinstance(tree, Mapping):
        raise ConfigError(f"{path}: expected sections with settings, such as 'patch: {{batch: 8}}'")
    return tree


@functools.cache
def _adapter() -> TypeAdapter[RunConfig]:
    return TypeAdapter(RunConfig)


@functools.cache
def _value_adapter(key: str) -> TypeAdapter[Any] | None:
    if key not in known_keys():
        return None
    section, _, name = key.partition(".")
    hint = get_type_hints(RunConfig, include_extras=True)[section]
    return TypeAdapter(get_type_hints(hint, include_extras=True)[name] if name else hint)
