"""What a report shows, as plain data. No drawing, no HTML.

Texts arrive ready to read (rounded, with units); they may hold any characters, the page escapes
them. The classes check only what would otherwise draw a wrong picture.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ushape.errors import ShapeError
from ushape.sizes import format_size


@dataclass(frozen=True)
class Card:
    """One key figure: what it is, its value, and a short note such as the interval."""

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class Setting:
    """One line of the configuration, and why it is so.

    Attributes:
        key: Its name.
        value: As text.
        reason: In a few words.
        is_usual: It is as in every run, or as in its preset: folded away.
    """

    key: str
    value: str
    reason: str = ""
    is_usual: bool = False


@dataclass(frozen=True)
class Table:
    """Figures by case. The first column names the case; summary rows close the table.

    Raises:
        ShapeError: A row has another number of cells than there are columns.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...] = ()
    summary_rows: tuple[tuple[str, ...], ...] = ()

    def __post_init__(self) -> None:
        for row in self.rows + self.summary_rows:
            if len(row) != len(self.columns):
                raise ShapeError(
                    f"table row {row} has {len(row)} cells for {len(self.columns)} columns "
                    f"({', '.join(self.columns)}): give one cell a column"
                )


@dataclass(frozen=True)
class History:
    """What was recorded while training.

    Attributes:
        steps: Step numbers, rising.
        losses: Training loss at each of `steps`; a loss that is not finite leaves a gap.
        val_steps: Steps after which validation ran, rising; may be empty.
        val_scores: Score at each of `val_steps`; higher is better.
        learning_rates: Learning rate at each of `steps`, or empty when it was not recorded.
        best_step: The one of `val_steps` whose weights were kept, or None.
        x_seconds: Seconds of training at each of `steps`, or None when not recorded.
        score_name: What `val_scores` are, such as `membrane Dice`.

    Raises:
        ShapeError: Two columns that belong together differ in length.
    """

    steps: tuple[int, ...] = ()
    losses: tuple[float, ...] = ()
    val_steps: tuple[int, ...] = ()
    val_scores: tuple[float, ...] = ()
    learning_rates: tuple[float, ...] = ()
    best_step: int | None = None
    x_seconds: tuple[float, ...] | None = None
    score_name: str = "validation score"

    def __post_init__(self) -> None:
        _same_length("losses", self.losses, "steps", self.steps)
        _same_length("val_scores", self.val_scores, "val_steps", self.val_steps)
        if self.learning_rates:
            _same_length("learning_rates", self.learning_rates, "steps", self.steps)
        if self.x_seconds is not None:
            _same_length("x_seconds", self.x_seconds, "steps", self.steps)

    @property
    def best_score(self) -> float | None:
        """The score at `best_step`, or None where no validation ran at that step."""
        scores = dict(zip(self.val_steps, self.val_scores, strict=True))
        return None if self.best_step is None else scores.get(self.best_step)


@dataclass(frozen=True, eq=False)
class Overlay:
    """One case as pictures: the image, the truth, the prediction.

    Attributes:
        title: Such as `Best: 27 (Dice 0.871)`.
        caption: A sentence below the title; may be empty.
        image: Shape (channels, y, x), any number type. One channel is shown grey, three as
            colours, of any other number the first channel.
        prediction: Class indices, shape (y, x); 0 is the background.
        truth: The same for the truth.
        class_names: Names by class index, background first.

    Raises:
        ShapeError: The three differ in size, or hold a class without a name.
    """

    title: str
    caption: str
    image: npt.NDArray[Any]
    prediction: npt.NDArray[Any]
    truth: npt.NDArray[Any]
    class_names: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.image.ndim != 3 or 0 in self.image.shape:
            raise ShapeError(
                f"overlay {self.title!r}: the image has the shape {self.image.shape}; "
                "give (channels, y, x), none of them 0"
            )
        for name, label_map in (("prediction", self.prediction), ("truth", self.truth)):
            if label_map.shape != self.image.shape[1:]:
                raise ShapeError(
                    f"overlay {self.title!r}: the {name} is {format_size(label_map.shape)}, "
                    f"the image {format_size(self.image.shape[1:])}; give label maps of the "
                    "image's size"
                )
            low, high = int(np.min(label_map)), int(np.max(label_map))
            if low < 0 or high >= len(self.class_names):
                raise ShapeError(
                    f"overlay {self.title!r}: the {name} holds classes {low} to {high}, but there "
                    f"are names for 0 to {len(self.class_names) - 1}; give class indices, not "
                    "the values of label files"
                )


@dataclass(frozen=True, eq=False)
class ReportContent:
    """Everything on the page, from top to bottom.

    Attributes:
        title: The data set's name.
        subtitle: The network's name and what more belongs beside it.
        created: Date and time, ready to read.
        cards: Key figures; the first one is shown largest.
        data_facts: What was trained on what, as (name, text); a line break starts a new line.
        problems: What was found wrong in the data, one sentence each.
        history: The learning curves.
        case_table: Figures of every validation case, or None before the first evaluation.
        box_table: Of a model that makes two passes: what it finds in true boxes and in predicted
            ones; else None.
        overlays: Pictures of the best, median and worst case; may be empty.
        settings: The configuration, with the reason beside each automatic choice.
        commands: What to type next, as (heading, command); several lines are fine.
        environment: Versions, seed, device, threads, as (name, text).
    """

    title: str
    subtitle: str
    created: str
    cards: tuple[Card, ...] = ()
    data_facts: tuple[tuple[str, str], ...] = ()
    problems: tuple[str, ...] = ()
    history: History = field(default_factory=History)
    case_table: Table | None = None
    box_table: Table | None = None
    overlays: tuple[Overlay, ...] = ()
    settings: tuple[Setting, ...] = ()
    commands: tuple[tuple[str, str], ...] = ()
    environment: tuple[tuple[str, str], ...] = ()


def _same_length(
    name: str, column: tuple[float, ...], other_name: str, other: tuple[float, ...]
) -> None:
    if len(column) != len(other):
        raise ShapeError(
            f"history: {len(column)} {name} for {len(other)} {other_name}; give one for each"
        )
