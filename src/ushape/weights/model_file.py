"""Turn a Keras file into a model file that `ushape predict` takes.

A file of weights knows neither what its classes are called nor how its images were prepared. Both
are said by the caller, or taken by default and said in the notes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast, get_args, get_type_hints

from ushape.bundle import BundleHeader, save_bundle
from ushape.config.schema import PreprocessConfig, TilingConfig
from ushape.errors import ConfigError, unknown_name
from ushape.labels import LabelClass, LabelTable
from ushape.nets import Geometry, build_network, geometry_of, make_spec
from ushape.sizes import Size, format_size
from ushape.weights.convert import Conversion, convert_weights

_TILE_EDGE = {2: 512, 3: 96}
"""Output pixels of a tile, about, by the number of axes."""


def convert_file(
    source: str | Path,
    out: str | Path,
    *,
    model: str,
    in_channels: int = 1,
    classes: int = 1,
    options: Mapping[str, Any] | None = None,
    labels: Mapping[str, int] | None = None,
    normalise: str | None = None,
    tile_size: Size | None = None,
    epsilon: float | None = None,
) -> Conversion:
    """Write a model file with the weights of a Keras file.

    Args:
        source: The Keras file.
        out: The model file to write, usually `*.safetensors`.
        model: The catalogue entry of the corresponding network, with its `options`.
        labels: Class names and their values in predicted files, background first; None numbers
            the classes from 0.
        normalise: How images are prepared, as in `PreprocessConfig`; None takes its default.
        tile_size: Input size of a tile; None takes one of moderate memory.
        epsilon: See `convert_weights`.

    Returns:
        What was done. The notes also say which of the defaults above were taken.

    Raises:
        ConfigError: A name, option, label or size that does not fit the network.
        DataError: The Keras file is damaged or of another network.
        StorageError: The model file cannot be written.
    """
    spec = make_spec(model, in_channels=in_channels, classes=classes, **(options or {}))
    preprocess, notes = _preprocess(in_channels, normalise)
    table, label_notes = _labels(classes, labels)
    tiling = TilingConfig(_tile_size(geometry_of(spec), tile_size))
    network = build_network(spec).eval()
    done = convert_weights(source, network, epsilon=epsilon)
    provenance = {
        "ushape": version("ushape"),
        "created": datetime.now(UTC).date().isoformat(),
        "model": model,
        "converted_from": Path(source).name,
        "converted_sha256": _digest(Path(source)),
    }
    save_bundle(out, network, BundleHeader(table, preprocess, tiling, provenance))
    return replace(done, notes=(*done.notes, *label_notes, *notes))


def _preprocess(in_channels: int, normalise: str | None) -> tuple[PreprocessConfig, list[str]]:
    """Choose how images are prepared, and say so where nobody did."""
    if normalise is None:
        config = PreprocessConfig(in_channels)
        note = (
            f"images will be prepared by {config.normalise} (each channel of each image), the "
            "default: --normalise gives another; it should be what the Keras network was trained on"
        )
        return config, [note]
    allowed = get_args(get_type_hints(PreprocessConfig)["normalise"])
    if normalise not in allowed:
        raise ConfigError(unknown_name("normalisation", normalise, allowed))
    return PreprocessConfig(in_channels, cast("Any", normalise)), []  # one of the literals


def _labels(classes: int, names: Mapping[str, int] | None) -> tuple[LabelTable, list[str]]:
    """Name the classes: two for one logit (background below one half), else one a logit."""
    count = max(2, classes)
    if names is None:
        others = ["foreground"] if count == 2 else [f"class_{n}" for n in range(1, count)]
        rows = [LabelClass(name, n) for n, name in enumerate(("background", *others))]
        table = LabelTable(tuple(rows), reason="numbered when the weights were converted")
        note = f"labels are numbered: {table.describe()}; --labels background=0,... names them"
        return table, [note]
    if len(names) != count:
        raise ConfigError(
            f"--labels names {len(names)} classes, a network with classes={classes} tells {count} "
            "apart: name each once, the background first"
        )
    named = tuple(LabelClass(name, value) for name, value in names.items())
    return LabelTable(named, reason="named when the weights were converted"), []


def _tile_size(geometry: Geometry, wanted: Size | None) -> Size:
    """Check a tile size, or choose one whose output has about `_TILE_EDGE` pixels an axis."""
    if wanted is not None:
        smaller, larger = geometry.nearest_sizes(wanted)
        if wanted not in (smaller, larger):
            near = " or ".join(format_size(size) for size in (smaller, larger) if size)
            raise ConfigError(
                f"tile size {format_size(wanted)} does not fit {geometry.name}: the nearest is "
                f"{near}"
            )
        return wanted
    edge = _TILE_EDGE[len(geometry.smallest)]
    return geometry.nearest_sizes([edge + sum(pair) for pair in geometry.margin])[1]


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
