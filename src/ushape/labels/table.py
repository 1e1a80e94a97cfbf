"""The table between label files and classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ushape.errors import ConfigError
from ushape.labels.parse import color_text, parse_value

Target = Literal["binary", "multiclass", "multilabel"]
"""What a network learns: one class or none, one of several, or any set of several."""

Form = Literal["values", "channels", "folders", "instances"]
"""How label files hold the classes: one picture of values (grey, palette or colour); one file with
a mask a channel; one folder of masks a class; one picture of object numbers."""

MOST_CLASSES = 255
MOST_OVERLAPPING = 31
"""Overlapping classes are kept as the bits of one number."""


@dataclass(frozen=True)
class LabelClass:
    """One class: its name, and what stands for it in label files.

    Attributes:
        name: Of the class.
        value: Written for it. Colours of RGB labels are packed into one number, 0xRRGGBB; in
            files of masks it is the number of the channel or folder, from 1.
        parts: The values that make it up, where these are others than `value`: several labels
            that are one class, or a region over labels.
    """

    name: str
    value: int
    parts: tuple[int, ...] = ()

    @property
    def members(self) -> tuple[int, ...]:
        """All values that belong to the class."""
        return self.parts or (self.value,)


@dataclass(frozen=True)
class LabelTable:
    """The classes of a data set, background first.

    Attributes:
        classes: Index 0 is the background.
        is_color: The label files are RGB pictures; values are packed 0xRRGGBB colours.
        reason: One sentence that says why the values were understood this way.
        kind: The kind of target; None: binary for one foreground class, else multiclass.
        form: How files hold the classes.
        ignore: The value of void pixels, which count in no loss and no score.
        palette: Packed colours by index, where the label files are palette files that share them.
        order: Of classes that overlap: the names in the order in which their masks are painted
            over each other for one picture of values, and what each paints; empty where nobody
            says (nnU-Net's `regions_class_order` does).
    """

    classes: tuple[LabelClass, ...]
    is_color: bool = False
    reason: str = ""
    kind: Target | None = None
    form: Form = "values"
    ignore: int | None = None
    palette: tuple[int, ...] = ()
    order: tuple[tuple[str, int], ...] = ()

    def __post_init__(self) -> None:
        values = [entry.value for entry in self.classes]
        names = [entry.name for entry in self.classes]
        if len(self.classes) < 2:
            raise ConfigError(
                f"labels need two different values at least, found {values}: "
                "a data set with one value everywhere teaches nothing"
            )
        for kind, seen in (("value", [str(value) for value in values]), ("name", names)):
            twice = sorted({item for item in seen if seen.count(item) > 1})
            if twice:
                raise ConfigError(f"label {kind} {', '.join(twice)} is given to two classes")
        if len(self.classes) > MOST_CLASSES:
            raise ConfigError(
                f"{len(self.classes)} different label values: more than 255 classes look like "
                "instance numbers or grey levels, not classes. Give label pictures with one "
                "value a class, or say --target instances"
            )
        if self.is_overlapping and len(self.foreground) > MOST_OVERLAPPING:
            raise ConfigError(
                f"{len(self.foreground)} classes that may overlap: {MOST_OVERLAPPING} are the most"
            )
        if self.kind == "binary" and len(self.classes) != 2:
            raise ConfigError(f"a binary target has one foreground class, not {names[1:]}")
        self._check_ignored()

    def _check_ignored(self) -> None:
        if self.ignore is None or self.form not in ("values", "instances"):
            return
        for entry in self.classes:
            if self.ignore in entry.members and (entry is self.classes[0] or self.form == "values"):
                raise ConfigError(
                    f"--ignore {self.value_text(self.ignore)}: this value is the class "
                    f"{entry.name}; a value is a class or void, not both"
                )

    @property
    def target(self) -> Target:
        """The kind of target."""
        return self.kind or ("binary" if len(self.classes) == 2 else "multiclass")

    @property
    def is_overlapping(self) -> bool:
        """Whether a pixel may belong to several classes."""
        return self.kind == "multilabel"

    @property
    def num_logits(self) -> int:
        """Channels that tell classes: 1 for binary, the foreground classes, or all classes."""
        return len(self.logit_names)

    @property
    def logit_names(self) -> tuple[str, ...]:
        """The class of each logit channel."""
        return self.names if self.target == "multiclass" else self.names[1:]

    @property
    def values(self) -> tuple[int, ...]:
        """The values in files, by class index."""
        return tuple(entry.value for entry in self.classes)

    @property
    def names(self) -> tuple[str, ...]:
        """The names, by class index."""
        return tuple(entry.name for entry in self.classes)

    @property
    def foreground(self) -> tuple[LabelClass, ...]:
        """Every class but the background."""
        return self.classes[1:]

    @property
    def writes_masks(self) -> bool:
        """Whether predictions are masks by class, as given or because classes overlap."""
        return self.form in ("channels", "folders") or self.is_overlapping

    @property
    def is_painted(self) -> bool:
        """Whether masks of classes that overlap make one picture of values."""
        return bool(self.order) and {name for name, _ in self.order} <= set(self.names)

    def value_text(self, value: int) -> str:
        """Write a value as people know it: a number, or #rrggbb for colours."""
        return color_text(value) if self.is_color else str(value)

    def describe(self) -> str:
        """Say the table in one line, such as `0 = background, 255 = cell`."""
        void = [] if self.ignore is None else [f"{self.value_text(self.ignore)} = void"]
        return ", ".join([*(self._describe(entry) for entry in self.classes), *void])

    def _describe(self, entry: LabelClass) -> str:
        return f"{'+'.join(self.value_text(value) for value in entry.members)} = {entry.name}"

    def to_json(self) -> dict[str, Any]:
        """Return plain data for a JSON or YAML file."""
        return {
            "classes": [_class_json(entry) for entry in self.classes],
            "is_color": self.is_color,
            "reason": self.reason,
            **({} if self.kind is None else {"kind": self.kind}),
            **({} if self.form == "values" else {"form": self.form}),
            **({} if self.ignore is None else {"ignore": int(self.ignore)}),
            # One string: a settings file would give each of 256 colours a line.
            **({"palette": " ".join(map(color_text, self.palette))} if self.palette else {}),
            **({"order": [list(pair) for pair in self.order]} if self.order else {}),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> LabelTable:
        """Read back what `to_json` wrote."""
        classes = tuple(
            LabelClass(str(c["name"]), int(c["value"]), tuple(int(v) for v in c.get("parts", ())))
            for c in data["classes"]
        )
        ignore = data.get("ignore")
        return cls(
            classes,
            bool(data.get("is_color", False)),
            str(data.get("reason", "")),
            _one_of(data.get("kind"), (None, "binary", "multiclass", "multilabel")),
            _one_of(data.get("form", "values"), ("values", "channels", "folders", "instances")),
            None if ignore is None else int(ignore),
            tuple(int(parse_value(color)) for color in str(data.get("palette", "")).split()),
            tuple((str(name), int(value)) for name, value in data.get("order", ())),
        )


def _class_json(entry: LabelClass) -> dict[str, Any]:
    parts = {"parts": list(entry.parts)} if entry.parts else {}
    return {"name": entry.name, "value": int(entry.value), **parts}


def _one_of(value: Any, known: tuple[Any, ...]) -> Any:
    if value not in known:
        raise ConfigError(
            f"a label table says {value!r}, which this release does not know; update ushape"
        )
    return value
