"""Write a network specification as plain data for a model file, and read it back, checked.

Members of a union carry their `kind`. Fields that are missing take their defaults, so that files
written before a field existed can still be read; unknown fields are refused, never ignored.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from ushape.errors import ConfigError
from ushape.nets.spec import NetworkSpec


def spec_to_json(spec: NetworkSpec) -> dict[str, Any]:
    """Return plain data: dictionaries, lists, numbers, text and None.

    Source for the exact layout: `tests/golden/nets/`.
    """
    written = _write(spec)
    assert isinstance(written, dict)
    return written


def spec_from_json(data: Mapping[str, Any]) -> NetworkSpec:
    """Read back what `spec_to_json` wrote.

    Raises:
        ConfigError: Something is missing, of a wrong type, or unknown to this release.
    """
    spec = _read(NetworkSpec, data, "network")
    assert isinstance(spec, NetworkSpec)
    return spec


def _write(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        kind = {"kind": value.kind} if hasattr(value, "kind") else {}
        fields = {entry.name: _write(getattr(value, entry.name)) for entry in _fields(value)}
        return kind | fields
    if isinstance(value, tuple):
        return [_write(entry) for entry in value]
    return value


def _read(hint: Any, value: Any, place: str) -> Any:
    origin = get_origin(hint)
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise _wrong(place, value, "a list")
        inner = get_args(hint)[0]
        return tuple(_read(inner, entry, f"{place}[{i}]") for i, entry in enumerate(value))
    if origin is Literal:
        if value not in get_args(hint):
            raise _wrong(place, value, " or ".join(repr(choice) for choice in get_args(hint)))
        return value
    if origin in (Union, types.UnionType):
        members = [member for member in get_args(hint) if member is not type(None)]
        if value is None and len(members) < len(get_args(hint)):
            return None
        if len(members) == 1:
            return _read(members[0], value, place)
        return _read_dataclass(members, value, place)
    if dataclasses.is_dataclass(hint):
        return _read_dataclass([hint], value, place)
    allowed = (int, float) if hint is float else (hint,)
    if isinstance(value, bool) != (hint is bool) or not isinstance(value, allowed):
        raise _wrong(place, value, hint.__name__)
    return value


def _read_dataclass(members: list[Any], value: Any, place: str) -> Any:
    if not isinstance(value, Mapping):
        raise _wrong(place, value, "a group of fields")
    fields = dict(value)
    cls = members[0]
    if hasattr(cls, "kind"):
        by_kind = {member.kind: member for member in members}
        kind = fields.pop("kind", None)
        if not isinstance(kind, str) or kind not in by_kind:
            raise _wrong(f"{place}.kind", kind, " or ".join(repr(known) for known in by_kind))
        cls = by_kind[kind]
    hints = get_type_hints(cls)
    known = {entry.name for entry in _fields(cls)}
    needed = {entry.name for entry in _fields(cls) if _has_no_default(entry)}
    if not needed <= fields.keys() <= known:
        missing, extra = sorted(needed - fields.keys()), sorted(fields.keys() - known)
        raise ConfigError(
            f"{place}: fields missing: {missing or 'none'}, unknown: {extra or 'none'}. "
            "Was it written by a newer ushape?"
        )
    return cls(**{name: _read(hints[name], fields[name], f"{place}.{name}") for name in fields})


def _fields(of: Any) -> tuple[dataclasses.Field[Any], ...]:
    return dataclasses.fields(of)


def _has_no_default(entry: dataclasses.Field[Any]) -> bool:
    return entry.default is dataclasses.MISSING and entry.default_factory is dataclasses.MISSING


def _wrong(place: str, value: object, wanted: str) -> ConfigError:
    return ConfigError(
        f"{place} is {value!r}, expected {wanted}. Is the file damaged, or from a newer ushape?"
    )
