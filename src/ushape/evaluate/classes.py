"""Decide which classes are scored, and what they are in the files of either side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ushape.errors import ConfigError, DataError, unknown_name
from ushape.evaluate.counts import count_labels
from ushape.evaluate.read import Reading
from ushape.evaluate.sources import LabelSource
from ushape.labels import (
    LabelTable,
    LabelWish,
    choose_labels,
    choose_masks,
    instance_table,
    join_wishes,
)
from ushape.labels.parse import Color, color_text

MAX_VALUES = 256
"""More different values are numbers of objects or grey levels, not classes."""

_MADE_UP = ("foreground", "object", "class_1")
"""Names of single classes that nobody named."""


@dataclass(frozen=True)
class ClassWish:
    """What a person says about classes.

    Attributes:
        foreground: The value that is the foreground, of two values.
        names: Class names, background first, with their values (or numbers of masks).
        ignore: Value of void pixels.
        only: Names of the classes to score; all that both sides have if None.
        target: `instances` or `instances+border` where values are numbers of objects.
    """

    foreground: str | None = None
    names: Mapping[str, int] | None = None
    ignore: int | None = None
    only: Sequence[str] | None = None
    target: str | None = None


@dataclass(frozen=True)
class Matched:
    """The classes that are scored.

    Attributes:
        names: In the order of the scores.
        prediction: How predictions are read.
        truth: How the truth is read.
        told: What was understood of prediction and truth, for people.
    """

    names: tuple[str, ...]
    prediction: Reading
    truth: Reading
    told: tuple[str, str]


@dataclass(frozen=True)
class _Offer:
    """The classes that one side has, and what makes them up (see `Reading`)."""

    source: LabelSource
    members: Mapping[str, tuple[int, ...]]
    table: LabelTable | None = None

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.members)

    @property
    def is_named(self) -> bool:
        """Whether a single class has a name that a person gave it."""
        return self.names[0] not in _MADE_UP

    @property
    def text(self) -> str:
        """Say what the side has, for people."""
        if self.table is not None and self.table.form != "instances":
            return f"{self.source.kind}: {self.table.describe()}"
        return f"{self.source.kind}: {', '.join(self.names)}"

    def read(self, names: Sequence[str], ignore: int | None) -> Reading:
        """Say how the classes of these names are read, by name or (a single one) by place."""
        groups = [self.members.get(name) or next(iter(self.members.values())) for name in names]
        dims, num_masks = self.source.spatial_dims or 3, self.source.num_masks
        return Reading(self.source.form, dims, tuple(groups), self.table, ignore, num_masks)


def match_classes(
    prediction: LabelSource, truth: LabelSource, cases: Sequence[str], wish: ClassWish
) -> Matched:
    """Match the classes of two sides by their names.

    Names come from what a person says, else from `predictions.json`, `dataset.json` or the names
    of folders. Where nobody names values or channels they are numbered; a single class needs no
    name.

    Args:
        prediction: Its files.
        truth: Likewise.
        cases: Names of the cases that both have.
        wish: What a person says.

    Raises:
        DataError: The sides have different classes, or no label file can be read.
        ConfigError: The wish does not fit the files.
    """
    offers = _offer_both(prediction, truth, cases, wish)
    ours, theirs = offers
    names = ours.names if prediction.table is not None else theirs.names
    if wish.only is not None:
        for name in wish.only:
            for offer in offers:
                if name not in offer.names:
                    raise ConfigError("--classes: " + unknown_name("class", name, offer.names))
        names = tuple(dict.fromkeys(wish.only))
    elif len(ours.names) == len(theirs.names) == 1 and not (ours.is_named and theirs.is_named):
        names = (ours if ours.is_named else theirs).names
    elif set(ours.names) != set(theirs.names):
        raise _different(ours, theirs)
    ignore, table = wish.ignore, prediction.table
    if ignore is None and table is not None and table.form in ("folders", "channels"):
        ignore = table.ignore
    return Matched(
        names, ours.read(names, None), theirs.read(names, ignore), (ours.text, theirs.text)
    )


def _offer_both(
    prediction: LabelSource, truth: LabelSource, cases: Sequence[str], wish: ClassWish
) -> tuple[_Offer, _Offer]:
    """Find the classes of both sides; values that only one side explains mean the same on both."""
    said = any(each is not None for each in (wish.names, wish.foreground, wish.target))
    tables: list[LabelTable | None] = [None, None]
    sides = (prediction, truth)
    for option, given in (("--foreground", wish.foreground), ("--target", wish.target)):
        if given is not None and "values" not in (prediction.form, truth.form):
            raise ConfigError(
                f"{option}: the predictions are {prediction.kind}, the truth {truth.kind}, and "
                "neither has values; leave it out"
            )
    valued = [number for number in (1, 0) if sides[number].form == "values"]
    if valued and said:
        shared = _table_said(sides[valued[0]], cases, wish, is_strict=valued[0] == 1)
        tables = [shared, shared]
    elif valued:
        known = [_table_told(side) for side in sides]
        if known[0] is not None and truth.table is None and _agrees(known[0], truth.wish):
            known[1] = known[0]
        either = known[1] or known[0]
        if either is None:
            either = _table_said(sides[valued[0]], cases, wish, is_strict=False)
        tables = [known[0] or either, known[1] or either]
    if isinstance(wish.ignore, Color) and any(t is not None and not t.is_color for t in tables):
        raise ConfigError(
            f"--ignore {color_text(wish.ignore)}: the labels hold values, not colours: give the "
            "value (of palette files, the index)"
        )
    tables = [_with_ignore(table, wish.ignore) for table in tables]
    first, second = (
        _offer_values(side, table)
        if side.form == "values" and table is not None
        else _offer_masks(side, prediction.table, wish)
        for side, table in zip(sides, tables, strict=True)
    )
    return first, second


def _table_told(source: LabelSource) -> LabelTable | None:
    """Give what files beside the labels say that values mean."""
    if source.table is not None:
        return source.table if source.table.form in ("values", "instances") else None
    wish = source.wish
    if wish is None or not wish.names:
        return None
    # Nothing is read for it: a class that these cases do not hold is a class all the same.
    counts = dict.fromkeys(
        [*wish.names.values(), *([] if wish.ignore is None else [wish.ignore])], 1
    )
    return choose_labels(
        counts,
        names=wish.names,
        ignore=wish.ignore,
        regions=wish.regions,
        parts_only=wish.parts_only,
    )


def _agrees(table: LabelTable, wish: LabelWish | None) -> bool:
    """Whether a table gives every name of a data set the value that it has there."""
    values = {entry.name: entry.value for entry in table.classes}
    names = (wish.names if wish else None) or {}
    return all(values.get(name) == value for name, value in names.items())


def _table_said(
    source: LabelSource, cases: Sequence[str], wish: ClassWish, *, is_strict: bool
) -> LabelTable:
    """Choose classes from the values of files.

    Args:
        source: Of values; what a file beside them tells is taken where the person says nothing.
        cases: Which to read.
        wish: What a person says.
        is_strict: A value that is named has to be in a file.
    """
    said = LabelWish(wish.foreground, wish.names, wish.target, wish.ignore)
    if said.target is not None:
        return instance_table(join_wishes(said, source.wish))
    counts, is_color, palette = count_labels(source.files[name] for name in cases)
    if palette is not None:
        foreground, names = palette.resolve(
            counts, said.foreground, said.names or {}, said.ignore, is_strict=False
        )
        said = replace(said, foreground=foreground, names=names or None)
    joined = join_wishes(said, source.wish, counts)
    if joined.ignore is not None:
        counts.pop(joined.ignore, None)
    if len(counts) > MAX_VALUES:
        raise DataError(
            f"{source.root}: its files hold {len(counts)} different values: these look like "
            "numbers of objects (say --target instances) or grey levels, not classes"
        )
    named = list((joined.names or {}).values())
    counts.update(named[:1] if is_strict else named)  # some cases have no background
    table = choose_labels(
        counts,
        is_color=is_color,
        foreground=joined.foreground,
        names=joined.names,
        regions=joined.regions,
        parts_only=joined.parts_only,
    )
    return replace(table, ignore=joined.ignore)


def _with_ignore(table: LabelTable | None, ignore: int | None) -> LabelTable | None:
    return table if table is None or ignore is None else replace(table, ignore=ignore)


def _offer_values(source: LabelSource, table: LabelTable) -> _Offer:
    members = {entry.name: (number,) for number, entry in enumerate(table.foreground)}
    return _Offer(source, members, table)


def _offer_masks(source: LabelSource, table: LabelTable | None, wish: ClassWish) -> _Offer:
    """Name the masks of folders or channels.

    Args:
        source: Of masks.
        table: Of the predictions, which may say how masks make up regions.
        wish: What a person says.
    """
    form = source.form
    assert form != "values"
    given = source.mask_names or tuple(f"class_{k}" for k in range(1, source.num_masks + 1))
    by_name = bool(source.mask_names) and set(source.mask_names) <= set(wish.names or ())
    if wish.names is not None and not by_name:
        said = LabelWish(names=wish.names)
        given = choose_masks(given, form=form, overlap_fraction=0, wish=said).names[1:]
    elif form == "channels" and source.table is not None:
        given = tuple(entry.name for entry in source.table.foreground)
    elif form == "channels" and table is not None and table.form == "channels":
        groups = [(entry.name, entry.members) for entry in table.foreground]
        by_number = {name: tuple(value - 1 for value in values) for name, values in groups}
        _check_channels(source, 1 + max(max(places) for places in by_number.values()))
        return _Offer(source, by_number)
    if form == "channels":
        _check_channels(source, len(given))
    members = {name: (place,) for place, name in enumerate(given)}
    return _Offer(source, members | _regions(members, table))


def _check_channels(source: LabelSource, num_classes: int) -> None:
    if source.num_masks != num_classes:
        raise DataError(
            f"{source.root}: its files hold {source.num_masks} channels, the classes of "
            f"predictions.json are {num_classes}: give files of these classes"
        )


def _regions(
    members: Mapping[str, tuple[int, ...]], table: LabelTable | None
) -> dict[str, tuple[int, ...]]:
    """Make the regions of a table out of masks that have the names of its labels."""
    if table is None or table.form not in ("folders", "channels"):
        return {}
    labels = {entry.value: entry.name for entry in table.foreground if not entry.parts}
    found = {}
    for entry in table.foreground:
        parts = [labels.get(value, "") for value in entry.parts]
        if parts and entry.name not in members and all(name in members for name in parts):
            found[entry.name] = tuple(members[name][0] for name in parts)
    return found


def _different(ours: _Offer, theirs: _Offer) -> DataError:
    both = [name for name in theirs.names if name in ours.names]
    remedy = f"score those that both have with --classes {','.join(both)}, or " if both else ""
    return DataError(
        f"the classes differ: {ours.source.root} has {', '.join(ours.names)} "
        f"({ours.source.kind}), {theirs.source.root} has {', '.join(theirs.names)} "
        f"({theirs.source.kind}); {remedy}say what the values or masks are with "
        "--labels background=0,NAME=1,..."
    )
