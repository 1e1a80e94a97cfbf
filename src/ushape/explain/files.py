"""Explain a model on image files, and write what was found."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ushape.bundle import Bundle, load_bundle
from ushape.config.load import load_config
from ushape.data.fine import coarse_table
from ushape.data.inputs import Spacing
from ushape.data.layouts import Problem
from ushape.errors import ConfigError, DataError
from ushape.explain import tables
from ushape.explain.advice import Advice, Origin, advise
from ushape.explain.examine import respond
from ushape.explain.response import Response
from ushape.explain.sheet import draw
from ushape.explain.sources import find_chosen, read_cases
from ushape.files import atomic_path, make_folder, write_json, write_text

TABLE, RECORD = "response.csv", "explain.json"


@dataclass(frozen=True)
class Explanation:
    """What was found and written.

    Attributes:
        response: The numbers.
        advice: What to do.
        written: Files.
        problems: Images that could not be used.
    """

    response: Response
    advice: Advice
    written: tuple[Path, ...]
    problems: tuple[Problem, ...]

    def lines(self) -> list[str]:
        """Write tables and advice for people."""
        return tables.lines(self.response, self.advice)

    def to_json(self) -> dict[str, Any]:
        """Return numbers and advice as plain data."""
        return tables.to_json(self.response, self.advice)


def explain_files(
    model: str | Path,
    images: Sequence[Path],
    out: str | Path,
    *,
    truth: str | Path | None = None,
    spacing_mm: Spacing | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Explanation:
    """Show where the features of a model respond to every class, and advise on a branch.

    Writes `response.csv`, `explain.json` and a sheet CLASS.png for every class that is found. All
    is computed on the CPU, in the same order: the same input gives the same files.

    Args:
        model: A run folder or a model file.
        images: Files; of more than 16, as many are taken evenly.
        out: Folder to write to.
        truth: Label file or folder; without it the network's own prediction is explained.
        spacing_mm: Voxel edges, z y x, of volumes and stacks whose files do not tell them.
        progress: Called with (passes done, passes in all).

    Raises:
        BundleError: There is no model, or it is damaged.
        ConfigError: A spacing is given and the model takes pictures.
        DataError: No image can be used, or none holds a class.
        StorageError: A file cannot be written.
    """
    bundle = load_bundle(model)
    header, spatial_dims = bundle.header, bundle.network.spec.kit.spatial_dims
    chosen, count = find_chosen(images, header, spatial_dims, spacing_mm)
    cases, problems = read_cases(
        chosen, None if truth is None else Path(truth), header, spatial_dims
    )
    if not cases:
        raise DataError(f"no image can be used: {problems[0]}" if problems else "no image is given")
    labels, thresholds = header.labels, dict(header.thresholds)
    notes: tuple[str, ...] = ()
    if header.fine is not None:
        labels = coarse_table(labels, header.fine)
        thresholds = {n: p for n, p in thresholds.items() if n not in header.fine.classes}
        notes = (
            f"{', '.join(header.fine.classes)}: found in a second pass, which is not explained",
        )
    response = respond(bundle.network, cases, labels, thresholds=thresholds, progress=progress)
    response = replace(response, notes=(*notes, *response.notes))
    if len(chosen) < count:
        note = f"{len(chosen)} of {count} images were looked at, evenly over the list"
        response = replace(response, notes=(note, *response.notes))
    advice = advise(response, bundle.network.spec, find_origin(bundle))
    written = write_explanation(response, advice, Path(out))
    return Explanation(response, advice, written, tuple(problems))


def find_origin(bundle: Bundle) -> Origin:
    """Look for the settings of the run that a model file lies in."""
    for folder in (bundle.path.parent, *bundle.path.parent.parents[:1]):
        path = folder / "config.yaml"
        if not path.is_file():
            continue
        try:
            config = load_config(path)
        except ConfigError as error:
            return Origin(note=f"the settings of the run cannot be read ({error})")
        return Origin(dict(config.model.options), config.data.root, path)
    return Origin()


def write_explanation(response: Response, advice: Advice, out: Path) -> tuple[Path, ...]:
    """Write table, record and sheets; old ones of the same names are replaced."""
    make_folder(out)
    written = [out / TABLE, out / RECORD]
    write_text(out / TABLE, tables.to_csv(response))
    names: set[str] = set()
    for found in response.classes:
        name = _file_name(found.name, names)
        names.add(name)
        sheet = draw(found, response.pictures[found.name], has_truth=response.has_truth)
        with atomic_path(out / f"{name}.png") as temporary:
            temporary.write_bytes(sheet)
        written.append(out / f"{name}.png")
    write_json(out / RECORD, tables.to_json(response, advice))
    return tuple(written)


def _file_name(name: str, taken: set[str]) -> str:
    """Make a class's name fit for a file; different classes get different names."""
    safe = re.sub(r"[^\w.-]+", "_", name).strip("._") or "class"
    result, number = safe, 1
    while result.casefold() in {other.casefold() for other in taken}:
        number += 1
        result = f"{safe}_{number}"
    return result
