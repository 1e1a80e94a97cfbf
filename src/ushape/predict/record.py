"""The record beside predictions: the model, its classes, what was written and what failed.

It also tells which files an earlier prediction wrote, so that none of them stays beside a newer
one of the same case in another format: nobody could say which of the two counts.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from ushape.data.io import path_inside, stem_of
from ushape.errors import DataError, StorageError
from ushape.files import write_json
from ushape.labels import LabelTable
from ushape.predict.predictor import Predictor
from ushape.predict.write import painted_folder, written_form

RECORD = "predictions.json"


def write_record(
    predictor: Predictor, out: Path, written: Iterable[Path], failed: Mapping[str, str]
) -> None:
    """Write the record.

    Args:
        predictor: The model.
        out: Folder of the predictions.
        written: One file for each image; of masks in folders, that of the first class.
        failed: By image, why it was not predicted; of a stack, by the image of every slice.
    """
    write_json(
        out / RECORD,
        {
            "model": str(predictor.path),
            "labels": predictor.labels.to_json(),
            "form": written_form(predictor.labels),
            "thresholds": predictor.thresholds,
            "provenance": dict(predictor.provenance),
            "written": [path.relative_to(out).as_posix() for path in written],
            "failed": dict(failed),
        },
    )


def remove_replaced(
    out: Path, names: Collection[str], written: Iterable[Path], labels: LabelTable
) -> list[Path]:
    """Remove files of an earlier prediction that newer ones in another format stand for.

    Only files that the record of that prediction tells of are touched.

    Args:
        out: Folder of the predictions, with the record of the earlier one if there is any.
        names: Of the cases that were predicted anew, and of the slices of stacks.
        written: As `write_record` takes it.
        labels: The classes of what was written.

    Returns:
        The removed files.

    Raises:
        StorageError: A file cannot be removed.
    """
    kept = {file for path in written for file in _all_classes(path, out, labels)}
    removed = []
    for file in _earlier(out):
        if stem_of(file) in names and file not in kept and file.is_file():
            try:
                file.unlink()
            except OSError as error:
                raise StorageError(
                    f"{file}: an earlier prediction in another format cannot be removed "
                    f"({error.strerror}): remove it, or predict into another folder"
                ) from error
            removed.append(file)
    return removed


def _earlier(out: Path) -> list[Path]:
    """List the files that the record in a folder tells of; none where it cannot be understood."""
    try:
        record: dict[str, Any] = json.loads((out / RECORD).read_text(encoding="utf-8"))
        labels = LabelTable.from_json(record["labels"])
        paths = [path_inside(out, name) for name in record["written"]]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, DataError):
        return []
    return [file for path in paths for file in _all_classes(path, out, labels)]


def _all_classes(path: Path, out: Path, labels: LabelTable) -> list[Path]:
    """List what stands beside a file of the first class: its other classes, and all painted."""
    if path.parent == out:
        return [path]
    painted = painted_folder(labels)
    folders = [entry.name for entry in labels.foreground] + ([painted] if painted else [])
    return [out / folder / path.name for folder in folders]
