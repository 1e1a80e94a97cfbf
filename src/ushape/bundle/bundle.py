"""Write and read model files.

The header says how to build the network, what its classes are called in label files, how images
are prepared and tiled, and where the weights come from. Nothing in the file is executed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ushape.config.schema import FineConfig, PreprocessConfig, TilingConfig
from ushape.errors import BundleError, UshapeError
from ushape.files import atomic_path
from ushape.labels import LabelTable
from ushape.nets import build_network, spec_from_json, spec_to_json
from ushape.nets.network import SegmentationNetwork
from ushape.nets.second_pass import separate_statistics

FORMAT = 3
"""Version of the header; a file with a larger one comes from a newer release."""

ONE_PASS_FORMAT = 2
"""Version of models that make one pass: releases that know no other read them too."""

KEY = "ushape"
"""Name of the header in the file's metadata."""


@dataclass(frozen=True)
class BundleHeader:
    """What prediction needs to know besides the weights.

    Attributes:
        labels: Classes and their values in files.
        preprocess: How images become the network's input.
        tiling: How whole images are predicted.
        provenance: Versions, data, training length, seed, validation score: for people.
        thin_classes: Names of the classes that are lines.
        thresholds: By class name: the probability from which on the class is predicted, where it
            is not the usual one.
        fine: The second pass of a fine-grained model; None where a model makes one pass.
        channel_names: Of the channels of its images, in order; empty where nobody named them.
    """

    labels: LabelTable
    preprocess: PreprocessConfig
    tiling: TilingConfig
    provenance: Mapping[str, Any] = field(default_factory=dict)
    thin_classes: tuple[str, ...] = ()
    thresholds: Mapping[str, float] = field(default_factory=dict)
    fine: FineConfig | None = None
    channel_names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Bundle:
    """An opened model file; the network is in eval mode, on the CPU."""

    path: Path
    network: SegmentationNetwork
    header: BundleHeader


def save_bundle(
    path: str | Path,
    network: SegmentationNetwork,
    header: BundleHeader,
    *,
    weights: Mapping[str, Tensor] | None = None,
) -> None:
    """Write a model file, all at once.

    Args:
        path: Where, usually `*.safetensors`.
        network: Gives the specification, and the weights unless they are given.
        weights: A state dict to store instead (a running average of the weights, say).

    Raises:
        StorageError: The file cannot be written; an older one of that name is kept.
    """
    text = json.dumps(
        {
            "format": ONE_PASS_FORMAT if header.fine is None else FORMAT,
            "network": spec_to_json(network.spec),
            "labels": header.labels.to_json(),
            "preprocess": asdict(header.preprocess),
            "tiling": asdict(header.tiling),
            "provenance": dict(header.provenance),
            "thin_classes": list(header.thin_classes),
            "thresholds": dict(header.thresholds),
            "channel_names": list(header.channel_names),
            **({} if header.fine is None else {"fine": asdict(header.fine)}),
        },
        sort_keys=True,
    )
    state = weights if weights is not None else network.state_dict()
    tensors = {name: value.detach().cpu().contiguous() for name, value in state.items()}
    with atomic_path(path) as temporary:
        temporary.write_bytes(save(tensors, metadata={KEY: text}))


def find_bundle(model: str | Path) -> Path:
    """Find the model file for a run folder, a fold folder or a file.

    Raises:
        BundleError: There is none; the message says what was looked for.
    """
    path = Path(model)
    if path.is_file():
        return path
    if not path.exists():
        raise BundleError(f"{path}: no such file or folder; give a run folder or a model file")
    candidates = [path / "best.safetensors", *sorted(path.glob("fold_*/best.safetensors"))]
    found = [candidate for candidate in candidates if candidate.is_file()]
    if not found:
        raise BundleError(
            f"{path}: holds no best.safetensors, nor a fold_0/best.safetensors; "
            "is it a run folder, and did its training reach the first validation?"
        )
    return found[0]


def load_bundle(model: str | Path) -> Bundle:
    """Open a model.

    Args:
        model: A run folder, a fold folder or a model file.

    Raises:
        BundleError: Missing, damaged, not an ushape model, or from a newer release.
    """
    path = find_bundle(model)
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise BundleError(
            f"{path}: not a readable safetensors file ({error}); it is damaged or of another kind"
        ) from error
    if KEY not in metadata:
        raise BundleError(
            f"{path}: holds weights but no ushape header; give the best.safetensors of a run"
        )
    try:
        return _build(path, json.loads(metadata[KEY]), tensors)
    except BundleError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise BundleError(f"{path}: its header is damaged ({reason})") from error


def _build(path: Path, header: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Bundle:
    if header["format"] > FORMAT:
        raise BundleError(
            f"{path}: written by a newer release (format {header['format']}, this one reads "
            f"{FORMAT}); update ushape"
        )
    try:
        network = build_network(spec_from_json(header["network"]))
        if "fine" in header:
            separate_statistics(network)
        network.load_state_dict(dict(tensors))
    except (UshapeError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise BundleError(f"{path}: weights and network do not fit ({reason})") from error
    opened = BundleHeader(
        LabelTable.from_json(header["labels"]),
        TypeAdapter(PreprocessConfig).validate_python(header["preprocess"]),
        TypeAdapter(TilingConfig).validate_python(header["tiling"]),
        header["provenance"],
        tuple(str(name) for name in header.get("thin_classes", ())),
        {str(name): float(value) for name, value in header.get("thresholds", {}).items()},
        TypeAdapter(FineConfig).validate_python(header["fine"]) if "fine" in header else None,
        tuple(str(name) for name in header.get("channel_names", ())),
    )
    return Bundle(path, network.eval(), opened)
