"""Join what a person says of labels with what a file beside the data tells."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from ushape.labels.choose import LabelWish


def join_wishes(
    said: LabelWish, told: LabelWish | None, found: Collection[int] | None = None
) -> LabelWish:
    """Take each field from the person where it is set, and from the file where it is not.

    What the file tells and what is said must fit together, so a field that is said takes those of
    the file with it that it contradicts: a value that is said to be void has no name, and one that
    is said to have a name is not void; `foreground`, and a target whose classes exclude each other,
    leave no regions; a region whose name a label is given goes too; object numbers have neither
    names nor regions, and nothing is painted with the void value. Regions of the file are made of
    values, so they outlive other names for these; all values that a person names are classes.

    Args:
        said: By a person. A recorded table wins over all of the file.
        told: By the file, if there is one.
        found: The values that labels hold; names and a void value of the file that none of them
            has are left out, with the regions made of them. None where they are not known yet.
    """
    if told is None or said.table is not None:
        return said
    if found is not None:
        told = _limited(told, found)
    ignore = said.ignore
    if ignore is None and told.ignore not in (said.names or {}).values():
        ignore = told.ignore
    said = replace(said, ignore=ignore)
    if said.has_instances:
        return said
    named = {name: value for name, value in (told.names or {}).items() if value != ignore}
    told = _with_names(told, named)
    if said.names:
        kept = {name: of for name, of in told.regions.items() if name not in said.names}
        told = replace(told, regions=kept)
        order = {} if told.parts_only else _with_names(told, said.names).order
        told = replace(_with_names(told, said.names), parts_only=(), order=order)
    joined = replace(said, names=told.names)
    if said.regions or said.foreground is not None or said.target in ("binary", "multiclass"):
        return joined
    order = {} if ignore in told.order.values() else told.order
    return replace(joined, regions=told.regions, parts_only=told.parts_only, order=order)


def _limited(told: LabelWish, found: Collection[int]) -> LabelWish:
    """Leave out what no label holds; the background stays."""
    ignore = told.ignore if told.ignore in found else None
    names = {n: v for n, v in (told.names or {}).items() if v == 0 or v in found}
    if len(names) < 2:
        return LabelWish(ignore=ignore)
    return replace(_with_names(told, names), ignore=ignore)


def _with_names(told: LabelWish, names: Mapping[str, int]) -> LabelWish:
    """Give values these names, and make the regions of those that still have one."""
    by_value = {value: name for name, value in names.items()}
    kept = {
        name: by_value[value] for name, value in (told.names or {}).items() if value in by_value
    }
    parts = {name: tuple(kept[n] for n in of if n in kept) for name, of in told.regions.items()}
    regions = {name: members for name, members in parts.items() if members}
    return replace(
        told,
        names=dict(names) or None,
        regions=regions,
        parts_only=tuple(kept[name] for name in told.parts_only if name in kept),
        order={
            kept.get(name, name): number
            for name, number in told.order.items()
            if name in kept or name in regions
        },
    )
