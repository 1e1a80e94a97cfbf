"""Several files a case: `scan_0000.nii.gz`, `scan_0001.nii.gz` are the channels of `scan`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from ushape.data.io.formats import stem_of
from ushape.errors import DataError

_NUMBERED = re.compile(r"(?P<case>.+)_(?P<channel>\d{4})")


def split_channel(path: str | Path) -> tuple[str, int | None]:
    """Split a file name into case and channel number; None when it names no channel.

    >>> split_channel("imagesTr/BRATS_001_0002.nii.gz"), split_channel("a_12.nii")
    (('BRATS_001', 2), ('a_12', None))
    """
    stem = stem_of(path)
    found = _NUMBERED.fullmatch(stem)
    return (found["case"], int(found["channel"])) if found else (stem, None)


def group_channels(paths: Iterable[str | Path]) -> dict[str, list[Path]]:
    """Collect the files of every case, channel 0 first, cases in order of their names.

    Raises:
        DataError: A case has a channel twice or not at all; the message names case and files.
    """
    found: dict[str, dict[int, Path]] = {}
    for path in sorted(Path(each) for each in paths):
        case, channel = split_channel(path)
        known = found.setdefault(case, {})
        if (channel or 0) in known:
            raise DataError(
                f"case {case!r} has channel {channel or 0} twice"
                f": {known[channel or 0]} and {path}; remove or rename one"
            )
        known[channel or 0] = path
    highest = max((max(channels) for channels in found.values()), default=0)
    for case, channels in found.items():
        missing = [f"_{number:04d}" for number in range(highest + 1) if number not in channels]
        if missing:
            raise DataError(
                f"case {case!r} lacks the channels {', '.join(missing)}, which other cases have "
                f"(found: {', '.join(path.name for path in channels.values())}); "
                "add them or leave the case out"
            )
    return {
        case: [channels[number] for number in sorted(channels)]
        for case, channels in sorted(found.items())
    }
