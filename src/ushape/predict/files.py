"""Predict files, in the form that the labels had, and a record of how they were made.

That is one file of label values for each image; or its masks, in one folder a class or in one file
with a channel a class. Classes that may overlap are always written as masks. Volumes lie on the
grid of their image.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ushape.data.case_image import read_case_image
from ushape.data.inputs import Spacing, understand_inputs
from ushape.data.io import Volume
from ushape.data.layouts import CaseFiles, Problem, join_files
from ushape.data.masks import Masks
from ushape.data.targets import decode_labels, likely_masks, most_likely
from ushape.errors import ConfigError, DataError, ShapeError
from ushape.files import make_folder
from ushape.predict.channels import check_channels
from ushape.predict.lines import thin_lines, thin_mask
from ushape.predict.predictor import Predictor
from ushape.predict.record import remove_replaced, write_record
from ushape.predict.write import CaseWriter, check_format, plan_writing


@dataclass(frozen=True)
class PredictionSummary:
    """What became of the inputs.

    Attributes:
        written: One file for each image and for each slice of a stack, in their order: its label
            values, its file of masks, or the mask of the first class.
        problems: Inputs that could not be predicted, and why.
        notes: What a person should know of how inputs were understood and results written.
        num_images: Of the inputs; a stack is one.
    """

    written: tuple[Path, ...]
    problems: tuple[Problem, ...]
    notes: tuple[str, ...] = ()
    num_images: int = 0


def predict_files(
    predictor: Predictor,
    images: Sequence[Path],
    out: Path,
    *,
    format: str | None = None,
    spacing_mm: Spacing | None = None,
    keep_probabilities: bool = False,
    is_skeleton: bool = False,
    progress: Callable[[int, int, str], None] | None = None,
) -> PredictionSummary:
    """Predict image files and write their labels.

    Channels of one image in several files (`_0000`, `_0001`) are joined. For a model that takes
    volumes, the pictures of a folder are slices of stacks, as in training.

    Args:
        predictor: From `ushape.load`.
        images: Files and folders; their names without the ending must differ.
        out: Folder for the results.
        format: As for `predict_cases`.
        spacing_mm: Voxel edges, z y x, of volumes and stacks whose files do not tell them.
        keep_probabilities: As for `predict_cases`.
        is_skeleton: As for `predict_cases`.
        progress: As for `predict_cases`.

    Raises:
        ConfigError: As for `predict_cases`.
        DataError: An image lacks channels.
        StorageError: As for `predict_cases`.
    """
    cases = join_files(images, num_channels=predictor.num_channels)
    return predict_cases(
        predictor,
        cases,
        out,
        format=format,
        spacing_mm=spacing_mm,
        keep_probabilities=keep_probabilities,
        is_skeleton=is_skeleton,
        progress=progress,
    )


def predict_cases(
    predictor: Predictor,
    cases: Sequence[CaseFiles],
    out: Path,
    *,
    format: str | None = None,
    spacing_mm: Spacing | None = None,
    keep_probabilities: bool = False,
    is_skeleton: bool = False,
    progress: Callable[[int, int, str], None] | None = None,
    tiles: Callable[[int, int], None] | None = None,
) -> PredictionSummary:
    """Predict cases and write their labels.

    An image that cannot be read or does not fit is reported, and the rest is done. Results hold
    the label values of the training data. Existing files of the same name are replaced, and those
    that an earlier prediction of the same case left in another format are removed.

    Args:
        predictor: From `ushape.load`.
        cases: Images; labels are not looked at. Of a stack every slice is written by itself.
        out: Folder for the results.
        format: One of `ushape.predict.write.FORMATS`. None: PNG for pictures, for volumes the
            format of the image (NIfTI where that is not written).
        spacing_mm: Voxel edges, z y x, of volumes and stacks whose files do not tell them.
        keep_probabilities: Also write NAME.probabilities.*, float32, a page or channel a class.
        is_skeleton: Thin the predicted lines to one pixel.
        progress: Called with (cases done, cases in all, current name) before each case and once
            at the end.
        tiles: Called with (tiles done, tiles in all) of the current case.

    Raises:
        ConfigError: The format is unknown, two images would get the same file, or the model knows
            no lines.
        StorageError: A file cannot be written; those before it are kept.
    """
    check_format(format)
    if is_skeleton and not predictor.thin_classes:
        raise ConfigError(
            "--skeleton: no class of this model is a line; train it with --set lines.classes=[...]"
        )
    cases, notes = understand_inputs(
        cases,
        spatial_dims=predictor.spatial_dims,
        num_channels=predictor.num_channels,
        spacing_mm=spacing_mm,
    )
    _check_names(cases, out)
    make_folder(out)
    said = list(notes)
    job = _Job(predictor, out, format, keep_probabilities, is_skeleton, said, tiles)
    written: list[Path] = []
    problems = []
    names: set[str] = set()
    failed: dict[str, str] = {}
    for done, case in enumerate(cases):
        if progress:
            progress(done, len(cases), case.image.name)
        try:
            written += job.predict(case)
            said += [f"{case.image}: {note}" for note in predictor.notes]
        except (DataError, ShapeError) as error:
            why = _without_name(case.image, str(error))
            problems.append(Problem(case.image, why, "error"))
            failed |= {str(each.image): why for each in case.planes or (case,)}
        else:
            names |= {each.id for each in (case, *case.planes)}
    if progress:
        progress(len(cases), len(cases), "")
    removed = remove_replaced(out, names, written, predictor.labels)
    if removed:
        files = f"{len(removed)} file{'s' * (len(removed) > 1)}"
        said.append(f"removed {files} of an earlier prediction in another format from {out}")
    write_record(predictor, out, written, failed)
    return PredictionSummary(
        tuple(written), tuple(problems), tuple(dict.fromkeys(said)), len(cases)
    )


@dataclass(frozen=True)
class _Job:
    """How every case is predicted."""

    predictor: Predictor
    out: Path
    format: str | None
    keep_probabilities: bool
    is_skeleton: bool
    notes: list[str]
    tiles: Callable[[int, int], None] | None

    def predict(self, case: CaseFiles) -> tuple[Path, ...]:
        """Predict one case and write what was predicted."""
        check_channels(case, self.predictor.channel_names)
        labels, image = self.predictor.labels, read_case_image(case)
        writer, note = plan_writing(self.out, case, image.grid, labels, self.format)
        if labels.writes_masks:
            written = writer.write_masks(self._masks(image, writer))
        else:
            index = self._classes(image, writer)
            written = writer.write_labels(decode_labels(index, labels))
        if note:
            self.notes.append(note)
        return written

    def _masks(self, image: Volume, writer: CaseWriter) -> Masks:
        predictor = self.predictor
        if self.keep_probabilities:
            probabilities = self._probabilities(image, writer)
            masks = likely_masks(probabilities, predictor.labels, predictor.thresholds)
        else:
            masks = predictor.predict_masks(image, progress=self.tiles)
        if self.is_skeleton:
            for name in predictor.thin_classes:
                number = predictor.labels.names.index(name) - 1
                masks[number] = thin_mask(masks[number])
        return masks

    def _classes(self, image: Volume, writer: CaseWriter) -> npt.NDArray[np.uint8]:
        predictor, labels = self.predictor, self.predictor.labels
        if not (self.keep_probabilities or self.is_skeleton):
            return predictor.predict_classes(image, progress=self.tiles)
        probabilities = self._probabilities(image, writer)
        index = most_likely(probabilities, labels, predictor.thresholds)
        if self.is_skeleton:
            thin = [labels.names.index(name) for name in predictor.thin_classes]
            index = thin_lines(index, thin, probabilities)
        return index

    def _probabilities(self, image: Volume, writer: CaseWriter) -> npt.NDArray[np.float32]:
        probabilities = self.predictor.predict_probabilities(image, progress=self.tiles)
        if self.keep_probabilities:
            writer.write_probabilities(probabilities)
        return probabilities


def _check_names(cases: Sequence[CaseFiles], out: Path) -> None:
    seen: dict[str, Any] = {}
    for case in cases:
        for each in case.planes or (case,):
            if each.id in seen:
                raise ConfigError(
                    f"{seen[each.id]} and {each.image} would both be written as {each.id}: "
                    "predict them into two folders"
                )
            seen[each.id] = each.image
            if each.image.resolve().parent == out.resolve():
                raise ConfigError(
                    f"--out {out} is the folder of the images: predictions would replace them; "
                    "choose another folder"
                )


def _without_name(path: Path, text: str) -> str:
    return text.removeprefix(f"cannot read {path}: ").removeprefix(f"{path}: ")
