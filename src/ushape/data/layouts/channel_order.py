"""Tell by their names which files, folders or columns are the channels that a model takes."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ushape.errors import DataError

_SAYS_NOTHING = re.compile(r"(c|ch|channel|image|img)?_?\d*")


def channel_order(
    called: Sequence[Sequence[str]], names: Sequence[str], where: object
) -> tuple[int, ...]:
    """Find the channels of a model, in its order.

    Names count, not places; capital letters, blanks and the like do not matter. Where all are
    only numbered, or there is but one, the order stays as it is.

    Args:
        called: What each file, folder or column is called; after that, what else it may be called.
        names: Of the model's channels; empty where nobody named them.
        where: They are, for messages.

    Returns:
        For each channel its place in `called`. Those that the model does not take are left out.

    Raises:
        DataError: A channel is missing, or several are called so.
    """
    stay = tuple(range(len(called)))
    if not names or len(called) == 1:  # one file may hold all channels
        return stay
    found = [_find(called, name) for name in names]
    if not any(found) and all(_SAYS_NOTHING.fullmatch(_plain(texts[0])) for texts in called):
        return stay
    wrong = [
        f"{name} is missing" if not places else f"several are called {name}"
        for name, places in zip(names, found, strict=True)
        if len(places) != 1
    ]
    if wrong:
        told = ", ".join(texts[0] or "one without a name" for texts in called)
        raise DataError(
            f"{where}: the channels are called {told}; the model takes {', '.join(names)}, "
            f"but {' and '.join(wrong)}: name them so (in any order), or number them 0, 1, ... in "
            "the model's order"
        )
    return tuple(places[0] for places in found)


def is_named(called: Sequence[str], names: Sequence[str]) -> bool:
    """Tell whether every one of several names of channels is there, once."""
    return len(names) > 1 and all(len(_find([(t,) for t in called], name)) == 1 for name in names)


def true_names(described: Sequence[str], found: Sequence[str]) -> tuple[str, ...]:
    """Name channels: as described beside the data, unless in another order than they come.

    >>> true_names(("T1", "FLAIR"), ("flair", "t1")), true_names(("T1", "FLAIR"), ("a", "b"))
    (('flair', 't1'), ('T1', 'FLAIR'))
    """
    is_same = len(described) == len(found) and is_named(found, described)
    is_moved = is_same and any(
        _plain(a) != _plain(b) for a, b in zip(described, found, strict=True)
    )
    return tuple(found if is_moved else described or found)


def _find(called: Sequence[Sequence[str]], name: str) -> list[int]:
    """List the places of a name: spelt so, or alike, or where something may be called so too."""
    plain = _plain(name)
    spelt = [place for place, texts in enumerate(called) if texts[0] == name]
    alike = [place for place, texts in enumerate(called) if _plain(texts[0]) == plain]
    also = [place for place, (_, *more) in enumerate(called) if plain in map(_plain, more)]
    return spelt or alike or also


def _plain(name: str) -> str:
    return re.sub(r"[\s_.-]+", "_", name).strip("_").casefold()
