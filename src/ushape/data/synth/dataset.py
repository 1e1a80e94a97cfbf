"""Write synthetic data sets."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from ushape.data.convert import TargetLayout, check_target, convert_layout
from ushape.data.io import write_label, write_label_volume, write_volume
from ushape.data.layouts import CaseFiles, Layout
from ushape.data.synth.kinds import (
    KINDS,
    VOLUME_KINDS,
    check_wish,
    draw_picture,
    draw_volume,
)
from ushape.errors import ConfigError, DataError
from ushape.files import make_folder, storage_error, write_text
from ushape.labels import LabelWish
from ushape.sizes import Size, format_size

SOURCE = "SOURCE.txt"
_MARK = "Synthetic data made by ushape"

Progress = Callable[[int, int], None]


def write_dataset(
    kind: str,
    out: str | Path,
    *,
    cases: int,
    size: Sequence[int] = (256, 256),
    seed: int = 0,
    spacing_mm: Sequence[float] | None = None,
    layout: TargetLayout = "images+labels",
    progress: Progress | None = None,
) -> Path:
    """Write a data set, and a `SOURCE.txt` that says what it is.

    Pictures are PNG files, volumes .nii.gz. Case number i depends on the seed, the kind, the size
    and the spacing, not on how many cases are asked for. A data set of images/ and labels/ that was
    written earlier in the same folder is replaced.

    Args:
        kind: A name from `KINDS`; from `VOLUME_KINDS` for a size of three edges.
        out: The folder; new, empty, or an earlier synthetic data set.
        cases: How many.
        size: (y, x) or (z, y, x); see `make_case` and `make_volume`.
        seed: 0 or larger.
        spacing_mm: Of volumes, z y x; 1 mm by default.
        layout: `images+labels`, or one of the others of `ushape.data.convert`, for which the
            folder has to be new or empty.
        progress: Called after every case with the number done and the number of all.

    Returns:
        The folder.

    Raises:
        ConfigError: As `make_case` and `make_volume`, or no case is asked for.
        DataError: The folder holds something else.
        StorageError: The disk refuses.
    """
    size = tuple(size)
    spacing = tuple(float(edge) for edge in spacing_mm) if spacing_mm is not None else None
    if spacing is None and len(size) == 3:
        spacing = (1.0, 1.0, 1.0)
    check_wish(kind, size, (seed,), spacing)
    if cases < 1:
        raise ConfigError(f"{cases} cases make no data set: ask for one or more")
    folder = Path(out)
    source = _source(kind, cases, size, seed, spacing, layout)
    if layout == "images+labels":
        _clear(folder)
        write_text(folder / SOURCE, source)
        _draw_all(kind, folder, cases, size, seed, spacing, progress)
        return folder
    check_target(folder, layout)
    with tempfile.TemporaryDirectory() as drawn:
        found = _draw_all(kind, Path(drawn), cases, size, seed, spacing, progress)
        convert_layout(found, folder, to=layout)
    write_text(folder / SOURCE, source)
    return folder


def _draw_all(
    kind: str,
    folder: Path,
    cases: int,
    size: Size,
    seed: int,
    spacing_mm: tuple[float, ...] | None,
    progress: Progress | None,
) -> Layout:
    """Draw all cases into `images/` and `labels/`, and list them."""
    files = []
    for number in range(cases):
        name = f"{kind}_{number:03d}"
        ending = ".png" if spacing_mm is None else ".nii.gz"
        image_path = folder / "images" / f"{name}{ending}"
        label_path = folder / "labels" / f"{name}{ending}"
        if spacing_mm is None:
            image, label = draw_picture(kind, size, (seed, number))
            write_label(image_path, image[0])  # grey values, kept exactly
            write_label(label_path, label)
        else:
            values, label, grid = draw_volume(kind, size, (seed, number), spacing_mm)
            write_volume(image_path, values, grid)
            write_label_volume(label_path, label, grid)
        files.append(CaseFiles(name, image_path, label_path))
        if progress is not None:
            progress(number + 1, cases)
    names = (KINDS if spacing_mm is None else VOLUME_KINDS)[kind].labels
    wish = LabelWish(names=names)
    return Layout("synthetic", folder, tuple(files), (), folder / "labels", wish=wish)


def _clear(folder: Path) -> None:
    """Make room for a new data set, without touching anything that is not ours."""
    make_folder(folder)
    try:
        content = sorted(entry.name for entry in folder.iterdir())
        if content and not _is_ours(folder / SOURCE):
            raise DataError(
                f"{folder} is not empty (it holds {', '.join(content[:3])}) and was not made by "
                "ushape: choose a new folder"
            )
        names = "|".join({**KINDS, **VOLUME_KINDS})
        ours = re.compile(rf"(?:{names})_\d{{3,}}\.(?:png|nii\.gz)")
        for inner in ("images", "labels"):
            for path in (folder / inner).glob("*.*"):
                if ours.fullmatch(path.name):
                    path.unlink()
    except OSError as error:
        raise storage_error(folder, error) from error


def _is_ours(source: Path) -> bool:
    try:
        return source.read_text(encoding="utf-8").startswith(_MARK)
    except (FileNotFoundError, UnicodeDecodeError):
        return False


def _source(
    kind: str,
    cases: int,
    size: Size,
    seed: int,
    spacing_mm: tuple[float, ...] | None,
    layout: TargetLayout,
) -> str:
    """Say what the data are and how to make them again."""
    entry = (KINDS if spacing_mm is None else VOLUME_KINDS)[kind]
    what, place = f"{format_size(size)} pixels", ""
    if spacing_mm is not None:
        edges = [f"{edge:g}" for edge in spacing_mm]
        what = f"{format_size(size)} voxels of {' x '.join(edges)} mm (z y x)"
        place = f" --spacing {'x'.join(edges)}"
    other = "" if layout == "images+labels" else f" --layout {layout}"
    return (
        f"{_MARK}: {kind}, {entry.summary}.\n"
        f"{cases} cases of {what}, seed {seed}. Labels: {entry.legend}.\n"
        f"Made with: ushape data synth {kind} --cases {cases} "
        f"--size {'x'.join(str(edge) for edge in size)}{place} --seed {seed}{other}\n"
        f"The {'pictures' if spacing_mm is None else 'volumes'} show nothing real. "
        "No rights are claimed: CC0 1.0.\n"
    )
