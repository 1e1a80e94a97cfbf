"""Colour tables of palette files: which index has which colour, over all label files together.

Palette files are read by index. Their colours are of use where people name classes by colour, and
where predictions are to look like the labels.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from ushape.errors import ConfigError
from ushape.labels.parse import Color, color_text, parse_value
from ushape.labels.table import LabelTable

Colors = tuple[int, ...]
"""Packed 0xRRGGBB colours by index."""

MOST_INDEX = 255
"""Written palettes have 8 bits."""


@dataclass(frozen=True)
class Clash:
    """An index that two files give different colours."""

    index: int
    files: tuple[str, str]
    colors: tuple[int, int]

    @property
    def text(self) -> str:
        """Say so, for people."""
        first, second = (
            f"{color_text(color)} in {file}"
            for color, file in zip(self.colors, self.files, strict=True)
        )
        return f"index {self.index} is {first} and {second}"


@dataclass(frozen=True)
class Palette:
    """The colour tables of several files as one.

    Attributes:
        colors: By index; the first file that uses an index gives its colour.
        clashes: Where files differ in the colour of an index that both use.
        plain: A file that has no colour table, if there is one.
    """

    colors: Mapping[int, int]
    clashes: tuple[Clash, ...] = ()
    plain: str | None = None

    def table(self, num_colors: int) -> Colors:
        """Give the colours of the first indices; none where the files do not share them."""
        if self.plain is not None or any(each.index < num_colors for each in self.clashes):
            return ()
        return tuple(self.colors.get(index, 0) for index in range(num_colors))

    def listing(self, found: Collection[int]) -> str:
        """Write indices with their colours, such as `0 = #000000, 1 = #ff0000`."""
        return ", ".join(f"{index} = {color_text(self.colors.get(index, 0))}" for index in found)

    def index_of(
        self, color: int, found: Collection[int], asked: str, *, is_strict: bool = True
    ) -> int:
        """Find the index that has a colour.

        Args:
            color: Packed.
            found: The indices that labels hold.
            asked: What a person wrote, for messages.
            is_strict: A label has to hold it.

        Raises:
            ConfigError: No index or several have the colour, or not in all files.
        """
        remedy = "give all label files one palette, or name the classes by index"
        if self.plain is not None:
            raise ConfigError(f"{asked}: {self.plain} has no palette, others have; {remedy}")
        for clash in self.clashes:
            if color in clash.colors:
                raise ConfigError(f"{asked}: {clash.text}; {remedy}")
        holders = sorted(index for index, each in self.colors.items() if each == color)
        present = [index for index in holders if index in found]
        if len(present) > 1:
            listed = " and ".join(map(str, present))
            raise ConfigError(f"{asked}: the indices {listed} have this colour; name them by index")
        if present or (holders and not is_strict):
            return (present or holders)[0]
        raise ConfigError(
            f"{asked}: no label has that colour (found: {self.listing(sorted(found))})"
        )

    def resolve(
        self,
        found: Collection[int],
        foreground: str | None,
        names: Mapping[str, int],
        ignore: int | None,
        *,
        is_strict: bool = True,
    ) -> tuple[str | None, dict[str, int]]:
        """Turn the colours of what a person says into indices: the foreground and the names.

        Args:
            found: The indices that labels hold.
            foreground: As of `LabelWish`, as for the others.
            names: Likewise.
            ignore: Likewise.
            is_strict: A label has to hold each colour.

        Raises:
            ConfigError: As of `index_of`; or the void pixels are given as a colour, which are
                looked for before the files are compared.
        """
        if isinstance(ignore, Color):
            asked = f"--ignore {color_text(ignore)}"
            index = self.index_of(ignore, found, asked, is_strict=is_strict)
            raise ConfigError(
                f"{asked}: files with a palette are read by index, and this is index {index}; say "
                f"--ignore {index}"
            )
        if foreground is not None and foreground.startswith("#"):
            asked, color = f"--foreground {foreground}", parse_value(foreground)
            foreground = str(self.index_of(color, found, asked, is_strict=is_strict))
        named = {
            name: self.index_of(
                value, found, f"--labels {name}={color_text(value)}", is_strict=is_strict
            )
            if isinstance(value, Color)
            else value
            for name, value in names.items()
        }
        return foreground, named


def pool_palettes(files: Iterable[tuple[str, Colors, Collection[int]]]) -> Palette | None:
    """Join the colour tables of files.

    Args:
        files: Name, colour table (empty where the file has none), and the indices it holds.

    Returns:
        None where no file has a colour table.
    """
    colors: dict[int, int] = {}
    users: dict[int, str] = {}
    clashes: list[Clash] = []
    plain: str | None = None
    for name, table, used in files:
        if not table:
            plain = plain or name
        for index, color in enumerate(table):
            if index not in used:
                colors.setdefault(index, color)  # what fills a table up says little
            elif index not in users:
                colors[index], users[index] = color, name
            elif colors[index] != color:
                clashes.append(Clash(index, (users[index], name), (colors[index], color)))
    return Palette(colors, tuple(clashes), plain) if colors else None


def with_colors(table: LabelTable, palette: Palette | None) -> LabelTable:
    """Record the colours of the values that predictions may hold, where all files share them."""
    if palette is None:
        return table
    highest = max(palette.colors if table.form == "instances" else table.values)
    return replace(table, palette=palette.table(min(highest, MOST_INDEX) + 1))
