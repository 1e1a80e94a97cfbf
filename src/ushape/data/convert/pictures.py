"""Name cases by their pictures, and find these without following names out of their folders."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from ushape.data.io import path_inside
from ushape.errors import DataError


def name_cases(names: Sequence[str]) -> list[str]:
    """Name cases by their pictures, with the folders where names alone are not different.

    >>> name_cases(["a/1.png", "a/2.png"]), name_cases(["a/1.png", "b/1.png"])
    (['1', '2'], ['a_1', 'b_1'])
    """
    paths = [PurePosixPath(name.replace("\\", "/")) for name in names]
    paths = [path.with_suffix("") if path.name else path for path in paths]
    if max(Counter(path.name for path in paths).values(), default=0) <= 1:
        return [path.name for path in paths]
    return ["_".join(part for part in path.parts if part not in ("/", "..")) for path in paths]


def find_picture(name: str, folders: Sequence[Path], chosen: Path | None) -> Path:
    """Find a picture that annotations name.

    Args:
        name: As the annotations have it; never followed out of a folder.
        folders: Where it may lie.
        chosen: The only folder where it may lie; the name may then lie there without its folders.

    Raises:
        DataError: It is in none of them, or its name leads out of them.
    """
    name = name.replace("\\", "/")
    bare = PurePosixPath(name).name
    if chosen is not None:
        for candidate in (name, bare):
            try:
                path = path_inside(chosen, candidate)
            except DataError:
                continue
            if path.is_file():
                return path
        raise DataError(f"the picture {name!r} is not in {chosen} (--images)")
    if not folders:
        raise DataError(f"the picture {name!r}: say where it is with --images DIR")
    try:
        places = [path_inside(folder, name) for folder in folders]
    except DataError as error:
        raise DataError(f"{error}, or say where the pictures are with --images DIR") from error
    found = next((path for path in places if path.is_file()), None)
    if found is None:
        where = ", ".join(str(folder) for folder in folders)
        raise DataError(
            f"the picture {name!r} is not there (looked in {where}); say where with --images DIR"
        )
    return found
