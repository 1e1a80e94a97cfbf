"""Decide what the values, channels or folders of a data set's labels mean."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ushape.errors import ConfigError, unknown_name
from ushape.labels.palette import Palette, with_colors
from ushape.labels.table import Form, LabelClass, LabelTable, Target
from ushape.labels.values import Values, read_values

INSTANCES, BORDERED = "instances", "instances+border"
TARGETS = ("binary", "multiclass", "multilabel", INSTANCES, BORDERED)
"""What `--target` takes. The last two read object numbers: as one class, or with a class of its
own for the pixels between touching objects."""


@dataclass(frozen=True)
class LabelWish:
    """What a person says about labels.

    Attributes:
        foreground: The value (or a name from `names`) that is the one foreground class of a
            binary data set; every other value is then background.
        names: Class names with their values; the first one is the background, and values
            that are found but not named are refused.
        target: One of `TARGETS`; None lets the data decide.
        ignore: The value of void pixels.
        regions: Further classes, made of labels: name -> names or values of labels.
        table: All of it, as a settings file records it.
        parts_only: Those of `names` that are parts of regions and no classes themselves.
        order: By class or region, in the order in which they are painted over each other, the
            label value that each paints: nnU-Net's `regions_class_order`.
    """

    foreground: str | None = None
    names: Mapping[str, int] | None = None
    target: str | None = None
    ignore: int | None = None
    regions: Mapping[str, Sequence[str]] = field(default_factory=dict)
    table: LabelTable | None = None
    parts_only: tuple[str, ...] = ()
    order: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.target is not None and self.target not in TARGETS:
            raise ConfigError("--target: " + unknown_name("kind of target", self.target, TARGETS))

    @property
    def has_instances(self) -> bool:
        """Whether label values are numbers of objects."""
        if self.table is not None:
            return self.table.form == "instances"
        return self.target in (INSTANCES, BORDERED)

    @property
    def void(self) -> int | None:
        """The value of void pixels, whoever says it."""
        return self.ignore if self.table is None else self.table.ignore


def choose_labels(
    counts: Mapping[int, int],
    *,
    is_color: bool = False,
    foreground: str | None = None,
    names: Mapping[str, int] | None = None,
    target: str | None = None,
    ignore: int | None = None,
    regions: Mapping[str, Sequence[str]] | None = None,
    parts_only: Collection[str] = (),
    order: Mapping[str, int] | None = None,
    palette: Palette | None = None,
) -> LabelTable:
    """Decide which values of label pictures are which classes.

    Args:
        counts: Pixels of every value found in the label files.
        is_color: The values are packed colours.
        foreground: See `LabelWish`, as for the others.
        names: Class names with their values, background first.
        target: The kind of target.
        ignore: The value of void pixels.
        regions: Classes made of labels.
        parts_only: Names of labels that only regions are made of.
        order: What classes that overlap paint over each other, in this order.
        palette: Of label files that are read by index: finds values that are given as colours.

    Returns:
        The table, with the reason for it.

    Raises:
        ConfigError: A value is asked for that no file holds, or the values make no classes.
    """
    wish = LabelWish(foreground, names, target, ignore, regions or {})
    found = sorted(value for value, count in counts.items() if count > 0)
    values = Values(found, is_color)
    if wish.has_instances:
        return with_colors(instance_table(wish), palette)
    if palette is not None:
        foreground, names = palette.resolve(found, foreground, names or {}, ignore)
    if ignore is not None:
        _check_ignore(ignore, values, names or {})
        counts = {value: count for value, count in counts.items() if value != ignore}
        values = Values([value for value in found if value != ignore], is_color)
    table = replace(read_values(counts, values, foreground, names or {}), ignore=ignore)
    table = with_colors(table, palette)
    table = _as_wished(_with_regions(table, wish.regions, parts_only), target)
    if not order or is_color or not table.is_overlapping:
        return table
    return replace(table, order=tuple(order.items()))


def choose_masks(
    names: Sequence[str],
    *,
    form: Form,
    overlap_fraction: float,
    wish: LabelWish,
) -> LabelTable:
    """Decide what masks by class mean, from folders or from channels.

    Args:
        names: Of the masks.
        form: `folders` or `channels`.
        overlap_fraction: Share of the pixels in any mask that are in several.
        wish: What a person says.

    Raises:
        ConfigError: What is asked for does not fit masks.
    """
    noun = "folder" if form == "folders" else "channel"
    if wish.has_instances:
        raise ConfigError(
            f"--target {wish.target}: the labels are one {noun} of masks a class, not pictures of "
            "object numbers; leave it out"
        )
    if wish.foreground is not None:
        raise ConfigError(f"--foreground: the labels are one {noun} a class; leave it out")
    classes = _named_masks(names, wish.names, noun)
    many = f"{len(names)} {noun}s of masks"
    kind: Target
    if len(names) == 1:
        kind, reason = "binary", f"one {noun} of masks"
    elif overlap_fraction > 0:
        kind = "multilabel"
        reason = f"{many}, which overlap ({overlap_fraction:.1%} of the labelled pixels)"
    else:
        kind, reason = "multiclass", f"{many}, which never overlap; --target multilabel lets them"
    if wish.target == "multiclass" and overlap_fraction > 0:
        raise ConfigError(
            f"--target multiclass: the masks overlap in {overlap_fraction:.1%} of the labelled "
            "pixels; classes of one pixel must exclude each other, so take multilabel"
        )
    table = LabelTable(classes, reason=reason, kind=kind, form=form, ignore=wish.ignore)
    return _as_wished(_with_regions(table, wish.regions), wish.target)


def _named_masks(
    names: Sequence[str], given: Mapping[str, int] | None, noun: str
) -> tuple[LabelClass, ...]:
    numbers = range(len(names) + 1)
    named = {number: name for name, number in (given or {}).items()}
    if given and sorted(named) != list(numbers):
        raise ConfigError(
            f"--labels: there are {len(names)} {noun}s of masks; name 0 (the background) to "
            f"{len(names)}, each once"
        )
    kept = {0: "background", **dict(enumerate(names, start=1)), **named}
    return tuple(LabelClass(kept[number], number) for number in numbers)


def _check_ignore(ignore: int, values: Values, names: Mapping[str, int]) -> None:
    for name, value in names.items():
        if value == ignore:
            raise ConfigError(
                f"--ignore {values.text(ignore)}: --labels calls this value {name}; a value is a "
                "class or void, not both"
            )
    if ignore not in values.found:
        raise ConfigError(
            f"--ignore {values.text(ignore)}: no label has that value (found: {values.listing})"
        )


def instance_table(wish: LabelWish) -> LabelTable:
    """Give the classes of pictures of object numbers.

    Raises:
        ConfigError: Values are given a meaning besides.
    """
    if wish.table is not None:
        return wish.table
    for option, given in (
        ("--foreground", wish.foreground),
        ("--labels", wish.names),
        ("--region", wish.regions),
    ):
        if given:
            raise ConfigError(
                f"{option}: with --target {wish.target} values are numbers of objects, not classes"
            )
    classes: tuple[LabelClass, ...] = (LabelClass("background", 0), LabelClass("object", 1))
    reason = f"--target {wish.target}: every value but 0 is an object"
    if wish.target == BORDERED:
        classes = (*classes, LabelClass("border", 2))
        reason += "; pixels between touching objects are a class"
    return LabelTable(classes, reason=reason, form="instances", ignore=wish.ignore)


def _with_regions(
    table: LabelTable, regions: Mapping[str, Sequence[str]], parts_only: Collection[str] = ()
) -> LabelTable:
    if not regions:
        return table
    known = {entry.name: entry for entry in table.foreground}
    free = max(table.values) + 1
    added: list[LabelClass] = []
    for name, parts in regions.items():
        if name in table.names:
            raise ConfigError(f"--region {name}: a label has that name; choose another")
        members = [_member(table, name, part, known) for part in parts]
        values = tuple(dict.fromkeys(value for entry in members for value in entry.members))
        added.append(LabelClass(name, free + len(added), values))
    made = "; ".join(f"{name} = {' + '.join(parts)}" for name, parts in regions.items())
    plain = (entry for entry in table.classes if entry.name not in parts_only)
    return replace(
        table,
        classes=(*plain, *added),
        kind="multilabel",
        reason=f"{table.reason}; regions over labels overlap them ({made})",
    )


def _member(
    table: LabelTable, region: str, part: str, known: Mapping[str, LabelClass]
) -> LabelClass:
    if part in known:
        return known[part]
    by_value = {table.value_text(entry.value): entry for entry in table.foreground}
    if part in by_value:
        return by_value[part]
    raise ConfigError(f"--region {region}: " + unknown_name("label", part, known))


def _as_wished(table: LabelTable, target: str | None) -> LabelTable:
    """Change the kind of target to what a person wants."""
    if target is None or target == table.target:
        return table
    reason = f"{table.reason}; --target {target}"
    if target == "multilabel":
        return replace(table, kind="multilabel", reason=reason)
    if any(entry.parts for entry in table.classes):
        raise ConfigError(f"--target {target}: regions overlap their labels; take multilabel")
    if target == "multiclass":
        return replace(table, kind="multiclass", reason=reason)
    background, *others = table.classes
    parts = tuple(entry.value for entry in others)
    joined = LabelClass("foreground", parts[0], parts)
    reason += ": every class but the background is foreground"
    return replace(table, classes=(background, joined), kind="binary", reason=reason)
