"""Predict files, in the form that the labels had, and a record of how they were made.

That is one label picture for each image; or its masks, in one folder a class or in one file with
a channel a class. Classes that may overlap are always written as masks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from skimage.morphology import skeletonize

from ushape.data.io import read_image, write_label, write_probabilities
from ushape.data.layouts import Problem, case_name
from ushape.data.masks import Masks, write_class_folders, write_masks
from ushape.data.targets import decode_labels, likely_masks, most_likely
from ushape.errors import ConfigError, DataError, ShapeError
from ushape.files import make_folder, write_json
from ushape.labels import Form, LabelTable
from ushape.predict.predictor import Predictor

RECORD = "predictions.json"
"""Beside the pictures: the model, the label table, and what failed."""

FORMATS = ("png", "tif")


@dataclass(frozen=True)
class PredictionSummary:
    """What became of the inputs.

    Attributes:
        written: One file for each input, in their order: its label picture, its file of masks, or
            the mask of the first class.
        problems: Inputs that could not be predicted, and why.
    """

    written: tuple[Path, ...]
    problems: tuple[Problem, ...]


def predict_files(
    predictor: Predictor,
    images: Sequence[Path],
    out: Path,
    *,
    format: str = "png",
    keep_probabilities: bool = False,
    is_skeleton: bool = False,
    names: Mapping[Path, str] | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> PredictionSummary:
    """Predict images and write their label pictures.

    An image that cannot be read or does not fit is reported, and the rest is done. Pictures hold
    the label values of the training data. Existing pictures of the same name are replaced.

    Args:
        predictor: From `ushape.load`.
        images: Files; their names without the ending must differ.
        out: Folder for the pictures.
        format: `png` or `tif`.
        keep_probabilities: Also write NAME.probabilities.tif, float32, one page a class.
        is_skeleton: Thin the predicted lines to one pixel.
        names: What the file of an image is called, where it is not `ushape.data.layouts.case_name`.
        progress: Called with (images done, images in all, current name) before each image and
            once at the end.

    Raises:
        ConfigError: The format is unknown, two images would get the same file, or the model knows
            no lines.
        StorageError: A picture cannot be written; those before it are kept.
    """
    if format not in FORMATS:
        raise ConfigError(f"format {format!r} is not known: choose png or tif")
    if is_skeleton and not predictor.thin_classes:
        raise ConfigError(
            "--skeleton: no class of this model is a line; train it with --set lines.classes=[...]"
        )
    named = {path: case_name(path) for path in images} | dict(names or {})
    _check_names(named, out)
    make_folder(out)
    job = _Job(predictor, out, format, keep_probabilities, is_skeleton)
    written, problems = [], []
    for done, path in enumerate(images):
        if progress:
            progress(done, len(images), path.name)
        try:
            written.append(job.predict(path, named[path]))
        except (DataError, ShapeError) as error:
            problems.append(Problem(path, _without_name(path, str(error)), "error"))
    if progress:
        progress(len(images), len(images), "")
    write_json(
        out / RECORD,
        {
            "model": str(predictor.path),
            "labels": predictor.labels.to_json(),
            "form": written_form(predictor.labels),
            "thresholds": predictor.thresholds,
            "provenance": dict(predictor.provenance),
            "written": [path.relative_to(out).as_posix() for path in written],
            "failed": {str(problem.path): problem.message for problem in problems},
        },
    )
    return PredictionSummary(tuple(written), tuple(problems))


def written_form(labels: LabelTable) -> Form:
    """Say how predictions of these classes are written."""
    if not labels.writes_masks:
        return labels.form
    return "channels" if labels.form == "channels" else "folders"


@dataclass(frozen=True)
class _Job:
    """How every file is predicted."""

    predictor: Predictor
    out: Path
    format: str
    keep_probabilities: bool
    is_skeleton: bool

    def predict(self, path: Path, name: str) -> Path:
        """Predict one image and write what was predicted."""
        labels, image = self.predictor.labels, read_image(path)
        if labels.writes_masks:
            return self._write_masks(name, self._masks(name, image))
        index = self._classes(name, image)
        target = self.out / f"{name}.{self.format}"
        write_label(target, decode_labels(index, labels), is_color=labels.is_color)
        return target

    def _masks(self, stem: str, image: npt.NDArray[Any]) -> Masks:
        predictor = self.predictor
        if self.keep_probabilities:
            probabilities = self._probabilities(stem, image)
            masks = likely_masks(probabilities, predictor.labels, predictor.thresholds)
        else:
            masks = predictor.predict_masks(image)
        if self.is_skeleton:
            for name in predictor.thin_classes:
                number = predictor.labels.names.index(name) - 1
                masks[number] = _skeleton(masks[number])
        return masks

    def _classes(self, stem: str, image: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
        predictor, labels = self.predictor, self.predictor.labels
        if not (self.keep_probabilities or self.is_skeleton):
            return predictor.predict_classes(image)
        probabilities = self._probabilities(stem, image)
        index = most_likely(probabilities, labels, predictor.thresholds)
        if self.is_skeleton:
            thin = [labels.names.index(name) for name in predictor.thin_classes]
            index = thin_lines(index, thin, probabilities)
        return index

    def _probabilities(self, stem: str, image: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        probabilities = self.predictor.predict_probabilities(image)
        if self.keep_probabilities:
            write_probabilities(self.out / f"{stem}.probabilities.tif", probabilities)
        return probabilities

    def _write_masks(self, stem: str, masks: Masks) -> Path:
        labels = self.predictor.labels
        if written_form(labels) == "channels":
            path = self.out / f"{stem}.tif"
            write_masks(path, masks)
            return path
        names = [entry.name for entry in labels.foreground]
        return write_class_folders(self.out, stem, names, masks, suffix=f".{self.format}")[0]


def thin_lines(
    index: npt.NDArray[np.uint8], thin: Sequence[int], probabilities: npt.NDArray[np.float32]
) -> npt.NDArray[np.uint8]:
    """Thin some classes to their skeletons.

    Args:
        index: Class indices, shape (*size).
        thin: Indices of the classes that are lines.
        probabilities: Shape (channel, *size); the pixels that a line loses go to the likeliest
            class that is no line.
    """
    rest = np.zeros_like(index)
    if len(probabilities) > 1:
        others = probabilities.copy()
        others[list(thin)] = -1.0
        rest = others.argmax(axis=0).astype(np.uint8)
    result = index.copy()
    for number in thin:
        mask = index == number
        lost = mask & ~_skeleton(mask)
        result[lost] = rest[lost]
    return result


def _skeleton(mask: Masks) -> Masks:
    return np.asarray(skeletonize(mask), dtype=np.bool_)  # type: ignore[no-untyped-call]


def _check_names(named: Mapping[Path, str], out: Path) -> None:
    seen: dict[str, Path] = {}
    for path, name in named.items():
        if name in seen:
            raise ConfigError(
                f"{seen[name]} and {path} would both be written as {name}: "
                "predict them into two folders"
            )
        seen[name] = path
        if path.resolve().parent == out.resolve():
            raise ConfigError(
                f"--out {out} is the folder of the images: predictions would replace them; "
                "choose another folder"
            )


def _without_name(path: Path, text: str) -> str:
    return text.removeprefix(f"cannot read {path}: ").removeprefix(f"{path}: ")
