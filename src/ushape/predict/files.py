"""Predict files: one label picture for each image, and a record of how they were made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ushape.data.io import read_image, write_label, write_probabilities
from ushape.data.layouts import Problem
from ushape.data.targets import decode_labels, most_likely
from ushape.errors import ConfigError, DataError, ShapeError
from ushape.files import make_folder, write_json
from ushape.predict.predictor import Predictor

RECORD = "predictions.json"
"""Beside the pictures: the model, the label table, and what failed."""

FORMATS = ("png", "tif")


@dataclass(frozen=True)
class PredictionSummary:
    """What became of the inputs.

    Attributes:
        written: Label pictures, in the order of the inputs.
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
        progress: Called with (images done, images in all, current name) before each image and
            once at the end.

    Raises:
        ConfigError: The format is unknown, or two images would get the same file.
        StorageError: A picture cannot be written; those before it are kept.
    """
    if format not in FORMATS:
        raise ConfigError(f"format {format!r} is not known: choose png or tif")
    _check_names(images, out)
    make_folder(out)
    written, problems = [], []
    for done, path in enumerate(images):
        if progress:
            progress(done, len(images), path.name)
        try:
            written.append(_predict_file(predictor, path, out, format, keep_probabilities))
        except (DataError, ShapeError) as error:
            problems.append(Problem(path, _without_name(path, str(error)), "error"))
    if progress:
        progress(len(images), len(images), "")
    write_json(
        out / RECORD,
        {
            "model": str(predictor.path),
            "labels": predictor.labels.to_json(),
            "provenance": dict(predictor.provenance),
            "written": [path.name for path in written],
            "failed": {str(problem.path): problem.message for problem in problems},
        },
    )
    return PredictionSummary(tuple(written), tuple(problems))


def _predict_file(
    predictor: Predictor,
    path: Path,
    out: Path,
    format: str,
    keep_probabilities: bool,
) -> Path:
    image = read_image(path)
    if keep_probabilities:
        probabilities = predictor.predict_probabilities(image)
        write_probabilities(out / f"{path.stem}.probabilities.tif", probabilities)
        index = most_likely(probabilities)
    else:
        index = predictor.predict_classes(image)
    target = out / f"{path.stem}.{format}"
    values = decode_labels(index, predictor.labels)
    write_label(target, values, is_color=predictor.labels.is_color)
    return target


def _check_names(images: Sequence[Path], out: Path) -> None:
    seen: dict[str, Path] = {}
    for path in images:
        if path.stem in seen:
            raise ConfigError(
                f"{seen[path.stem]} and {path} would both be written as {path.stem}: "
                "predict them into two folders"
            )
        seen[path.stem] = path
        if path.resolve().parent == out.resolve():
            raise ConfigError(
                f"--out {out} is the folder of the images: predictions would replace them; "
                "choose another folder"
            )


def _without_name(path: Path, text: str) -> str:
    return text.removeprefix(f"cannot read {path}: ").removeprefix(f"{path}: ")
