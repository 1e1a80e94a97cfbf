"""The errors that people see, and the help to spell a name right.

Every message says what was given, what is allowed, and what to do. The layer that knows the file,
the YAML path or the case name adds it, once. Standard library only.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UshapeError(ValueError):
    """The one base of all errors that ushape raises for bad input."""


class ShapeError(UshapeError):
    """A tensor, image or size does not fit; the message names the sizes that do."""


class DataError(UshapeError):
    """A file or data set cannot be used; the message names the file and the remedy."""


class ConfigError(UshapeError):
    """A setting, option or name is wrong; the message names the place and the nearest right one."""


class BundleError(UshapeError):
    """A model file is damaged, foreign, or of a version that this release cannot read."""


class StorageError(UshapeError):
    """Writing failed (disk full, no permission); nothing that was saved before is lost."""


class Stopped(Exception):  # noqa: N818 - not an error: the run was asked to stop, and saved
    """SIGINT or SIGTERM stopped a run after its state was saved."""


def nearest_name(name: str, choices: Iterable[str]) -> str | None:
    """Return the choice spelt most like `name`, or None when none comes close.

    >>> nearest_name("unet_orignal", ["unet_original", "unet_padding"])
    'unet_original'
    """
    found = difflib.get_close_matches(name, list(choices), n=1, cutoff=0.5)
    return found[0] if found else None


def unknown_name(kind: str, name: str, choices: Iterable[str]) -> str:
    """Phrase the message for a name that is not among the choices.

    >>> unknown_name("network", "vnt", ["unet", "vnet"])
    "unknown network 'vnt': did you mean 'vnet'? (known: unet, vnet)"
    """
    known = list(choices)
    near = nearest_name(name, known)
    hint = f": did you mean {near!r}?" if near else "."
    return f"unknown {kind} {name!r}{hint} (known: {', '.join(known)})"
